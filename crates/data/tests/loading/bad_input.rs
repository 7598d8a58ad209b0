use mmdlrm_data::{Duplicates, Error, MovieLens, OpenOptions, UnknownMovies};

use crate::{Folder, MOVIES, RATINGS, good, gzip, refusal};

/// Opens the folder and expects an error of one line with all of `parts`; no
/// cache may be left behind.
#[track_caller]
fn refused(folder: &Folder, parts: &[&str]) {
    let cache = folder.file("cache");
    let options = OpenOptions {
        cache: Some(cache.clone()),
        ..OpenOptions::default()
    };
    for streamed in [false, true] {
        let message = refusal(&options, folder, streamed, parts);
        assert!(message.len() < 500, "{} bytes: {message}", message.len());
    }
}

#[track_caller]
fn refused_without_cache(folder: &Folder, parts: &[&str]) {
    refused(folder, parts);
    let left = std::fs::read_dir(folder.file("cache"));
    assert_eq!(
        left.map_or(0, Iterator::count),
        0,
        "something is left in the cache"
    );
}

/// A folder whose line 3 of `ratings.csv` is `row`.
fn with_row(row: impl AsRef<[u8]>) -> Folder {
    let folder = good();
    let mut lines: Vec<&[u8]> = RATINGS.as_bytes().split(|&byte| byte == b'\n').collect();
    lines[2] = row.as_ref();
    folder.write("ratings.csv", lines.join(&b'\n'));
    folder
}

fn with_ratings(text: impl AsRef<[u8]>) -> Folder {
    let folder = good();
    folder.write("ratings.csv", text);
    folder
}

#[test]
fn rows_that_are_not_ratings() {
    for (row, column, text) in [
        ("one,2,3.5,200", "userId", "'one' is not an id"),
        ("-1,2,3.5,200", "userId", "'-1' is not an id"),
        ("1,-2,3.5,200", "movieId", "'-2' is not an id"),
        (
            "1,4294967296,3.5,200",
            "movieId",
            "'4294967296' is not an id",
        ),
        ("1,2.5,3.5,200", "movieId", "'2.5' is not an id"),
        ("1,,3.5,200", "movieId", "'' is not an id"),
        ("1,2,high,200", "rating", "'high' is not a number"),
        ("1,2,NaN,200", "rating", "'NaN' is not a finite number"),
        ("1,2,inf,200", "rating", "'inf' is not a finite number"),
        ("1,2,-1,200", "rating", "'-1' is outside the scale"),
        ("1,2,5.3,200", "rating", "'5.3' is outside the scale"),
        ("1,2,0,200", "rating", "'0' is outside the scale"),
        ("1,2,35,200", "rating", "'35' is outside the scale"),
        (
            "1,2,3.5,yesterday",
            "timestamp",
            "'yesterday' is not a timestamp",
        ),
        ("1,2,3.5,-5", "timestamp", "'-5' is not a timestamp"),
        (
            "1,2,3.5,4294967296",
            "timestamp",
            "'4294967296' is not a timestamp",
        ),
        ("1\u{0},2,3.5,200", "userId", "'1\\0' is not an id"),
    ] {
        let place = format!("ratings.csv, line 3, column '{column}'");
        refused_without_cache(&with_row(row), &[&place, text]);
    }
}

#[test]
fn rows_of_another_width() {
    refused_without_cache(
        &with_row("1,2,3.5"),
        &[
            "ratings.csv, line 3",
            "the row '1,2,3.5' has 3 fields where the header has 4",
        ],
    );
    refused_without_cache(&with_row("1,2,3.5,200,9"), &["line 3", "5 fields"]);
}

#[test]
fn invalid_utf_8() {
    refused_without_cache(
        &with_row(b"1,2\xff,3.5,200"),
        &["line 3, column 'movieId'", "is not an id"],
    );
    let folder = good();
    folder.write("movies.csv", b"movieId,title,genres\n1,H\xe9at,Crime\n");
    refused(
        &folder,
        &["movies.csv, line 2, column 'title'", "not UTF-8"],
    );
}

#[test]
fn a_nul_byte_in_a_title() {
    let folder = good();
    folder.write("movies.csv", b"movieId,title,genres\n1,He\0at,Crime\n");
    refused(
        &folder,
        &["movies.csv, line 2, column 'title'", "'He\\0at'", "NUL"],
    );
}

#[test]
fn a_quote_that_is_left_open() {
    for (text, line) in [
        (
            "movieId,title,genres\n1,\"Heat,Crime\n2,Big,Comedy\n5,Up,\n",
            "line 2",
        ),
        // In the last column it would swallow rows and look whole.
        (
            "movieId,title,genres\n1,Heat,Crime\n2,Big,\"Comedy\n5,Up,\n",
            "line 3",
        ),
        (
            "movieId,title,genres\n1,Heat,Crime\n2,Big,Comedy\n5,Up,\"Crime",
            "line 4",
        ),
    ] {
        let folder = good();
        folder.write("movies.csv", text);
        refused(&folder, &["movies.csv", line, "quote"]);
    }
    refused_without_cache(
        &with_row("1,2,3.5,\"200"),
        &["ratings.csv, line 3", "quote"],
    );
}

#[test]
fn utf_16() {
    for little in [true, false] {
        let mut bytes = Vec::new();
        for unit in format!("\u{feff}{RATINGS}").encode_utf16() {
            bytes.extend(if little {
                unit.to_le_bytes()
            } else {
                unit.to_be_bytes()
            });
        }
        refused_without_cache(
            &with_ratings(bytes),
            &["ratings.csv, line 1", "UTF-16", "UTF-8"],
        );
    }
}

#[test]
fn odd_files_that_are_whole_are_accepted() {
    for text in [
        format!("\u{feff}{RATINGS}"),
        RATINGS.replace('\n', "\r\n"),
        format!("\u{feff}{}", RATINGS.replace('\n', "\r\n")),
        format!("{RATINGS}\n"),
        format!("{RATINGS}\r\n"),
        format!("{RATINGS}\n\n\n"),
        RATINGS.trim_end().to_owned(),
        RATINGS.replace("1,2,3.5,200", "\"1\",\"2\",\"3.5\",\"200\""),
        RATINGS.replace("userId,movieId", "\"userId\",\"movieId\""),
        RATINGS.replace("1,2,3.5,200", " 1, 2,3.50, 200 "),
        RATINGS
            .replace(",rating", ",rating,x")
            .replace(".0,", ".0,a,")
            .replace(".5,", ".5,b,"),
    ] {
        let movielens = MovieLens::open(with_ratings(&text).path()).unwrap();
        let ratings = &movielens.ratings;
        assert_eq!(ratings.user_ids(), [1, 1, 7], "{text:?}");
        assert_eq!(ratings.stars(), [4.0, 3.5, 0.5], "{text:?}");
        assert_eq!(ratings.timestamps(), [100, 200, 300], "{text:?}");
    }
}

#[test]
fn files_without_rows() {
    refused_without_cache(
        &with_ratings(""),
        &["ratings.csv is empty", "userId,movieId"],
    );
    refused_without_cache(&with_ratings("\n\n"), &["ratings.csv is empty"]);
    refused_without_cache(
        &with_ratings("userId,movieId,rating,timestamp\n"),
        &["is empty"],
    );
    let folder = good();
    folder.write("movies.csv", "movieId,title,genres\n");
    refused(&folder, &["movies.csv is empty"]);
    let folder = Folder::new(&[
        ("u.data", b""),
        ("u.item", b"1|a||||0\n"),
        ("u.genre", b"x|0\n"),
    ]);
    refused_without_cache(&folder, &["u.data is empty"]);
}

#[test]
fn what_is_not_there_or_not_a_file() {
    refused(&Folder::new(&[]), &["cannot read", "movies.csv"]);
    let folder = good();
    std::fs::remove_file(folder.file("ratings.csv")).unwrap();
    refused_without_cache(&folder, &["cannot read", "ratings.csv"]);
    std::fs::create_dir(folder.file("ratings.csv")).unwrap();
    refused_without_cache(&folder, &["cannot read", "ratings.csv", "directory"]);
}

#[test]
fn missing_and_doubled_columns() {
    let text = RATINGS.replace("rating", "stars");
    refused_without_cache(
        &with_ratings(text),
        &["no column 'rating'", "userId,movieId,stars"],
    );
    let text = RATINGS.replace("movieId", "userId");
    refused_without_cache(&with_ratings(text), &["'userId' twice"]);
}

#[test]
fn long_text_is_cut() {
    let row = format!("{},2,3.5,200", "9".repeat(100_000));
    refused_without_cache(&with_row(row), &["line 3, column 'userId'", "…"]);
    let row = format!("1,2,3.5,200,{}", "x,".repeat(50_000));
    refused_without_cache(&with_row(row), &["line 3", "…"]);
}

#[test]
fn a_compressed_file_that_is_cut_or_none() {
    let rows: String = (1..2000)
        .map(|user| format!("{user},1,3.5,{}\n", user * 7919))
        .collect();
    let text = format!("userId,movieId,rating,timestamp\n{rows}");
    let whole = gzip(text.as_bytes());
    let folder = good();
    std::fs::remove_file(folder.file("ratings.csv")).unwrap();
    for bytes in [
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 4],
        b"no gzip at all",
        b"",
    ] {
        folder.write("ratings.csv.gz", bytes);
        let parts = ["ratings.csv.gz, after line ", "damaged or cut short"];
        refused_without_cache(&folder, &parts);
    }
}

#[test]
fn ratings_of_movies_that_are_not_in_the_table() {
    let text = format!("{RATINGS}7,99,4,400\n8,99,4,500\n8,98,4,500\n");
    let folder = with_ratings(text);
    let parts = [
        "ratings.csv, line 5",
        "'99' is not a movie of movies.csv",
        "3 ratings",
        "2 in number",
    ];
    refused(&folder, &parts);
    let options = OpenOptions {
        unknown_movies: UnknownMovies::Drop,
        ..OpenOptions::default()
    };
    let movielens = options.open(folder.path()).unwrap();
    assert_eq!(movielens.ratings.user_ids(), [1, 1, 7]);
    assert_eq!(movielens.left_out.of_unknown_movies, 3);
    assert_eq!(movielens.left_out.unknown_movies, [98, 99]);
    let streamed = options.open_streamed(folder.path()).unwrap();
    assert_eq!(streamed.ratings.len(), 3);
    assert_eq!(streamed.ratings.left_out(), &movielens.left_out);
}

#[test]
fn a_duplicate_is_found_on_its_own_line_among_ratings_that_are_dropped() {
    let folder = with_ratings(format!("{RATINGS}7,99,4,400\n7,98,4,500\n7,5,4,500\n"));
    let options = OpenOptions {
        unknown_movies: UnknownMovies::Drop,
        ..OpenOptions::default()
    };
    for error in [
        options.open(folder.path()).err(),
        options.open_streamed(folder.path()).err(),
    ] {
        let message = error.unwrap().to_string();
        assert!(
            message.contains("line 7, column 'movieId': '5'"),
            "{message}"
        );
    }
}

#[test]
fn a_movie_that_stands_twice() {
    let folder = good();
    folder.write("movies.csv", format!("{MOVIES}2,Big again,\n"));
    refused(
        &folder,
        &[
            "movies.csv, line 5, column 'movieId'",
            "'2'",
            "earlier line",
        ],
    );
}

#[test]
fn a_pair_that_is_rated_twice() {
    // Sorted by user or not: they are looked for in different ways.
    for (more, users, stars) in [
        ("7,5,4,200\n7,5,3,300\n", [1, 1, 7], [0.5, 3.0]),
        (
            "7,5,4,200\n7,1,2,1\n7,5,3,300\n1,2,3,10\n",
            [1, 1, 7],
            [0.5, 3.0],
        ),
    ] {
        let folder = with_ratings(format!("{RATINGS}{more}"));
        refused(
            &folder,
            &[
                "ratings.csv, line 5, column 'movieId'",
                "'5' was rated by this user",
            ],
        );
        let open = |duplicates: Duplicates| {
            let options = OpenOptions {
                duplicates,
                ..OpenOptions::default()
            };
            options.open(folder.path()).unwrap()
        };
        let of_pair = |movielens: &MovieLens| -> Vec<f32> {
            let ratings = &movielens.ratings;
            (0..ratings.len())
                .filter(|&row| (ratings.user_ids()[row], ratings.movie_ids()[row]) == (7, 5))
                .map(|row| ratings.stars()[row])
                .collect()
        };
        let first = open(Duplicates::KeepFirst);
        assert_eq!(of_pair(&first), [stars[0]]);
        assert_eq!(first.ratings.user_ids()[..3], users);
        let latest = open(Duplicates::KeepLatest);
        assert_eq!(of_pair(&latest), [stars[1]]);
        assert_eq!(latest.left_out.duplicates, first.left_out.duplicates);
        let all = open(Duplicates::KeepAll);
        assert_eq!(of_pair(&all).len(), 3);
        assert_eq!(
            all.ratings.len(),
            first.ratings.len() + first.left_out.duplicates
        );
    }
}

#[test]
fn streamed_ratings_cannot_keep_one_of_several() {
    let folder = with_ratings(format!("{RATINGS}7,5,4,200\n"));
    let streamed = |duplicates: Duplicates| {
        let options = OpenOptions {
            duplicates,
            ..OpenOptions::default()
        };
        options.open_streamed(folder.path())
    };
    let error = streamed(Duplicates::KeepLatest).err().unwrap();
    assert!(matches!(error, Error::Setting { .. }), "{error}");
    assert_eq!(streamed(Duplicates::KeepAll).unwrap().ratings.len(), 4);
    // Users that do not stand together.
    let folder = with_ratings(format!("{RATINGS}1,5,4,200\n"));
    let error = OpenOptions::default().open_streamed(folder.path()).err();
    assert!(error.unwrap().to_string().contains("sort the file by user"));
}

#[test]
fn other_tables_are_checked_too() {
    for (name, text, parts) in [
        (
            "tags.csv",
            "userId,movieId,tag,timestamp\n1,x,fun,3\n",
            ["tags.csv, line 2", "'x' is not an id"],
        ),
        (
            "tags.csv",
            "userId,movieId,tag,timestamp\n1,2,\"fun,3\n",
            ["tags.csv, line 2", "quote"],
        ),
        (
            "links.csv",
            "movieId,imdbId\n1,2\n",
            ["links.csv", "no column 'tmdbId'"],
        ),
        (
            "genome-scores.csv",
            "movieId,tagId,relevance\n1,3,0.5\n",
            ["line 2, column 'tagId'", "'3' is not a tag"],
        ),
        (
            "genome-scores.csv",
            "movieId,tagId,relevance\n1,1,1.5\n",
            ["column 'relevance'", "'1.5'"],
        ),
    ] {
        let folder = good();
        folder.write("genome-tags.csv", "tagId,tag\n1,noir\n");
        folder.write(name, text);
        let message = MovieLens::open(folder.path()).unwrap_err().to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    let folder = Folder::new(&[
        ("ratings.dat", b"1::1::5::3\n"),
        ("movies.dat", b"1::Heat::Crime\n"),
        ("users.dat", b"1::F::1::77::1\n"),
    ]);
    let message = MovieLens::open(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("users.dat, line 1, column 'occupation': '77'"),
        "{message}"
    );
    let folder = Folder::new(&[
        ("ratings.dat", b"1:1:5:3\n"),
        ("movies.dat", b"1::Heat::Crime\n"),
    ]);
    let message = MovieLens::open(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("ratings.dat, line 1") && message.contains("1 fields"),
        "{message}"
    );
}
