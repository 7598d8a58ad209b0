//! How a server ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::Ask;
use crate::support::server::Server;
use crate::{start, start_with};

/// Sends SIGTERM.
fn stop(server: &Server) {
    let process = server.process.id().to_string();
    let sent = Command::new("kill").arg(process).status();
    assert!(sent.unwrap().success());
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
    stop(&server);
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
    let mut server = start_with(&["--time-out", "1"]);
    let mut slow = TcpStream::connect(&server.address).unwrap();
    slow.write_all(b"POST /api/visitors HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")
        .unwrap();
    assert_eq!(server.get("/health").0, 200);
    stop(&server);
    let begun = Instant::now();
    server.process.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn connections_that_idle_do_not_keep_a_server_that_is_to_stop() {
    let mut server = start_with(&["--time-out", "2"]);
    let silent = server.connect();
    let mut asked = server.connect();
    asked
        .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let mut answer = [0; 12];
    asked.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    stop(&server);
    let begun = Instant::now();
    assert!(server.process.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop((silent, asked));
}
