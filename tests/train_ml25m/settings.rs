//! Rates, and options that would do nothing beside the others.

use serde_json::{Value, json};

use crate::{Folder, run_in, text};

/// The optimizer and the schedule that a run wrote down.
fn trained_with(folder: &Folder, more: &[&str]) -> (Value, Value) {
    let output = folder.run(more);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let config: Value = serde_json::from_str(&folder.read("runs/test/config.json")).unwrap();
    std::fs::remove_dir_all(folder.path("runs/test")).unwrap();
    let train = &config["experiment"]["train"];
    (train["optimizer"].clone(), train["schedule"].clone())
}

#[test]
fn rates_and_decays_are_those_of_the_command_line() {
    let folder = Folder::new();
    let (plain, schedule) = trained_with(&folder, &[]);
    assert_eq!(plain["table_weight_decay"], 5.0);
    assert_eq!(schedule, json!({"warmup_steps": 0, "decay": "cosine"}));
    // A rate is not the whole of a rule: decays were chosen with Adam.
    let (adagrad, _) = trained_with(&folder, &["--optimizer", "adagrad", "--lr", "0.1"]);
    assert_eq!(adagrad["learning_rate"], 0.1);
    assert_eq!(adagrad["table_weight_decay"], 0.0);
    let asked = ["--optimizer", "sgd", "--table-weight-decay", "3"];
    assert_eq!(trained_with(&folder, &asked).0["table_weight_decay"], 3.0);

    let of_best = |more: &[&str]| trained_with(&folder, &[&["--preset", "best"], more].concat()).0;
    let preset = of_best(&[]);
    assert_eq!(of_best(&["--lr", "0.003"]), preset);
    // The tables' own rate follows.
    let doubled = of_best(&["--lr", "0.006"]);
    assert_eq!(doubled["table_learning_rate"], 0.01);
    let named = of_best(&["--lr", "0.006", "--table-lr", "0.002"]);
    assert_eq!(named["table_learning_rate"], 0.002);
    assert_eq!(named["weight_decay"], preset["weight_decay"]);
    let other = of_best(&["--optimizer", "adagrad"]);
    assert_eq!(other["table_learning_rate"], Value::Null);

    let all = [
        "--weight-decay",
        "0.5",
        "--warm-up",
        "2",
        "--schedule",
        "linear",
        "--clip-norm",
        "9",
    ];
    let (optimizer, schedule) = trained_with(&folder, &all);
    assert_eq!(optimizer["weight_decay"], 0.5);
    assert_eq!(optimizer["clip_norm"], 9.0);
    assert_eq!(schedule, json!({"warmup_steps": 2, "decay": "linear"}));
}

/// One line of error, and no run.
#[track_caller]
fn refuses(arguments: &[&str], part: &str) {
    let folder = Folder::new();
    folder.write("candidates.csv", "userId,heldOutMovieId,other\n");
    let all = [&["--data", "data"], arguments].concat();
    let output = run_in(&folder.path(""), &all);
    let error = text(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{error}");
    assert!(error.contains(part), "no '{part}' in: {error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(!folder.path("runs").exists());
}

#[test]
fn decay_that_takes_a_tenth_of_a_row_a_step_is_refused() {
    let decay = ["--table-weight-decay", "5"];
    for (rate, part) in [
        ("0.1", "table_weight_decay is 5 at a learning rate of 0.1"),
        ("0.2", "must be 0.1 or less"),
    ] {
        refuses(
            &[&["--optimizer", "adagrad", "--lr", rate], &decay[..]].concat(),
            part,
        );
        refuses(&["--lr", rate], part);
    }
    // Nor is the other model's decay in the way of one that ranks.
    let ranks = [
        "--task",
        "rank",
        "--candidates",
        "candidates.csv",
        "--lr",
        "0.1",
    ];
    refuses(&ranks, "candidates.csv is empty");
}

#[test]
fn an_option_that_would_do_nothing_is_refused() {
    let rank = ["--task", "rank", "--candidates", "candidates.csv"];
    for (option, value) in [
        ("--preset", "mmdlrm"),
        ("--optimizer", "adam"),
        ("--table-lr", "0.1"),
        ("--table-weight-decay", "0.1"),
        ("--warm-up", "1"),
        ("--schedule", "cosine"),
        ("--clip-norm", "1"),
        ("--longest-bag", "1"),
    ] {
        let part = format!("{option} does nothing with --task rank");
        refuses(&[&rank, &[option, value][..]].concat(), &part);
    }
    let part = "--no-timestamps does nothing with --task rank";
    refuses(&[&rank, &["--no-timestamps"][..]].concat(), part);
    for (arguments, part) in [
        (
            &["--candidates", "candidates.csv"][..],
            "--candidates does nothing without --task rank",
        ),
        (
            &["--leave-out", "2"],
            "--leave-out is 2, but only --split leave-last-out",
        ),
        (
            &["--split", "leave-last-out", "--test-share", "0.3"],
            "--test-share is 0.3, but --split leave-last-out",
        ),
        (
            &["--longest-bag", "9"],
            "--longest-bag does nothing without --preset best",
        ),
        (
            &["--no-timestamps"],
            "--no-timestamps does nothing without --preset best",
        ),
        (
            &["--table-lr", "0.1", "--preset", "dlrm-clip"],
            "--table-lr does nothing with a preset without embedding tables",
        ),
        (
            &["--text", "bert:nowhere"],
            "--text does nothing without --summaries",
        ),
        (
            &["--long-texts", "chunk"],
            "--long-texts does nothing without --summaries",
        ),
        (
            &["--image", "resnet:nowhere"],
            "--image does nothing without --posters",
        ),
        (
            &["--clip", "clip"],
            "--clip does nothing without --posters or --summaries",
        ),
        (
            &["--preset", "dlrm", "--genome"],
            "--genome does nothing with --preset dlrm",
        ),
    ] {
        refuses(arguments, part);
    }
}

#[test]
fn whom_to_rank_for_is_said_once_and_somebody() {
    refuses(
        &["--rank-users", "0"],
        "number of users to rank for is 0, but a sample has 1 or more",
    );
    let folder = Folder::new();
    let output = folder.run(&["--rank-users", "5", "--no-rank"]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.contains("cannot be used with '--no-rank'"), "{error}");
    let rank = ["--task", "rank", "--candidates", "candidates.csv"];
    for option in [&["--no-rank"][..], &["--rank-users", "5"]] {
        refuses(
            &[&rank, option].concat(),
            "does nothing with --task rank, which ranks for all that its file names",
        );
    }
}
