//! Clients that do not finish, and clients that do not listen.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::client::{Ask, FORM, JSON, posted};
use crate::{start_with, until};

/// Whether the server closes a connection, with nothing more to say.
fn is_closed(mut connection: &TcpStream) -> bool {
    let mut rest = Vec::new();
    match connection.read_to_end(&mut rest) {
        Ok(_) => rest.is_empty(),
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_head_that_does_not_arrive_is_not_waited_for() {
    let server = start_with(&["--time-out", "0.3"]);
    let silent = server.connect();
    let mut halved = server.connect();
    halved.write_all(b"GET /health HTT").unwrap();
    assert!(is_closed(&silent));
    assert!(is_closed(&halved));
}

#[test]
fn a_connection_does_not_idle_for_ever() {
    let server = start_with(&["--time-out", "0.3"]);
    let mut idle = server.connect();
    let request = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    idle.write_all(request).unwrap();
    // It is kept open for another question, …
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok") {
        let mut byte = [0];
        idle.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    // … and not longer than that may take to come.
    assert!(is_closed(&idle));
}

#[test]
fn a_body_that_does_not_arrive_is_said_to_be_late_in_json() {
    let server = start_with(&["--time-out", "0.3"]);
    for (path, kind, body) in [
        ("/api/visitors", JSON, &b"{\"ratings\": ["[..]),
        ("/api/newcomers", FORM, b"--x\r\n"),
        (
            "/api/newcomers",
            FORM,
            b"--x\r\ncontent-disposition: form-data; name=\"poster\"\r\n\r\nxx",
        ),
    ] {
        let mut request = posted(path, kind, &[body, &[b' '; 1000]].concat());
        request.truncate(request.len() - 1000);
        let answer = server.ask(&request);
        assert_eq!(answer.status, 408, "{}", answer.body);
        assert!(answer.error().contains("within 0.3 s"), "{}", answer.body);
    }
    assert_eq!(server.get("/health").0, 200);
}

#[test]
fn a_body_that_trickles_is_not_waited_for_either() {
    let server = start_with(&["--time-out", "0.3"]);
    let mut request = posted("/api/visitors", JSON, &[b' '; 100_000]);
    request.truncate(request.len() - 100_000);
    let mut slow = server.connect();
    slow.write_all(&request).unwrap();
    let begun = Instant::now();
    // Until the server has closed it, and writing fails.
    while slow.write_all(b" ").is_ok() {
        std::thread::sleep(Duration::from_millis(10));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn one_who_asks_and_does_not_listen_is_not_served_for_ever() {
    let server = start_with(&["--time-out", "0.3"]);
    let mut deaf = server.connect();
    let patience = Some(Duration::from_millis(100));
    deaf.set_write_timeout(patience).unwrap();
    let requests = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let begun = Instant::now();
    // Until its answers fill all buffers, and then until the server has enough.
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60));
        match deaf.write_all(&requests) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    assert_eq!(server.get("/health").0, 200);
}

#[test]
fn broken_clients_leave_nothing_behind() {
    let server = start_with(&["--time-out", "0.5"]);
    let question = server.long_question();
    let halves: [&[u8]; 5] = [
        b"",
        b"GET /heal",
        b"\x00\xff\x16\x03\r\n\r\n",
        &question[..question.len() / 2],
        &question,
    ];
    for _ in 0..20 {
        for half in halves {
            server.connect().write_all(half).unwrap();
        }
    }
    // The one that asks for the figure.
    until("all connections are closed", || {
        server.figure("mmdlrm_connections") == 1.0
    });
    until("all places come back", || {
        server.figure("mmdlrm_at_work") + server.figure("mmdlrm_waiting") == 0.0
    });
    assert_eq!(server.get("/health").0, 200);
}
