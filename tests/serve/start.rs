//! How a server begins.

use std::io::Read;

use crate::{run, start, support};

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

#[test]
fn what_takes_time_at_the_start_is_said_on_standard_error() {
    let mut server = start();
    server.process.kill().unwrap();
    let mut said = String::new();
    let stderr = server.process.stderr.as_mut().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    let mut rest = said.as_str();
    for part in ["reading the model", "preparing to answer", "ready"] {
        let found = rest.find(part);
        rest = &rest[found.unwrap_or_else(|| panic!("no {part} in order in {said}"))..];
    }
}

#[test]
fn limits_that_make_no_sense_are_refused_at_the_start() {
    for (option, value) in [
        ("--time-out", "0"),
        ("--time-out", "-1"),
        ("--time-out", "NaN"),
        ("--time-out", "1e300"),
        ("--at-work", "0"),
        ("--at-work", "1000000"),
        ("--connections", "0"),
        ("--waiting", "-1"),
        ("--waiting", "9999999999"),
    ] {
        let output = support::run(run(), "serve", &[&format!("{option}={value}")]);
        assert_eq!(output.status.code(), Some(2), "{option} {value}");
        assert!(support::text(&output.stderr).contains(option));
    }
}
