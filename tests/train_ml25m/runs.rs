use std::collections::BTreeSet;

use crate::support::{metrics, predictions, rmse};
use crate::{Folder, run_in, support, text};

#[test]
fn a_run_leaves_behind_what_it_promises() {
    let folder = Folder::new();
    let output = folder.run(&[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    for word in [
        "RMSE",
        "MAE",
        "MSE",
        "nDCG@10",
        "encoder: clip",
        "left in runs/test",
    ] {
        assert!(table.contains(word), "{table}");
    }
    // Not a terminal: no bars.
    assert_eq!(text(&output.stderr), "");

    let run = folder.path("runs/test");
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["experiment"]["dim"], 8);
    let lines = metrics(&run);
    assert_eq!(lines.len(), 3, "an epoch a line and a final one");
    assert_eq!(lines[2]["final"], true);
    let rows = predictions(&run);
    assert_eq!(rows.len(), 60);
    assert!((rmse(&rows) - lines[2]["rmse"].as_f64().unwrap()).abs() < 1e-9);
    assert!(rows.iter().all(|(.., p)| (0.5..=5.0).contains(p)));
    let ratings = folder.read("data/ratings.csv");
    for (user, movie, rating, _) in &rows {
        assert!(ratings.contains(&format!("\n{user},{movie},{rating:.1},")));
    }
    for file in ["report.html", "events.out.tfevents.mmdlrm", "checkpoints"] {
        assert!(run.join(file).exists(), "{file}");
    }
    let model = std::fs::read(run.join("model.safetensors")).unwrap();
    mmdlrm::model::Dlrm::from_safetensors(&model).unwrap();
}

#[test]
fn ratings_on_disk_give_the_run_of_ratings_in_memory_to_the_bit() {
    let folder = Folder::new();
    assert!(folder.run(&["--out", "runs/memory"]).status.success());
    let mut arguments = vec!["--data", "data", "--stream", "--clip", "clip", "--dim", "8"];
    arguments.extend([
        "--posters",
        "data/posters.csv",
        "--epochs",
        "2",
        "--out",
        "runs/disk",
    ]);
    arguments.extend(["--summaries", "data/summaries.csv"]);
    let output = run_in(&folder.path(""), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for file in [
        "model.safetensors",
        "predictions.parquet",
        "rankings.parquet",
    ] {
        let of = |run: &str| std::fs::read(folder.path("runs").join(run).join(file)).unwrap();
        assert!(of("memory") == of("disk"), "{file} differs");
    }
    let last = |run: &str| metrics(&folder.path("runs").join(run)).pop().unwrap();
    let ndcg = |run: &str| last(run)["ndcg_at_10"].as_f64().unwrap();
    assert_eq!(ndcg("memory"), ndcg("disk"));
}

#[test]
fn every_way_to_split_can_be_asked_for() {
    let folder = Folder::new();
    for split in ["temporal", "leave-last-out", "cold-users", "cold-movies"] {
        let out = format!("runs/{split}");
        let output = folder.run(&["--split", split, "--preset", "dlrm", "--out", &out]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let rows = predictions(&folder.path(&out));
        if split == "leave-last-out" {
            assert_eq!(rows.len(), 20, "one a user");
        }
        assert!(!rows.is_empty() && rows.len() < 200);
    }
}

#[test]
fn the_report_says_what_was_left_out() {
    let folder = Folder::new();
    let ratings = folder.read("data/ratings.csv");
    let first = ratings.lines().nth(1).unwrap();
    // A user of one rating, a movie that is not there, and a pair once more.
    let more = format!(
        "{ratings}{first}\n900,999999,3.0,5\n901,{}",
        first.split_once(',').unwrap().1
    );
    folder.write("data/ratings.csv", &more);
    let output = folder.run(&[
        "--unknown-movies",
        "drop",
        "--duplicates",
        "keep-first",
        "--split",
        "leave-last-out",
    ]);
    let report = text(&output.stdout);
    let expected = "left out: 1 ratings of unknown movies, 1 duplicates, 1 by the split";
    assert!(
        report.contains(expected),
        "{report} {}",
        text(&output.stderr)
    );
}

#[test]
fn the_tag_genome_is_a_modality() {
    let folder = Folder::new();
    folder.write("data/genome-tags.csv", "tagId,tag\n1,noir\n2,space\n");
    let movies = folder.read("data/movies.csv");
    let mut scores = "movieId,tagId,relevance\n".to_owned();
    for (row, line) in movies.lines().skip(1).enumerate() {
        let id = line.split(',').next().unwrap();
        scores += &format!("{id},1,0.{row}\n{id},2,0.5\n");
    }
    folder.write("data/genome-scores.csv", &scores);
    let output = run_in(
        &folder.path(""),
        &[
            "--data",
            "data",
            "--genome",
            "--epochs",
            "1",
            "--dim",
            "8",
            "--out",
            "runs/genome",
        ],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let config = folder.read("runs/genome/config.json");
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["model"]["modalities"][0]["name"], "genome");
    assert_eq!(config["model"]["modalities"][0]["width"], 2);
}

#[test]
fn the_next_run_reads_the_embeddings_back_and_encodes_only_what_changed() {
    let folder = Folder::new();
    assert!(folder.run(&[]).status.success());
    let store = std::fs::read_dir(folder.path("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "parquet")
        })
        .unwrap();
    let written = || std::fs::metadata(&store).unwrap().modified().unwrap();
    let first = written();
    assert!(folder.run(&["--out", "runs/second"]).status.success());
    assert_eq!(written(), first, "nothing was encoded again");
    assert_eq!(
        std::fs::read(folder.path("runs/test/predictions.parquet")).unwrap(),
        std::fs::read(folder.path("runs/second/predictions.parquet")).unwrap()
    );

    let summaries = folder.read("data/summaries.csv");
    folder.write("data/summaries.csv", &summaries.replace("robot", "witch"));
    assert!(folder.run(&["--out", "runs/third"]).status.success());
    assert_ne!(written(), first, "a changed plot is encoded again");
}

#[test]
fn every_preset_trains() {
    let folder = Folder::new();
    for preset in [
        "mmdlrm",
        "mmdlrm-factored",
        "dlrm",
        "dlrm-multimodal",
        "dlrm-clip",
        "best",
    ] {
        let out = format!("runs/{preset}");
        let output = folder.run(&["--preset", preset, "--threads", "1", "--out", &out]);
        assert!(
            output.status.success(),
            "{preset}: {}",
            text(&output.stderr)
        );
        let table = text(&output.stdout);
        assert_eq!(
            table.contains("encoder:"),
            preset != "dlrm",
            "{preset}: {table}"
        );
    }
}

#[test]
fn posters_and_plots_may_go_through_other_models_than_clip() {
    let folder = Folder::new();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/encoders");
    let bert = format!("bert:{golden}/bert");
    let resnet = format!("resnet:{golden}/resnet-basic");
    // None of them is CLIP: it is not even looked for.
    let output = folder.run(&["--text", &bert, "--image", &resnet, "--clip", "nowhere"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(
        table.contains("encoder: resnet-basic of posters, bert of plots"),
        "{table}"
    );
}

#[test]
fn errors_are_told_apart_by_what_is_missing() {
    let folder = Folder::new();
    let summaries = folder.read("data/summaries.csv");
    let half: Vec<&str> = summaries.lines().step_by(2).collect();
    folder.write("data/summaries.csv", &half.join("\n"));
    let output = folder.run(&[]);
    let run = folder.path("runs/test");
    let last = metrics(&run).pop().unwrap();
    let groups = last["by_modality"].as_array().unwrap();
    let has_plot = |movie: i64| {
        half[1..]
            .iter()
            .any(|line| line.starts_with(&format!("{movie},")))
    };
    for (group, with) in [("movie with text", true), ("movie without text", false)] {
        let rows: Vec<_> = predictions(&run)
            .into_iter()
            .filter(|&(_, movie, ..)| has_plot(movie) == with)
            .collect();
        let found = groups.iter().find(|it| it["group"] == group).unwrap();
        assert_eq!(found["count"], rows.len());
        assert!((found["rmse"].as_f64().unwrap() - rmse(&rows)).abs() < 1e-12);
        let line = format!(
            "| RMSE, {group} | {:.4} | {} of them |",
            rmse(&rows),
            rows.len()
        );
        assert!(text(&output.stdout).contains(&line), "{line}");
    }
}

#[test]
fn broken_posters_are_counted_named_and_treated_as_missing() {
    let folder = Folder::new();
    let posters = folder.read("data/posters.csv");
    let names: Vec<&str> = posters
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap().1)
        .collect();
    folder.write(&format!("data/{}", names[0]), "not a picture");
    std::fs::remove_file(folder.path(&format!("data/{}", names[1]))).unwrap();
    let output = folder.run(&[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("2 broken, treated as missing"));
    for name in &names[..2] {
        assert!(
            text(&output.stderr).contains(name),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn rows_of_posters_and_plots_that_cannot_be_used_are_counted_and_told_of() {
    let folder = Folder::new();
    for (name, more) in [
        ("posters", "999999,x.jpg\n999998,y.jpg\n"),
        ("summaries", "999999,A plot.\n"),
    ] {
        let name = format!("data/{name}.csv");
        let before = folder.read(&name);
        let end = if before.ends_with('\n') { "" } else { "\n" };
        folder.write(&name, &format!("{before}{end}{more}"));
    }
    let output = folder.run(&[]);
    let (table, notes) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{notes}");
    for part in ["posters (2 rows left out)", "plots (1 row left out)"] {
        assert!(table.contains(part), "no '{part}' in: {table}");
    }
    let first = "left out: 2 rows of movies that the table of movies lacks; the first: \
                 data/posters.csv";
    assert_eq!(notes.matches(first).count(), 1, "{notes}");
    assert_eq!(notes.matches("data/summaries.csv").count(), 1, "{notes}");
    // What was trained with them is asked, and evaluated, without.
    let asked = support::run(folder.dir.path(), "evaluate", &["runs/test"]);
    let (table, notes) = (text(&asked.stdout), text(&asked.stderr));
    assert!(asked.status.success(), "{notes}");
    assert!(table.contains("posters (2 rows left out)"), "{table}");
}

#[test]
fn the_sample_needs_no_arguments_and_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_in(folder.path(), &[]);
    let table = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        table.contains("untrained CLIP") && table.contains("--data ml-25m"),
        "{table}"
    );
}

#[test]
fn real_ml_latest_small_with_posters_and_plots_beats_biases() {
    // What user and movie biases alone reach on these rows.
    const BIASES: f64 = 0.882;
    let Some(shared) = support::shared() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| shared.join(path).to_str().unwrap().to_owned();
    let test_rows = at("data/splits/ml-latest-small-random42-test.csv");
    let output = run_in(
        folder.path(),
        &[
            "--data",
            &at("data/ml-latest-small"),
            "--posters",
            &at("data/posters.csv"),
            "--summaries",
            &at("data/summaries.csv"),
            "--clip",
            &at("models/clip-tiny"),
            "--test-rows",
            &test_rows,
            "--out",
            "real",
        ],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows = predictions(&folder.path().join("real"));
    let wanted = std::fs::read_to_string(&test_rows).unwrap();
    let mut wanted: Vec<&str> = wanted.lines().skip(1).collect();
    let found: Vec<String> = rows.iter().map(|(u, m, ..)| format!("{u},{m}")).collect();
    let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    found.sort_unstable();
    assert!(wanted == found, "other rows than those asked for");
    let rmse = rmse(&rows);
    assert!(rmse < BIASES, "{rmse}");
}

/// The movies of the users that are rated last, each against five others.
pub fn candidates(folder: &Folder) -> String {
    let text = folder.read("data/ratings.csv");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let users: BTreeSet<&str> = rows.iter().map(|row| row[0]).collect();
    let movies: BTreeSet<&str> = rows.iter().map(|row| row[1]).collect();
    let mut out = String::from("userId,heldOutMovieId,a,b,c,d,e\n");
    for user in users {
        let of_user = || rows.iter().filter(|row| row[0] == user);
        let Some(last) = of_user().max_by_key(|row| row[3].parse::<u64>().unwrap()) else {
            continue;
        };
        let seen: BTreeSet<&str> = of_user().map(|row| row[1]).collect();
        let unseen: Vec<&str> = movies.difference(&seen).copied().take(5).collect();
        out.push_str(&format!("{user},{},{}\n", last[1], unseen.join(",")));
    }
    out
}

#[test]
fn ranking_leaves_the_scores_that_its_figures_are_made_of() {
    let folder = Folder::new();
    folder.write("candidates.csv", &candidates(&folder));
    let output = folder.run(&["--task", "rank", "--candidates", "candidates.csv"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    for word in [
        "hit rate@10",
        "nDCG@10",
        "5 sampled others",
        "popularity",
        "left in runs/test",
    ] {
        assert!(table.contains(word), "{table}");
    }
    let run = folder.path("runs/test");
    // Of each user the place of the held-out movie: six candidates, all within ten.
    let scores = support::candidate_scores(&run);
    let reciprocal = scores.chunks(6).map(|of_user| {
        assert!(of_user.iter().all(|it| it.0 == of_user[0].0));
        assert!(of_user[0].3 && !of_user[1].3);
        let above = of_user[1..].iter().filter(|it| it.2 >= of_user[0].2);
        1.0 / (above.count() + 1) as f64
    });
    let reciprocal: Vec<f64> = reciprocal.collect();
    let figures = metrics(&run).pop().unwrap();
    let mean = reciprocal.iter().sum::<f64>() / reciprocal.len() as f64;
    assert_eq!(figures["users"], reciprocal.len());
    assert!((figures["mrr_at_10"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_eq!(figures["hit_rate_at_10"], 1.0);
}

#[test]
fn the_command_rank_is_a_training_with_the_task_rank() {
    let folder = Folder::new();
    folder.write("candidates.csv", &candidates(&folder));
    let dir = folder.dir.path();
    let same = "--data data --candidates candidates.csv --epochs 2 --dim 8 --out";
    let run = |command: &str, out: &str, more: &[&str]| {
        let same: Vec<&str> = same.split(' ').chain([out]).collect();
        let output = support::run(dir, command, &[&same, more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let config: serde_json::Value =
            serde_json::from_str(&folder.read(&format!("{out}/config.json"))).unwrap();
        let mut config = config["experiment"].clone();
        config["out"].take();
        let scores = std::fs::read(folder.path(out).join("candidates.parquet")).unwrap();
        (config, scores)
    };
    let trained = run("train", "runs/train", &["--task", "rank"]);
    assert!(trained == run("rank", "runs/rank", &[]));
    assert!(trained != run("rank", "runs/other", &["--lr", "0.001"]));

    let refused = |arguments: &[&str]| {
        let output = support::run(dir, "rank", arguments);
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr)
    };
    assert!(refused(&["--data", "data"]).contains("--candidates"));
    let idle = ["--data", "data", "--candidates", "candidates.csv"];
    let idle = refused(&[&idle, &["--clip", "clip"][..]].concat());
    let expected = "error: --clip does nothing without --posters or --summaries; leave it out\n";
    assert_eq!(idle, expected);
    assert!(refused(&["--preset", "best"]).contains("--preset"));
}
