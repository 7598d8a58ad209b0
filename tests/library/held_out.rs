//! Ratings of which the held-out ones are replaced: nothing that is learned may change by it.

use std::collections::HashSet;
use std::fs;

use mmdlrm::data::{MovieLens, Split, generate};

pub const RATINGS: usize = 3000;

/// A made-up folder's ratings, `held_out` replacing movie, stars and time of the test rows; it
/// gets the row, its columns, and whether the user has no rating of a movie.
pub fn with_held_out(
    held_out: impl Fn(usize, &[&str], &dyn Fn(&str) -> bool) -> String,
) -> (MovieLens, Split) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    let config = generate::GeneratorConfig {
        users: 80,
        movies: 100,
        ratings: RATINGS as u64,
        seed: 9,
        contents: false,
    };
    generate::write(&dir, &config, |_| {}).unwrap();
    let split = Split::random(RATINGS, 0.2, 42).unwrap();
    let path = dir.join("ratings.csv");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let mut written: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut rated: HashSet<(String, String)> = HashSet::new();
    for line in &lines {
        rated.insert((line[0].to_owned(), line[1].to_owned()));
    }
    for &row in split.test() {
        let columns = &lines[row as usize + 1];
        let user = columns[0];
        let is_free = |movie: &str| !rated.contains(&(user.to_owned(), movie.to_owned()));
        let replaced = held_out(row as usize, columns, &is_free);
        let movie = replaced.split(',').next().unwrap();
        rated.insert((user.to_owned(), movie.to_owned()));
        written[row as usize + 1] = format!("{user},{replaced}");
    }
    fs::write(&path, written.join("\n")).unwrap();
    (MovieLens::open(&dir).unwrap(), split)
}
