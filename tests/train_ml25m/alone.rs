//! The folder of a run is all that it takes to ask its model.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::runs::candidates;
use crate::support::{self, server::Server};
use crate::{Folder, run_in, text};

/// Trains a model of what comes next.
const RANK: [&str; 4] = ["--task", "rank", "--candidates", "candidates.csv"];

/// What a run knows of its data.
const NAMES: [&str; 3] = [
    "movies.parquet",
    "features.safetensors",
    "histories.safetensors",
];

/// A folder with a run in it, and a folder of its own for a copy of the run.
fn trained(more: &[&str]) -> (Folder, tempfile::TempDir) {
    let folder = Folder::new();
    folder.write("candidates.csv", &candidates(&folder));
    let output = folder.run(more);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(elsewhere.path().join("runs/sample")).unwrap();
    for entry in std::fs::read_dir(folder.path("runs/test")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            let copy = elsewhere.path().join("runs/sample").join(entry.file_name());
            std::fs::copy(entry.path(), copy).unwrap();
        }
    }
    (folder, elsewhere)
}

fn ask(dir: &Path, run: &str, question: &[&str]) -> (Option<i32>, String, String) {
    let output = support::run(dir, "recommend", &[&["--run", run], question].concat());
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Questions that need no encoder; user and movie are there.
fn questions<'a>(user: &'a str, movie: &'a str, visitor: &'a str) -> [Vec<&'a str>; 4] {
    [
        vec!["user", user],
        vec!["user", user, "--seen", "--count", "30"],
        vec!["visitor", visitor],
        vec!["similar", movie],
    ]
}

#[test]
fn a_copy_of_the_folder_answers_the_same_when_all_else_is_gone() {
    for preset in [
        &[][..],
        &["--preset", "best"],
        &["--stream", "--preset", "dlrm"],
        &RANK,
    ] {
        let (folder, elsewhere) = trained(preset);
        let first = |name: &str| folder.read(name).lines().nth(1).unwrap().to_owned();
        let first = |name: &str| first(name).split(',').next().unwrap().to_owned();
        let (user, movie) = (first("data/ratings.csv"), first("data/movies.csv"));
        let visitor = format!("{movie}=4.5");
        let questions = questions(&user, &movie, &visitor);
        let here = |question: &Vec<&str>| ask(folder.dir.path(), "runs/test", question);
        let before: Vec<_> = questions.iter().map(here).collect();
        std::fs::remove_file(folder.path("candidates.csv")).unwrap();
        for name in ["data", "clip"] {
            std::fs::rename(folder.path(name), folder.path("away")).unwrap();
            std::fs::remove_dir_all(folder.path("away")).unwrap();
        }
        for (question, before) in questions.iter().zip(before) {
            assert_eq!(before.0, Some(0), "{preset:?} {question:?}: {}", before.2);
            let copy = ask(elsewhere.path(), "runs/sample", question);
            assert_eq!(copy, before, "{preset:?} {question:?}");
        }
    }
}

#[test]
fn an_encoder_is_loaded_when_a_plot_comes_and_is_the_runs_own() {
    let (folder, elsewhere) = trained(&[]);
    let fans = |dir: &Path, run: &str, more: &[&str]| ask(dir, run, &[&["fans"], more].concat());
    let plot = ["--plot", "a robot"];
    let (code, found, stderr) = fans(folder.dir.path(), "runs/test", &plot);
    assert_eq!((code, found.lines().count()), (Some(0), 10), "{stderr}");
    // Genres and a year are looked at without it.
    let (code, _, stderr) = fans(elsewhere.path(), "runs/sample", &["--year", "1999"]);
    assert_eq!(code, Some(0), "{stderr}");
    let (code, _, stderr) = fans(elsewhere.path(), "runs/sample", &plot);
    assert!(code == Some(1) && stderr.contains("clip"), "{stderr}");

    let model = folder.path("clip/model.safetensors");
    let mut bytes = std::fs::read(&model).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&model, bytes).unwrap();
    let (code, _, stderr) = fans(folder.dir.path(), "runs/test", &plot);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("posters of runs/test were encoded by clip"),
        "{stderr}"
    );
}

fn get(server: &Server, path: &str) -> String {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_copy_is_served_without_the_data() {
    for preset in [&[][..], &RANK] {
        let (folder, elsewhere) = trained(preset);
        let ratings = folder.read("data/ratings.csv");
        let user = ratings.lines().nth(1).unwrap().split(',').next().unwrap();
        drop(folder);
        let server = Server::start(elsewhere.path());
        let answer = get(&server, &format!("/api/users/{user}/recommendations"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // Posters are named, and are where they were or nowhere.
        let poster = answer.split("/posters/").nth(1).unwrap();
        let poster = poster.split('"').next().unwrap();
        let answer = get(&server, &format!("/posters/{poster}"));
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
}

#[test]
fn files_that_are_missing_damaged_or_anothers_are_refused_by_name() {
    let (folder, _) = trained(&["--preset", "dlrm"]);
    let other = ["--preset", "dlrm", "--seed", "7", "--out", "runs/other"];
    assert!(folder.run(&other).status.success());
    let dir = folder.dir.path();
    let ratings = folder.read("data/ratings.csv");
    let user = ratings.lines().nth(1).unwrap().split(',').next().unwrap();
    for name in NAMES {
        let path = folder.path("runs/test").join(name);
        let whole = std::fs::read(&path).unwrap();
        let of_other = std::fs::read(folder.path("runs/other").join(name)).unwrap();
        let cut = whole[..whole.len() - 9].to_vec();
        let empty = Vec::new();
        for (bytes, why) in [
            (of_other, "another run"),
            (cut, "cannot use"),
            (empty, "cannot use"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let (code, _, stderr) = ask(dir, "runs/test", &["user", user]);
            assert_eq!(code, Some(1), "{name}: {stderr}");
            assert!(
                stderr.contains(name) && stderr.contains(why),
                "{name}: {stderr}"
            );
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
        }
        std::fs::remove_file(&path).unwrap();
        let (code, _, stderr) = ask(dir, "runs/test", &["user", user]);
        assert!(code == Some(1) && stderr.contains(name), "{stderr}");
        std::fs::write(&path, whole).unwrap();
    }
    // Going on writes anew what cannot be used.
    for name in NAMES {
        let path = folder.path("runs/test").join(name);
        let whole = std::fs::read(&path).unwrap();
        for damaged in [None, Some(&whole[..whole.len() / 2])] {
            match damaged {
                None => std::fs::remove_file(&path).unwrap(),
                Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            }
            let output = run_in(dir, &["--resume", "runs/test"]);
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert!(std::fs::read(&path).unwrap() == whole, "{name}");
        }
    }
}

#[test]
fn bits_that_were_flipped_are_never_answered_with() {
    let (folder, _) = trained(&["--preset", "best"]);
    let dir = folder.dir.path();
    let ratings = folder.read("data/ratings.csv");
    let user = ratings.lines().nth(1).unwrap().split(',').next().unwrap();
    let question = ["user", user];
    let expected = ask(dir, "runs/test", &question);
    assert_eq!(expected.0, Some(0));
    for name in NAMES {
        let path = folder.path("runs/test").join(name);
        let whole = std::fs::read(&path).unwrap();
        for number in 0..12 {
            let mut damaged = whole.clone();
            let place = (number * 7919 + 101) * whole.len() / 97_000 % whole.len();
            damaged[place] ^= 1 << (number % 8);
            std::fs::write(&path, damaged).unwrap();
            let found = ask(dir, "runs/test", &question);
            // The hash of one stands in another.
            let names = || NAMES.iter().any(|name| found.2.contains(name));
            let refused = found.0 == Some(1) && names();
            assert!(refused || found == expected, "{name} {place}: {found:?}");
        }
        std::fs::write(&path, whole).unwrap();
    }
}
