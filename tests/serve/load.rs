//! Crowds, and clients that go away.

use std::io::Write;
use std::net::TcpStream;

use crate::client::{Answer, Ask, rest};
use crate::{start_with, until};

/// All ask at the same time; their answers.
fn crowd(connections: Vec<TcpStream>, question: &[u8]) -> Vec<Answer> {
    for mut connection in &connections {
        connection.write_all(question).unwrap();
    }
    connections.iter().map(rest).collect()
}

#[test]
fn a_crowd_is_answered_or_told_to_come_again() {
    let server = start_with(&["--at-work", "1", "--waiting", "2"]);
    let question = server.long_question();
    let answers = crowd((0..40).map(|_| server.connect()).collect(), &question);
    let (answered, turned_away): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert!(answered.len() >= 3, "{}", answered.len());
    assert!(!turned_away.is_empty());
    for answer in turned_away {
        assert_eq!(answer.status, 503);
        assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
        assert_eq!(answer.error(), "too many wait for an answer");
    }
    // Who comes again is answered, to the same effect.
    let again = server.ask(&question);
    assert_eq!((again.status, &again.body), (200, &answered[0].body));
}

#[test]
fn one_who_waits_too_long_is_told_so_in_json_and_the_work_ends() {
    let server = start_with(&["--at-work", "1", "--waiting", "60", "--time-out", "0.5"]);
    let question = server.long_question();
    let mut late = Vec::new();
    until("somebody is late", || {
        let answers = crowd((0..60).map(|_| server.connect()).collect(), &question);
        late.extend(answers.into_iter().filter(|answer| answer.status == 503));
        !late.is_empty()
    });
    for answer in &late {
        assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
        assert_eq!(answer.error(), "the answer took too long");
    }
    until("all are counted", || {
        server.figure("mmdlrm_called_off_total") >= late.len() as f64
    });
    until("all places come back", || {
        server.figure("mmdlrm_at_work") + server.figure("mmdlrm_waiting") == 0.0
    });
    assert_eq!(server.get("/api/movies?title=the").0, 200);
}

#[test]
fn a_client_that_goes_away_calls_its_work_off() {
    let server = start_with(&["--at-work", "1"]);
    let question = server.long_question();
    until("work is called off", || {
        server.connect().write_all(&question).unwrap();
        server.figure("mmdlrm_called_off_total") > 0.0
    });
    until("all places come back", || {
        server.figure("mmdlrm_at_work") + server.figure("mmdlrm_waiting") == 0.0
    });
}

#[test]
fn one_connection_too_many_is_told_so_and_the_next_is_served() {
    let server = start_with(&["--connections", "8"]);
    let held: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    // It is told before it has asked.
    let answer = rest(&server.connect());
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    assert_eq!(answer.error(), "too many connections are open");
    drop(held);
    until("there is room again", || server.get("/health").0 == 200);
}
