//! Tables of one's own in place of a MovieLens folder.

use std::fmt::Write as _;
use std::path::Path;

use crate::{run_in, support, text};

/// A shop with clicks of a few users, most of each on one of two sorts of things.
fn shop(folder: &Path) {
    let mut clicks = String::from("user,thing,time,till\n");
    for row in 0..900u32 {
        let (user, draw) = (row % 30, row * 7 % 40);
        let thing = if row % 4 == 0 {
            draw
        } else {
            draw / 2 * 2 + user % 2
        };
        writeln!(
            clicks,
            "u{user},t{thing},{},till {}",
            1_700_000_000 + row,
            row % 3
        )
        .unwrap();
    }
    std::fs::write(folder.join("clicks.csv"), clicks).unwrap();
    let mut things = String::from("thing,sort,price,tags\n");
    for thing in 0..42 {
        writeln!(
            things,
            "t{thing},{},{}.5,a|b{}",
            ["odd", "even"][thing % 2],
            thing,
            thing % 5
        )
        .unwrap();
    }
    std::fs::write(folder.join("things.csv"), things).unwrap();
}

const SHOP: &str = "--interactions clicks.csv --item thing --items things.csv --epochs 2 --dim 8";

fn train(folder: &Path, more: &str) -> std::process::Output {
    let all = format!("{SHOP} {more}");
    run_in(folder, &all.split(' ').collect::<Vec<_>>())
}

#[test]
fn a_shop_is_one_command_away_and_is_spoken_of_in_its_own_words() {
    let folder = tempfile::tempdir().unwrap();
    shop(folder.path());
    let output = train(
        folder.path(),
        "--split temporal --column till=id --negatives-by popularity",
    );
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("2 items of the table of items have no interaction"),
        "{stderr}"
    );
    for part in [
        "held out: the latest 20 % of the clicks",
        "clicks of 30 users and 42 things",
        "left in runs/clicks",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let config = std::fs::read_to_string(folder.path().join("runs/clicks/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let tables = config["model"]["tables"].as_array().unwrap();
    let names: Vec<&str> = tables
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["user", "movie", "item_sort", "item_tags", "pair_till"]
    );
    assert_eq!(config["experiment"]["negatives"]["by"], "popularity");
}

#[test]
fn a_shop_on_disk_is_learned_as_the_same_in_memory_and_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    shop(folder.path());
    let figures = |more: &str| {
        let output = train(folder.path(), more);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{stderr}");
        assert!(
            stderr.contains("2 items of the table of items have no interaction"),
            "{stderr}"
        );
        let rows = stdout.lines().filter(|line| line.contains("@10"));
        let figures = rows.map(|row| row.split('|').nth(2).unwrap().to_owned());
        let left_out = stdout.lines().find(|line| line.starts_with("left out"));
        (
            figures.collect::<Vec<String>>(),
            left_out.map(str::to_owned),
        )
    };
    let memory = figures("--split temporal --validation 0.1 --out runs/memory");
    assert_eq!(memory.0.len(), 4);
    let disk = figures("--split temporal --validation 0.1 --stream --out runs/disk");
    assert_eq!(disk, memory);
    // No scratch file is left.
    let left = std::fs::read_dir(folder.path().join("runs")).unwrap();
    let mut left: Vec<_> = left.map(|it| it.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["disk", "memory"]);
    let evaluate = |run: &str| {
        let output = support::run(folder.path(), "evaluate", &[run]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).replace(run, "")
    };
    assert_eq!(evaluate("runs/disk"), evaluate("runs/memory"));
}

#[test]
fn a_shop_is_recommended_from_without_a_run_of_it() {
    let folder = tempfile::tempdir().unwrap();
    shop(folder.path());
    let recommend = |options: &str| {
        let options: Vec<&str> = options.split(' ').collect();
        support::run(folder.path(), "recommend", &options)
    };
    let asked = "--interactions clicks.csv --item thing --items things.csv user u3";
    let first = recommend(asked);
    let said = text(&first.stderr);
    assert!(first.status.success(), "{said}");
    assert!(
        said.contains("there is no run in runs/clicks-rank yet"),
        "{said}"
    );
    let titles = text(&first.stdout);
    assert!(titles.lines().any(|line| line.contains("[t")), "{titles}");
    let again = recommend(asked);
    assert_eq!(
        (text(&again.stdout), text(&again.stderr)),
        (titles, String::new())
    );
    // What is done by itself can be named.
    let named = recommend(
        "--interactions clicks.csv --item thing --items things.csv --duplicates keep-earliest user u3",
    );
    assert_eq!(text(&named.stdout), text(&again.stdout));
    // Somebody came to the shop since.
    let table = folder.path().join("clicks.csv");
    let mut clicks = std::fs::read_to_string(&table).unwrap();
    clicks.push_str("new,t3,1700001000,till 0\n");
    std::fs::write(&table, clicks).unwrap();
    let since = recommend(asked);
    let said = text(&since.stderr);
    assert!(
        since.status.success() && said.contains("clicks.csv was written after the run"),
        "{said}"
    );
    for other in [
        "--interactions clicks.csv --item thing --items things.csv --duplicates keep-latest user u3",
        "--interactions clicks.csv --item thing user u3",
        "--interactions clicks.csv --item thing --items things.csv --column sort=unused user u3",
    ] {
        let refused = recommend(other);
        let said = text(&refused.stderr);
        assert!(!refused.status.success(), "{other}");
        assert!(said.contains("is a run on other data"), "{said}");
    }
}

#[test]
fn what_is_wrong_with_tables_or_options_is_one_line_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    shop(folder.path());
    let clicks = std::fs::read_to_string(folder.path().join("clicks.csv")).unwrap();
    std::fs::write(
        folder.path().join("torn.csv"),
        clicks.replacen(",t7,", ",,", 1),
    )
    .unwrap();
    for (more, parts) in [
        (
            "--interactions nowhere.csv",
            &["cannot read nowhere.csv"][..],
        ),
        ("--time tim", &["column 'tim'", "did you mean 'time'?"]),
        (
            "--target till",
            &["clicks.csv, line 2, column 'till': 'till 0' is a text"],
        ),
        (
            "--column sort=dense",
            &["things.csv, line 2, column 'sort'"],
        ),
        ("--column sort=sorts", &["a role is user, item"]),
        (
            "--interactions torn.csv",
            &["torn.csv, line 3, column 'thing': is null"],
        ),
        ("--scale 5:1", &["scale is 5 to 1, but a scale goes from"]),
        ("--negatives 0", &["negatives per interaction is 0"]),
        (
            "--posters x.csv",
            &["--posters does nothing beside --interactions"],
        ),
        (
            "--clip untrained",
            &["--clip does nothing without --image-column"],
        ),
        ("--data x", &["--data"]),
        ("--preset best", &["it predicts ratings of a scale"]),
        (
            "--stream --column till=id",
            &[
                "'till': is id of single interactions",
                "read them into memory",
            ],
        ),
        (
            "--stream --split leave-last-out",
            &["can only be split at random or in time"],
        ),
        (
            "--scale 1:5",
            &["it is the scale of targets, and there are none"],
        ),
    ] {
        let own = match more.starts_with("--interactions") {
            true => SHOP.replace("--interactions clicks.csv", more),
            false => format!("{SHOP} {more}"),
        };
        let output = run_in(folder.path(), &own.split(' ').collect::<Vec<_>>());
        let error = text(&output.stderr);
        assert!(!output.status.success(), "{more}");
        for part in parts {
            assert!(error.contains(part), "{more}: no '{part}' in: {error}");
        }
        assert!(!folder.path().join("runs").exists(), "{more}");
    }
}
