//! Where files lie, and what is known without asking.

use super::*;

#[test]
fn a_file_lies_in_the_cache_as_huggingface_hub_lays_it_out() {
    // git hash-object
    let etag = "ce013625030ba8dba906f756967f9e9ca394464a";
    let server = Server::new(move |request, _| {
        assert_eq!(
            request.path,
            "/someone/model/resolve/refs%2Fpr%2F15/a%20b/config.json"
        );
        let reply = Reply::of(b"hello\n").with("X-Repo-Commit", COMMIT);
        reply.with("ETag", &format!("W/\"{etag}\""))
    });
    let cache = Cache::new();
    let model = cache.at(&server, "refs/pr/15");
    let path = model.file("a b/config.json").unwrap();
    let repo = cache.repo();
    assert_eq!(
        path,
        repo.join(format!("snapshots/{COMMIT}/a b/config.json"))
    );
    assert_eq!(read(&path), b"hello\n");
    assert_eq!(read(repo.join("blobs").join(etag)), b"hello\n");
    assert_eq!(read(repo.join("refs/refs/pr/15")), COMMIT.as_bytes());
    #[cfg(unix)]
    assert_eq!(
        std::fs::read_link(&path).unwrap(),
        Path::new(&format!("../../../blobs/{etag}"))
    );
    assert_eq!(model.revision(), COMMIT);
    // The second time nobody is asked.
    cache
        .at(&server, "refs/pr/15")
        .file("a b/config.json")
        .unwrap();
    assert_eq!(server.requests().len(), 1);
    assert_eq!(
        server.requests()[0].header("accept-encoding"),
        Some("identity")
    );
}

#[test]
fn a_commit_needs_no_ref() {
    let content = bytes(100);
    let server = Server::new({
        let content = content.clone();
        move |_, _| whole(&content)
    });
    let cache = Cache::new();
    let path = cache.at(&server, COMMIT).file(FILE).unwrap();
    assert_eq!(read(path), content);
    assert!(!cache.repo().join("refs").exists());
    let mut settings = cache.settings(&server.address);
    settings.offline = Some("HF_HUB_OFFLINE");
    let offline = model(settings, COMMIT);
    assert_eq!(read(offline.file(FILE).unwrap()), content);
    assert_eq!(offline.revision(), COMMIT);
}

#[test]
fn without_links_a_snapshot_has_copies() {
    let server = Server::new(|_, _| whole(b"content"));
    let cache = Cache::new();
    let mut settings = cache.settings(&server.address);
    settings.links = false;
    let path = model(settings, "main").file(FILE).unwrap();
    assert!(path.symlink_metadata().unwrap().is_file());
    assert_eq!(read(path), b"content");
}

#[test]
fn that_a_file_is_absent_is_known_from_the_hub_and_kept() {
    let server = Server::new(|_, _| no_entry(COMMIT));
    let cache = Cache::new();
    assert_eq!(cache.model(&server).optional_file(FILE).unwrap(), None);
    assert!(
        cache
            .repo()
            .join(".no_exist")
            .join(COMMIT)
            .join(FILE)
            .is_file()
    );
    let mut settings = cache.settings(&server.address);
    settings.offline = Some("HF_HUB_OFFLINE");
    let offline = model(settings, "main");
    assert_eq!(offline.optional_file(FILE).unwrap(), None);
    let refused = offline.optional_file("other").unwrap_err().to_string();
    assert!(
        refused.contains("it is not in the cache and HF_HUB_OFFLINE is set"),
        "{refused}"
    );
    let refused = offline.file(FILE).unwrap_err().to_string();
    assert!(
        refused.contains(&format!("the model has no {FILE} at {COMMIT}")),
        "{refused}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_model_s_files_are_of_one_commit() {
    let server = Server::new(|request: &Request, nth| {
        let commit = if nth == 0 { COMMIT } else { LATER };
        let of_commit = request.path.contains(&format!("/resolve/{COMMIT}/"));
        match (of_commit, request.path.ends_with("c")) {
            (true, true) => no_entry(COMMIT),
            (true, false) => whole(b"of the first commit"),
            (false, true) => no_entry(commit),
            (false, false) => whole(b"of another").set("X-Repo-Commit", commit),
        }
    });
    let cache = Cache::new();
    let model = cache.model(&server);
    model.file("a").unwrap();
    let second = model.file("b").unwrap();
    assert_eq!(read(&second), b"of the first commit");
    assert!(second.starts_with(cache.repo().join("snapshots").join(COMMIT)));
    assert_eq!(model.optional_file("c").unwrap(), None);
    assert!(
        cache
            .repo()
            .join(".no_exist")
            .join(COMMIT)
            .join("c")
            .is_file()
    );
    assert_eq!(read(cache.repo().join("refs/main")), COMMIT.as_bytes());
    // A commit that is no longer there is not mixed with another.
    let server = Server::new(|request: &Request, _| match request.path.contains(COMMIT) {
        true => Reply::status(404).with("X-Error-Code", "RevisionNotFound"),
        false => whole(b"of another").set("X-Repo-Commit", LATER),
    });
    let refused = cache.model(&server).file("d").unwrap_err().to_string();
    assert!(
        refused.contains("which the hub no longer has; delete that folder"),
        "{refused}"
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let server = Server::new(|_, _| whole(b"content"));
    let cache = Cache::new();
    std::fs::write(cache.repo(), "a file where a folder belongs").unwrap();
    let refused = refusal(&cache.model(&server));
    assert!(
        refused.contains("cannot write") && refused.contains("HF_HUB_CACHE"),
        "{refused}"
    );
}
