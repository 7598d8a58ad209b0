//! Opens zip archives of any bytes: each is read, or refused with one line.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mmdlrm_data::MovieLens;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a folder for the archive")
});

fuzz_target!(|data: &[u8]| {
    let path = FOLDER.path().join("ml.zip");
    std::fs::write(&path, data).expect("written");
    match MovieLens::open(&path) {
        Ok(movielens) => assert!(!movielens.ratings.is_empty()),
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
});
