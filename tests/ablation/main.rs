//! `mmdlrm ablate` as a person types it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Output;

use mmdlrm::data::generate::{self, GeneratorConfig};
use support::{metrics, predictions, rmse, text};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/encoders");

/// A tiny folder of ratings, posters and plots.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    generate::write(&dir.path().join("data"), &GeneratorConfig::tiny(), |_| {}).unwrap();
    dir
}

fn run(dir: &Path, more: &str) -> Output {
    let arguments: Vec<&str> = "--data data --out out"
        .split(' ')
        .chain(more.split(' '))
        .collect();
    support::run(dir, "ablate", &arguments)
}

#[test]
fn the_table_is_the_mean_of_what_the_predictions_come_to() {
    let folder = folder();
    let bert = format!(
        "--posters data/posters.csv --summaries data/summaries.csv --clip untrained \
         --text bert:{GOLDEN}/bert --seeds 2 --dim 8"
    );
    let output = run(folder.path(), &bert);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = folder.path().join("out");
    let table = std::fs::read_to_string(out.join("ablation.md")).unwrap();
    assert!(text(&output.stdout).starts_with(&table));
    assert!(
        table.contains("untrained CLIP, seed 42 of posters, bert of plots"),
        "{table}"
    );
    for split in ["random", "temporal", "cold-movies"] {
        assert!(table.contains(&format!("| {split} split, 2 seeds |")));
        let errors = [1, 2].map(|seed| {
            let run = out.join(format!("{split}/ids-genres-text/seed-{seed}"));
            let recomputed = rmse(&predictions(&run));
            let recorded = metrics(&run).last().unwrap()["rmse"].as_f64().unwrap();
            assert!((recomputed - recorded).abs() < 1e-12);
            recomputed
        });
        let mean = format!(
            "| ids, genres, text | {:.4} ± ",
            (errors[0] + errors[1]) / 2.0
        );
        assert!(table.contains(&mean), "{mean} in {table}");
    }
    let rows = table.lines().filter(|line| line.starts_with("| ids"));
    assert_eq!(rows.count(), 3 * 6);
    let rows = table.lines().filter(|line| line.starts_with("| history"));
    assert_eq!(rows.count(), 3 * 4);
    let verdicts = table
        .lines()
        .filter(|line| line.starts_with("- cold-movies: "));
    assert_eq!(verdicts.count(), 4);
    let plot = std::fs::read_to_string(out.join("ablation.svg")).unwrap();
    for words in ["cold-movies split", "history, genres, text, image"] {
        assert_eq!(plot.matches(&format!("\n{words}\n")).count(), 1, "{words}");
    }
}

#[test]
fn without_posters_and_plots_no_model_claims_them_and_one_seed_has_no_interval() {
    let folder = folder();
    let output = run(folder.path(), "--splits random --seeds 1 --dim 8");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    for row in [
        "ids",
        "ids, genres",
        "ids, history, genres",
        "history, genres",
    ] {
        assert!(table.contains(&format!("\n| {row} | ")), "{row} in {table}");
    }
    for word in ["text", "image", "±", "temporal"] {
        assert!(!table.contains(word), "{word} in {table}");
    }
}

#[test]
fn vectors_of_a_file_are_measured_as_posters_and_plots_are() {
    let folder = folder();
    let data = folder.path().join("data");
    let known = support::write_vectors(&folder.path().join("sound.parquet"), &data);
    let sound = "--vectors sound=sound.parquet --splits random --seeds 1 --dim 8";
    let output = run(folder.path(), sound);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(
        table.contains(&format!(", {known} vectors 'sound'; encoder: none")),
        "{table}"
    );
    for row in [
        "ids, genres, sound",
        "ids, history, genres, sound",
        "history, genres, sound",
    ] {
        assert!(table.contains(&format!("\n| {row} | ")), "{row} in {table}");
    }
    // What histories do beside them is no verdict on them.
    for against in ["ids, genres", "history, genres"] {
        let verdict = format!("- random: vectors 'sound' beside {against} make");
        assert_eq!(table.matches(&verdict).count(), 1, "{table}");
    }
    let verdicts = table.lines().filter(|line| line.starts_with("- random: "));
    assert_eq!(verdicts.count(), 2);
    let run = "out/random/ids-genres-sound/seed-1/predictions.parquet";
    let read = |run: &str| std::fs::read(folder.path().join(run)).unwrap();
    assert_ne!(read(run), read(&run.replace("-sound", "")));
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = folder();
    for (arguments, word) in [
        ("--seeds 0", "--seeds"),
        ("--splits other", "other"),
        ("--test-share 1.5", "1.5"),
        ("--dim 0", "--dim"),
        ("--posters missing.csv", "missing.csv"),
        ("--vectors sound=missing.parquet", "missing.parquet"),
        (
            "--vectors text=data/movies.csv",
            "name of vectors is 'text'",
        ),
        (
            "--summaries data/summaries.csv --text bert:nowhere/at/all",
            "nowhere",
        ),
        ("--summaries data/summaries.csv --text gpt:clip", "bert:"),
    ] {
        let output = run(folder.path(), arguments);
        assert!(!output.status.success(), "{arguments}");
        let error = text(&output.stderr);
        assert!(error.contains(word), "{arguments}: {error}");
    }
}
