//! Every way to get the input wrong: one line that says what and where, exit
//! code 1 or 2, and no run folder.

use crate::{Folder, support, text};

/// Runs with `more` arguments on a spoiled folder and checks the refusal.
#[track_caller]
pub fn refuses(spoil: impl FnOnce(&Folder), more: &[&str], parts: &[&str]) {
    let folder = Folder::new();
    spoil(&folder);
    let output = folder.run(more);
    let error = text(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(1 | 2)),
        "{:?} {error}",
        output.status
    );
    for part in parts {
        assert!(error.contains(part), "no '{part}' in: {error}");
    }
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!(text(&output.stdout), "");
    assert!(!folder.path("runs").exists(), "something was half-written");
}

/// Replaces line `line` (from 1) of a file.
fn replace_line(folder: &Folder, name: &str, line: usize, text: &str) {
    let before = folder.read(name);
    let mut lines: Vec<&str> = before.lines().collect();
    lines[line - 1] = text;
    folder.write(name, &lines.join("\n"));
}

#[test]
fn a_missing_file() {
    refuses(
        |folder| std::fs::remove_file(folder.path("data/ratings.csv")).unwrap(),
        &[],
        &["cannot read data", "no ratings.csv", "check the path"],
    );
    refuses(
        |_| {},
        &["--data", "nowhere"],
        &["cannot read nowhere", "check the path"],
    );
    refuses(
        |_| {},
        &["--posters", "nowhere.csv"],
        &["cannot read nowhere.csv"],
    );
    refuses(|_| {}, &["--clip", "./nowhere"], &["cannot read ./nowhere"]);
}

#[test]
fn a_folder_in_place_of_a_file() {
    refuses(
        |_| {},
        &["--summaries", "data"],
        &["cannot read data", "it is a folder"],
    );
}

#[test]
fn a_missing_column() {
    refuses(
        |folder| {
            replace_line(
                folder,
                "data/ratings.csv",
                1,
                "userId,movieId,stars,timestamp",
            )
        },
        &[],
        &[
            "data/ratings.csv",
            "no column 'rating'",
            "userId,movieId,stars,timestamp",
        ],
    );
}

#[test]
fn a_duplicate_header() {
    refuses(
        |folder| {
            replace_line(
                folder,
                "data/ratings.csv",
                1,
                "userId,movieId,userId,rating,timestamp",
            )
        },
        &[],
        &["data/ratings.csv", "'userId' twice"],
    );
}

#[test]
fn a_malformed_row() {
    for (row, parts) in [
        ("1,2", ["line 7", "2 fields where the header has 4"]),
        ("1,2,3.5,964982703,9", ["line 7", "5 fields"]),
        (
            "one,2,3.5,964982703",
            ["line 7, column 'userId'", "'one' is not an id"],
        ),
        (
            "-1,2,3.5,964982703",
            ["line 7, column 'userId'", "'-1' is not an id"],
        ),
        (
            "1,4294967296,3.5,964982703",
            ["column 'movieId'", "'4294967296' is not an id"],
        ),
        (
            "1,999999,3.5,964982703",
            [
                "line 7, column 'movieId'",
                "'999999' is not a movie of movies.csv",
            ],
        ),
        (
            "1,MOVIE,high,964982703",
            ["column 'rating'", "'high' is not a number"],
        ),
        (
            "1,MOVIE,NaN,964982703",
            ["column 'rating'", "not a finite number"],
        ),
        (
            "1,MOVIE,3.5,yesterday",
            ["column 'timestamp'", "'yesterday' is not a timestamp"],
        ),
    ] {
        refuses(
            |folder| {
                let movie = folder
                    .read("data/movies.csv")
                    .lines()
                    .nth(1)
                    .unwrap()
                    .to_owned();
                let movie = movie.split(',').next().unwrap().to_owned();
                replace_line(folder, "data/ratings.csv", 7, &row.replace("MOVIE", &movie));
            },
            &[],
            &parts,
        );
    }
}

#[test]
fn a_rating_off_the_scale() {
    for rating in ["0", "5.5", "-1", "0.49"] {
        refuses(
            |folder| {
                let line = folder
                    .read("data/ratings.csv")
                    .lines()
                    .nth(2)
                    .unwrap()
                    .to_owned();
                let mut fields: Vec<&str> = line.split(',').collect();
                fields[2] = rating;
                replace_line(folder, "data/ratings.csv", 3, &fields.join(","));
            },
            &[],
            &[
                "data/ratings.csv, line 3, column 'rating'",
                rating,
                "0.5 to 5 stars",
            ],
        );
    }
}

#[test]
fn an_empty_file() {
    refuses(
        |folder| folder.write("data/ratings.csv", ""),
        &[],
        &["data/ratings.csv is empty"],
    );
    refuses(
        |folder| folder.write("data/summaries.csv", "movieId,summary\n"),
        &[],
        &["data/summaries.csv is empty"],
    );
}

#[test]
fn summaries_or_posters_of_which_none_is_of_a_movie_of_the_release() {
    for (name, header, row) in [
        ("summaries", "movieId,summary", "999999,A plot."),
        ("posters", "movieId,poster_path", "999999,posters/1.jpg"),
    ] {
        refuses(
            |folder| folder.write(&format!("data/{name}.csv"), &format!("{header}\n{row}\n")),
            &[],
            &[
                "line 2, column 'movieId'",
                "'999999' is not a movie of movies.csv",
            ],
        );
    }
}

#[test]
fn a_quote_left_open() {
    refuses(
        |folder| replace_line(folder, "data/summaries.csv", 5, "7,\"An endless plot"),
        &[],
        &["data/summaries.csv, line 5"],
    );
}

#[test]
fn text_that_is_not_utf_8() {
    refuses(
        |folder| {
            let mut bytes = std::fs::read(folder.path("data/movies.csv")).unwrap();
            let title = bytes.iter().position(|&byte| byte == b'T').unwrap();
            bytes[title] = 0xE9;
            std::fs::write(folder.path("data/movies.csv"), bytes).unwrap();
        },
        &[],
        &["data/movies.csv, line 2, column 'title'", "not UTF-8"],
    );
}

#[test]
fn a_clip_folder_that_is_not_whole() {
    for file in ["model.safetensors", "config.json", "tokenizer.json"] {
        refuses(
            |folder| std::fs::remove_file(folder.path("clip").join(file)).unwrap(),
            &[],
            &[&format!("the model folder clip has no {file}")],
        );
    }
    refuses(
        |folder| {
            let weights = std::fs::read(folder.path("clip/model.safetensors")).unwrap();
            std::fs::write(
                folder.path("clip/model.safetensors"),
                &weights[..weights.len() / 2],
            )
            .unwrap();
        },
        &[],
        &["the weights of clip cannot be used"],
    );
    refuses(
        |folder| {
            let config = folder
                .read("clip/config.json")
                .replace("\"projection_dim\": 8", "\"projection_dim\": 9");
            folder.write("clip/config.json", &config);
        },
        &[],
        &["the weights of clip cannot be used", "shape mismatch"],
    );
    refuses(
        |folder| folder.write("clip/config.json", "{"),
        &[],
        &["clip/config.json", "EOF"],
    );
    refuses(
        |folder| folder.write("clip/tokenizer.json", "{}"),
        &[],
        &["tokenizer"],
    );
}

#[test]
fn embeddings_of_an_earlier_run_that_are_damaged() {
    let folder = Folder::new();
    assert!(folder.run(&[]).status.success());
    let mut entries = std::fs::read_dir(folder.path("runs")).unwrap().flatten();
    let store = entries.find(|entry| {
        let path = entry.path();
        path.extension()
            .is_some_and(|extension| extension == "parquet")
    });
    let store = store.unwrap().path();
    let whole = std::fs::read(&store).unwrap();
    std::fs::write(&store, &whole[..whole.len() / 2]).unwrap();
    let output = folder.run(&["--out", "runs/second"]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("delete it to encode again"), "{error}");
    assert!(!folder.path("runs/second").exists());
}

#[test]
fn test_rows_that_the_ratings_lack() {
    for (rows, parts) in [
        (
            "userId,movieId\n77777,1\n",
            ["line 2, column 'userId'", "not a user of ratings.csv"],
        ),
        (
            "userId,movieId\n1,999999\n",
            ["line 2, column 'movieId'", "user 1 rated"],
        ),
        ("who,what\n1,2\n", ["no column 'userId'", "rows.csv"]),
    ] {
        refuses(
            |folder| folder.write("rows.csv", rows),
            &["--test-rows", "rows.csv"],
            &parts,
        );
    }
}

#[test]
fn an_output_folder_that_cannot_be_written() {
    refuses(
        |folder| folder.write("file", "in the way"),
        &["--out", "file/run"],
        &["cannot write file", "check the folder"],
    );
}

#[test]
fn an_output_folder_that_holds_something_else() {
    let folder = Folder::new();
    let before = folder.read("clip/config.json");
    let output = folder.run(&["--out", "clip"]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains("clip holds a model.safetensors but no run"),
        "{error}"
    );
    assert_eq!(folder.read("clip/config.json"), before);
}

#[test]
fn settings_that_make_no_sense() {
    for (option, value, part) in [
        ("--epochs", "0", "epochs"),
        ("--batch-size", "0", "batch_size"),
        ("--lr", "0", "learning_rate"),
        ("--lr", "NaN", "learning_rate"),
        ("--dim", "0", "dim"),
        ("--dim", "10000000000", "parameters"),
        ("--threads", "0", "--threads"),
        ("--threads", "1000000", "at most 16 for each core"),
        (
            "--threads",
            "18446744073709551615",
            "at most 16 for each core",
        ),
        ("--test-share", "1", "test share"),
        ("--device", "cuda", "--features cuda"),
    ] {
        refuses(|_| {}, &[option, value], &[part]);
    }
}

#[test]
fn what_a_ranking_run_cannot_do_is_refused_before_anything_is_encoded() {
    for (option, value, part) in [
        ("--validation", "0.1", "takes its last epoch"),
        ("--dim", "100000000", "dim"),
        ("--device", "cuda", "--features cuda"),
    ] {
        refuses(
            |folder| folder.write("candidates.csv", &crate::runs::candidates(folder)),
            &[
                "--task",
                "rank",
                "--candidates",
                "candidates.csv",
                option,
                value,
            ],
            &[part],
        );
    }
}

#[test]
fn candidates_that_do_not_fit_the_ratings() {
    let ranks = |lines: &str, parts: &[&str]| {
        let columns = lines
            .lines()
            .next()
            .map_or(3, |line| line.split(',').count());
        let others: String = (2..columns)
            .map(|number| format!(",other{number}"))
            .collect();
        let text = format!("userId,heldOutMovieId{others}\n{lines}");
        refuses(
            |folder| folder.write("candidates.csv", &text),
            &["--task", "rank", "--candidates", "candidates.csv"],
            parts,
        );
    };
    let folder = Folder::new();
    let ratings = folder.read("data/ratings.csv");
    let first: Vec<&str> = ratings.lines().nth(1).unwrap().split(',').collect();
    let (user, movie) = (first[0], first[1]);
    let movies = folder.read("data/movies.csv");
    let mut ids = movies
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next());
    let other = ids.find(|id| *id != movie).unwrap();
    ranks("99999,1,2\n", &["candidates.csv, line 2", "user 99999"]);
    ranks(&format!("{user},99999,1\n"), &["line 2", "99999"]);
    ranks(&format!("{user},{movie},99999\n"), &["line 2", "'99999'"]);
    ranks(&format!("{user},{movie},x\n"), &["line 2", "'x'"]);
    ranks(
        &format!("{user},{movie},{movie}\n"),
        &["line 2", "twice among the candidates"],
    );
    ranks(
        &format!("{user},{movie},{other},{other}\n"),
        &["line 2", "twice among the candidates"],
    );
    ranks(
        &format!("{user},{movie},,\n"),
        &["line 2", "no other candidates"],
    );
    let twice = format!("{user},{movie},{other}\n{user},{movie},{other}\n");
    ranks(&twice, &["line 3", "stands on an earlier line"]);
    ranks("", &["candidates.csv is empty"]);
    refuses(
        |folder| folder.write("candidates.csv", "user,movie\n1,1\n"),
        &["--task", "rank", "--candidates", "candidates.csv"],
        &["candidates.csv", "userId"],
    );
    refuses(
        |_| {},
        &["--task", "rank", "--candidates", "nowhere.csv"],
        &["cannot read nowhere.csv"],
    );
}

#[test]
fn instructions_that_the_processor_does_not_have() {
    let folder = Folder::new();
    for asked in ["sse9", "", "AVX2"] {
        let mut command = support::start(folder.dir.path(), "train");
        command.env("MMDLRM_SIMD", asked);
        let output = command.args(["--data", "data"]).output().unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        let part = format!("MMDLRM_SIMD is '{asked}', and this processor has scalar");
        assert!(error.contains(&part), "{error}");
        assert!(!folder.path("runs").exists(), "something was half-written");
    }
}
