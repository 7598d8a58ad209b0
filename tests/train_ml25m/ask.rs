//! `mmdlrm recommend` and `mmdlrm evaluate` on a run, as a person types them.

use crate::runs::candidates;
use crate::support::{self, metrics};
use crate::{Folder, text};

/// A folder with a run in it.
fn trained() -> Folder {
    let folder = Folder::new();
    let output = folder.run(&[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    folder
}

#[track_caller]
fn answer(folder: &Folder, arguments: &[&str]) -> String {
    let mut all = vec!["--run", "runs/test"];
    all.extend(arguments);
    let output = support::run(folder.dir.path(), "recommend", &all);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn every_question_is_answered_in_a_terminal() {
    let folder = trained();
    let movies = folder.read("data/movies.csv");
    let (id, rest) = movies.lines().nth(1).unwrap().split_once(',').unwrap();
    let title = rest.trim_start_matches('"').split(" (").next().unwrap();
    let user = folder
        .read("data/ratings.csv")
        .lines()
        .nth(1)
        .unwrap()
        .to_owned();
    let user = user.split(',').next().unwrap();

    let found = answer(&folder, &["user", user, "--count", "3"]);
    assert_eq!(found.matches('[').count(), 3, "{found}");
    assert!(found.contains("      +"), "no reasons: {found}");
    let all = answer(&folder, &["user", user, "--count", "100", "--seen"]);
    assert!(
        all.matches('[').count()
            > answer(&folder, &["user", user, "--count", "100"])
                .matches('[')
                .count()
    );
    let visitor = answer(&folder, &["visitor", &format!("{id}=4.5"), "--count", "2"]);
    assert_eq!(visitor.matches('[').count(), 2, "{visitor}");
    let full = rest
        .trim_start_matches('"')
        .rsplit_once(')')
        .unwrap()
        .0
        .to_owned()
        + ")";
    let by_title = format!("{full}=4.5");
    assert_eq!(
        answer(&folder, &["visitor", &by_title, "--count", "2"]),
        visitor
    );
    let varied = [
        "user",
        user,
        "--count",
        "5",
        "--variety",
        "0.9",
        "--less-popular",
    ];
    assert_eq!(answer(&folder, &varied).matches('[').count(), 5);
    let old = answer(&folder, &["user", user, "--years", "-1990"]);
    let new = answer(&folder, &["user", user, "--years", "1991-"]);
    assert!(!old.is_empty() && !new.is_empty() && old != new);
    let nothing = ["--run", "runs/test", "user", user, "--years", "1000-1001"];
    let nothing = support::run(folder.dir.path(), "recommend", &nothing);
    assert!(nothing.status.success() && nothing.stdout.is_empty());
    assert!(text(&nothing.stderr).contains("no movie is as you want it"));
    assert_eq!(
        answer(&folder, &["similar", id, "--count", "4"])
            .lines()
            .count(),
        4
    );
    assert!(answer(&folder, &["find", title]).contains(title));
    let fans = answer(
        &folder,
        &["fans", "--plot", "robot", "--year", "1999", "--count", "5"],
    );
    assert_eq!(fans.matches("user ").count(), 5, "{fans}");
}

#[test]
fn without_a_run_one_that_ranks_is_trained_once_and_asked_from_then_on() {
    let folder = Folder::new();
    let ask = || {
        let arguments = ["--data", "data", "find", "e", "--count", "1"];
        let output = support::run(folder.dir.path(), "recommend", &arguments);
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        (text(&output.stdout), said)
    };
    let (first, said) = ask();
    assert!(
        said.contains("there is no run in runs/data-rank yet"),
        "{said}"
    );
    assert!(
        folder
            .read("runs/data-rank/config.json")
            .contains(r#""preset": "rank""#)
    );
    let model = std::fs::read(folder.path("runs/data-rank/model.safetensors")).unwrap();
    let (second, said) = ask();
    assert_eq!((first.lines().count(), said.as_str()), (1, ""));
    assert_eq!(first, second);
    assert!(model == std::fs::read(folder.path("runs/data-rank/model.safetensors")).unwrap());
    // One that was stopped goes on.
    let metrics = folder.read("runs/data-rank/metrics.jsonl");
    let (epochs, _) = metrics.trim_end().rsplit_once('\n').unwrap();
    folder.write("runs/data-rank/metrics.jsonl", &format!("{epochs}\n"));
    let (third, said) = ask();
    assert!(said.contains("is not over, and goes on"), "{said}");
    assert_eq!(third, first);
    // Other data of that name are not what the run answers about.
    std::fs::create_dir_all(folder.path("other/data")).unwrap();
    let arguments = ["--data", "other/data", "find", "e"];
    let output = support::run(folder.dir.path(), "recommend", &arguments);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("is a run on other data"), "{said}");
    // Nothing else is written over.
    std::fs::remove_dir_all(folder.path("runs/data-rank")).unwrap();
    std::fs::create_dir(folder.path("runs/data-rank")).unwrap();
    folder.write("runs/data-rank/config.json", "{}");
    let output = support::run(
        folder.dir.path(),
        "recommend",
        &["--data", "data", "find", "e"],
    );
    assert!(!output.status.success());
    assert_eq!(folder.read("runs/data-rank/config.json"), "{}");
    let both = ["--data", "data", "--run", "runs/data-rank", "find", "e"];
    let output = support::run(folder.dir.path(), "recommend", &both);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn questions_that_make_no_sense_are_refused_in_a_line() {
    let folder = trained();
    for (arguments, part) in [
        (vec!["user", "0"], "no user 0"),
        (vec!["visitor", "1=many"], "MOVIE=STARS"),
        (vec!["visitor", "§§§=5"], "no movie is called '§§§'"),
        (vec!["visitor", "e"], "may be any of"),
        (vec!["user", "1", "--variety", "2"], "variety is 2"),
        (vec!["user", "1", "--years", "soon-"], "'soon' is no year"),
        (vec!["visitor", "999999=5"], "no movie 999999"),
        (vec!["user", "1", "--years", "1990"], "FROM-TO"),
        (vec!["fans", "--poster", "nowhere.jpg"], "nowhere.jpg"),
        (vec!["--run", "data", "similar", "1"], "holds no run"),
    ] {
        let mut all = vec!["--run", "runs/test"];
        if arguments[0] == "--run" {
            all.clear();
        }
        all.extend(&arguments);
        let output = support::run(folder.dir.path(), "recommend", &all);
        let stderr = text(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{stderr}");
        assert!(stderr.contains(part), "{stderr}");
    }
}

#[test]
fn a_saved_run_is_measured_again_and_on_other_ratings() {
    let folder = trained();
    let evaluate = |arguments: &[&str]| {
        let output = support::run(folder.dir.path(), "evaluate", arguments);
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, _, stderr) = evaluate(&["runs/test"]);
    assert_eq!(code, Some(0), "{stderr}");
    let last = |run: &str| metrics(&folder.path(run)).pop().unwrap();
    let (run, again) = (last("runs/test"), last("runs/test/evaluation"));
    for figure in ["rmse", "mae", "ndcg_at_10", "test_ratings"] {
        assert!(run[figure].is_number(), "no {figure}");
        assert_eq!(run[figure], again[figure], "{figure}");
    }
    assert!(folder.path("runs/test/evaluation/report.html").exists());

    // What the run learned from is no test: only what neither split trains on is left.
    let (code, table, stderr) = evaluate(&["runs/test", "--split", "temporal", "--out", "later"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(table.contains("by the split"), "{table}");
    let later = last("later")["test_ratings"].as_u64().unwrap();
    assert!(later > 0 && later < 60, "{later}");
    let (code, _, stderr) = evaluate(&["runs/test", "--visitors", "5"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("cold-users"), "{stderr}");
    let (code, _, stderr) = evaluate(&["data"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("data holds no run"), "{stderr}");
}

#[test]
fn a_saved_run_ranks_for_whom_and_what_one_asks() {
    let folder = trained();
    let evaluate = |arguments: &[&str]| {
        let all = [&["runs/test", "--out", "asked"], arguments].concat();
        let output = support::run(folder.dir.path(), "evaluate", &all);
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, table, stderr) = evaluate(&["--rank-users", "3"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(table.contains("a sample of 3 of the 18 users"), "{table}");
    assert_eq!(
        metrics(&folder.path("asked")).pop().unwrap()["ranked_users"],
        3
    );
    assert!(folder.path("asked/rankings.parquet").exists());
    let (code, table, _) = evaluate(&["--no-rank"]);
    assert_eq!(code, Some(0));
    assert!(table.contains("RMSE") && !table.contains("nDCG"), "{table}");
    assert!(!folder.path("asked/rankings.parquet").exists());

    let file = candidates(&folder);
    folder.write("candidates.csv", &file);
    let of_candidates = ["--candidates", "candidates.csv"];
    let (code, _, stderr) = evaluate(&of_candidates);
    assert_eq!(code, Some(1));
    let part = "held-out movies are training or validation ratings of runs/test, such as movie ";
    assert!(stderr.contains(part), "{stderr}");
    let first = file.lines().nth(1).unwrap();
    folder.write("candidates.csv", &format!("{file}{first}\n"));
    let (_, _, stderr) = evaluate(&of_candidates);
    let part = "candidates.csv, line 22, column 'userId': ";
    assert!(stderr.contains(part), "{stderr}");
    let mut fields: Vec<&str> = first.split(',').collect();
    fields[6] = fields[5];
    let twice = fields.join(",");
    folder.write("candidates.csv", &file.replacen(first, &twice, 1));
    let (_, _, stderr) = evaluate(&of_candidates);
    assert!(
        stderr.contains("line 2") && stderr.contains("twice"),
        "{stderr}"
    );
    for arguments in [
        &["--rank-users", "0"][..],
        &["--rank-users", "2", "--no-rank"],
    ] {
        assert_ne!(evaluate(arguments).0, Some(0));
    }
}
