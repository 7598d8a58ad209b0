//! Files that ask for more than they hold: each is refused soon, and in little memory.

use std::fmt::Write;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use mmdlrm_data::{Candidates, MovieLens, OpenOptions};

use crate::{Folder, MOVIES, RATINGS, good, gzip, refusal};

/// A machine that is busy with other things reads a few MiB in this time.
const SOON: Duration = Duration::from_secs(20);
const HEADER: &str = "userId,movieId,rating,timestamp\n";

/// Opens the folder, whole and streamed, and expects an error of one line with all of
/// `parts`, soon.
#[track_caller]
fn refused(folder: &Folder, parts: &[&str]) {
    let options = OpenOptions::default();
    for streamed in [false, true] {
        let start = Instant::now();
        let message = refusal(&options, folder, streamed, parts);
        assert!(message.len() < 600, "{} bytes: {message}", message.len());
        assert!(start.elapsed() < SOON, "{:?}: {message}", start.elapsed());
    }
}

#[test]
fn a_row_that_does_not_end_is_given_up() {
    let long = vec![b'x'; 32 << 20];
    let after = |text: &str| [text.as_bytes(), &long].concat();
    let parts = ["no end within 4 MiB"];
    for (text, line) in [
        (after(RATINGS), "line 5"),
        (after(""), "line 1"),
        (after("userId,movieId,rating,timestamp,"), "line 1"),
        (after(&format!("{HEADER}1,1,4.0,100,\"")), "line 2"),
        // As a disk leaves a file when the power goes.
        ([RATINGS.as_bytes(), &vec![0; 32 << 20]].concat(), "line 5"),
    ] {
        let folder = good();
        folder.write("ratings.csv", &text);
        refused(&folder, &["ratings.csv, ", line, parts[0]]);
        std::fs::remove_file(folder.file("ratings.csv")).unwrap();
        folder.write("ratings.csv.gz", gzip(&text));
        refused(&folder, &["ratings.csv.gz, ", line, parts[0]]);
    }
    let folder = good();
    folder.write("movies.csv", after(MOVIES));
    refused(&folder, &["movies.csv, line 5", parts[0]]);
    for (ratings, movies, others) in [
        ("u.data", "u.item", "u.genre"),
        ("ratings.dat", "movies.dat", "x"),
    ] {
        let folder = Folder::new(&[(others, b"x|0\n"), (movies, &long), (ratings, &long)]);
        refused(&folder, &[movies, ", line 1", parts[0]]);
    }
    let folder = Folder::new(&[("movies.dat", b"1::Heat (1995)::Crime\n")]);
    folder.write("ratings.dat", after("1::1::5::3\n"));
    refused(&folder, &["ratings.dat, line 2", parts[0]]);
}

/// Without a bound this would take all memory.
#[cfg(target_os = "linux")]
#[test]
fn a_file_without_an_end_is_given_up() {
    let folder = good();
    std::fs::remove_file(folder.file("ratings.csv")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.file("ratings.csv")).unwrap();
    refused(&folder, &["ratings.csv, line 1", "no end within 4 MiB"]);
}

#[test]
fn a_row_of_almost_the_longest_is_read() {
    let folder = good();
    let title = "x".repeat(4_000_000);
    folder.write("movies.csv", format!("{MOVIES}9,\"{title}\",\n"));
    let movielens = MovieLens::open(folder.path()).unwrap();
    assert_eq!(movielens.movies.title(3), title);
}

#[test]
fn rows_of_nothing_are_no_ratings() {
    let folder = good();
    folder.write("ratings.csv", format!("{HEADER}{}", "\n".repeat(3 << 20)));
    refused(&folder, &["ratings.csv is empty"]);
    folder.write("ratings.csv", format!("{HEADER}{}", "\n".repeat(32 << 20)));
    refused(&folder, &["ratings.csv, line 2", "no end within 4 MiB"]);
}

#[test]
fn a_header_of_very_many_columns_is_read_in_one_go() {
    let mut text = HEADER.trim_end().to_owned();
    for column in 0..450_000 {
        write!(text, ",c{column}").unwrap();
    }
    let folder = good();
    folder.write(
        "ratings.csv",
        format!("{text}\n{}", &RATINGS[HEADER.len()..]),
    );
    refused(
        &folder,
        &[
            "ratings.csv, line 2",
            "4 fields where the header has 450004",
        ],
    );
    folder.write("ratings.csv", format!("{text},c7\n"));
    refused(&folder, &["names column 'c7' twice"]);
}

#[test]
fn what_unpacks_to_far_more_than_it_holds_is_given_up() {
    // Rows of a MiB, and as many of them, one after another, as unpack to 300.
    let row = format!("1,1,4.0,100,{}\n", "x".repeat(1 << 20));
    let mut packed = gzip(format!("{},x\n", HEADER.trim_end()).as_bytes());
    packed.extend(gzip(row.as_bytes()).repeat(300));
    assert!(packed.len() < 1 << 20);
    let folder = good();
    std::fs::remove_file(folder.file("ratings.csv")).unwrap();
    folder.write("ratings.csv.gz", packed);
    refused(
        &folder,
        &[
            "ratings.csv.gz, line 2",
            "unpacks to more than 256 MiB and 200 times its length",
        ],
    );
}

/// A folder with a genome of so many tags, and one score of each of so many movies.
fn with_genome(tags: u32, movies: u32) -> Folder {
    let folder = good();
    let mut text = "tagId,tag\n".to_owned();
    (1..=tags).for_each(|tag| writeln!(text, "{tag},t").unwrap());
    folder.write("genome-tags.csv", text);
    let mut text = "movieId,tagId,relevance\n".to_owned();
    (1..=movies).for_each(|movie| writeln!(text, "{movie},1,0.5").unwrap());
    folder.write("genome-scores.csv", text);
    folder
}

#[test]
fn a_genome_that_two_small_files_make_huge_is_refused() {
    // 30,000 × 30,000 numbers would be 3.4 GiB, of 0.5 MB of files.
    refused(
        &with_genome(30_000, 30_000),
        &[
            "genome-scores.csv",
            "30000 movies × 30000 tags",
            "the 30000 scores here",
        ],
    );
    let genome = |folder: &Folder| MovieLens::open(folder.path()).unwrap().genome;
    let sparse = genome(&with_genome(300, 3000)).unwrap();
    assert_eq!((sparse.width(), sparse.scores().num_rows()), (300, 3000));
}

#[test]
fn a_score_of_the_genome_that_stands_twice_is_refused() {
    let folder = good();
    folder.write("genome-tags.csv", "tagId,tag\n1,noir\n2,robot\n");
    let scores = "movieId,tagId,relevance\n1,1,0.5\n1,2,0\n2,1,0.5\n1,2,0.25\n";
    folder.write("genome-scores.csv", scores);
    refused(
        &folder,
        &[
            "genome-scores.csv, line 5, column 'tagId': '2'",
            "earlier line",
        ],
    );
    folder.write(
        "genome-scores.csv",
        "movieId,tagId,relevance\n1,1,0.5\n2,2,0.25\n",
    );
    let genome = MovieLens::open(folder.path()).unwrap().genome.unwrap();
    let values = genome.scores().column(1).as_fixed_size_list().values();
    let values = values.as_primitive::<Float32Type>().values();
    assert_eq!(values[..], [0.5, 0.0, 0.0, 0.25]);
}

#[test]
fn a_year_of_release_that_is_none_is_refused() {
    for date in [
        "01-Jan-2000000000",
        "01-Jan--2000000000",
        "01-Jan-95",
        "soon",
    ] {
        let folder = Folder::new(&[("u.genre", b"x|0\n"), ("u.data", b"1\t1\t3\t5\n")]);
        folder.write("u.item", format!("1|Heat|{date}|||1\n"));
        refused(
            &folder,
            &["u.item, line 1, column 'releaseDate'", date, "01-Jan-1995"],
        );
    }
    // The year of the title comes first, and there may be no date.
    let folder = Folder::new(&[("u.genre", b"x|0\n"), ("u.data", b"1\t1\t3\t5\n")]);
    folder.write("u.item", "1|Heat (1995)||||1\n");
    let movielens = MovieLens::open(folder.path()).unwrap();
    assert_eq!(movielens.movies.year(0), Some(1995));
}

#[test]
fn candidates_without_bounds_are_compared_in_one_go() {
    let folder = good();
    let mut movies = MOVIES.to_owned();
    (10..130_000).for_each(|movie| writeln!(movies, "{movie},x,").unwrap());
    folder.write("movies.csv", movies);
    let movielens = MovieLens::open(folder.path()).unwrap();
    let (mut header, mut row) = ("userId,heldOutMovieId".to_owned(), "1,1".to_owned());
    for movie in 10..130_000 {
        write!(header, ",o{movie}").unwrap();
        write!(row, ",{movie}").unwrap();
    }
    folder.write("candidates.csv", format!("{header}\n{row}\n"));
    let start = Instant::now();
    let candidates = Candidates::read(&folder.file("candidates.csv"), &movielens).unwrap();
    assert_eq!(candidates.movies().len(), 129_991);
    assert!(start.elapsed() < SOON / 4, "{:?}", start.elapsed());
}
