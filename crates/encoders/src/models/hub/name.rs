//! What the name of a model means: a folder here, or a model of the hub.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::settings::home;
use crate::{Error, Result};

/// Hosts whose addresses name models, beside the one of `HF_ENDPOINT`.
const HOSTS: [&str; 3] = ["huggingface.co", "www.huggingface.co", "hf.co"];
/// The longest owner or model that the hub has.
const LONGEST_PART: usize = 96;
/// The longest revision that is asked for: file systems have no longer names.
const LONGEST_REVISION: usize = 255;
/// The pages of a model on the hub that stand for one of its revisions.
const REVISION_PAGES: [&str; 5] = ["tree", "resolve", "blob", "raw", "blame"];
/// Whose models are named without an owner.
const ORGANIZATION: &str = "sentence-transformers";

/// A model of the hub.
#[derive(Debug, PartialEq)]
pub(crate) struct ModelName {
    /// `owner/name`, or `name`.
    pub id: String,
    pub revision: Option<String>,
}

/// The folder of that name; `None` where the name can be one of the hub.
pub(crate) fn folder(name: &str) -> Result<Option<PathBuf>> {
    let path = expanded(name);
    if path.is_dir() {
        return Ok(Some(path.into_owned()));
    }
    if !is_path(name) {
        return Ok(None);
    }
    let source = std::io::Error::new(
        std::io::ErrorKind::NotFound,
        format!("there is no folder {}", absolute(&path).display()),
    );
    Err(Error::read(Path::new(name))(source))
}

/// The model that a name, which is no folder's, has on the hub at `endpoint`.
pub(crate) fn model(name: &str, endpoint: &str) -> Result<ModelName> {
    let model = match place_on_hub(name, endpoint) {
        Some(Ok(place)) => model_of_page(&place),
        Some(Err(problem)) => Err(problem),
        None => model_of_id(name),
    };
    model.map_err(|problem| Error::NoModel {
        name: name.to_owned(),
        folder: absolute(Path::new(name)),
        problem,
    })
}

/// The folder that `name` would be, so that an error tells where it was looked for.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// `name` with the user's folder in the place of `~`, for where no shell has put it there.
fn expanded(name: &str) -> Cow<'_, Path> {
    let Some(rest) = name.strip_prefix('~') else {
        return Path::new(name).into();
    };
    match (rest.is_empty() || rest.starts_with(['/', '\\']), home()) {
        (true, Some(home)) => home.join(rest.trim_start_matches(['/', '\\'])).into(),
        _ => Path::new(name).into(),
    }
}

/// Whether `name` can only be a folder: `./x`, `/x`, `~/x`, `C:\x`, `x\y`.
fn is_path(name: &str) -> bool {
    let mut chars = name.chars();
    let drive = chars
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && chars.next() == Some(':');
    name.starts_with(['.', '/', '~']) || name.contains('\\') || drive
}

/// What stands behind the host in an address on the hub; `None` where `name` is no address.
fn place_on_hub(name: &str, endpoint: &str) -> Option<std::result::Result<String, String>> {
    if let Some(place) = name.strip_prefix("hf://") {
        let place = place.strip_prefix("models/").unwrap_or(place);
        // `hf://owner/name@revision` is the page of a revision.
        let (id, revision) = place.split_once('@').unwrap_or((place, ""));
        let page = match revision {
            "" => id.to_owned(),
            revision => format!("{}/tree/{}", id, revision.replace('/', "%2F")),
        };
        return Some(Ok(page));
    }
    let address = name
        .strip_prefix("https://")
        .or_else(|| name.strip_prefix("http://"));
    let without_scheme = address.unwrap_or(name);
    let (_, own) = endpoint.split_once("://").unwrap_or(("", endpoint));
    let place = HOSTS.iter().chain(&[own]).find_map(|host| {
        let place = without_scheme.strip_prefix(host)?;
        place.strip_prefix('/').or(place.is_empty().then_some(""))
    });
    match (place, address) {
        (Some(place), _) => {
            let end = place.find(['?', '#']).unwrap_or(place.len());
            Some(Ok(place[..end].to_owned()))
        }
        (None, Some(_)) => Some(Err(format!(
            "it is an address, and not one of the hub at {endpoint}; HF_ENDPOINT names another hub"
        ))),
        (None, None) => None,
    }
}

/// The model whose page on the hub is `owner/name`, or `owner/name/tree/revision`.
fn model_of_page(place: &str) -> std::result::Result<ModelName, String> {
    let parts: Vec<&str> = place.trim_end_matches('/').split('/').collect();
    if let ["datasets" | "spaces" | "kernels" | "buckets" | "api", ..] = parts[..] {
        return Err(format!("it is the address of {}, not of a model", parts[0]));
    }
    let page = (1..=2).find(|&at| {
        parts.len() > at + 1 && REVISION_PAGES.contains(&parts[at]) && !parts[at + 1].is_empty()
    });
    let (id, revision) = match page {
        None => (&parts[..], None),
        Some(at) => {
            let (revision, rest) = revision_of(&parts[at + 1..])?;
            if !rest.is_empty() {
                return Err("it is the address of a file; name its model".to_owned());
            }
            (&parts[..at], Some(revision))
        }
    };
    let id = id.join("/");
    check_id(&id)?;
    Ok(ModelName { id, revision })
}

/// The revision at the start of a page's path, and what is behind it.
fn revision_of<'a>(parts: &'a [&'a str]) -> std::result::Result<(String, &'a [&'a str]), String> {
    let length = match parts {
        // Those of pull requests and conversions have slashes.
        ["refs", "pr" | "convert", _, ..] => 3,
        _ => 1,
    };
    let revision = decoded(&parts[..length].join("/"))?;
    check_revision(&revision)?;
    Ok((revision, &parts[length..]))
}

/// `owner/name`, `owner/name@revision`, or a name that sentence-transformers knows.
fn model_of_id(name: &str) -> std::result::Result<ModelName, String> {
    let (id, revision) = match name.split_once('@') {
        Some((id, revision)) => (id, Some(revision)),
        // A folder's name, as a shell completes it, is one of no model.
        None if name.trim_end_matches('/').contains('/') => (name.trim_end_matches('/'), None),
        None => (name, None),
    };
    check_id(id)?;
    if let Some(revision) = revision {
        check_revision(revision)?;
    }
    // As sentence-transformers does: what is none of the first models of transformers is its own.
    let known = ORIGINAL_MODELS.contains(&id.to_ascii_lowercase().as_str());
    let id = match id.contains('/') || known {
        true => id.to_owned(),
        false => format!("{ORGANIZATION}/{id}"),
    };
    Ok(ModelName {
        id,
        revision: revision.map(str::to_owned),
    })
}

/// What the hub takes for the name of a model, as `huggingface_hub` checks it.
fn check_id(id: &str) -> std::result::Result<(), String> {
    let parts = id.split('/');
    if id.is_empty() || parts.clone().count() > 2 {
        return Err("models of the hub are named owner/name or owner/name@revision".to_owned());
    }
    for part in parts {
        let of_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let allowed = |byte: u8| of_word(byte) || byte == b'-' || byte == b'.';
        let ends = [part.bytes().next(), part.bytes().last()];
        if part.len() > LONGEST_PART
            || !part.bytes().all(allowed)
            || !ends.iter().all(|end| end.is_some_and(of_word))
        {
            return Err(format!(
                "'{part}' is no name of the hub, which has letters, digits, '-', '_' and '.', none of the \
                 last but '_' at an end, and at most {LONGEST_PART} of them"
            ));
        }
    }
    match ["--", ".."].iter().find(|pair| id.contains(**pair)) {
        Some(pair) => Err(format!("names of the hub have no '{pair}'")),
        None if id.ends_with(".git") => Err("names of the hub do not end in '.git'".to_owned()),
        None => Ok(()),
    }
}

/// What git takes for the name of a branch, a tag or a commit; it names a file of the cache too.
pub(crate) fn check_revision(revision: &str) -> std::result::Result<(), String> {
    let forbidden = |byte: u8| byte.is_ascii_control() || b" ~^:?*[\\".contains(&byte);
    let bad = revision.len() > LONGEST_REVISION
        || revision.bytes().any(forbidden)
        || ["..", "@{"].iter().any(|pair| revision.contains(pair))
        || revision.split('/').any(|part| {
            part.is_empty()
                || part.starts_with('.')
                || part.ends_with('.')
                || part.ends_with(".lock")
        });
    match bad {
        true => Err(format!(
            "'{revision}' is no revision: name a branch, a tag, a commit, or refs/pr/NUMBER after '@'"
        )),
        false => Ok(()),
    }
}

/// `%2F` and the like in an address.
fn decoded(text: &str) -> std::result::Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).map_err(|_| format!("'{text}' is no text of UTF-8"))
}

/// Models of the hub that have no owner, as sentence-transformers lists them
/// (`ORIGINAL_TRANSFORMER_MODELS`, version 6.2).
const ORIGINAL_MODELS: [&str; 68] = [
    "albert-base-v1",
    "albert-base-v2",
    "albert-large-v1",
    "albert-large-v2",
    "albert-xlarge-v1",
    "albert-xlarge-v2",
    "albert-xxlarge-v1",
    "albert-xxlarge-v2",
    "bert-base-cased-finetuned-mrpc",
    "bert-base-cased",
    "bert-base-chinese",
    "bert-base-german-cased",
    "bert-base-german-dbmdz-cased",
    "bert-base-german-dbmdz-uncased",
    "bert-base-multilingual-cased",
    "bert-base-multilingual-uncased",
    "bert-base-uncased",
    "bert-large-cased-whole-word-masking-finetuned-squad",
    "bert-large-cased-whole-word-masking",
    "bert-large-cased",
    "bert-large-uncased-whole-word-masking-finetuned-squad",
    "bert-large-uncased-whole-word-masking",
    "bert-large-uncased",
    "camembert-base",
    "ctrl",
    "distilbert-base-cased-distilled-squad",
    "distilbert-base-cased",
    "distilbert-base-german-cased",
    "distilbert-base-multilingual-cased",
    "distilbert-base-uncased-distilled-squad",
    "distilbert-base-uncased-finetuned-sst-2-english",
    "distilbert-base-uncased",
    "distilgpt2",
    "distilroberta-base",
    "gpt2-large",
    "gpt2-medium",
    "gpt2-xl",
    "gpt2",
    "openai-gpt",
    "roberta-base-openai-detector",
    "roberta-base",
    "roberta-large-mnli",
    "roberta-large-openai-detector",
    "roberta-large",
    "t5-11b",
    "t5-3b",
    "t5-base",
    "t5-large",
    "t5-small",
    "transfo-xl-wt103",
    "xlm-clm-ende-1024",
    "xlm-clm-enfr-1024",
    "xlm-mlm-100-1280",
    "xlm-mlm-17-1280",
    "xlm-mlm-en-2048",
    "xlm-mlm-ende-1024",
    "xlm-mlm-enfr-1024",
    "xlm-mlm-enro-1024",
    "xlm-mlm-tlm-xnli15-1024",
    "xlm-mlm-xnli15-1024",
    "xlm-roberta-base",
    "xlm-roberta-large-finetuned-conll02-dutch",
    "xlm-roberta-large-finetuned-conll02-spanish",
    "xlm-roberta-large-finetuned-conll03-english",
    "xlm-roberta-large-finetuned-conll03-german",
    "xlm-roberta-large",
    "xlnet-base-cased",
    "xlnet-large-cased",
];

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: &str = "https://mirror.example/hub";

    fn parsed(name: &str) -> Result<ModelName> {
        assert_eq!(folder(name)?, None);
        model(name, ENDPOINT)
    }

    fn refused(name: &str) -> String {
        match parsed(name) {
            Err(error) => error.to_string(),
            Ok(model) => panic!("{name}: {model:?}"),
        }
    }

    #[test]
    fn names_of_the_hub_are_read_as_its_own_libraries_read_them() {
        let known = [
            ("owner/model", "owner/model", None),
            ("owner/model/", "owner/model", None),
            ("owner/model@v2", "owner/model", Some("v2")),
            ("owner/model@refs/pr/15", "owner/model", Some("refs/pr/15")),
            ("bert-base-uncased", "bert-base-uncased", None),
            ("BERT-base-uncased@v1", "BERT-base-uncased", Some("v1")),
            (
                "all-MiniLM-L6-v2",
                "sentence-transformers/all-MiniLM-L6-v2",
                None,
            ),
            (
                "all-MiniLM-L6-v2@main",
                "sentence-transformers/all-MiniLM-L6-v2",
                Some("main"),
            ),
            ("https://huggingface.co/owner/model", "owner/model", None),
            ("https://huggingface.co/owner/model/", "owner/model", None),
            ("huggingface.co/owner/model", "owner/model", None),
            ("https://hf.co/owner/model?x=1#readme", "owner/model", None),
            (
                "https://mirror.example/hub/owner/model",
                "owner/model",
                None,
            ),
            (
                "https://huggingface.co/bert-base-uncased/tree/main",
                "bert-base-uncased",
                Some("main"),
            ),
            (
                "https://huggingface.co/owner/model/tree/refs%2Fpr%2F15",
                "owner/model",
                Some("refs/pr/15"),
            ),
            (
                "https://huggingface.co/owner/model/tree/refs/pr/15",
                "owner/model",
                Some("refs/pr/15"),
            ),
            ("hf://owner/model", "owner/model", None),
            ("hf://models/owner/model@v1", "owner/model", Some("v1")),
            (
                "hf://owner/model@refs/pr/2",
                "owner/model",
                Some("refs/pr/2"),
            ),
        ];
        for (name, id, revision) in known {
            let (id, revision) = (id.to_owned(), revision.map(str::to_owned));
            let expected = ModelName { id, revision };
            assert_eq!(parsed(name).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn a_folder_wins_over_a_model_of_the_same_name() {
        // Tests run in the crate's folder.
        assert_eq!(folder("src").unwrap(), Some("src".into()));
        assert_eq!(folder("~").unwrap(), Some(home().unwrap().join("")));
    }

    #[test]
    fn paths_are_folders_or_nothing_and_say_where_they_were_looked_for() {
        for path in [
            "/no/such/folder",
            "./a",
            "../a",
            "~/no/such",
            r"a\b",
            r"C:\a",
        ] {
            let refused = refused(path);
            assert!(
                refused.starts_with(&format!("cannot read {path}: ")),
                "{refused}"
            );
            assert!(refused.contains("there is no folder /"), "{refused}");
        }
    }

    #[test]
    fn no_name_leaves_the_cache() {
        let long = "a".repeat(97);
        let slashes = format!("owner/{long}");
        for name in [
            "",
            "a/b/c",
            "owner/",
            "owner/a--b",
            "owner/a..b",
            "owner/-a",
            "owner/a.",
            "owner/a.git",
            "owner/caf\u{e9}",
            "owner/a b",
            "owner/a\0",
            "owner//a",
            &long,
            &slashes,
            "owner/model@",
            "owner/model@..",
            "owner/model@a/../b",
            "owner/model@/etc/passwd",
            "owner/model@a b",
            "owner/model@a//b",
            "hf://owner/model@../x",
            "https://huggingface.co/../x",
            "https://huggingface.co/owner/model/tree/%2E%2E",
            "https://huggingface.co/owner/model/tree/a%00b",
        ] {
            let refused = refused(name);
            assert!(refused.contains("is neither a folder here"), "{refused}");
        }
    }

    #[test]
    fn addresses_of_other_things_are_told() {
        let told = [
            (
                "https://example.com/owner/model",
                "not one of the hub at https://mirror.example/hub",
            ),
            (
                "https://huggingface.co.evil.example/a/b",
                "not one of the hub",
            ),
            (
                "https://huggingface.co/datasets/a/b",
                "of datasets, not of a model",
            ),
            ("hf://spaces/a/b", "of spaces, not of a model"),
            (
                "https://huggingface.co/a/b/blob/main/config.json",
                "of a file; name its model",
            ),
        ];
        for (name, expected) in told {
            let refused = refused(name);
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
