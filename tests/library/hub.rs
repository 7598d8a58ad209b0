//! The hub, played by a server on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use mmdlrm::encoders::{BertEncoder, ClipEncoder, ImageEncoder, LoadOptions, TextEncoder};

/// The models that the hub has.
const MODELS: [&str; 3] = [
    "someone/clip",
    "someone/bert",
    "sentence-transformers/tiny-bert",
];

/// Serves the files of models as the hub does: a redirectless `resolve` with
/// commit, etag and ranges.
fn serve(listener: TcpListener, files: PathBuf) {
    for stream in listener.incoming().flatten() {
        let files = files.clone();
        std::thread::spawn(move || answer(stream, &files));
    }
}

fn answer(mut stream: TcpStream, files: &Path) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let mut range = None;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("range: bytes=") {
                let (from, to) = value.split_once('-').unwrap();
                range = Some((from.parse::<usize>().unwrap(), to.parse::<usize>().ok()));
            }
        }
        let name = request
            .split(' ')
            .nth(1)
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        let mut models = MODELS.iter();
        if !models.any(|it| request.contains(&format!("/{it}/resolve/"))) {
            let refusal = b"HTTP/1.1 401 Unauthorized\r\nx-error-code: RepoNotFound\r\n\
                            content-length: 0\r\n\r\n";
            stream.write_all(refusal).unwrap();
            continue;
        }
        let Ok(body) = std::fs::read(files.join(&name)) else {
            let refusal = b"HTTP/1.1 404 Not Found\r\nx-error-code: EntryNotFound\r\n\
                            x-repo-commit: 0123456789abcdef\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(refusal).unwrap();
            continue;
        };
        let (status, from, to) = match range {
            Some((from, to)) => {
                let last = to.unwrap_or(body.len() - 1).min(body.len() - 1);
                ("206 Partial Content", from, last + 1)
            }
            None => ("200 OK", 0, body.len()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{}/{}\r\n\
             x-repo-commit: 0123456789abcdef\r\netag: \"{name}\"\r\n\r\n",
            to - from,
            to - 1,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let _ = stream.write_all(&body[from..to]);
    }
}

/// The hub's address and cache come from the environment, which a process has
/// one of: this test runs itself again as a child.
const CHILD: &str = "MMDLRM_HUB_TEST_CHILD";

/// What a child that loads a model says.
fn told(model: &str) -> String {
    let options = LoadOptions::default();
    let loaded = match model.contains("bert") {
        true => BertEncoder::load(model, &options).map(|it| it.text_identity().clone()),
        false => ClipEncoder::load(model, &options).map(|it| it.image_identity().clone()),
    };
    match loaded {
        Ok(identity) => format!("loaded {} at {:?}", identity.model, identity.revision),
        Err(error) => format!("refused {error}"),
    }
}

/// A server of a model's files, and folders for caches.
struct Hub {
    folder: tempfile::TempDir,
    address: String,
}

const NOBODY: &str = "http://127.0.0.1:1";

impl Hub {
    fn new(fill: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        fill(&files);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || serve(listener, files));
        Self { folder, address }
    }

    fn load_with(&self, model: &str, address: &str, cache: &str, offline: &str) -> String {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("hub::a_model_is_loaded_from_the_hub_once_and_then_from_its_cache")
            .env(CHILD, model)
            .env("HF_ENDPOINT", address)
            .env("HF_HOME", self.folder.path().join(cache))
            .env("HF_HUB_OFFLINE", offline)
            .env_remove("HF_HUB_CACHE")
            .env_remove("HUGGINGFACE_HUB_CACHE")
            .env_remove("TRANSFORMERS_OFFLINE")
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn load(&self, model: &str, address: &str, cache: &str) -> String {
        self.load_with(model, address, cache, "0")
    }
}

#[test]
fn a_model_is_loaded_from_the_hub_once_and_then_from_its_cache() {
    if let Some(model) = std::env::var_os(CHILD) {
        println!("{}", told(model.to_str().unwrap()));
        return;
    }
    let hub = Hub::new(crate::support::tiny_clip);
    let loaded = "loaded someone/clip at Some(\"0123456789abcdef\")";
    let first = hub.load("someone/clip", &hub.address, "cache");
    assert!(first.contains(loaded), "{first}");
    // The cache answers when nobody else does.
    let offline = hub.load("someone/clip", NOBODY, "cache");
    assert!(offline.contains(loaded), "{offline}");
    for (model, address) in [
        ("someone/other", hub.address.as_str()),
        ("someone/clip", NOBODY),
    ] {
        let refused = hub.load(model, address, "empty");
        let expected = format!("refused cannot get config.json of '{model}' from the hub");
        assert!(refused.contains(&expected), "{refused}");
    }
    let refused = hub.load_with("someone/clip", &hub.address, "empty", "1");
    assert!(refused.contains("HF_HUB_OFFLINE is set"), "{refused}");
    let loaded_again = hub.load_with("someone/clip", NOBODY, "cache", "1");
    assert!(loaded_again.contains(loaded), "{loaded_again}");
}

/// A hub with a small BERT that no sentence-transformer has been made of.
fn bert() -> Hub {
    let bert = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/encoders/bert");
    Hub::new(|files| {
        std::fs::create_dir_all(files).unwrap();
        for file in ["config.json", "tokenizer.json", "model.safetensors"] {
            std::fs::copy(bert.join(file), files.join(file)).unwrap();
        }
    })
}

#[test]
fn a_model_is_found_by_the_names_that_the_hub_and_sentence_transformers_have_for_it() {
    let hub = bert();
    let mirror = format!("{}/of/the/hub/", hub.address);
    for (name, model) in [
        ("tiny-bert", "sentence-transformers/tiny-bert"),
        ("someone/bert@refs/pr/15", "someone/bert"),
        ("hf://someone/bert", "someone/bert"),
        ("https://huggingface.co/someone/bert", "someone/bert"),
        (&format!("{mirror}someone/bert"), "someone/bert"),
    ] {
        // Without a cache that could answer in the place of the hub.
        let told = hub.load(name, &mirror, &name.replace(['/', ':'], "-"));
        let expected = format!("loaded {model} at Some(\"0123456789abcdef\")");
        assert!(told.contains(&expected), "{name}: {told}");
    }
    for (name, expected) in [
        ("a/b/bert", "is neither a folder here (/"),
        ("someone/no-bert", "nor a model of the hub (http://"),
        ("./bert", "cannot read ./bert: there is no folder /"),
        ("someone/bert@../../bert", "is no revision"),
    ] {
        let refused = hub.load(name, &mirror, "cache");
        assert!(
            refused.contains("refused ") && refused.contains(expected),
            "{refused}"
        );
    }
}

#[test]
fn what_a_model_lacks_is_known_without_a_network_once_the_hub_has_said_so() {
    let hub = bert();
    let loaded = "loaded someone/bert at Some(\"0123456789abcdef\")";
    let first = hub.load("someone/bert", &hub.address, "cache");
    assert!(first.contains(loaded), "{first}");
    let offline = hub.load_with("someone/bert", NOBODY, "cache", "1");
    assert!(offline.contains(loaded), "{offline}");
    // As its own library keeps it. Without it nobody knows how the model pools.
    let repo = hub.folder.path().join("cache/hub/models--someone--bert");
    let marker = repo.join(".no_exist/0123456789abcdef/modules.json");
    std::fs::remove_file(marker).unwrap();
    let refused = hub.load_with("someone/bert", NOBODY, "cache", "1");
    let expected = "refused cannot get modules.json of 'someone/bert' from the hub: it is not in \
                    the cache and HF_HUB_OFFLINE is set";
    assert!(refused.contains(expected), "{refused}");
}
