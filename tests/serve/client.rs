//! Clients that write what they like.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::server::Server;

pub const JSON: &str = "application/json";
pub const FORM: &str = "multipart/form-data; boundary=x";

/// What came back.
pub struct Answer {
    /// 0 where nothing came.
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The body of an error.
    #[track_caller]
    pub fn error(&self) -> String {
        let body: Value = serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {}: {}", self.head, self.body));
        body["error"].as_str().unwrap().to_owned()
    }
}

/// What is left of an answer on a connection that the server closes.
pub fn rest(mut stream: &TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // One that was refused early may be cut off behind the answer.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|it| it.parse().ok());
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Answer {
        status: status.unwrap_or(0),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// A request with a body.
pub fn posted(path: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Asks.
pub trait Ask {
    fn connect(&self) -> TcpStream;
    fn ask(&self, request: &[u8]) -> Answer;
    fn get(&self, path: &str) -> (u16, String);
    fn post(&self, path: &str, kind: &str, body: &[u8]) -> (u16, String);
    fn json(&self, path: &str) -> Value;
    /// A figure of Prometheus's; 0 where it is not there yet.
    fn figure(&self, name: &str) -> f64;
    /// Something that takes a while to answer: a visitor with 500 ratings.
    fn long_question(&self) -> Vec<u8>;
}

impl Ask for Server {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        stream
    }

    fn ask(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that refuses early may close before all is sent.
        let _ = stream.write_all(request);
        rest(&stream)
    }

    fn get(&self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = self.ask(request.as_bytes());
        (answer.status, answer.body)
    }

    fn post(&self, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
        let answer = self.ask(&posted(path, kind, body));
        (answer.status, answer.body)
    }

    #[track_caller]
    fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn figure(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics").1;
        let mut lines = metrics.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |figure| figure.parse().unwrap())
    }

    fn long_question(&self) -> Vec<u8> {
        let mut movies = Vec::new();
        for word in ["a", "e", "i", "o", "u", "r", "s", "t", "n", "l", "d", "the"] {
            let found = self.json(&format!("/api/movies?title={word}&count=100"));
            let ids = found.as_array().unwrap().iter();
            movies.extend(ids.map(|movie| movie["id"].as_u64().unwrap()));
        }
        movies.sort_unstable();
        movies.dedup();
        movies.truncate(500);
        let ratings: Vec<Value> = movies
            .iter()
            .map(|id| json!({"movie": id, "stars": 0.5 + (id % 10) as f32 / 2.0}))
            .collect();
        let body = json!({"ratings": ratings}).to_string();
        posted("/api/visitors", JSON, body.as_bytes())
    }
}

pub fn form(fields: &[(&str, &[u8])]) -> Vec<u8> {
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
