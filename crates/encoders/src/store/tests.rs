use std::fs;
use std::path::Path;

use super::*;
use crate::{ClipEncoder, LoadOptions, LongTexts};

fn clip(seed: u64) -> ClipEncoder {
    ClipEncoder::untrained(seed, ["a robot"], &LoadOptions::default()).unwrap()
}

fn open(path: &Path, clip: &ClipEncoder) -> Result<EmbeddingStore> {
    EmbeddingStore::builder(path)
        .images(clip)
        .texts(clip)
        .open()
}

/// The vector of a movie: any, but always the same.
fn vector(clip: &ClipEncoder, movie_id: u32) -> Vec<f32> {
    let number = |i: usize| movie_id as f32 + (i as f32).sin();
    (0..clip.width()).map(number).collect()
}

/// A store that was appended to in two groups and a half, and closed as a
/// killed process leaves it.
fn killed(path: &Path, clip: &ClipEncoder) -> usize {
    let mut store = open(path, clip).unwrap();
    for movie_id in 0..2 * GROUP as u32 + GROUP as u32 / 2 {
        store
            .insert(movie_id, Kind::Image, 1, vector(clip, movie_id))
            .unwrap();
    }
    2 * GROUP
}

#[test]
fn what_is_finished_is_read_back_and_the_missing_stay_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new folder/store.parquet");
    let clip = clip(1);
    let mut store = open(&path, &clip).unwrap();
    store.insert(7, Kind::Text, 11, vector(&clip, 7)).unwrap();
    store.insert(3, Kind::Image, 12, vector(&clip, 3)).unwrap();
    assert!(store.insert(4, Kind::Image, 13, vec![1.0]).is_err());
    store.finish().unwrap();
    drop(store);

    let read = open(&path, &clip).unwrap();
    assert_eq!(
        read.get(7, Kind::Text, 11),
        Some(vector(&clip, 7).as_slice())
    );
    assert_eq!(
        read.get(3, Kind::Image, 12),
        Some(vector(&clip, 3).as_slice())
    );
    for (movie_id, kind, source) in [
        (7, Kind::Text, 99),
        (7, Kind::Image, 11),
        (3, Kind::Text, 12),
        (4, Kind::Image, 13),
    ] {
        let found = read.get(movie_id, kind, source);
        assert_eq!(found, None, "{movie_id} {kind:?} {source}");
    }
}

#[test]
fn a_killed_process_loses_no_more_than_the_group_at_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    let kept = killed(&path, &clip);
    let store = open(&path, &clip).unwrap();
    assert_eq!(store.vectors(Kind::Image).count(), kept);
    for (movie_id, found) in store.vectors(Kind::Image) {
        assert_eq!(found, vector(&clip, movie_id));
    }
}

#[test]
fn the_same_embeddings_give_the_same_bytes_whatever_happened_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["straight.parquet", "killed.parquet"].map(|name| folder.path().join(name));
    let clip = clip(1);
    let total = 3 * GROUP as u32;
    let mut straight = open(&paths[0], &clip).unwrap();
    for movie_id in 0..total {
        straight
            .insert(movie_id, Kind::Image, 1, vector(&clip, movie_id))
            .unwrap();
    }
    straight.finish().unwrap();

    let kept = killed(&paths[1], &clip);
    let mut resumed = open(&paths[1], &clip).unwrap();
    for movie_id in (kept as u32..total).rev() {
        resumed
            .insert(movie_id, Kind::Image, 1, vector(&clip, movie_id))
            .unwrap();
    }
    resumed.finish().unwrap();
    assert!(fs::read(&paths[0]).unwrap() == fs::read(&paths[1]).unwrap());

    // Appended to again, and nothing to do again.
    resumed.insert(9, Kind::Text, 5, vector(&clip, 9)).unwrap();
    resumed.finish().unwrap();
    let written = fs::metadata(&paths[1]).unwrap().modified().unwrap();
    resumed.finish().unwrap();
    assert_eq!(
        fs::metadata(&paths[1]).unwrap().modified().unwrap(),
        written
    );
    drop(resumed);
    let read = open(&paths[1], &clip).unwrap();
    assert_eq!(read.vectors(Kind::Image).count(), total as usize);
    assert_eq!(
        read.get(9, Kind::Text, 5),
        Some(vector(&clip, 9).as_slice())
    );
}

#[test]
fn a_group_that_was_not_written_completely_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    killed(&path, &clip);
    let whole = fs::read(&path).unwrap();
    for lost in [1, 7, 500, GROUP * 4 * clip.width() - 1] {
        fs::write(&path, &whole[..whole.len() - lost]).unwrap();
        let mut store = open(&path, &clip).unwrap();
        assert_eq!(store.vectors(Kind::Image).count(), GROUP, "{lost}");
        // And it goes on from there.
        store
            .insert(999, Kind::Image, 1, vector(&clip, 999))
            .unwrap();
        store.flush().unwrap();
        drop(store);
        let store = open(&path, &clip).unwrap();
        assert_eq!(store.vectors(Kind::Image).count(), GROUP + 1, "{lost}");
    }
}

#[test]
fn a_store_of_another_model_or_preprocessing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    open(&path, &clip(1)).unwrap();
    let error = open(&path, &clip(2)).unwrap_err();
    assert!(matches!(error, Error::OtherModel { .. }), "{error}");
    assert!(error.to_string().contains("seed 1"), "{error}");

    let options = LoadOptions::default().with_long_texts(LongTexts::Chunk);
    let chunking = ClipEncoder::untrained(1, ["a robot"], &options).unwrap();
    assert!(
        EmbeddingStore::builder(&path)
            .images(&chunking)
            .open()
            .is_ok()
    );
    let error = EmbeddingStore::builder(&path).texts(&chunking).open();
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("windows") && error.contains("cut to"),
        "{error}"
    );
}

#[test]
fn one_process_at_a_time_has_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    let mut first = open(&path, &clip).unwrap();
    first.insert(1, Kind::Text, 1, vector(&clip, 1)).unwrap();
    for _ in 0..2 {
        let error = open(&path, &clip).unwrap_err();
        assert!(matches!(error, Error::StoreInUse { .. }), "{error}");
        // The file that takes its place is locked too.
        first.finish().unwrap();
    }
    drop(first);
    assert!(open(&path, &clip).is_ok());
}

#[test]
fn halves_take_half_the_room_and_are_the_same_now_and_later() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["f32.parquet", "f16.parquet"].map(|name| folder.path().join(name));
    let clip = clip(1);
    for (path, precision) in paths.iter().zip([Precision::F32, Precision::F16]) {
        let builder = EmbeddingStore::builder(path)
            .images(&clip)
            .precision(precision);
        let mut store = builder.open().unwrap();
        for movie_id in 0..1000 {
            store
                .insert(movie_id, Kind::Image, 1, vector(&clip, movie_id))
                .unwrap();
        }
        store.finish().unwrap();
        let now: Vec<Vec<f32>> = store
            .vectors(Kind::Image)
            .map(|(_, v)| v.to_vec())
            .collect();
        drop(store);
        let store = EmbeddingStore::builder(path).open().unwrap();
        assert_eq!(store.precision(), precision);
        for ((movie_id, found), now) in store.vectors(Kind::Image).zip(now) {
            assert_eq!(found, now);
            for (found, expected) in found.iter().zip(vector(&clip, movie_id)) {
                assert!((found - expected).abs() <= expected.abs() / 2048.0 + 1e-4);
            }
        }
    }
    let size = |path: &Path| fs::metadata(path).unwrap().len() as f64;
    assert!(size(&paths[1]) < 0.6 * size(&paths[0]));
    let builder = EmbeddingStore::builder(&paths[1]).precision(Precision::F32);
    assert!(builder.open().unwrap_err().to_string().contains("f16"));
}

#[test]
fn a_damaged_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    let mut store = open(&path, &clip).unwrap();
    store.insert(1, Kind::Text, 1, vector(&clip, 1)).unwrap();
    store.finish().unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    let mut spoilt = whole.clone();
    spoilt[whole.len() - 30..whole.len() - 8].fill(0xA5);
    for damaged in [
        &whole[..whole.len() / 2],
        &whole[1..],
        &spoilt,
        b"",
        b"not parquet at all",
        b"PAR1PAR1PAR1PAR1PAR1PAR1",
    ] {
        fs::write(&path, damaged).unwrap();
        let error = open(&path, &clip).unwrap_err();
        assert!(matches!(error, Error::Store { .. }), "{error}");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
    let error = open(folder.path(), &clip).unwrap_err();
    assert!(error.to_string().contains("directory"), "{error}");
}
