//! A saved run is measured on, and goes on with, the data that it was made from and no others.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::support::{self, metrics};
use crate::{Folder, run_in, text};

/// A folder with a run in it.
fn trained(more: &[&str]) -> Folder {
    let folder = Folder::new();
    train(&folder, more);
    folder
}

#[track_caller]
fn train(folder: &Folder, more: &[&str]) {
    let output = folder.run(more);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// What `serve` says last, before it gives up; a server that starts is a failure.
#[track_caller]
fn serve(folder: &Folder, run: &str) -> String {
    let mut process = support::start(folder.dir.path(), "serve")
        .args(["--run", run, "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = process.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let _ = process.kill();
    assert_eq!(line, "", "it started");
    // Before it, what is being read.
    let said = text(&process.wait_with_output().unwrap().stderr);
    said.lines().last().unwrap_or_default().to_owned()
}

/// Everything that opens a run of ratings, and what each says of it.
#[track_caller]
fn ask(folder: &Folder, run: &str) -> Vec<String> {
    let dir = folder.dir.path();
    let outputs = [
        support::run(dir, "evaluate", &[run]),
        support::run(dir, "recommend", &["--run", run, "similar", "1"]),
    ];
    let errors = outputs.iter().map(|output| {
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        text(&output.stderr)
    });
    errors.chain([serve(folder, run)]).collect()
}

/// Checks that evaluating and going on, which look at the data, both refuse with `parts`.
#[track_caller]
pub fn refuses(folder: &Folder, parts: &[&str]) {
    let dir = folder.dir.path();
    for output in [
        run_in(dir, &["--resume", "runs/test"]),
        support::run(dir, "evaluate", &["runs/test"]),
    ] {
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        for part in parts {
            assert!(error.contains(part), "no '{part}' in: {error}");
        }
        assert!(error.contains("runs/test"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// Another text in place of a file's, until it is dropped.
pub struct Changed<'a> {
    folder: &'a Folder,
    name: &'a str,
    before: Vec<u8>,
}

impl<'a> Changed<'a> {
    pub fn new(folder: &'a Folder, name: &'a str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Self {
        let before = std::fs::read(folder.path(name)).unwrap();
        let after = change(before.clone());
        assert_ne!(before, after, "{name}");
        std::fs::write(folder.path(name), after).unwrap();
        Self {
            folder,
            name,
            before,
        }
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        std::fs::write(self.folder.path(self.name), &self.before).unwrap();
    }
}

fn edited(change: impl FnOnce(String) -> String) -> impl FnOnce(Vec<u8>) -> Vec<u8> {
    move |bytes| change(text(&bytes)).into_bytes()
}

/// Without the last line.
fn shorter(all: String) -> String {
    let last = all.trim_end().rfind('\n').unwrap();
    all[..=last].to_owned()
}

#[test]
fn data_that_changed_are_refused_by_name_and_count() {
    let folder = trained(&[]);
    let posters = folder.read("data/posters.csv");
    let pictures: Vec<String> = posters
        .lines()
        .skip(1)
        .map(|line| format!("data/{}", line.split_once(',').unwrap().1))
        .collect();
    let other = std::fs::read(folder.path(&pictures[1])).unwrap();
    let others = "then and now, but others";
    {
        let _fewer = Changed::new(&folder, "data/ratings.csv", edited(shorter));
        refuses(&folder, &["ratings: 300 then, 299 now"]);
    }
    {
        let star = edited(|all| all.replacen(",3.0,", ",3.5,", 1));
        let _star = Changed::new(&folder, "data/ratings.csv", star);
        refuses(&folder, &["ratings: 300 then and now, but others"]);
    }
    {
        let more = edited(|all| format!("{all}3999999,\"New (2001)\",Drama\n"));
        let _more = Changed::new(&folder, "data/movies.csv", more);
        refuses(&folder, &["movies: 30 then, 31 now"]);
    }
    {
        let title = edited(|all| all.replacen(" (", " again (", 1));
        let _title = Changed::new(&folder, "data/movies.csv", title);
        refuses(&folder, &["titles: 30 then and now, but others"]);
    }
    {
        let _swapped = Changed::new(&folder, &pictures[0], |_| other);
        refuses(&folder, &["posters: ", others]);
    }
    {
        let plot = edited(|all| all.replacen("robot", "witch", 1));
        let _plot = Changed::new(&folder, "data/summaries.csv", plot);
        refuses(&folder, &["plots: ", others]);
    }
    {
        let model = |mut bytes: Vec<u8>| {
            *bytes.last_mut().unwrap() ^= 1;
            bytes
        };
        let _model = Changed::new(&folder, "clip/model.safetensors", model);
        refuses(&folder, &["posters of runs/test were encoded by clip"]);
    }
    // All is as it was again.
    let output = support::run(folder.dir.path(), "evaluate", &["runs/test"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn other_test_rows_of_the_same_ratings_are_refused() {
    let folder = Folder::new();
    let ratings = folder.read("data/ratings.csv");
    let pairs = ratings.lines().skip(1).step_by(60);
    let pairs: Vec<String> = pairs
        .map(|line| line.split(',').take(2).collect::<Vec<_>>().join(","))
        .collect();
    folder.write(
        "rows.csv",
        &format!("userId,movieId\n{}\n", pairs.join("\n")),
    );
    train(&folder, &["--test-rows", "rows.csv", "--preset", "dlrm"]);
    let _fewer = Changed::new(&folder, "rows.csv", edited(shorter));
    refuses(
        &folder,
        &[
            "training rows: 295 then, 296 now",
            "test rows: 5 then, 4 now",
        ],
    );
}

#[test]
fn a_run_whose_ratings_were_streamed_is_measured_in_memory() {
    let folder = Folder::new();
    let arguments = "--data data --preset dlrm --stream --epochs 1 --dim 8 --out runs/test";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let output = run_in(folder.dir.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = support::run(folder.dir.path(), "evaluate", &["runs/test"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let last = |run: &str| metrics(&folder.path(run)).pop().unwrap();
    assert_eq!(
        last("runs/test")["rmse"],
        last("runs/test/evaluation")["rmse"]
    );
    let _fewer = Changed::new(&folder, "data/ratings.csv", edited(shorter));
    refuses(&folder, &["ratings: 300 then, 299 now"]);
}

#[test]
fn the_model_and_the_checkpoints_of_another_run_are_refused() {
    let folder = trained(&["--preset", "dlrm", "--validation", "0.1"]);
    train(
        &folder,
        &[
            "--preset",
            "dlrm",
            "--validation",
            "0.1",
            "--seed",
            "7",
            "--out",
            "runs/other",
        ],
    );
    let other = |file: &str| std::fs::read(folder.path("runs/other").join(file)).unwrap();
    {
        let _copied = Changed::new(&folder, "runs/test/model.safetensors", |_| {
            other("model.safetensors")
        });
        for error in ask(&folder, "runs/test") {
            let part = "runs/test/model.safetensors is not the model of the run in its folder";
            assert!(error.contains(part), "{error}");
        }
    }
    let newest = |run: &str, kind: &str| {
        let entries = std::fs::read_dir(folder.path(run).join("checkpoints")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let newest = names.filter(|name| name.starts_with(kind)).max();
        format!("checkpoints/{}", newest.unwrap())
    };
    for kind in ["step-", "best-"] {
        let name = format!("runs/test/{}", newest("runs/test", kind));
        let found = other(&newest("runs/other", kind));
        let _copied = Changed::new(&folder, &name, |_| found);
        let output = run_in(folder.dir.path(), &["--resume", "runs/test"]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        let part = format!("{name} is of another run");
        assert!(stderr.contains(&part), "{stderr}");
    }
}

#[test]
fn a_ranking_run_goes_on_with_its_own_data_and_candidates() {
    let folder = Folder::new();
    folder.write("candidates.csv", &crate::runs::candidates(&folder));
    train(
        &folder,
        &["--task", "rank", "--candidates", "candidates.csv"],
    );
    let resumed = |part: &str| {
        let output = run_in(folder.dir.path(), &["--resume", "runs/test"]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(part), "{stderr}");
    };
    {
        let star = edited(|all| all.replacen(",3.0,", ",3.5,", 1));
        let _star = Changed::new(&folder, "data/ratings.csv", star);
        resumed("ratings: 300 then and now, but others");
    }
    {
        let fewer = edited(|all| {
            let lines: Vec<&str> = all.lines().collect();
            let (last, lines) = lines.split_last().unwrap();
            let (last, _) = last.rsplit_once(',').unwrap();
            format!("{}\n{last},\n", lines.join("\n"))
        });
        let _fewer = Changed::new(&folder, "candidates.csv", fewer);
        resumed("candidates: 20 then and now, but others");
    }
    let output = run_in(folder.dir.path(), &["--resume", "runs/test"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn config(run: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(run.join("config.json")).unwrap()).unwrap()
}

#[test]
fn an_evaluation_says_that_it_is_one_and_takes_the_place_of_no_run() {
    let folder = trained(&["--preset", "dlrm"]);
    let dir = folder.dir.path();
    let evaluate = |arguments: &[&str]| {
        let output = support::run(dir, "evaluate", arguments);
        (output.status.success(), text(&output.stderr))
    };
    for _ in 0..2 {
        // The second takes the place of the first.
        assert_eq!(evaluate(&["runs/test"]), (true, String::new()));
    }
    let (run, evaluation) = (
        config(&folder.path("runs/test")),
        config(&folder.path("runs/test/evaluation")),
    );
    assert_eq!(run["kind"], "run");
    assert_eq!(evaluation["kind"], "evaluation");
    for key in ["experiment", "made_from", "model"] {
        assert_eq!(run[key], evaluation[key], "{key}");
    }
    for error in ask(&folder, "runs/test/evaluation") {
        let part = "is an evaluation and no run; name the run that was evaluated, runs/test";
        assert!(error.contains(part), "{error}");
    }
    let (done, stderr) = evaluate(&["runs/test", "--out", "runs/test"]);
    assert!(!done && stderr.contains("holds a run"), "{stderr}");
    assert!(folder.path("runs/test/model.safetensors").exists());
}

#[test]
fn a_run_that_does_not_say_what_it_was_made_from_is_refused() {
    let folder = trained(&["--preset", "dlrm"]);
    let older = edited(|all| {
        let mut config: serde_json::Value = serde_json::from_str(&all).unwrap();
        config.as_object_mut().unwrap().remove("made_from");
        config.to_string()
    });
    let _older = Changed::new(&folder, "runs/test/config.json", older);
    refuses(&folder, &["made by an earlier version", "train it again"]);
}
