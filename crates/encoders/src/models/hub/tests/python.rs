//! One cache, ours and that of `huggingface_hub`.

use std::io::Write;
use std::process::Command;

use super::*;

/// Loads what is named, and says where it lies.
const SCRIPT: &str = r#"
import sys
from huggingface_hub import _CACHED_NO_EXIST, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError
revision = sys.argv[1]
for file in sys.argv[2:]:
    if try_to_load_from_cache("someone/model", file, revision=revision) is _CACHED_NO_EXIST:
        print(file, "is known to be absent")
        continue
    try:
        print(hf_hub_download("someone/model", file, revision=revision))
    except EntryNotFoundError as error:
        print(file, "is absent:", type(error).__name__)
"#;

/// Where Python is: `MMDLRM_PYTHON`, or `python3`.
fn python() -> Command {
    let name = std::env::var_os("MMDLRM_PYTHON");
    Command::new(name.unwrap_or_else(|| "python3".into()))
}

/// What it says with a cache; `None`, with a line, where there is no `huggingface_hub`.
fn load(cache: &Cache, server: &Server, revision: &str, offline: &str) -> Option<String> {
    let known = python().args(["-c", "import huggingface_hub"]).output();
    if !known.is_ok_and(|output| output.status.success()) {
        // Straight to standard error: the test harness hides what macros print.
        let mut stderr = std::io::stderr();
        let _ = writeln!(
            stderr,
            "skipped: no huggingface_hub for Python (MMDLRM_PYTHON)"
        );
        return None;
    }
    let output = python()
        .args([
            "-c",
            SCRIPT,
            revision,
            "config.json",
            "a/weights.bin",
            "absent.json",
        ])
        .env("HF_ENDPOINT", &server.address)
        .env("HF_HUB_CACHE", cache.folder.path())
        .env("HF_HUB_OFFLINE", offline)
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A small file, a large one that lies elsewhere, and one that is absent.
fn hub() -> (Server, Server) {
    let large = bytes(200_000);
    let etag = sha256(&large);
    let elsewhere = Server::new(move |request, _| Reply::of(&large).range(request));
    let store = format!("{}/store", elsewhere.address);
    let hub = Server::new(move |request, _| match &request.path {
        path if path.ends_with("/config.json") => Reply::of(b"hello\n")
            .with("X-Repo-Commit", COMMIT)
            .with("ETag", "\"ce013625030ba8dba906f756967f9e9ca394464a\""),
        path if path.ends_with("/a/weights.bin") => Reply::status(302)
            .with("Location", &store)
            .with("X-Repo-Commit", COMMIT)
            .with("X-Linked-ETag", &format!("\"{etag}\""))
            .with("X-Linked-Size", "200000"),
        _ => no_entry(COMMIT),
    });
    (hub, elsewhere)
}

/// That all three are in the cache.
fn check(model: &HubModel) {
    assert_eq!(read(model.file("config.json").unwrap()), b"hello\n");
    assert_eq!(read(model.file("a/weights.bin").unwrap()), bytes(200_000));
    assert_eq!(model.optional_file("absent.json").unwrap(), None);
    assert_eq!(model.revision(), COMMIT);
}

#[test]
fn a_cache_of_huggingface_hub_and_ours_are_one() {
    let (server, _elsewhere) = hub();
    for revision in ["main", "refs/pr/15", COMMIT] {
        let theirs = Cache::new();
        if load(&theirs, &server, revision, "0").is_none() {
            return;
        }
        let asked = server.requests().len();
        let mut settings = theirs.settings(&server.address);
        settings.offline = Some("HF_HUB_OFFLINE");
        check(&model(settings, revision));
        assert_eq!(server.requests().len(), asked);

        let ours = Cache::new();
        check(&ours.at(&server, revision));
        let asked = server.requests().len();
        let told = load(&ours, &server, revision, "1").unwrap();
        let snapshot = ours.repo().join("snapshots").join(COMMIT);
        let snapshot = snapshot.display();
        let expected = format!(
            "{snapshot}/config.json\n{snapshot}/a/weights.bin\nabsent.json is known to be absent\n"
        );
        assert_eq!(told, expected);
        assert_eq!(server.requests().len(), asked);
    }
}
