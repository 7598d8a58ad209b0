//! The example `serve`, asked over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::server::Server;

/// A run on the made-up sample, made once.
fn run() -> &'static std::path::Path {
    static RUN: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let output = support::run(folder.path(), "train_ml25m", &["--epochs", "1"]);
        assert!(output.status.success(), "{}", support::text(&output.stderr));
        folder
    });
    folder.path()
}

fn start() -> Server {
    Server::start(run())
}

/// Asks.
trait Ask {
    fn raw(&self, request: &[u8]) -> (u16, String);
    fn get(&self, path: &str) -> (u16, String);
    fn post(&self, path: &str, kind: &str, body: &[u8]) -> (u16, String);
    fn json(&self, path: &str) -> Value;
}

impl Ask for Server {
    /// Status and body of what is written as it stands.
    fn raw(&self, request: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        // A server that refuses early may close before all is sent.
        let _ = stream.write_all(request);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let answer = String::from_utf8_lossy(&bytes).into_owned();
        let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (
            status.unwrap_or_else(|| panic!("no answer: {answer}")),
            body.to_owned(),
        )
    }

    fn get(&self, path: &str) -> (u16, String) {
        let host = &self.address;
        self.raw(
            format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes(),
        )
    }

    fn post(&self, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
        let host = &self.address;
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        self.raw(&[head.as_bytes(), body].concat())
    }

    #[track_caller]
    fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

fn form(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in fields {
        let head = format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--x--\r\n");
    body
}

const FORM: &str = "multipart/form-data; boundary=x";

#[test]
fn questions_are_answered_with_titles_stars_and_reasons() {
    let server = start();
    assert_eq!(server.get("/health"), (200, "ok".to_owned()));
    let info = server.json("/api/info");
    assert_eq!(info["movies"], 1200);
    let user = info["user_ids"][0].as_u64().unwrap();

    let path = format!("/api/users/{user}/recommendations?count=5");
    let found = server.json(&path);
    assert_eq!(found.as_array().unwrap().len(), 5);
    let first = &found[0];
    assert!(first["stars"].as_f64().unwrap() >= found[4]["stars"].as_f64().unwrap());
    assert!(!first["movie"]["title"].as_str().unwrap().is_empty());
    assert!(!first["reasons"].as_array().unwrap().is_empty());
    let id = first["movie"]["id"].as_u64().unwrap();
    let stars = server.json(&format!("/api/users/{user}/stars/{id}"));
    assert!((stars["stars"].as_f64().unwrap() - first["stars"].as_f64().unwrap()).abs() < 1e-3);

    let genre = info["genres"][0].as_str().unwrap();
    let narrow = server.json(&format!("{path}&genres={genre}&from=1980&to=1999"));
    for found in narrow.as_array().unwrap() {
        assert!(
            found["movie"]["genres"]
                .as_array()
                .unwrap()
                .contains(&json!(genre))
        );
    }
    assert_eq!(
        server
            .json(&format!("/api/movies/{id}/similar"))
            .as_array()
            .unwrap()
            .len(),
        10
    );
    let title = first["movie"]["title"].as_str().unwrap().replace(' ', "+");
    let named = server.json(&format!("/api/movies?title={title}"));
    assert!(
        named
            .as_array()
            .unwrap()
            .iter()
            .any(|movie| movie["id"] == id)
    );

    let visitor = json!({"ratings": [{"movie": id, "stars": 5}], "wish": {"count": 3}});
    let (status, body) = server.post(
        "/api/visitors",
        "application/json",
        visitor.to_string().as_bytes(),
    );
    assert_eq!(status, 200, "{body}");
    let found: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 3);

    let poster = std::fs::read_dir(run().join("runs/sample-data/posters")).unwrap();
    let poster = std::fs::read(poster.into_iter().next().unwrap().unwrap().path()).unwrap();
    let fields: [(&str, &[u8]); 4] = [
        ("poster", &poster),
        ("plot", b"A robot."),
        ("year", b"1999"),
        ("count", b"4"),
    ];
    let (status, body) = server.post("/api/newcomers", FORM, &form(&fields));
    assert_eq!(status, 200, "{body}");
    let fans: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(fans.as_array().unwrap().len(), 4);
}

#[test]
fn the_page_the_description_the_metrics_and_the_posters_are_there() {
    let server = start();
    let (status, page) = server.get("/");
    assert!(status == 200 && page.contains("What to watch"));
    let description = server.json("/openapi.json");
    assert!(description["openapi"].as_str().unwrap().starts_with("3."));
    for path in [
        "/api/users/{user}/recommendations",
        "/api/visitors",
        "/api/newcomers",
    ] {
        assert!(description["paths"][path].is_object(), "{path}");
    }
    let movies = server.json("/api/movies?title=the&count=100");
    let movies = movies.as_array().unwrap().iter();
    let path = movies
        .filter_map(|movie| movie["poster"].as_str())
        .next()
        .unwrap();
    assert_eq!(server.get(path).0, 200);
    server.get("/nowhere");
    let (_, metrics) = server.get("/metrics");
    for line in [
        r#"mmdlrm_requests_total{route="/api/movies",status="200"} 1"#,
        r#"mmdlrm_requests_total{route="none",status="404"} 1"#,
        r#"mmdlrm_request_seconds_count{route="/posters/{movie}"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[test]
fn what_is_wrong_is_said_with_a_status_of_4xx_and_the_server_goes_on() {
    let server = start();
    let json = "application/json";
    let movie = server.json("/api/movies?title=the")[0]["id"].clone();
    let too_good = json!({"ratings": [{"movie": movie, "stars": 1e30}]}).to_string();
    let huge = vec![b' '; 1 << 20];
    let picture = form(&[("poster", b"\x89PNG not a picture")]);
    let many = format!(
        r#"{{"ratings": [{}]}}"#,
        vec![r#"{"movie":1,"stars":3}"#; 501].join(",")
    );
    let cases = [
        (server.get("/api/users/0/recommendations"), 404, "no user 0"),
        (
            server.get("/api/users/-1/recommendations"),
            400,
            "Invalid URL",
        ),
        (
            server.get("/api/users/1/recommendations?count=0"),
            422,
            "count is 0",
        ),
        (
            server.get("/api/users/1/recommendations?count=1000000000"),
            422,
            "1 to 100",
        ),
        (
            server.get("/api/users/1/recommendations?colour=red"),
            400,
            "colour",
        ),
        (
            server.get("/api/users/1/recommendations?genres=Cooking"),
            422,
            "Cooking",
        ),
        (
            server.get("/api/users/1/stars/999999999"),
            404,
            "no movie 999999999",
        ),
        (
            server.get("/api/movies/99999999999999999999"),
            400,
            "Invalid URL",
        ),
        (server.get("/api/movies"), 400, "title"),
        (
            server.get("/posters/../../../../etc/passwd"),
            404,
            "nothing here",
        ),
        (
            server.get("/posters/..%2f..%2f..%2fetc%2fpasswd"),
            400,
            "Invalid URL",
        ),
        (server.get("/posters/%00"), 400, "Invalid URL"),
        (server.get("/posters/999999999"), 404, "no movie"),
        (server.get("/nowhere"), 404, "nothing here"),
        (server.post("/health", json, b""), 405, "not by this method"),
        (
            server.post("/api/visitors", json, b"{\"ratings\": ["),
            400,
            "parse",
        ),
        (
            server.post("/api/visitors", json, b"\xff\xfe"),
            400,
            "parse",
        ),
        (
            server.post("/api/visitors", json, b"{\"stars\": 3}"),
            422,
            "stars",
        ),
        (
            server.post("/api/visitors", "text/plain", b"{}"),
            415,
            "application/json",
        ),
        (
            server.post("/api/visitors", json, too_good.as_bytes()),
            422,
            "from 0.5 to 5",
        ),
        (
            server.post("/api/visitors", json, many.as_bytes()),
            422,
            "no more than 500",
        ),
        (
            server.post("/api/visitors", json, &huge),
            413,
            "length limit",
        ),
        (
            server.post("/api/newcomers", FORM, &picture),
            422,
            "picture",
        ),
        (
            server.post("/api/newcomers", FORM, &form(&[("year", b"soon")])),
            422,
            "soon",
        ),
        (
            server.post("/api/newcomers", FORM, &form(&[("genre", b"Cooking")])),
            422,
            "Cooking",
        ),
        (
            server.post("/api/newcomers", FORM, &form(&[("colour", b"red")])),
            422,
            "colour",
        ),
        (server.post("/api/newcomers", json, b"{}"), 400, "boundary"),
        (
            server.post("/api/newcomers", FORM, &vec![b'x'; 12 << 20]),
            413,
            "",
        ),
    ];
    for ((status, body), expected, part) in cases {
        assert_eq!(status, expected, "{part}: {body}");
        assert!(body.contains(part), "{part}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}"));
        assert!(body["error"].is_string(), "{body}");
    }
    let garbage = server.raw(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n");
    assert_eq!(garbage.0, 400);
    assert_eq!(server.get("/health").0, 200);
}

#[test]
fn a_signal_lets_what_was_asked_be_answered_and_ends_the_server() {
    let mut server = start();
    let path = "/api/users/1/recommendations?count=100";
    let asked: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    // Until they have been taken.
    let begun = Instant::now();
    while !server.get("/metrics").1.contains("recommendations") {
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    let sent = Command::new("kill")
        .arg(server.process.id().to_string())
        .status();
    assert!(sent.unwrap().success());
    for mut stream in asked {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let status = server.process.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(TcpStream::connect(&server.address).is_err());
}

#[test]
fn one_who_never_finishes_asking_does_not_keep_the_server_for_ever() {
    let mut server = start();
    let mut slow = TcpStream::connect(&server.address).unwrap();
    slow.write_all(b"POST /api/visitors HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")
        .unwrap();
    assert_eq!(server.get("/health").0, 200);
    let sent = Command::new("kill")
        .arg(server.process.id().to_string())
        .status();
    assert!(sent.unwrap().success());
    let begun = Instant::now();
    server.process.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_cannot_be_served_is_said_at_the_start() {
    let refused = |arguments: &[&str]| {
        let output = support::run(run(), "serve", arguments);
        assert_eq!(output.status.code(), Some(1));
        support::text(&output.stderr)
    };
    assert!(refused(&["--run", "runs/nowhere"]).contains("holds no run"));
    let server = start();
    assert!(refused(&["--listen", &server.address]).contains("cannot listen on"));
}
