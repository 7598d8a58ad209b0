//! `mmdlrm serve`, asked over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod client;
mod errors;
mod load;
mod named;
mod shelves;
mod slow_clients;
mod start;
mod stopping;

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use support::server::Server;

/// A run on the made-up sample, made once.
fn run() -> &'static Path {
    static RUN: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let output = support::run(folder.path(), "train", &["--epochs", "1"]);
        assert!(output.status.success(), "{}", support::text(&output.stderr));
        folder
    });
    folder.path()
}

fn start() -> Server {
    Server::start(run())
}

fn start_with(arguments: &[&str]) -> Server {
    Server::start_with(run(), arguments)
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
