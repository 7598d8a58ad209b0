//! The hub, played by a server on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use mmdlrm::encoders::{ImageEncoder, LoadOptions};

/// Serves the files of a model as the hub does: a redirectless `resolve` with
/// commit, etag and ranges.
fn serve(listener: TcpListener, files: PathBuf) {
    for stream in listener.incoming().flatten() {
        let files = files.clone();
        std::thread::spawn(move || answer(stream, &files));
    }
}

fn answer(mut stream: TcpStream, files: &std::path::Path) {
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
        let known = request.contains("/someone/clip/resolve/");
        let Some(body) = std::fs::read(files.join(&name)).ok().filter(|_| known) else {
            stream
                .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
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

#[test]
fn a_model_is_loaded_from_the_hub_once_and_then_from_its_cache() {
    if let Some(model) = std::env::var_os(CHILD) {
        let loaded =
            mmdlrm::encoders::ClipEncoder::load(model.to_str().unwrap(), &LoadOptions::default());
        match loaded {
            Ok(clip) => {
                let revision = clip.image_identity().revision.as_deref();
                println!("loaded {} at {revision:?}", clip.name());
            }
            Err(error) => println!("refused {error}"),
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    crate::support::tiny_clip(&files);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || serve(listener, files));

    let load_with = |model: &str, address: &str, cache: &str, offline: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("hub::a_model_is_loaded_from_the_hub_once_and_then_from_its_cache")
            .env(CHILD, model)
            .env("HF_ENDPOINT", address)
            .env("HF_HOME", folder.path().join(cache))
            .env("HF_HUB_OFFLINE", offline)
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let load = |model: &str, address: &str, cache: &str| load_with(model, address, cache, "0");
    let nobody = "http://127.0.0.1:1";
    let loaded = "loaded someone/clip at Some(\"0123456789abcdef\")";
    let first = load("someone/clip", &address, "cache");
    assert!(first.contains(loaded), "{first}");
    // The cache answers when nobody else does.
    let offline = load("someone/clip", nobody, "cache");
    assert!(offline.contains(loaded), "{offline}");
    for (model, address) in [
        ("someone/other", address.as_str()),
        ("someone/clip", nobody),
    ] {
        let refused = load(model, address, "empty");
        let expected = format!("refused cannot get config.json of '{model}' from the hub");
        assert!(refused.contains(&expected), "{refused}");
    }
    let refused = load_with("someone/clip", &address, "empty", "1");
    assert!(refused.contains("HF_HUB_OFFLINE is set"), "{refused}");
    let loaded_again = load_with("someone/clip", nobody, "cache", "1");
    assert!(loaded_again.contains(loaded), "{loaded_again}");
}
