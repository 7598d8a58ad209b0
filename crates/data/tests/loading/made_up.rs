//! Made-up folders: what is not theirs stays.

use std::path::Path;

use mmdlrm_data::generate::{self, GeneratorConfig};
use mmdlrm_data::{Error, MovieLens, Result};

fn config(seed: u64) -> GeneratorConfig {
    GeneratorConfig {
        seed,
        ..GeneratorConfig::tiny()
    }
}

fn write(dir: &Path, seed: u64) -> Result<()> {
    generate::write(dir, &config(seed), |_| {})
}

/// Expects that a folder of other settings does not take the place of `dir`, since
/// `file` there stands in the way, and that nothing has been removed or left beside.
#[track_caller]
fn refused(dir: &Path, file: &str, part: &str) {
    let before = names(dir);
    let error = write(dir, 8).unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains(file) && message.contains(part),
        "{message}"
    );
    assert_eq!(names(dir), before);
    assert_eq!(names(dir.parent().unwrap()).len(), 1);
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_made_up_folder_gives_way_to_one_of_other_settings_and_stays_for_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("made");
    write(&dir, 7).unwrap();
    let ratings = || std::fs::read(dir.join("ratings.csv")).unwrap();
    let (first, written) = (ratings(), modified(&dir.join("ratings.csv")));
    write(&dir, 7).unwrap();
    assert_eq!(modified(&dir.join("ratings.csv")), written);
    write(&dir, 8).unwrap();
    assert!(ratings() != first);
    write(&dir, 7).unwrap();
    assert!(ratings() == first);
    assert_eq!(names(folder.path()), ["made"]);
    assert_eq!(MovieLens::open(&dir).unwrap().ratings.len(), 300);
}

fn modified(path: &Path) -> std::time::SystemTime {
    std::fs::metadata(path).unwrap().modified().unwrap()
}

#[test]
fn what_somebody_put_into_a_made_up_folder_is_not_removed() {
    for file in ["notes.txt", "posters/mine.jpg", ".mmdlrm/ratings.parquet"] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("made");
        write(&dir, 7).unwrap();
        std::fs::create_dir_all(dir.join(file).parent().unwrap()).unwrap();
        std::fs::write(dir.join(file), "mine").unwrap();
        refused(&dir, file, "was not made with the folder");
        assert_eq!(std::fs::read(dir.join(file)).unwrap(), b"mine");
        // It is no matter where the folder may stay.
        write(&dir, 7).unwrap();
    }
}

#[test]
fn a_made_up_file_that_somebody_changed_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("made");
    write(&dir, 7).unwrap();
    let path = dir.join("ratings.csv");
    let mut text = std::fs::read(&path).unwrap();
    // Of the same length.
    *text.iter_mut().rfind(|byte| byte.is_ascii_digit()).unwrap() ^= 1;
    std::fs::write(&path, &text).unwrap();
    refused(&dir, "ratings.csv", "has changed since it was made");
    assert!(std::fs::read(&path).unwrap() == text);
    // Of another, it is not what was asked for either.
    text.extend(b"1,1,5.0,1\n");
    std::fs::write(&path, &text).unwrap();
    let message = write(&dir, 7).unwrap_err().to_string();
    assert!(message.contains("ratings.csv has changed"), "{message}");
}

#[test]
fn a_folder_that_only_looks_made_up_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("made");
    std::fs::create_dir(&dir).unwrap();
    let readme = "A made-up MovieLens folder: 20 users, and all that I have.\n";
    std::fs::write(dir.join("README.txt"), readme).unwrap();
    std::fs::write(dir.join("thesis.tex"), "…").unwrap();
    refused(&dir, "made", "holds files that were not made up here");
    std::fs::write(dir.join("made-up.json"), "{}").unwrap();
    refused(&dir, "made", "holds files that were not made up here");
    let file = folder.path().join("made/thesis.tex");
    let message = write(&file, 7).unwrap_err().to_string();
    assert!(message.contains("thesis.tex is no folder"), "{message}");
}

/// The list is not believed where it names files elsewhere.
#[cfg(unix)]
#[test]
fn a_link_out_of_a_made_up_folder_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("a.jpg"), "mine").unwrap();
    let dir = folder.path().join("made");
    write(&dir, 7).unwrap();
    std::fs::remove_dir_all(dir.join("posters")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), dir.join("posters")).unwrap();
    refused(&dir, "posters", "was not made with the folder");
    assert_eq!(names(elsewhere.path()), ["a.jpg"]);
}

#[test]
fn a_made_up_folder_that_lacks_a_file_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("made");
    write(&dir, 7).unwrap();
    let before = names(&dir);
    std::fs::remove_file(dir.join("tags.csv")).unwrap();
    std::fs::remove_dir_all(dir.join("posters")).unwrap();
    write(&dir, 7).unwrap();
    assert_eq!(names(&dir), before);
    assert!(names(&dir.join("posters")).len() > 20);
}

#[test]
fn an_empty_folder_is_filled() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 7).unwrap();
    assert_eq!(MovieLens::open(folder.path()).unwrap().ratings.len(), 300);
}

#[test]
fn more_ratings_than_pairs_are_refused_however_many() {
    let folder = tempfile::tempdir().unwrap();
    let config = GeneratorConfig {
        ratings: 1 << 63,
        ..GeneratorConfig::tiny()
    };
    let error = generate::write(&folder.path().join("made"), &config, |_| {}).unwrap_err();
    assert!(error.to_string().contains("at most half"), "{error}");
}
