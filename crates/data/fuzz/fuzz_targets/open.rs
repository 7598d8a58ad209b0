//! Opens folders of any bytes: each is read, or refused with one line.
//!
//! The first byte says which release, whether it is compressed, and which of
//! its files get the bytes; the others are good. Good ones are written as releases are, and as
//! other programs write them.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mmdlrm_data::{Duplicates, HIGHEST_RATING, LOWEST_RATING, OpenOptions, UnknownMovies};
use tempfile::TempDir;

/// Each release's files with good bytes, the first ones required.
const RELEASES: [&[(&str, &str)]; 8] = [
    &[
        ("ratings.csv", "userId,movieId,rating,timestamp\n1,1,4.0,9\n"),
        ("movies.csv", "movieId,title,genres\n1,A (1990),X|Y\n"),
        ("tags.csv", "userId,movieId,tag,timestamp\n1,1,\"a, \"\"b\"\"\",9\n"),
        ("links.csv", "movieId,imdbId,tmdbId\n1,01,\n"),
        ("genome-tags.csv", "tagId,tag\n1,t\n"),
        ("genome-scores.csv", "movieId,tagId,relevance\n1,1,0.5\n"),
    ],
    &[
        ("u.data", "1\t1\t4\t9\n"),
        ("u.item", "1|A (1990)|01-Jan-1990||u|0|1\n"),
        ("u.genre", "unknown|0\nX|1\n"),
        ("u.user", "1|24|M|writer|Z\n"),
    ],
    &[
        ("ratings.dat", "1::1::4::9\n"),
        ("movies.dat", "1::A (1990)::X|Y\n"),
        ("users.dat", "1::F::18::3::Z\n"),
    ],
    &[
        ("ratings.dat", "1::1::4.5::9\n"),
        ("movies.dat", "1::A :: B (1990)::X|Y\n"),
        ("tags.dat", "1::1::a::b::9\n"),
    ],
    // As data frames write them.
    &[
        ("ratings.csv", ",userId,movieId,rating,timestamp\n0,1.0,1.0,4.0,1.2e+09\n"),
        ("movies.csv", "Unnamed: 0,movieId,title,genres\n0,1.0,A (1990),\"['X', 'Y']\"\n"),
        ("tags.csv", "userId,movieId,tag,timestamp\n1.0,1.0,a,\"2005-04-02 23:53:47+02:00\"\n"),
        ("links.csv", "movieId,imdbId,tmdbId\n1.0,01,2.0\n"),
    ],
    // As spreadsheets do.
    &[
        ("ratings.csv", "sep=;\r\nuser_id;item_id;rating;date\r\n1;1;4,5;2005-04-02\r\n;;;\r\n"),
        ("movies.csv", "\u{feff}movieId;title;genres\r1;A (1990);X|Y\r"),
        ("tags.csv", "userId\tmovieId\ttag\n1\t1\ta\n"),
    ],
    // Without times, and without headers.
    &[
        ("ratings.csv", "userId,movieId,rating\n1,1,4.0\n"),
        ("movies.csv", "1,A (1990),X|Y\n"),
        ("tags.csv", "1,1,a,1112486027000\n"),
    ],
    &[
        ("ratings.dat", "UserID::MovieID::Rating\n1::1::4\n"),
        ("movies.dat", "1,A (1990),X|Y\n"),
    ],
];

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a folder for the files")
});

fuzz_target!(|data: &[u8]| {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    let files = RELEASES[choice as usize % RELEASES.len()];
    let fuzzed = choice as usize / RELEASES.len() % 8;
    let compressed = choice >= 128;
    for entry in std::fs::read_dir(FOLDER.path()).expect("the folder") {
        std::fs::remove_file(entry.expect("an entry").path()).expect("removed");
    }
    for (number, (name, good)) in files.iter().enumerate() {
        let is_fuzzed = number == fuzzed % files.len();
        let bytes = if is_fuzzed { bytes } else { good.as_bytes() };
        let suffix = if is_fuzzed && compressed { ".gz" } else { "" };
        let path = FOLDER.path().join(format!("{name}{suffix}"));
        std::fs::write(path, bytes).expect("written");
    }
    let options = OpenOptions {
        unknown_movies: UnknownMovies::Drop,
        duplicates: Duplicates::KeepLatest,
        ..OpenOptions::default()
    };
    match options.open(FOLDER.path()) {
        Ok(movielens) => {
            let ratings = &movielens.ratings;
            let scale = LOWEST_RATING..=HIGHEST_RATING;
            assert!(ratings.stars().iter().all(|stars| scale.contains(stars)));
            let movies = movielens.movies.index();
            assert!(ratings.movie_ids().iter().all(|&id| movies.row(id).is_some()));
        }
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
});
