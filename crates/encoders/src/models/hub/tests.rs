//! The hub, played by a server on this machine.

mod answers;
mod caches;
mod python;
mod server;
mod transfers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::*;
use server::{Reply, Request, Server};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const LATER: &str = "89abcdef0123456789abcdef0123456789abcdef";
const ID: &str = "someone/model";
const FILE: &str = "weights.bin";

/// Bytes that differ from place to place.
fn bytes(length: usize) -> Vec<u8> {
    (0..length as u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A file as the hub sends it.
fn whole(bytes: &[u8]) -> Reply {
    Reply::of(bytes)
        .with("X-Repo-Commit", COMMIT)
        .with("ETag", &format!("\"{}\"", sha256(bytes)))
}

fn no_entry(commit: &str) -> Reply {
    Reply::status(404)
        .with("X-Error-Code", "EntryNotFound")
        .with("X-Repo-Commit", commit)
}

struct Cache {
    folder: tempfile::TempDir,
}

impl Cache {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn settings(&self, endpoint: &str) -> Settings {
        Settings {
            endpoint: endpoint.to_owned(),
            cache: self.folder.path().to_owned(),
            token: Some("secret".to_owned()),
            offline: None,
            bars: true,
            links: true,
            answer_timeout: Duration::from_secs(20),
            download_timeout: Duration::from_secs(20),
            pause: Duration::from_millis(1),
        }
    }

    fn model(&self, server: &Server) -> HubModel {
        self.at(server, "main")
    }

    fn at(&self, server: &Server, revision: &str) -> HubModel {
        model(self.settings(&server.address), revision)
    }

    fn repo(&self) -> PathBuf {
        self.folder.path().join("models--someone--model")
    }

    fn blobs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.repo().join("blobs"));
        let names = entries
            .into_iter()
            .flatten()
            .map(|it| it.unwrap().file_name());
        let mut names: Vec<String> = names.map(|it| it.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What a process that was killed has left.
    fn leave(&self, bytes: &[u8], part: &[u8]) {
        let blobs = self.repo().join("blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(format!("{}.incomplete", sha256(bytes))), part).unwrap();
    }
}

fn model(settings: Settings, revision: &str) -> HubModel {
    let named = ModelName {
        id: ID.to_owned(),
        revision: Some(revision.to_owned()),
    };
    let asked = Asked::new(ID, named, &[]);
    HubModel::new(asked, settings)
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

fn refusal(model: &HubModel) -> String {
    let error = model.optional_file(FILE).unwrap_err();
    error.to_string()
}
