//! Ratings as other programs write them, and what they do not say.

use crate::bad_input::refuses;
use crate::{Folder, support, text};

/// Each line of the ratings as `row` writes its four fields.
fn rewrite(folder: &Folder, row: impl Fn([&str; 4]) -> String) {
    let ratings = folder.read("data/ratings.csv");
    let rows = ratings.lines().map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        row(fields.try_into().unwrap()) + "\n"
    });
    folder.write("data/ratings.csv", &rows.collect::<String>());
}

fn without_times(folder: &Folder) {
    rewrite(folder, |[user, movie, rating, _]| {
        format!("{user},{movie},{rating}")
    });
}

#[test]
fn ratings_without_times_are_learned_and_asked_for() {
    let folder = Folder::new();
    without_times(&folder);
    let output = folder.run(&[]);
    let (report, notes) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{notes}");
    assert!(report.contains("RMSE"), "{report}");
    assert!(notes.contains("no column of times (timestamp)"), "{notes}");
    let ratings = folder.read("data/ratings.csv");
    let user = ratings.lines().nth(1).unwrap().split(',').next().unwrap();
    let question = ["--run", "runs/test", "user", user, "--count", "3"];
    let answer = support::run(folder.dir.path(), "recommend", &question);
    assert!(answer.status.success(), "{}", text(&answer.stderr));
    assert_eq!(text(&answer.stdout).matches('[').count(), 3);
    for (out, more) in [
        ("runs/best", ["--preset", "best", "--no-timestamps"]),
        ("runs/rank", ["--preset", "rank", "--no-rater"]),
        ("runs/cold", ["--split", "cold-users", "--no-rank"]),
        ("runs/disk", ["--preset", "dlrm", "--stream"]),
    ] {
        let mut arguments = vec![
            "--data", "data", "--out", out, "--epochs", "1", "--dim", "8",
        ];
        arguments.extend(more);
        let output = crate::run_in(folder.dir.path(), &arguments);
        assert!(output.status.success(), "{out}: {}", text(&output.stderr));
    }
}

#[test]
fn what_needs_times_says_so_before_anything_is_learned() {
    for (more, parts) in [
        (
            ["--split", "temporal"],
            ["split is temporal", "no time", "--split random"],
        ),
        (
            ["--split", "leave-last-out"],
            [
                "split is leave-last-out",
                "no time",
                "timestamp in ratings.csv",
            ],
        ),
        (
            ["--preset", "best"],
            ["preset is best", "these have none", "--no-timestamps"],
        ),
        (
            ["--preset", "rank"],
            ["preset is rank", "these have none", "--no-rater"],
        ),
    ] {
        refuses(without_times, &more, &parts);
    }
}

#[test]
fn however_they_are_written_they_are_the_same_data() {
    let told = |write: &dyn Fn([&str; 4]) -> String| {
        let folder = Folder::new();
        rewrite(&folder, write);
        let output = folder.run(&["--preset", "dlrm"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        std::fs::read(folder.path("runs/test/predictions.parquet")).unwrap()
    };
    let plain = told(&|fields| fields.join(","));
    let is_header = |field: &str| field.starts_with(char::is_alphabetic);
    let float = |field: &str| match is_header(field) {
        true => field.to_owned(),
        false => format!("{field}.0"),
    };
    let pandas = told(&|[user, movie, rating, time]| {
        let index = if is_header(user) { "" } else { "0" };
        let (user, movie, time) = (float(user), float(movie), float(time));
        format!("{index},{user},{movie},{rating},{time}")
    });
    let excel = told(&|fields| {
        let [user, movie, rating, time] = fields;
        let rating = rating.replace('.', ",");
        format!("{user};{movie};{rating};{time}\r")
    });
    assert!(plain == pandas && plain == excel);
}
