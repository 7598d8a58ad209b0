//! Folders of every release, whole and spoiled.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bad_input;
mod cache;
mod fingerprints;
mod folders;
mod formats;
mod hostile;
mod made_up;
mod properties;
mod side_files;
mod tables;
mod values;
mod vectors;

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use mmdlrm_data::OpenOptions;

/// A folder of files.
struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        files
            .iter()
            .for_each(|(name, bytes)| folder.write(name, bytes));
        folder
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.file(name), bytes).unwrap();
    }
}

/// What opening the folder says, in one line with all of `parts`.
#[track_caller]
fn refusal(options: &OpenOptions, folder: &Folder, streamed: bool, parts: &[&str]) -> String {
    let error = if streamed {
        options.open_streamed(folder.path()).err()
    } else {
        options.open(folder.path()).err()
    };
    let message = error.unwrap().to_string();
    for part in parts {
        assert!(message.contains(part), "no '{part}' in: {message}");
    }
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

const MOVIES: &str = "movieId,title,genres\n1,Heat (1995),Crime\n2,Big (1988),Comedy\n5,Up,\n";
const RATINGS: &str = "userId,movieId,rating,timestamp\n1,1,4.0,100\n1,2,3.5,200\n7,5,0.5,300\n";

/// A small good folder.
fn good() -> Folder {
    Folder::new(&[
        ("movies.csv", MOVIES.as_bytes()),
        ("ratings.csv", RATINGS.as_bytes()),
    ])
}
