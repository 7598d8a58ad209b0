//! Opens stores, and journals, of any bytes: each is read, and can be added to, or is
//! refused with one line.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mmdlrm_encoders::{ClipEncoder, EmbeddingStore, ImageEncoder, Kind, LoadOptions};
use tempfile::TempDir;

static CLIP: LazyLock<ClipEncoder> =
    LazyLock::new(|| ClipEncoder::untrained(1, ["a robot"], &LoadOptions::default()).unwrap());
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().unwrap());

fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.path().join("store.parquet");
    let journal = FOLDER.path().join("store.parquet.journal");
    let _ = std::fs::remove_file(&journal);
    std::fs::write(&path, bytes).unwrap();
    open_both_ways(&path);
    // The same bytes beside an empty store.
    std::fs::remove_file(&path).unwrap();
    let _ = std::fs::remove_file(&journal);
    drop(EmbeddingStore::builder(&path).images(&*CLIP).open());
    std::fs::write(&journal, bytes).unwrap();
    open_both_ways(&path);
});

fn open_both_ways(path: &Path) {
    for builder in [
        EmbeddingStore::builder(path).images(&*CLIP),
        EmbeddingStore::builder(path),
    ] {
        match builder.open() {
            Ok(mut store) => {
                let images = store.vectors(Kind::Image).count();
                if store.width(Kind::Image) == Some(CLIP.image_width()) {
                    let vector = vec![0.5; CLIP.image_width()];
                    store.insert(u32::MAX, Kind::Image, 1, vector).unwrap();
                    store.flush().unwrap();
                    assert!(store.vectors(Kind::Image).count() >= images);
                }
            }
            Err(error) => {
                let error = error.to_string();
                assert_eq!(error.lines().count(), 1, "{error}");
            }
        }
    }
}
