//! `mmdlrm train`, and what asks the runs that it leaves, as a person types them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod alone;
mod ask;
mod bad_input;
mod changed;
mod replaced;
mod runs;
mod settings;
mod survive;
mod tables;
mod values;
mod vectors;

use std::path::{Path, PathBuf};
use std::process::Output;

use mmdlrm::data::generate::{self, GeneratorConfig};
use support::text;

/// A small folder of everything that a training reads.
struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        generate::write(&dir.path().join("data"), &GeneratorConfig::tiny(), |_| {}).unwrap();
        support::tiny_clip(&dir.path().join("clip"));
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Trains on the folder, with the arguments that name all of it
    /// and `more`.
    fn run(&self, more: &[&str]) -> Output {
        let mut arguments = vec![
            "--data",
            "data",
            "--posters",
            "data/posters.csv",
            "--summaries",
            "data/summaries.csv",
            "--clip",
            "clip",
            "--out",
            "runs/test",
            "--epochs",
            "2",
            "--dim",
            "8",
        ];
        for pair in more.chunks(2) {
            // The last mention of an option is the one that counts.
            if let Some(at) = arguments.iter().position(|argument| argument == &pair[0]) {
                arguments.drain(at..at + 2);
            }
            arguments.extend(pair);
        }
        run_in(self.dir.path(), &arguments)
    }
}

fn run_in(dir: &Path, arguments: &[&str]) -> Output {
    support::run(dir, "train", arguments)
}
