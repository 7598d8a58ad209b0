//! Ratings as other programs write them.
//!
//! All texts are of one table. Where pandas is named, pandas 3.1 wrote them from
//! `table = pd.DataFrame(dict(userId=[1, 1, 7], movieId=[1, 2, 5], rating=[4.0, 3.5, 0.5],
//! timestamp=[1223698484, 1112486027, 964982703]))`, and gives those times for them:
//! `pd.to_datetime(…, utc=True)`, with `unit=` for numbers, floored to seconds.

use mmdlrm_data::arrow_array::RecordBatch;
use mmdlrm_data::{
    MovieLens, OpenOptions, RandomSplit, Ratings, Split, StreamedSplit, TemporalSplit,
};

use crate::{Folder, good, gzip, refusal};

const TIMES: [u32; 3] = [1_223_698_484, 1_112_486_027, 964_982_703];

/// What the folder's ratings are, however it is opened.
#[track_caller]
fn check(folder: &Folder, what: &str, times: [u32; 3]) {
    let check = |ratings: &Ratings| {
        assert_eq!(ratings.user_ids(), [1, 1, 7], "{what}");
        assert_eq!(ratings.movie_ids(), [1, 2, 5], "{what}");
        assert_eq!(ratings.stars(), [4.0, 3.5, 0.5], "{what}");
        assert_eq!(ratings.timestamps(), times, "{what}");
        assert_eq!(ratings.has_times(), times != [0; 3], "{what}");
    };
    let cached = OpenOptions {
        cache: Some(folder.file("cache")),
        ..OpenOptions::default()
    };
    check(&MovieLens::open(folder.path()).unwrap().ratings);
    check(&cached.open(folder.path()).unwrap().ratings);
    let again = cached.open(folder.path()).unwrap();
    assert!(again.from_cache);
    check(&again.ratings);
    std::fs::remove_dir_all(folder.file("cache")).unwrap();
    for _ in 0..2 {
        let streamed = cached.open_streamed(folder.path()).unwrap().ratings;
        assert_eq!(streamed.has_times(), times != [0; 3], "{what}");
        let mut seen = Vec::new();
        let take = |rated: &[mmdlrm_data::Rated]| {
            seen.extend(rated.iter().map(|rated| rated.timestamp));
            Ok::<_, mmdlrm_data::Error>(())
        };
        streamed.for_each(take).unwrap();
        assert_eq!(seen, times, "{what}");
    }
    std::fs::remove_dir_all(folder.file("cache")).unwrap();
}

#[track_caller]
fn read(text: impl AsRef<[u8]>, times: [u32; 3]) {
    let text = text.as_ref();
    let folder = good();
    folder.write("ratings.csv", text);
    let shown = String::from_utf8_lossy(text).into_owned();
    check(&folder, &shown, times);
    let folder = good();
    std::fs::remove_file(folder.file("ratings.csv")).unwrap();
    folder.write("ratings.csv.gz", gzip(text));
    check(&folder, &shown, times);
}

#[track_caller]
fn refused(text: impl AsRef<[u8]>, parts: &[&str]) {
    let folder = good();
    folder.write("ratings.csv", text);
    for streamed in [false, true] {
        let message = refusal(&OpenOptions::default(), &folder, streamed, parts);
        assert!(message.len() < 500, "{} bytes: {message}", message.len());
    }
}

const HEADER: &str = "userId,movieId,rating,timestamp\n";

/// The table with these times.
fn with_times(times: [&str; 3]) -> String {
    let [first, second, third] = times;
    format!("{HEADER}1,1,4.0,{first}\n1,2,3.5,{second}\n7,5,0.5,{third}\n")
}

#[test]
fn ids_and_times_that_are_floats() {
    for text in [
        // `table.assign(timestamp=table.timestamp.astype(float)).to_csv(index=False)`; also with
        // `float_format="%.9e"`; also of ids, `table.astype({"userId": float, "movieId": float})`.
        "userId,movieId,rating,timestamp\n1,1,4.0,1223698484.0\n1,2,3.5,1112486027.0\n7,5,0.5,964982703.0\n",
        "userId,movieId,rating,timestamp\n1,1,4.000000000e+00,1.223698484e+09\n1,2,3.500000000e+00,1.112486027e+09\n7,5,5.000000000e-01,9.649827030e+08\n",
        "userId,movieId,rating,timestamp\n1.0,1.0,4.0,1223698484\n1.0,2.0,3.5,1112486027\n7.0,5.0,0.5,964982703\n",
    ] {
        read(text, TIMES);
    }
    let row = |row: &str| format!("{HEADER}1,1,4.0,100\n{row}\n");
    refused(
        row("21.5,1,4.0,100"),
        &[
            "ratings.csv, line 3, column 'userId': '21.5' is not an id",
            "mend or remove the row",
        ],
    );
    refused(row("1,nan,4.0,100"), &["column 'movieId': 'nan'"]);
    refused(row("1,4294967296.0,4.0,100"), &["column 'movieId'"]);
}

#[test]
fn times_of_every_unit_and_moments() {
    for times in [
        // `table.timestamp * 10**3 + 500`, and so on.
        ["1223698484500", "1112486027500", "964982703500"],
        ["1223698484500000", "1112486027500000", "964982703500000"],
        [
            "1223698484500000000",
            "1112486027500000000",
            "964982703500000000",
        ],
        ["1223698484500.0", "1112486027500.0", "964982703500.0"],
        ["1.2236984845e+12", "1.1124860275e+12", "9.649827035e+11"],
        // `pd.to_datetime(table.timestamp, unit="s")`.
        [
            "2008-10-11 04:14:44",
            "2005-04-02 23:53:47",
            "2000-07-30 18:45:03",
        ],
        [
            "\"2008-10-11 04:14:44\"",
            "\"2005-04-02 23:53:47\"",
            "\"2000-07-30 18:45:03\"",
        ],
        // The same `.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")`.
        [
            "2008-10-11 06:14:44+02:00",
            "2005-04-03 01:53:47+02:00",
            "2000-07-30 20:45:03+02:00",
        ],
        [
            "2008-10-11T04:14:44Z",
            "2005-04-02T23:53:47.25Z",
            "2000-07-30T18:45:03.999999Z",
        ],
    ] {
        read(with_times(times), TIMES);
    }
    // `pd.to_datetime(["2008-10-11", "2005-04-02", "1970-01-01"], utc=True)`.
    let days = with_times(["2008-10-11", "2005-04-02", "1970-01-01"]);
    read(days, [1_223_683_200, 1_112_400_000, 0]);
    // 0 is 1970 in every unit.
    read(
        with_times(["0", "1112486027000", "964982703000"]),
        [0, 1_112_486_027, 964_982_703],
    );
}

#[test]
fn times_that_are_written_in_two_ways_are_told() {
    for (times, parts) in [
        (
            ["1223698484", "1112486027000", "964982703"],
            [
                "line 3, column 'timestamp': '1112486027000' looks like milliseconds",
                "'1223698484' on line 2 like seconds",
            ],
        ),
        (
            ["1223698484", "964982703", "2005-04-02"],
            [
                "line 4, column 'timestamp': '2005-04-02' looks like a moment",
                "on line 2 like seconds",
            ],
        ),
        (
            ["2005-04-02 23:53:47", "2005-04-02T23:53:47Z", "2005-04-02"],
            ["line 3", "with a time zone"],
        ),
        (
            ["0", "2005-04-02", "2005-04-02"],
            ["line 3", "'0' on line 2"],
        ),
        (
            ["1223698484", "31.1.2005", "964982703"],
            [
                "line 3, column 'timestamp': '31.1.2005' is not a timestamp",
                "2005-04-02 23:53:47",
            ],
        ),
        (
            ["1223698484.0", "", "964982703.0"],
            [
                "line 3, column 'timestamp': '' is not a timestamp",
                "mend or remove",
            ],
        ),
        (
            ["2005-04-02", "1969-12-31", "2005-04-02"],
            [
                "line 3, column 'timestamp': '1969-12-31'",
                "from 1970 to 2106",
            ],
        ),
    ] {
        refused(with_times(times), &parts);
    }
}

#[test]
fn what_stands_between_fields_and_ends_lines_is_found_out() {
    let plain = with_times(["1223698484", "1112486027", "964982703"]);
    for separator in [";", "\t", "|", "::"] {
        read(plain.replace(',', separator), TIMES);
    }
    for text in [
        // `table.to_csv(sep=";", decimal=",")`, with its index.
        ";userId;movieId;rating;timestamp\n0;1;1;4,0;1223698484\n1;1;2;3,5;1112486027\n2;7;5;0,5;964982703\n",
        // `table.to_csv()`, and what that is when it was read and written once more.
        ",userId,movieId,rating,timestamp\n0,1,1,4.0,1223698484\n1,1,2,3.5,1112486027\n2,7,5,0.5,964982703\n",
        "Unnamed: 0,userId,movieId,rating,timestamp\n0,1,1,4.0,1223698484\n1,1,2,3.5,1112486027\n2,7,5,0.5,964982703\n",
        // As Excel saves it in a country of commas.
        "sep=;\r\nuserId;movieId;rating;timestamp\r\n1;1;4;1223698484\r\n1;2;3,5;1112486027\r\n7;5;0,5;964982703\r\n;;;\r\n",
        // Of `table.to_csv(decimal=",")`.
        "userId,movieId,rating,timestamp\n1,1,\"4,0\",1223698484\n1,2,\"3,5\",1112486027\n7,5,\"0,5\",964982703\n",
    ] {
        read(text, TIMES);
    }
    for text in [
        plain.replace('\n', "\r\n"),
        plain.replace('\n', "\r"),
        format!("\u{feff}{plain}"),
        format!("\u{feff}{}", plain.replace('\n', "\r")),
        format!("{plain}\n\n  \n"),
        format!("\n{plain}"),
        plain.trim_end().to_owned(),
        plain
            .replace("userId", "\"userId\"")
            .replace("rating", "\"rating\""),
        // Without a header, in the usual order.
        plain.replace(HEADER, ""),
        plain.replace(HEADER, "").replace(',', "\t"),
    ] {
        read(text, TIMES);
    }
    // Lines are those of the file, whatever ends them and comes before the header.
    let bad = plain.replace("3.5", "three");
    for text in [
        bad.clone(),
        bad.replace('\n', "\r"),
        bad.replace('\n', "\r\n"),
    ] {
        refused(text, &["line 3, column 'rating': 'three' is not a number"]);
    }
    refused(format!("\n\n{bad}"), &["line 5, column 'rating'"]);
}

#[test]
fn columns_by_other_usual_names_and_in_another_order() {
    for header in [
        "user_id,item_id,rating,timestamp\n",
        "USERID,MOVIEID,RATING,TIMESTAMP\n",
        "user,movie,score,date\n",
        "userid,movie_id,Rating,ts\n",
    ] {
        let text = with_times(["1223698484", "1112486027", "964982703"]);
        read(text.replace(HEADER, header), TIMES);
    }
    read(
        "timestamp,rating,movie_id,comment,user_id\n1223698484,4.0,1,\"a,b\",1\n\
         1112486027,3.5,2,,1\n964982703,0.5,5,,7\n",
        TIMES,
    );
    // Errors speak of columns as the file calls them.
    refused(
        "user_id,item_id,rating\n1,x,4\n",
        &["line 2, column 'item_id': 'x' is not an id"],
    );
    refused(
        "user,uid,movieId,rating\n1,1,1,4\n",
        &["'user' and 'uid'", "userId"],
    );
}

#[test]
fn ratings_without_times_are_read_and_not_split_in_time() {
    for text in [
        "userId,movieId,rating\n1,1,4.0\n1,2,3.5\n7,5,0.5\n",
        "user_id;item_id;rating\n1;1;4,0\n1;2;3,5\n7;5;0,5\n",
        "movieId,userId,rating\n1,1,4.0\n2,1,3.5\n5,7,0.5\n",
        "1,1,4.0\n1,2,3.5\n7,5,0.5\n",
    ] {
        read(text, [0; 3]);
    }
    let folder = good();
    folder.write(
        "ratings.csv",
        "userId,movieId,rating\n1,1,4.0\n1,2,3.5\n7,5,0.5\n",
    );
    let ratings = MovieLens::open(folder.path()).unwrap().ratings;
    for split in [
        Split::temporal(&ratings, 0.3).map(|_| ()),
        Split::leave_last_out(&ratings, 1).map(|_| ()),
    ] {
        let error = split.unwrap_err().to_string();
        assert!(
            error.contains("no times") && error.contains("--split random"),
            "{error}"
        );
    }
    Split::random(ratings.len(), 0.3, 1).unwrap();
    let streamed = || {
        let options = OpenOptions::default();
        options.open_streamed(folder.path()).unwrap().ratings
    };
    let split = StreamedSplit::new(streamed(), TemporalSplit::default(), folder.path());
    assert!(split.unwrap_err().to_string().contains("no times"));
    let split = RandomSplit {
        test_share: 0.3,
        ..RandomSplit::default()
    };
    StreamedSplit::new(streamed(), split, folder.path()).unwrap();
    // As Arrow's tables they come and go without the column.
    let table = RecordBatch::from(&ratings);
    assert!(table.column_by_name("timestamp").is_none());
    let again = Ratings::try_from(table).unwrap();
    assert!(!again.has_times());
    assert_eq!(again.table(), ratings.table());
}

#[test]
fn ml_1m_files_in_other_ways() {
    let movies: &[u8] = b"1::Heat (1995)::Crime\n2::Big (1988)::Comedy\n5::Up::\n";
    for ratings in [
        "1::1::4::1223698484\n1::2::3.5::1112486027\n7::5::0.5::964982703\n",
        "\u{feff}1::1::4::1223698484\r\n1::2::3.5::1112486027\r\n7::5::0.5::964982703\r\n",
        "UserID::MovieID::Rating::Timestamp\n1::1::4::1223698484\n1::2::3.5::1112486027\n7::5::0.5::964982703\n",
        "1,1,4,1223698484\n1,2,3.5,1112486027\n7,5,0.5,964982703\n",
        "1\t1\t4\t1223698484\n1\t2\t3.5\t1112486027\n7\t5\t0.5\t964982703\n",
    ] {
        let folder = Folder::new(&[("ratings.dat", ratings.as_bytes()), ("movies.dat", movies)]);
        check(&folder, ratings, TIMES);
    }
    let folder = Folder::new(&[
        ("ratings.dat", b"1::1::4\n1::2::3.5\n7::5::0.5\n"),
        ("movies.dat", movies),
    ]);
    check(&folder, "no times", [0; 3]);
}

#[test]
fn rows_that_policies_refuse_are_found_in_any_of_these_files() {
    let movies: &[u8] = b"1::Heat (1995)::Crime\n2::Big (1988)::Comedy\n";
    for (name, ratings, line) in [
        ("ratings.csv", "1,1,4.0\n1,2,4.0\n1,2,3.0\n", "line 3"),
        (
            "ratings.csv",
            "\nuser;item;rating\n1;1;4,0\n1;1;3,5\n",
            "line 4",
        ),
        (
            "ratings.csv",
            ",userId,movieId,rating\r0,1,1,4.0\r1,1,1,3.5\r",
            "line 3",
        ),
        ("ratings.dat", "1::1::4\n1::1::3\n", "line 2"),
        (
            "ratings.dat",
            "UserID::MovieID::Rating\n1::1::4\n1::1::3\n",
            "line 3",
        ),
    ] {
        let folder = match name {
            "ratings.csv" => good(),
            _ => Folder::new(&[("movies.dat", movies)]),
        };
        folder.write(name, ratings);
        for streamed in [false, true] {
            let parts = [
                line,
                "by this user on an earlier line too",
                "--duplicates keep-",
            ];
            refusal(&OpenOptions::default(), &folder, streamed, &parts);
        }
        folder.write(
            name,
            ratings
                .replace("1,1,4.0\n1,2", "1,99,4.0\n1,2")
                .replace("1::1::3", "1::99::3"),
        );
        if ratings.contains("1,1,4.0\n1,2") || ratings.contains("1::1::3") {
            let parts = ["'99' is not a movie of movies.", "--unknown-movies drop"];
            let keep = OpenOptions {
                duplicates: mmdlrm_data::Duplicates::KeepAll,
                ..OpenOptions::default()
            };
            refusal(&keep, &folder, false, &parts);
        }
    }
}

#[test]
fn movies_tags_and_links_likewise() {
    let expected = {
        let folder = good();
        folder.write(
            "tags.csv",
            "userId,movieId,tag,timestamp\n1,2,\"a, b\",1112486027\n",
        );
        folder.write("links.csv", "movieId,imdbId,tmdbId\n1,0113277,949\n");
        MovieLens::open(folder.path()).unwrap()
    };
    for (movies, tags, links) in [
        (
            ",movie_id,title,genre\n0,1.0,Heat (1995),Crime\n1,2.0,Big (1988),Comedy\n2,5.0,Up,\n",
            "user_id;item_id;tag;time\n1;2;a, b;1112486027\n",
            "movie_id\timdb_id\ttmdb_id\n1\t0113277\t949\n",
        ),
        (
            "movieId;title;genres\r1;Heat (1995);Crime\r2;Big (1988);Comedy\r5;Up;\r",
            "\"userId\",\"movieId\",\"tag\",\"timestamp\"\n1.0,2.0,\"a, b\",\"2005-04-02 23:53:47\"\n",
            "movieId,imdbId,tmdbId\n1.0,0113277,949\n\n",
        ),
        (
            "1,Heat (1995),Crime\n2,Big (1988),Comedy\n5,Up,\n",
            "1,2,\"a, b\",1112486027000\n",
            "tmdbId|movieId|imdbId\n949|1|0113277\n",
        ),
    ] {
        let folder = good();
        folder.write("movies.csv", movies);
        folder.write("tags.csv", tags);
        folder.write("links.csv", links);
        let found = MovieLens::open(folder.path()).unwrap();
        assert_eq!(found.movies.table(), expected.movies.table(), "{movies}");
        assert_eq!(found.tags, expected.tags, "{tags}");
        assert_eq!(found.links, expected.links, "{links}");
    }
    let folder = good();
    folder.write("tags.csv", "userId,movieId,tag\n1,2,fun\n");
    assert_eq!(
        MovieLens::open(folder.path())
            .unwrap()
            .tags
            .unwrap()
            .num_rows(),
        1
    );
}

#[test]
fn what_is_no_table_of_ratings_is_named() {
    let utf_16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused(
        [&[0xff, 0xfe], &utf_16[..]].concat(),
        &["ratings.csv, line 1: the file is UTF-16; save it as UTF-8"],
    );
    refused(&utf_16, &["UTF-16 without a byte order mark"]);
    refused(b"PK\x03\x04\x14\x00", &["a zip archive, as Excel's .xlsx"]);
    refused(gzip(HEADER.as_bytes()), &["compressed by gzip; put .gz"]);
    refused(
        "1,1,4.0,100,5,6\n1,2,3.5,200,5,6\n",
        &[
            "ratings.csv, line 1: '1,1,4.0,100,5,6' is a row where a header is expected",
            "userId,movieId,rating,timestamp",
        ],
    );
    refused("a;b;c\n1;1;4\n", &["no column 'userId' in the header"]);
    refused(
        "userId;movieId\n1;1\n",
        &["no column 'rating' in the header \"userId,movieId\""],
    );
    refused(
        "userId,movieId,rating,timestamp\r1,1,4.0,100\n1,2,3.5,200\n",
        &["line 1: the first line holds a carriage return"],
    );
    refused(
        "userId;movieId;rating\n1.000;1;4,0\n",
        &["line 2, column 'userId': '1.000' is not an id"],
    );
}

#[test]
fn times_have_other_names_and_numbers_of_three_decimals_are_no_ids_beside_decimal_commas() {
    for name in ["created_at", "unix_timestamp", "Rated At"] {
        read(
            format!(
                "userId,movieId,rating,{name}\n1,1,4.0,1223698484\n1,2,3.5,1112486027\n\
                 7,5,0.5,964982703\n"
            ),
            TIMES,
        );
    }
    refused(
        "userId\tmovieId\trating\ttimestamp\n1\t1.000\t4,0\t1223698484\n",
        &["'1.000' is not an id"],
    );
}
