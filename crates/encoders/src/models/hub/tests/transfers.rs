//! Bytes on their way.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn what_a_server_compresses_unasked_or_sends_in_chunks_is_read() {
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write;
    let content = bytes(100_000);
    let level = flate2::Compression::fast();
    let mut gzip = GzEncoder::new(Vec::new(), level);
    gzip.write_all(&content).unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), level);
    zlib.write_all(&content).unwrap();
    let mut deflate = DeflateEncoder::new(Vec::new(), level);
    deflate.write_all(&content).unwrap();
    let cases = [
        ("gzip", gzip.finish().unwrap()),
        ("deflate", zlib.finish().unwrap()),
        ("deflate", deflate.finish().unwrap()),
        ("identity", content.clone()),
    ];
    for (encoding, body) in cases {
        for chunked in [false, true] {
            let (etag, body) = (sha256(&content), body.clone());
            let server = Server::new(move |_, _| {
                let mut reply = Reply::of(&body).with("Content-Encoding", encoding);
                reply.chunked = chunked;
                reply
                    .with("X-Repo-Commit", COMMIT)
                    .with("ETag", &format!("W/\"{etag}-gzip\""))
            });
            let cache = Cache::new();
            let path = cache.model(&server).file(FILE).unwrap();
            assert_eq!(read(path), content, "{encoding} {chunked}");
        }
    }
    let server = Server::new(|_, _| whole(b"x").with("Content-Encoding", "br"));
    let cache = Cache::new();
    let refused = refusal(&cache.model(&server));
    assert!(refused.contains("compressed by 'br'"), "{refused}");
    assert!(cache.blobs().is_empty());
}

#[test]
fn a_download_that_breaks_goes_on_where_it_was() {
    let content = bytes(500_000);
    for ranges in [true, false] {
        for chunked in [false, true] {
            let server = Server::new({
                let content = content.clone();
                move |request: &Request, nth| {
                    let mut reply = match ranges {
                        true => whole(&content).range(request),
                        false => whole(&content),
                    };
                    reply.chunked = chunked;
                    reply.break_after = (nth < 2).then_some(100_000 * (nth + 1));
                    reply
                }
            });
            let cache = Cache::new();
            let path = cache.model(&server).file(FILE).unwrap();
            assert_eq!(read(path), content);
            assert_eq!(cache.blobs(), [sha256(&content)]);
            let requests = server.requests();
            let range = requests.last().unwrap().header("range").map(str::to_owned);
            assert!(
                range.is_some_and(|it| it != "bytes=0-"),
                "{ranges} {chunked}"
            );
        }
    }
}

#[test]
fn what_a_killed_process_has_left_is_gone_on_with() {
    let content = bytes(10_000);
    let server = Server::new({
        let content = content.clone();
        move |request: &Request, _| whole(&content).range(request)
    });
    let cache = Cache::new();
    cache.leave(&content, &content[..4000]);
    assert_eq!(read(cache.model(&server).file(FILE).unwrap()), content);
    let ranges = server.requests();
    let ranges: Vec<Option<&str>> = ranges.iter().map(|it| it.header("range")).collect();
    // The first asks what there is.
    assert_eq!(ranges, [None, Some("bytes=4000-")]);
    // All of it, but the process was killed before it had said so.
    let cache = Cache::new();
    cache.leave(&content, &content);
    assert_eq!(read(cache.model(&server).file(FILE).unwrap()), content);
    assert_eq!(server.requests().len(), 3);
    // Another file's, or more than there is: once more from the start.
    for part in [vec![7; 4000], vec![7; 20_000]] {
        let cache = Cache::new();
        cache.leave(&content, &part);
        assert_eq!(read(cache.model(&server).file(FILE).unwrap()), content);
        assert_eq!(cache.blobs(), [sha256(&content)]);
    }
}

#[test]
fn halves_of_different_files_are_never_joined() {
    let (old, new) = (bytes(10_000), vec![3; 10_000]);
    // The branch moves while the file is on its way.
    let server = Server::new({
        let (old, new) = (old.clone(), new.clone());
        move |request: &Request, nth| match nth {
            0 => {
                let mut reply = whole(&old);
                reply.break_after = Some(5000);
                reply
            }
            _ => whole(&new).range(request),
        }
    });
    let cache = Cache::new();
    assert_eq!(read(cache.model(&server).file(FILE).unwrap()), new);
    // A server whose names say nothing of the bytes.
    let server = Server::new(move |request: &Request, nth| {
        let (bytes, etag) = if nth < 2 {
            (&old, "\"a\"")
        } else {
            (&new, "\"b\"")
        };
        let mut reply = Reply::of(bytes).range(request);
        reply.break_after = (nth == 0).then_some(5000);
        // Between what there is and the rest of it.
        let etag = if nth == 1 { "\"a\"" } else { etag };
        reply
            .with("X-Repo-Commit", COMMIT)
            .with("ETag", if nth == 0 { "\"a\"" } else { etag })
    });
    let cache = Cache::new();
    assert_eq!(
        read(cache.model(&server).file(FILE).unwrap()),
        vec![3; 10_000]
    );
}

#[test]
fn a_download_whose_bytes_do_not_fit_is_refused_and_not_kept() {
    let content = bytes(1000);
    let other = bytes(999);
    let (etag, git) = (sha256(&content), "ce013625030ba8dba906f756967f9e9ca394464a");
    let replies: [(Reply, &str); 4] = [
        (Reply::of(&[0; 1000]).with("ETag", &etag), "its hash is"),
        (Reply::of(b"hallo\n").with("ETag", git), "its hash is"),
        (
            Reply::of(&other)
                .with("ETag", "\"x\"")
                .with("X-Linked-Size", "1000"),
            "it ended after 999 of 1000 bytes",
        ),
        (
            Reply::of(&content)
                .with("ETag", "\"x\"")
                .with("X-Linked-Size", "999"),
            "more than 999 bytes",
        ),
    ];
    for (reply, expected) in replies {
        let server = Server::new(move |_, _| reply.clone().with("X-Repo-Commit", COMMIT));
        let cache = Cache::new();
        let refused = refusal(&cache.model(&server));
        assert!(refused.contains(expected), "{refused}");
        let whole = cache
            .blobs()
            .into_iter()
            .filter(|it| !it.ends_with(".incomplete"));
        assert_eq!(whole.count(), 0, "{expected}");
        assert!(!cache.repo().join("snapshots").exists());
    }
}

#[test]
fn a_text_that_is_endless_is_refused() {
    let server = Server::new(|_, _| whole(b"{}").with("X-Linked-Size", "99999999999"));
    let cache = Cache::new();
    let error = cache.model(&server).file("config.json").unwrap_err();
    assert!(
        error.to_string().contains("more than 67108864 bytes"),
        "{error}"
    );
}

#[test]
fn a_download_that_stands_still_is_begun_again_and_a_slow_one_goes_on() {
    let content = bytes(1000);
    let timeout = Duration::from_millis(400);
    let server = Server::new({
        let content = content.clone();
        move |request: &Request, nth| {
            let mut reply = whole(&content).range(request);
            match nth {
                0 => reply.stall_after = Some(0),
                1 => reply.stall_after = Some(500),
                // Longer than the timeout in all, and never as long between two parts.
                _ => reply.pause = Some((100, Duration::from_millis(100))),
            }
            reply
        }
    });
    let cache = Cache::new();
    let mut settings = cache.settings(&server.address);
    settings.download_timeout = timeout;
    settings.answer_timeout = timeout;
    assert_eq!(read(model(settings, "main").file(FILE).unwrap()), content);
    let last = server.requests().pop().unwrap();
    assert_eq!(last.header("range"), Some("bytes=500-"));
}

#[test]
fn of_two_at_once_one_downloads_and_both_have_the_file() {
    let content = bytes(300_000);
    let bodies = std::sync::Arc::new(AtomicUsize::new(0));
    let server = Server::new({
        let (content, bodies) = (content.clone(), bodies.clone());
        move |request: &Request, _| {
            let mut reply = match request.path.contains("/bytes") {
                false => Reply::status(302)
                    .with("Location", "http://localhost:PORT/bytes")
                    .with("X-Repo-Commit", COMMIT)
                    .with("X-Linked-ETag", &sha256(&content)),
                true => {
                    bodies.fetch_add(1, Ordering::Relaxed);
                    Reply::of(&content).range(request)
                }
            };
            reply.pause = Some((30_000, Duration::from_millis(20)));
            reply
        }
    });
    let cache = Cache::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(read(cache.model(&server).file(FILE).unwrap()), content));
        }
    });
    assert_eq!(bodies.load(Ordering::Relaxed), 1);
    assert_eq!(cache.blobs(), [sha256(&content)]);
}
