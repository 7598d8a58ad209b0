//! What the environment says about the hub, in the names that `huggingface_hub` reads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::Uri;

use crate::{Error, Result};

/// The hub, where `HF_ENDPOINT` names no other.
const ENDPOINT: &str = "https://huggingface.co";
/// Seconds that an answer, or the next bytes of one, are waited for.
const TIMEOUT: f64 = 10.0;
/// The longest wait that can be asked for: a day.
const LONGEST_TIMEOUT: f64 = 86_400.0;
/// The pause before a second try; each is twice as long as the last.
const PAUSE: Duration = Duration::from_millis(500);
/// The largest file that can hold a token.
const LONGEST_TOKEN: u64 = 4096;

/// How the hub is asked, and where its files are kept.
pub(crate) struct Settings {
    /// Without a slash at its end.
    pub endpoint: String,
    /// Holds a folder for each model.
    pub cache: PathBuf,
    pub token: Option<String>,
    /// The variable that forbids to ask the hub.
    pub offline: Option<&'static str>,
    /// Whether a download may be drawn.
    pub bars: bool,
    /// Whether a snapshot may link to its blobs.
    pub links: bool,
    /// How long the hub may take to answer.
    pub answer_timeout: Duration,
    /// How long a download may stand still.
    pub download_timeout: Duration,
    pub pause: Duration,
}

impl Settings {
    /// # Errors
    /// A variable that cannot be read.
    pub fn from_env() -> Result<Self> {
        Self::of(&|name| std::env::var(name).ok(), home())
    }

    fn of(variable: &dyn Fn(&str) -> Option<String>, home: Option<PathBuf>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let is_true = |name: &str| set(name).is_some_and(|value| is_true(&value));
        let path = |name: &str| Some(expanded(&set(name)?, home.as_deref(), variable));
        let hub_home = path("HF_HOME").or_else(|| {
            let caches = path("XDG_CACHE_HOME").or_else(|| Some(home.as_ref()?.join(".cache")));
            Some(caches?.join("huggingface"))
        });
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let cache = cache.or_else(|| Some(hub_home.as_ref()?.join("hub")));
        let cache = cache.ok_or_else(|| Error::Environment {
            variable: "HF_HOME",
            problem: "neither it nor HOME is set; name a folder for the hub's files".to_owned(),
        })?;
        let token = set("HF_TOKEN").or_else(|| set("HUGGING_FACE_HUB_TOKEN"));
        let token = token.or_else(|| {
            let file = path("HF_TOKEN_PATH").or_else(|| Some(hub_home.as_ref()?.join("token")));
            token_in(&file?)
        });
        let token = token.filter(|_| !is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN"));
        // The first that is set decides, as for `huggingface_hub`.
        let offline = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];
        let offline = offline.into_iter().find(|name| set(name).is_some());
        Ok(Self {
            endpoint: endpoint(set("HF_ENDPOINT"))?,
            cache,
            token: token.map(|token| token.replace(['\r', '\n'], "").trim().to_owned()),
            offline: offline.filter(|name| is_true(name)),
            bars: !is_true("HF_HUB_DISABLE_PROGRESS_BARS"),
            links: !is_true("HF_HUB_DISABLE_SYMLINKS"),
            answer_timeout: seconds("HF_HUB_ETAG_TIMEOUT", set("HF_HUB_ETAG_TIMEOUT"))?,
            download_timeout: seconds("HF_HUB_DOWNLOAD_TIMEOUT", set("HF_HUB_DOWNLOAD_TIMEOUT"))?,
            pause: PAUSE,
        })
    }
}

/// The user's folder.
pub(crate) fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// What `huggingface_hub` takes for yes.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
}

fn endpoint(variable: Option<String>) -> Result<String> {
    let endpoint = variable.unwrap_or_else(|| ENDPOINT.to_owned());
    let endpoint = endpoint.trim().trim_end_matches('/');
    let refused = |problem: &str| Error::Environment {
        variable: "HF_ENDPOINT",
        problem: format!("'{endpoint}' {problem}, as {ENDPOINT} is"),
    };
    let uri: Uri = endpoint
        .parse()
        .map_err(|_| refused("is no address of a hub"))?;
    match (uri.scheme_str(), uri.host(), uri.query()) {
        (Some("http" | "https"), Some(_), None) => Ok(endpoint.to_owned()),
        _ => Err(refused("is no address with http:// or https:// before it")),
    }
}

/// A wait of so many seconds; 0 is the default's, as for `huggingface_hub`.
fn seconds(variable: &'static str, value: Option<String>) -> Result<Duration> {
    let seconds = value.as_deref().map_or(Ok(TIMEOUT), |it| it.trim().parse());
    match seconds {
        Ok(0.0) => Ok(Duration::from_secs_f64(TIMEOUT)),
        Ok(seconds) if seconds > 0.0 && seconds <= LONGEST_TIMEOUT => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(Error::Environment {
            variable,
            problem: format!(
                "'{}' is no number of seconds up to {LONGEST_TIMEOUT}",
                value.unwrap_or_default()
            ),
        }),
    }
}

/// The token that `hf auth login` has left.
fn token_in(file: &Path) -> Option<String> {
    use std::io::Read;
    let mut token = String::new();
    let read = std::fs::File::open(file)
        .and_then(|file| file.take(LONGEST_TOKEN).read_to_string(&mut token));
    match read {
        Ok(_) => Some(token).filter(|token| !token.trim().is_empty()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(
                "the hub's token cannot be read from {}: {error}",
                file.display()
            );
            None
        }
    }
}

/// A folder's name with `~`, `$NAME` and `${NAME}` in it, for where no shell has put in what
/// they stand for. An unknown name stays as it is.
fn expanded(
    value: &str,
    home: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> PathBuf {
    let mut path = String::new();
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        path.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        let braced = behind.strip_prefix('{').and_then(|it| it.split_once('}'));
        let word = |byte: char| byte.is_ascii_alphanumeric() || byte == '_';
        let plain = behind.find(|byte| !word(byte)).unwrap_or(behind.len());
        let (name, behind) = braced.unwrap_or_else(|| behind.split_at(plain));
        match variable(name) {
            Some(value) => path.push_str(&value),
            None => path.push_str(&rest[at..rest.len() - behind.len()]),
        }
        rest = behind;
    }
    path.push_str(rest);
    let behind = path
        .strip_prefix('~')
        .filter(|it| it.is_empty() || it.starts_with('/'));
    match (behind, home) {
        (Some(behind), Some(home)) => home.join(behind.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables = [(&'static str, &'static str)];

    fn settings(variables: &[(&str, &str)]) -> Result<Settings> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::of(&variable, Some("/home/me".into()))
    }

    #[test]
    fn the_cache_lies_where_huggingface_hub_has_it() {
        let cases: [(&Variables, &str); 8] = [
            (&[], "/home/me/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/c")], "/c/huggingface/hub"),
            (&[("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/c")], "/h/hub"),
            (&[("HF_HOME", "~/h")], "/home/me/h/hub"),
            (
                &[("HF_HOME", "$A/${B}/$C"), ("A", "/a"), ("B", "b")],
                "/a/b/$C/hub",
            ),
            (
                &[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HOME", "/h")],
                "/old",
            ),
            (
                &[("HF_HUB_CACHE", "/new"), ("HUGGINGFACE_HUB_CACHE", "/old")],
                "/new",
            ),
            (&[("HF_HOME", "")], "/home/me/.cache/huggingface/hub"),
        ];
        for (variables, expected) in cases {
            let found = settings(variables).unwrap().cache;
            assert_eq!(found, Path::new(expected), "{variables:?}");
        }
    }

    #[test]
    fn offline_is_what_the_hub_s_own_library_takes_for_it() {
        let cases: [(&Variables, Option<&str>); 7] = [
            (&[], None),
            (&[("HF_HUB_OFFLINE", "1")], Some("HF_HUB_OFFLINE")),
            (&[("HF_HUB_OFFLINE", "TRUE")], Some("HF_HUB_OFFLINE")),
            (&[("HF_HUB_OFFLINE", "off")], None),
            (
                &[("TRANSFORMERS_OFFLINE", "yes")],
                Some("TRANSFORMERS_OFFLINE"),
            ),
            (
                &[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")],
                None,
            ),
            (
                &[("HF_HUB_OFFLINE", ""), ("TRANSFORMERS_OFFLINE", "1")],
                Some("TRANSFORMERS_OFFLINE"),
            ),
        ];
        for (variables, expected) in cases {
            let found = settings(variables).unwrap().offline;
            assert_eq!(found, expected, "{variables:?}");
        }
    }

    #[test]
    fn a_token_comes_from_the_environment_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let other = folder.path().join("other");
        std::fs::write(folder.path().join("token"), "of the file\n").unwrap();
        std::fs::write(&other, "of another").unwrap();
        let other = other.to_str().unwrap();
        let cases: [(&[(&str, &str)], _); 6] = [
            (&[("HF_HOME", "/no/such")], None),
            (&[("HF_HOME", home)], Some("of the file")),
            (
                &[("HF_HOME", home), ("HF_TOKEN_PATH", other)],
                Some("of another"),
            ),
            (
                &[("HF_HOME", home), ("HUGGING_FACE_HUB_TOKEN", "b")],
                Some("b"),
            ),
            (
                &[("HF_TOKEN", " a\n"), ("HUGGING_FACE_HUB_TOKEN", "b")],
                Some("a"),
            ),
            (
                &[("HF_TOKEN", "a"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")],
                None,
            ),
        ];
        for (variables, expected) in cases {
            let found = settings(variables).unwrap().token;
            assert_eq!(found.as_deref(), expected, "{variables:?}");
        }
    }

    #[test]
    fn variables_that_cannot_be_read_are_named() {
        let endpoint = |value: &str| settings(&[("HF_ENDPOINT", value)]).map(|it| it.endpoint);
        assert_eq!(endpoint("http://a.b/c/").unwrap(), "http://a.b/c");
        assert_eq!(endpoint("").unwrap(), ENDPOINT);
        for value in ["mirror.example", "ftp://a.b", "http://a?b", "a b"] {
            let refused = endpoint(value).unwrap_err().to_string();
            assert!(
                refused.contains(&format!("HF_ENDPOINT: '{value}'")),
                "{refused}"
            );
        }
        let variable = "HF_HUB_ETAG_TIMEOUT";
        let timeout = |value: &str| settings(&[(variable, value)]).map(|it| it.answer_timeout);
        assert_eq!(timeout("0").unwrap(), Duration::from_secs(10));
        assert_eq!(timeout("2").unwrap(), Duration::from_secs(2));
        for value in ["soon", "-1", "inf", "NaN", "1e9"] {
            let refused = timeout(value).err().unwrap().to_string();
            assert!(
                refused.contains(&format!("{variable}: '{value}'")),
                "{refused}"
            );
        }
    }
}
