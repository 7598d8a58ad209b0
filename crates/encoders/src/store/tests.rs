#![cfg(feature = "models")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

mod survival;

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

fn journal(path: &Path) -> PathBuf {
    path.with_file_name("store.parquet.journal")
}

/// A store that was given two groups and a half, and closed as a killed process
/// leaves it.
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
        first.finish().unwrap();
    }
    drop(first);
    assert!(open(&path, &clip).is_ok());
}

/// From before there is a file to after it has been replaced many times.
#[test]
fn whoever_races_for_a_store_has_it_alone_and_loses_nothing() {
    const OPENERS: u32 = 4;
    const TURNS: u32 = 25;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    let inside = AtomicUsize::new(0);
    let race = |opener: u32| {
        for turn in 0..TURNS {
            let mut store = loop {
                match open(&path, &clip) {
                    Err(Error::StoreInUse { .. }) => std::thread::yield_now(),
                    opened => break opened.unwrap(),
                }
            };
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two have it");
            let movie_id = opener * TURNS + turn;
            let vector = vector(&clip, movie_id);
            store.insert(movie_id, Kind::Image, 1, vector).unwrap();
            store.finish().unwrap();
            inside.fetch_sub(1, Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| {
        for opener in 0..OPENERS {
            scope.spawn(move || race(opener));
        }
    });
    let store = open(&path, &clip).unwrap();
    assert_eq!(
        store.vectors(Kind::Image).count(),
        (OPENERS * TURNS) as usize
    );
}

#[cfg(unix)]
#[test]
fn two_names_of_a_store_have_one_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let name = folder.path().join("elsewhere/link.parquet");
    let clip = clip(1);
    drop(open(&path, &clip).unwrap());
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(&path, &name).unwrap();
    let mut store = open(&name, &clip).unwrap();
    let error = open(&path, &clip).unwrap_err();
    assert!(matches!(error, Error::StoreInUse { .. }), "{error}");
    store.insert(1, Kind::Text, 1, vector(&clip, 1)).unwrap();
    store.finish().unwrap();
    drop(store);
    assert!(name.is_symlink());
    assert_eq!(open(&path, &clip).unwrap().vectors(Kind::Text).count(), 1);
}

#[test]
fn without_a_lock_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    let mut store = open(&path, &clip).unwrap();
    // As where the folder is another's.
    store.lock = None;
    store.insert(1, Kind::Text, 1, vector(&clip, 1)).unwrap();
    for written in [store.flush(), store.finish()] {
        let error = written.unwrap_err().to_string();
        assert!(error.contains("cannot write"), "{error}");
    }
    assert!(!journal(&path).exists());
}

#[test]
fn a_vector_that_cannot_be_kept_is_named_with_its_movie() {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(1);
    let with = |place: usize, value: f32| {
        let mut vector = vector(&clip, 1);
        vector[place] = value;
        vector
    };
    for (precision, vector, part) in [
        (Precision::F32, with(3, f32::NAN), "NaN in place 3"),
        (Precision::F32, with(0, f32::INFINITY), "inf in place 0"),
        (
            Precision::F16,
            with(5, f32::NEG_INFINITY),
            "-inf in place 5",
        ),
        (
            Precision::F16,
            with(5, 65_520.0),
            "65520 in place 5, beyond the range of f16",
        ),
        (Precision::F32, vec![1.0; 3], "has 3 numbers, not 128"),
    ] {
        let path = folder.path().join(format!("{precision}.parquet"));
        let builder = EmbeddingStore::builder(&path).images(&clip);
        let mut store = builder.precision(precision).open().unwrap();
        let error = store.insert(77, Kind::Image, 1, vector).unwrap_err();
        assert!(
            matches!(error, Error::Vector { movie_id: 77, .. }),
            "{error}"
        );
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.to_string().contains("untrained CLIP"), "{error}");
        assert_eq!(store.vectors(Kind::Image).count(), 0);
        let error = store.insert(77, Kind::Text, 1, vec![1.0]).unwrap_err();
        assert!(
            matches!(
                error,
                Error::NoEncoder {
                    kind: Kind::Text,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn a_file_or_journal_with_a_vector_that_cannot_be_kept_is_refused_with_its_movie() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    let mut store = open(&path, &clip).unwrap();
    let encoders = store.encoders.to_json();
    let mut spoilt = vector(&clip, 1);
    spoilt[2] = f32::NAN;
    for (vector, part) in [(&spoilt[..], "has NaN"), (&spoilt[..2], "has 2 numbers")] {
        let row = Row {
            movie_id: 77,
            kind: Kind::Text,
            source: 1,
            vector,
        };
        store.journal.append(&[row], &encoders).unwrap();
        drop(store);
        let error = open(&path, &clip).unwrap_err().to_string();
        assert!(
            error.contains("journal") && error.contains("movie 77"),
            "{error}"
        );
        assert!(error.contains(part), "{error}");
        fs::remove_file(journal(&path)).unwrap();

        let row = Row {
            movie_id: 77,
            kind: Kind::Text,
            source: 1,
            vector,
        };
        let format = RowFormat::default();
        file::write(&path, format, [row].into_iter(), &encoders).unwrap();
        let error = open(&path, &clip).unwrap_err().to_string();
        assert!(
            !error.contains("journal") && error.contains("movie 77"),
            "{error}"
        );
        assert!(error.contains(part), "{error}");
        fs::remove_file(&path).unwrap();
        store = open(&path, &clip).unwrap();
    }
}

#[test]
fn an_encoder_that_gives_other_lengths_under_the_same_identity_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    let mut store = open(&path, &clip).unwrap();
    store.encoders.0.get_mut(&Kind::Text).unwrap().width = 3;
    let encoders = store.encoders.to_json();
    let none: [Row<'_>; 0] = [];
    file::write(&path, RowFormat::default(), none.into_iter(), &encoders).unwrap();
    drop(store);
    let error = open(&path, &clip).unwrap_err();
    assert!(
        matches!(
            error,
            Error::OtherWidth {
                found: 3,
                expected: 128,
                ..
            }
        ),
        "{error}"
    );
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

    fs::write(&path, &whole).unwrap();
    fs::write(journal(&path), b"somebody else's notes, not a journal").unwrap();
    let error = open(&path, &clip).unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Store {
                problem: StoreProblem::NotAJournal,
                ..
            }
        ),
        "{error}"
    );
    assert!(journal(&path).exists());
}
