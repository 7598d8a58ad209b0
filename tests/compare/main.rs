//! `mmdlrm compare` as a person types it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;

use mmdlrm::data::generate::{self, GeneratorConfig};
use support::{metrics, predictions, rmse, text};

/// A folder with runs that differ, by how they learned or by what is held out.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        generate::write(&dir.join("data"), &GeneratorConfig::tiny(), |_| {}).unwrap();
        train(dir, "first", "");
        train(dir, "second", " --no-timestamps");
        train(dir, "temporal", " --split temporal");
        folder
    });
    folder.path()
}

fn train(dir: &Path, out: &str, more: &str) {
    let all = format!("--data data --preset best --epochs 2 --dim 8 --out {out}{more}");
    let output = support::run(dir, "train", &all.split(' ').collect::<Vec<_>>());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// The cells of each row of the table, without its head.
fn table(runs: &[&str]) -> Vec<Vec<String>> {
    let output = support::run(folder(), "compare", runs);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    text(&output.stdout).lines().skip(2).map(cells).collect()
}

#[track_caller]
fn refused(dir: &Path, runs: &[&str], part: &str) {
    let output = support::run(dir, "compare", runs);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(part), "no '{part}' in {error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn the_table_has_the_final_figures_and_the_difference_of_what_was_predicted() {
    let rows = table(&["first", "second", "first"]);
    assert_eq!(rows.len(), 3);
    for row in &rows {
        let figures = metrics(&folder().join(&row[0])).pop().unwrap();
        let cells = ["rmse", "mae", "r2", "ndcg_at_10"];
        for (cell, name) in row[1..5].iter().zip(cells) {
            assert_eq!(*cell, format!("{:.4}", figures[name].as_f64().unwrap()));
        }
        assert_eq!(row[5], figures["test_ratings"].to_string());
    }
    assert_eq!(rows[0][6], "–");
    let [first, second] = ["first", "second"].map(|run| rmse(&predictions(&folder().join(run))));
    let (value, interval) = rows[1][6].split_once(' ').unwrap();
    assert_eq!(value, format!("{:+.4}", second - first));
    let interval = interval.trim_matches(['(', ')']).split(" to ");
    let [low, high] = [0, 1].map(|at| interval.clone().nth(at).unwrap().parse::<f64>().unwrap());
    let value: f64 = value.parse().unwrap();
    assert!(low < value && value < high, "{low} {value} {high}");
    // A run does not differ from itself.
    assert_eq!(rows[2][6], "+0.0000 (+0.0000 to +0.0000)");
}

#[test]
fn runs_on_other_ratings_have_no_difference() {
    let rows = table(&["first", "temporal"]);
    assert_eq!(rows[1][6], "– (other held-out ratings)");
    // An evaluation is compared as a run is.
    let arguments = ["first", "--split", "temporal", "--out", "later"];
    let output = support::run(folder(), "evaluate", &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows = table(&["later", "first"]);
    assert_eq!(rows[1][6], "– (other held-out ratings)");
}

#[test]
fn what_cannot_be_compared_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let run = |name: &str, lines: &str| {
        std::fs::create_dir(dir.join(name)).unwrap();
        std::fs::write(dir.join(name).join("config.json"), "{}").unwrap();
        std::fs::write(dir.join(name).join("metrics.jsonl"), lines).unwrap();
    };
    let ratings = r#"{"final":true,"test_ratings":9,"rmse":0.9,"mae":0.7,"r2":null}"#;
    let ranking = |others: usize| {
        format!(
            r#"{{"users":9,"protocol":"{others} sampled others","hit_rate_at_10":0.5,"ndcg_at_10":0.4,"mrr_at_10":0.3}}"#
        )
    };
    run("ratings", ratings);
    run("again", ratings);
    run("epoch", r#"{"epoch":1,"train_loss":1.0,"test_rmse":0.9}"#);
    run("five", &ranking(5));
    run("same", &ranking(5));
    run("ninety", &ranking(99));
    std::fs::create_dir(dir.join("empty")).unwrap();

    refused(dir, &["ratings", "empty"], "empty holds no run");
    refused(dir, &["ratings", "nowhere"], "nowhere holds no run");
    refused(dir, &["epoch", "ratings"], "epoch has no final figures");
    refused(
        dir,
        &["five", "ratings"],
        "five cannot be compared with ratings",
    );
    let part = "ninety cannot be compared with five: its figures are of 99 sampled others";
    refused(dir, &["five", "ninety"], part);
    std::fs::write(dir.join("ratings/predictions.parquet"), "no Parquet").unwrap();
    let part = "cannot use ratings/predictions.parquet";
    refused(dir, &["ratings", "again"], part);
    std::fs::remove_file(dir.join("ratings/predictions.parquet")).unwrap();

    let output = support::run(dir, "compare", &["ratings", "again"]);
    assert!(
        text(&output.stdout)
            .contains("| again | 0.9000 | 0.7000 | – | – | 9 | – (no predictions) |")
    );
    let output = support::run(dir, "compare", &["five", "same"]);
    assert!(text(&output.stdout).contains("| same | 0.5000 | 0.4000 | 0.3000 | 9 |"));
    let output = support::run(dir, "compare", &["ratings"]);
    assert_eq!(output.status.code(), Some(2));
}

/// What is printed of models that are trained.
fn trained(dir: &Path, more: &str) -> String {
    let all = format!("--data data --out compared {more}");
    let output = support::run(dir, "compare", &all.split(' ').collect::<Vec<_>>());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).to_string()
}

#[test]
fn models_are_trained_and_stand_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    generate::write(&dir.join("data"), &GeneratorConfig::tiny(), |_| {}).unwrap();
    let models = "--models popularity,ease,gaussian-process";
    let printed = trained(dir, models);
    for part in [
        "| ease, EASE |",
        "| stars | RMSE | MAE |",
        "20 % of the ratings, by seed 42",
    ] {
        assert!(printed.contains(part), "no '{part}' in {printed}");
    }
    let kept = std::fs::read_to_string(dir.join("compared/compare.md")).unwrap();
    assert_eq!(kept.trim(), printed.trim());
    // Again, of what is there.
    assert_eq!(trained(dir, models), printed);
    let used_up = trained(dir, &format!("{models},bpr-mf --budget 0"));
    assert!(
        used_up.contains("- bpr-mf (seed 1): the budget was over"),
        "{used_up}"
    );
}

#[test]
fn what_was_finished_before_a_kill_is_not_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    generate::write(&dir.join("data"), &GeneratorConfig::tiny(), |_| {}).unwrap();
    let all = "--data data --out compared --models popularity,ease,bpr-mf,light-gcn";
    let arguments: Vec<&str> = all.split(' ').collect();
    let first = dir.join("compared/ease/seed-1.json");
    let mut child = support::start(dir, "compare")
        .args(&arguments)
        .spawn()
        .unwrap();
    support::wait_until(&mut child, || first.exists());
    support::kill(&mut child);
    let when = || std::fs::metadata(&first).unwrap().modified().unwrap();
    let before = when();
    let printed = trained(dir, "--models popularity,ease,bpr-mf,light-gcn");
    assert_eq!(when(), before);
    for model in ["popularity", "ease", "bpr-mf", "light-gcn"] {
        assert!(printed.contains(&format!("| {model}, ")), "{printed}");
    }
}

#[test]
fn whoever_closes_the_other_end_of_a_pipe_is_told_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    generate::write(&dir.join("data"), &GeneratorConfig::tiny(), |_| {}).unwrap();
    let mut child = support::start(dir, "compare")
        .args([
            "--data",
            "data",
            "--out",
            "compared",
            "--models",
            "popularity",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(dir.join("compared/compare.md").exists());
}

#[test]
fn options_that_do_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, part) in [
        ("first second --seeds 2", "--seeds does nothing beside runs"),
        (
            "first second --data data",
            "--data does nothing beside runs",
        ),
        (
            "--data data --candidates file",
            "--candidates does nothing without --protocol candidates",
        ),
        (
            "--data data --protocol last --test-share 0.1",
            "--test-share does nothing with a protocol that holds out one",
        ),
        ("--data data --protocol candidates", "--candidates"),
        ("--data data --models nobody", "nobody"),
        ("--data data --seeds 0", "0 is not in 1..=1000"),
        ("--data data --budget=-1", "negative"),
        (
            "--data data --mirror ftp://host",
            "--mirror does nothing without --download",
        ),
        ("--data data --memory=-1", "from 0"),
        ("--data data --memory nan", "from 0"),
        ("--data data --epochs 0", "0 is not in 1.."),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let output = support::run(folder.path(), "compare", &arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(part), "no '{part}' in {error}");
    }
}
