//! Opens checkpoints of any bytes, and reads what is in them: each is read, or is refused
//! with one line.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mmdlrm_checkpoints::{Checkpoint, Error};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().unwrap());

fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.path().join("model.pt");
    std::fs::write(&path, bytes).unwrap();
    let file = match Checkpoint::open(&path) {
        Ok(file) => file,
        Err(error) => return refused(&error),
    };
    assert_eq!(file.describe().lines().count(), 1);
    for (name, info) in file.tensors() {
        let mut read = 0;
        match file.read_bytes(name, |part| read += part.len()) {
            Ok(()) => {
                assert!(read <= bytes.len());
                assert_eq!(read as u64, info.count() * info.dtype().size() as u64);
            }
            Err(error) => refused(&error),
        }
        if let Err(error) = file.read_f32(name) {
            refused(&error);
        }
    }
    if let Err(error) = file.check() {
        refused(&error);
    }
    if let Err(error) = file.into_model() {
        refused(&error);
    }
});

fn refused(error: &Error) {
    let error = error.to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
}
