//! The very same data have one fingerprint, and any others another.

use std::path::Path;

use mmdlrm_data::generate::{self, GeneratorConfig};
use mmdlrm_data::{
    DataFingerprint, DiskSplit, MovieLens, OpenOptions, RandomSplit, Split, TemporalSplit,
    UnknownMovies, read_posters, read_summaries,
};

use crate::{Folder, good};

fn of(folder: &Folder) -> DataFingerprint {
    MovieLens::open(folder.path()).unwrap().fingerprint()
}

/// What is said to have changed after `spoil`.
fn changes(spoil: impl FnOnce(&Folder)) -> Vec<String> {
    let folder = good();
    let before = of(&folder);
    spoil(&folder);
    let changes = before.changes(&of(&folder));
    changes.iter().map(ToString::to_string).collect()
}

fn replace(folder: &Folder, name: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(folder.file(name)).unwrap();
    assert!(text.contains(from), "{text}");
    folder.write(name, text.replacen(from, to, 1));
}

#[test]
fn whatever_is_changed_is_named_and_nothing_else() {
    assert_eq!(changes(|_| {}), [] as [&str; 0]);
    let ratings = |from, to| changes(|folder| replace(folder, "ratings.csv", from, to));
    assert_eq!(
        ratings("7,5,0.5,300\n", ""),
        ["ratings: 3 then, 2 now", "users: 2 then, 1 now"]
    );
    let others = ["ratings: 3 then and now, but others"];
    assert_eq!(ratings("1,1,4.0,100", "1,1,4.5,100"), others);
    assert_eq!(ratings("1,1,4.0,100", "1,1,4.0,101"), others);
    assert_eq!(
        ratings("1,1,4.0,100\n1,2,3.5,200", "1,2,3.5,200\n1,1,4.0,100"),
        others
    );
    let movies = |from, to| changes(|folder| replace(folder, "movies.csv", from, to));
    assert_eq!(
        movies("5,Up,\n", "5,Up,\n6,New (2001),Crime\n"),
        [
            "movies: 3 then, 4 now",
            "titles: 3 then, 4 now",
            "years: 2 then, 3 now",
            "genres: 2 then, 3 now"
        ]
    );
    assert_eq!(
        movies("Heat", "Heap"),
        ["titles: 3 then and now, but others"]
    );
    assert_eq!(
        movies("(1995)", "(1996)"),
        ["years: 2 then and now, but others"]
    );
    assert_eq!(
        movies("Crime", "Drama"),
        ["genres: 2 then and now, but others"]
    );
    // The order of the table of movies decides nothing.
    let first = "1,Heat (1995),Crime\n2,Big (1988),Comedy\n";
    let second = "2,Big (1988),Comedy\n1,Heat (1995),Crime\n";
    assert_eq!(movies(first, second), [] as [&str; 0]);
}

#[test]
fn a_poster_and_a_plot_are_known_by_what_is_in_them() {
    let folder = Folder::new(&[
        ("1.jpg", b"one"),
        ("2.jpg", b"two"),
        ("posters.csv", b"movieId,poster_path\n1,1.jpg\n2,2.jpg\n"),
        ("plots.csv", b"movieId,summary\n1,A robot.\n2,A witch.\n"),
    ]);
    let of = || {
        let posters = read_posters(&folder.file("posters.csv"), None).unwrap();
        let plots = read_summaries(&folder.file("plots.csv"), None).unwrap();
        DataFingerprint::of_posters(&posters).with(DataFingerprint::of_plots(&plots))
    };
    let before = of();
    let changes = || -> Vec<String> {
        let changes = before.changes(&of());
        changes.iter().map(ToString::to_string).collect()
    };
    assert_eq!(changes(), [] as [&str; 0]);
    folder.write("2.jpg", "new");
    assert_eq!(changes(), ["posters: 2 then and now, but others"]);
    std::fs::remove_file(folder.file("2.jpg")).unwrap();
    assert_eq!(changes(), ["posters: 2 then, 1 now"]);
    folder.write("2.jpg", "two");
    replace(&folder, "plots.csv", "witch", "queen");
    assert_eq!(changes(), ["plots: 2 then and now, but others"]);
    replace(&folder, "plots.csv", "2,A queen.\n", "");
    assert_eq!(changes(), ["plots: 2 then, 1 now"]);
}

#[test]
fn a_split_is_known_by_its_rows() {
    let changes = |before: &Split, now: &Split| -> Vec<String> {
        let changes = before.fingerprint().changes(&now.fingerprint());
        changes.iter().map(ToString::to_string).collect()
    };
    let split = |seed| Split::random(100, 0.2, seed).unwrap();
    assert_eq!(changes(&split(1), &split(1)), [] as [&str; 0]);
    assert_eq!(
        changes(&split(1), &split(2)),
        [
            "training rows: 80 then and now, but others",
            "test rows: 20 then and now, but others"
        ]
    );
    let rows = split(1).train()[..8].to_vec();
    let validated = split(1).with_validation_rows(rows).unwrap();
    assert_eq!(
        changes(&split(1), &validated),
        [
            "training rows: 80 then, 72 now",
            "validation rows: 0 then, 8 now"
        ]
    );
}

fn made_up(dir: &Path, config: &GeneratorConfig) {
    generate::write(dir, config, |_| {}).unwrap();
}

#[test]
fn streamed_ratings_have_the_fingerprint_of_ratings_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let config = GeneratorConfig {
        contents: false,
        ..GeneratorConfig::default()
    };
    made_up(&dir, &config);
    // Ratings of a movie that is not there are left out of both.
    let path = dir.join("ratings.csv");
    let ratings = std::fs::read_to_string(&path).unwrap();
    let ratings = ratings.replacen('\n', "\n1,999999,3.0,5\n", 1);
    std::fs::write(&path, format!("{ratings}90000,999999,3.0,5\n")).unwrap();
    let options = OpenOptions {
        unknown_movies: UnknownMovies::Drop,
        ..OpenOptions::default()
    };
    let memory = options.open(&dir).unwrap();
    let streamed = options.open_streamed(&dir).unwrap();
    assert_eq!(memory.fingerprint().parts()[0].count(), 30_000);
    assert_eq!(streamed.fingerprint(), memory.fingerprint());

    let drawn = RandomSplit {
        test_share: 0.2,
        validation_share: Some(0.1),
        seed: 5,
    };
    let split = Split::random(memory.ratings.len(), 0.2, 5).unwrap();
    let split = split.with_validation(0.1, &memory.ratings).unwrap();
    let drawn = DiskSplit::from(drawn).fingerprint(&streamed.ratings);
    assert_eq!(drawn.unwrap(), split.fingerprint());
    let split = Split::temporal(&memory.ratings, 0.2).unwrap();
    let split = split.with_validation(0.1, &memory.ratings).unwrap();
    let latest = TemporalSplit {
        test_share: 0.2,
        validation_share: Some(0.1),
    };
    let latest = DiskSplit::from(latest).fingerprint(&streamed.ratings);
    assert_eq!(latest.unwrap(), split.fingerprint());
}
