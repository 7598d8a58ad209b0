//! What a server answers instead of a file.

use std::time::Instant;

use super::*;

#[test]
fn redirects_are_followed_and_the_token_stays_with_the_hub() {
    for status in [301, 302, 303, 307, 308] {
        let content = bytes(1000);
        let elsewhere = Server::new({
            let content = content.clone();
            move |request, _| match request.path.as_str() {
                "/signed?Signature=x" => Reply::status(302).with("Location", "other/place"),
                _ => Reply::of(&content).with("ETag", "\"of-the-store\""),
            }
        });
        let signed = format!("{}/signed?Signature=x", elsewhere.address);
        let etag = sha256(&content);
        let hub = Server::new(move |request, _| match request.path.as_str() {
            "/someone/model/resolve/main/weights.bin" => Reply::status(status)
                .with("Location", "/api/cache/weights.bin?x=1")
                .with("ETag", "\"of-the-redirect\"")
                .with("X-Repo-Commit", COMMIT),
            _ => Reply::status(status)
                .with("Location", &signed)
                .with("ETag", "\"pointer\"")
                .with("X-Linked-ETag", &format!("\"{etag}\""))
                .with("X-Linked-Size", "1000"),
        });
        let cache = Cache::new();
        let path = cache.model(&hub).file(FILE).unwrap();
        assert_eq!(read(path), content);
        assert_eq!(cache.blobs(), [sha256(&content)]);
        let sent = |server: &Server| -> Vec<Option<String>> {
            let requests = server.requests();
            let sent = requests
                .iter()
                .map(|it| it.header("authorization").map(str::to_owned));
            sent.collect()
        };
        let token = Some("Bearer secret".to_owned());
        assert_eq!(sent(&hub), [token.clone(), token]);
        assert_eq!(sent(&elsewhere), [None, None], "{status}");
    }
}

#[test]
fn redirects_without_end_or_address_are_refused() {
    let cache = Cache::new();
    for (location, expected) in [
        ("/again", "and on without end"),
        (
            "ftp://host/file",
            "ftp://host/file, which is no address of the web",
        ),
    ] {
        let server = Server::new(move |_, _| Reply::status(302).with("Location", location));
        let refused = refusal(&cache.model(&server));
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn a_server_that_fails_for_a_while_is_asked_again() {
    for status in [429, 500, 502, 503, 504] {
        let server = Server::new(move |_, nth| match nth {
            0 | 1 => Reply::status(status),
            _ => whole(b"content"),
        });
        let cache = Cache::new();
        assert_eq!(read(cache.model(&server).file(FILE).unwrap()), b"content");
        assert_eq!(server.requests().len(), 3);
    }
    let server = Server::new(|_, _| Reply::status(503));
    let refused = refusal(&Cache::new().model(&server));
    assert!(
        refused.contains("503 Service Unavailable (5 tries"),
        "{refused}"
    );
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn a_server_s_wish_to_wait_is_followed_up_to_a_limit() {
    let server = Server::new(|_, nth| match nth {
        0 => Reply::status(429).with("Retry-After", "1"),
        _ => whole(b"content"),
    });
    let start = Instant::now();
    Cache::new().model(&server).file(FILE).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    let server = Server::new(|_, _| Reply::status(429).with("Retry-After", "3600"));
    let refused = refusal(&Cache::new().model(&server));
    assert!(refused.contains("asks to wait 3600 s"), "{refused}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn refusals_say_what_to_do() {
    let cases = [
        (401, "RepoNotFound", "", "is neither a folder here"),
        (404, "RepoNotFound", "", "is neither a folder here"),
        (
            401,
            "",
            "Invalid credentials in Authorization header",
            "the token is not valid",
        ),
        (
            401,
            "GatedRepo",
            "",
            "accept its terms at ENDPOINT/someone/model, and log in",
        ),
        (
            403,
            "GatedRepo",
            "",
            "accept its terms at ENDPOINT/someone/model, and log in",
        ),
        (403, "", "No", "403 Forbidden: No: the token may not read"),
        (404, "RevisionNotFound", "", "it has no revision 'main'"),
        (404, "", "", "404 Not Found"),
        (400, "", "Bad", "400 Bad Request: Bad"),
    ];
    for (status, code, message, expected) in cases {
        let server = Server::new(move |_, _| {
            Reply::status(status)
                .with("X-Error-Code", code)
                .with("X-Error-Message", message)
        });
        let cache = Cache::new();
        let refused = refusal(&cache.model(&server));
        let expected = expected.replace("ENDPOINT", &server.address);
        assert!(refused.contains(&expected), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
        // None of them says that the file is not there.
        assert!(!cache.repo().join(".no_exist").exists());
        let folder = std::env::current_dir().unwrap().join(ID);
        assert!(refused.contains(folder.to_str().unwrap()), "{refused}");
    }
}

#[test]
fn not_found_without_a_reason_is_absent_only_where_the_model_is_known_to_be_there() {
    for is_there in [true, false] {
        let server = Server::new(move |request: &Request, _| {
            match is_there && request.path.ends_with("config.json") {
                true => whole(b"{}"),
                false => Reply::status(404),
            }
        });
        let found = Cache::new().model(&server).optional_file(FILE);
        assert_eq!(found.is_ok_and(|it| it.is_none()), is_there);
    }
}

#[test]
fn a_server_that_is_no_hub_is_told() {
    for (reply, expected) in [
        (Reply::of(b"<html>"), "without a commit"),
        (
            Reply::of(b"x").with("X-Repo-Commit", "../../etc"),
            "without a commit",
        ),
        (
            Reply::of(b"x").with("X-Repo-Commit", COMMIT),
            "without a usable ETag",
        ),
        (
            Reply::of(b"x")
                .with("X-Repo-Commit", COMMIT)
                .with("ETag", "\"../../x\""),
            "without a usable ETag",
        ),
    ] {
        let server = Server::new(move |_, _| reply.clone());
        let refused = refusal(&Cache::new().model(&server));
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn nobody_there_is_told_with_the_folder_that_was_looked_for() {
    let cache = Cache::new();
    // Nobody listens on the port of a server that is gone.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let refused = refusal(&model(cache.settings(&address), "main"));
    for part in [
        "cannot get weights.bin of 'someone/model' from the hub",
        "cannot be asked",
        "check the network",
        "there is no folder /",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
}
