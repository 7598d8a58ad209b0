//! Models side by side.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mmdlrm::baselines::PopularityConfig;
use mmdlrm::data::generate::{self, GeneratorConfig};
use mmdlrm::data::{MovieLens, Split};
use mmdlrm::train::FolderLock;
use mmdlrm::{
    Comparison, ComparisonReport, Experiment, ExperimentConfig, RankedUsers, Silent, Source,
    SplitConfig,
};

use crate::support::write_vectors;

/// A made-up release.
fn data() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let config = GeneratorConfig {
        users: 40,
        movies: 60,
        ratings: 1000,
        seed: 9,
        contents: false,
    };
    let data = folder.path().join("data");
    generate::write(&data, &config, |_| {}).unwrap();
    (folder, data)
}

fn comparison(data: &Path, models: &[&str]) -> Comparison {
    Comparison {
        config: ExperimentConfig {
            source: Source::Folder {
                data: data.to_owned(),
                posters: None,
                summaries: None,
            },
            out: data.with_file_name("comparison"),
            ..ExperimentConfig::default()
        },
        models: models.iter().map(|&name| name.to_owned()).collect(),
        ..Comparison::default()
    }
}

fn run(comparison: &Comparison) -> ComparisonReport {
    comparison.run(&mut Silent).unwrap()
}

#[test]
fn figures_are_those_of_an_experiment_and_the_best_model_comes_first() {
    let (folder, data) = data();
    let comparison = comparison(&data, &["popularity", "ease", "gaussian-process", "biases"]);
    let report = run(&comparison);
    let config = ExperimentConfig {
        out: folder.path().join("run"),
        ..comparison.config.clone()
    };
    let experiment = Experiment::new(config).unwrap();
    let alone = experiment
        .fit(&PopularityConfig::default(), &mut Silent)
        .unwrap();
    let ranking = &alone.ranking.unwrap().rankings[0];
    let table = &report.tables[0];
    assert_eq!(table.title, ranking.protocol);
    assert_eq!(table.metrics[0], "nDCG@10");
    let row = table
        .rows
        .iter()
        .find(|row| row.model == "popularity")
        .unwrap();
    for (metric, figure) in table.metrics.iter().zip(&row.figures) {
        let other = ranking
            .figures
            .iter()
            .find(|it| it.metric == *metric)
            .unwrap();
        assert!((figure.value - other.value).abs() < 1e-12);
        assert_eq!(figure.interval, other.interval);
    }
    for table in &report.tables {
        let of_first = table.rows.iter().map(|row| row.figures[0].value);
        let first: Vec<f64> = of_first.collect();
        assert!(first.is_sorted_by(|a, b| (a >= b) == table.more_is_better || a == b));
        assert_eq!(table.rows[0].difference, None);
        for row in &table.rows[1..] {
            let apart = row.figures[0].value - first[0];
            let difference = row.difference.unwrap();
            assert!((difference.value - apart).abs() < 1e-12);
            let (low, high) = difference.interval.unwrap();
            assert!(low <= difference.value && difference.value <= high);
        }
    }
    let stars = report.tables.last().unwrap();
    assert_eq!((stars.title.as_str(), stars.rows.len()), ("stars", 2));
    for file in ["compare.md", "compare.json", "compare.html"] {
        let text = fs::read_to_string(comparison.config.out.join(file)).unwrap();
        assert!(text.contains("gaussian-process"), "{file}");
    }
}

#[test]
fn what_was_finished_is_not_done_again_and_what_is_damaged_or_of_other_data_is() {
    let (_folder, data) = data();
    let mut comparison = comparison(&data, &["svd", "ials"]);
    comparison.seeds = 2;
    let first = run(&comparison);
    let file = |model: &str, seed| {
        let folder = comparison.config.out.join(model);
        folder.join(format!("seed-{seed}.json"))
    };
    // As if it had taken long.
    let text = fs::read_to_string(file("svd", 1)).unwrap();
    let mut outcome: serde_json::Value = serde_json::from_str(&text).unwrap();
    outcome["seconds"] = 1e6.into();
    fs::write(file("svd", 1), outcome.to_string()).unwrap();
    fs::write(file("svd", 2), &text[..text.len() / 2]).unwrap();
    fs::remove_file(file("ials", 1)).unwrap();
    let kept = fs::read(file("ials", 2)).unwrap();
    let second = run(&comparison);
    let row = |report: &ComparisonReport, model: &str| {
        let rows = &report.tables[0].rows;
        rows.iter().find(|row| row.model == model).unwrap().clone()
    };
    assert!(row(&second, "svd").seconds > 4e5);
    assert_eq!(row(&second, "svd").figures, row(&first, "svd").figures);
    assert_eq!(row(&second, "ials").figures, row(&first, "ials").figures);
    assert_eq!(fs::read(file("ials", 2)).unwrap(), kept);

    comparison.config.split = SplitConfig::Random {
        test_share: 0.2,
        seed: 7,
    };
    let other = run(&comparison);
    assert!(row(&other, "svd").seconds < 1e3);
    assert_ne!(row(&other, "ials").figures, row(&first, "ials").figures);
}

#[test]
fn figures_that_are_missing_and_other_candidates_are_no_outcome_to_go_on_with() {
    let (folder, data) = data();
    let movielens = MovieLens::open(&data).unwrap();
    let file = folder.path().join("candidates.csv");
    // The last movie that each of some users rated, against some that they did not.
    let write = |from: usize| {
        let ratings = &movielens.ratings;
        let mut rated: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (&user, &movie) in ratings.user_ids().iter().zip(ratings.movie_ids()) {
            rated.entry(user).or_default().push(movie);
        }
        let mut text = "userId,heldOutMovieId,a,b,c,d,e\n".to_owned();
        for (user, own) in &rated {
            let others = movielens.movies.ids().iter().filter(|id| !own.contains(id));
            let others: Vec<String> = others.skip(from).take(5).map(u32::to_string).collect();
            text += &format!("{user},{},{}\n", own[own.len() - 1], others.join(","));
        }
        fs::write(&file, text).unwrap();
    };
    write(0);
    let mut comparison = comparison(&data, &["popularity"]);
    comparison.config.split = SplitConfig::Candidates(file.clone());
    let first = run(&comparison);
    write(1);
    let other = run(&comparison);
    let figures = |report: &ComparisonReport| report.tables[0].rows[0].figures.clone();
    assert_ne!(figures(&other), figures(&first));

    let kept = comparison.config.out.join("popularity/seed-1.json");
    let mut outcome: serde_json::Value = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
    outcome["rankings"][0]["users"][0] = serde_json::json!([]);
    fs::write(&kept, outcome.to_string()).unwrap();
    assert_eq!(figures(&run(&comparison)), figures(&other));
}

#[test]
fn a_model_without_chance_is_trained_once() {
    let (_folder, data) = data();
    let mut comparison = comparison(&data, &["popularity", "svd"]);
    comparison.seeds = 2;
    let report = run(&comparison);
    let row = |model: &str| {
        let rows = &report.tables[0].rows;
        rows.iter().find(|row| row.model == model).unwrap().clone()
    };
    assert_eq!((row("popularity").seeds, row("svd").seeds), (1, 2));
    assert_eq!(row("popularity").figures[0].deviation, None);
    assert!(row("svd").figures[0].deviation.is_some());
    assert!(
        report
            .to_string()
            .contains("means over 2 seeds where a model draws anything, 95 %")
    );
    // One seed less of a model that draws: that is said.
    fs::remove_file(comparison.config.out.join("svd/seed-2.json")).unwrap();
    comparison.models.push("ials".to_owned());
    run(&comparison);
    fs::remove_file(comparison.config.out.join("svd/seed-2.json")).unwrap();
    comparison.budget = Some(Duration::ZERO);
    let printed = run(&comparison).to_string();
    assert!(
        printed.contains("where a model draws anything, 1 of svd, 95 %"),
        "{printed}"
    );
}

#[test]
fn a_budget_that_is_used_up_begins_nothing_and_says_what() {
    let (_folder, data) = data();
    let mut comparison = comparison(&data, &["popularity", "ease"]);
    run(&Comparison {
        models: vec!["popularity".to_owned()],
        ..comparison.clone()
    });
    comparison.budget = Some(Duration::ZERO);
    let report = run(&comparison);
    // What was there is shown.
    assert_eq!(report.tables[0].rows.len(), 1);
    assert_eq!(report.left_out, ["ease (seed 1): the budget was over"]);
    let printed = report.to_string();
    assert!(
        printed.contains("- ease (seed 1): the budget was over"),
        "{printed}"
    );
}

#[test]
fn who_would_take_more_memory_than_there_is_is_left_out_or_refused_where_it_is_named() {
    let (_folder, data) = data();
    let mut comparison = comparison(&data, &["popularity", "light-gcn"]);
    comparison.memory = Some(1 << 16);
    let error = comparison.run(&mut Silent).unwrap_err().to_string();
    assert!(
        error.contains("light-gcn would take 1 MiB of memory"),
        "{error}"
    );
    assert!(!comparison.config.out.join("popularity").exists());

    comparison.models.clear();
    comparison.budget = Some(Duration::ZERO);
    let report = run(&comparison);
    let why = |model: &str| {
        let own = report.left_out.iter();
        own.filter(|it| it.starts_with(model))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert!(
        why("light-gcn (seed 1)")[0].contains("would take"),
        "{report}"
    );
    assert_eq!(why("vbpr"), ["vbpr: there are no vectors of movies"]);
    assert_eq!(
        why("popularity"),
        ["popularity (seed 1): the budget was over"]
    );
}

#[test]
fn epochs_that_are_tried_are_as_few_as_they_are_said_to_be() {
    let (_folder, data) = data();
    let mut comparison = comparison(&data, &["bpr-mf"]);
    let refused = |comparison: &Comparison| comparison.run(&mut Silent).unwrap_err().to_string();
    comparison.epochs = Some(0);
    assert!(refused(&comparison).contains("epochs is 0"));
    comparison.epochs = Some(1);
    let idle = Comparison {
        models: vec!["ease".to_owned()],
        ..comparison.clone()
    };
    assert!(refused(&idle).contains("validation rows choose the epochs of none"));
    let none = Comparison {
        seeds: 0,
        epochs: None,
        ..comparison.clone()
    };
    assert!(refused(&none).contains("seeds is 0"));
    let report = run(&comparison);
    let settings = report.tables[0].rows[0].settings.to_string();
    assert!(settings.contains("\"epochs\":1"), "{settings}");
}

/// A folder of such ratings `(user, movie, stars)` and movies from 1 on.
fn folder_of(dir: &Path, movies: u32, ratings: &[(u32, u32, f32)]) {
    fs::create_dir_all(dir).unwrap();
    let mut text = "movieId,title,genres\n".to_owned();
    (1..=movies).for_each(|id| text += &format!("{id},Film {id} (1990),Drama\n"));
    fs::write(dir.join("movies.csv"), text).unwrap();
    let mut text = "userId,movieId,rating,timestamp\n".to_owned();
    let rows = (1..).zip(ratings);
    rows.for_each(|(time, (user, movie, stars))| {
        text += &format!("{user},{movie},{stars},{time}\n")
    });
    fs::write(dir.join("ratings.csv"), text).unwrap();
}

#[test]
fn a_model_that_fails_does_not_keep_others_from_coming_to_something() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Of one movie there are no pairs to learn from.
    let ratings: Vec<(u32, u32, f32)> = (1..=30).map(|user| (user, 1, 4.0)).collect();
    folder_of(&data, 1, &ratings);
    let report = run(&comparison(&data, &["popularity", "bpr-mf", "biases"]));
    let models: Vec<&str> = report.tables[0]
        .rows
        .iter()
        .map(|row| &*row.model)
        .collect();
    assert_eq!(models, ["popularity", "biases"]);
    assert!(
        report.left_out[0].starts_with("bpr-mf (seed 1): "),
        "{report}"
    );
    let alone = comparison(&data, &["bpr-mf"]).run(&mut Silent).unwrap_err();
    assert!(
        alone
            .to_string()
            .contains("rated one movie and not another"),
        "{alone}"
    );
}

#[test]
fn stars_that_are_all_the_same_have_no_difference_that_is_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let pairs = (1..=30).flat_map(|user| (1..=9).map(move |movie| (user, movie, 4.0)));
    folder_of(&data, 12, &pairs.collect::<Vec<_>>());
    let mut comparison = comparison(&data, &["biases", "svd"]);
    comparison.seeds = 2;
    let printed = run(&comparison).to_string();
    assert!(!printed.contains("NaN"), "{printed}");
}

#[test]
fn the_ranking_dlrm_learns_from_one_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let ratings: Vec<(u32, u32, f32)> = (1..=40).map(|movie| (1, movie, 4.0)).collect();
    folder_of(&data, 60, &ratings);
    let report = run(&comparison(&data, &["rank"]));
    assert_eq!(report.tables[0].rows.len(), 1, "{report}");
}

#[test]
fn a_folder_that_is_in_use_or_holds_a_run_is_refused() {
    let (_folder, data) = data();
    let comparison = comparison(&data, &["popularity"]);
    let out = &comparison.config.out;
    fs::create_dir_all(out).unwrap();
    let lock = FolderLock::take(out).unwrap();
    let busy = comparison.run(&mut Silent).unwrap_err().to_string();
    assert!(busy.contains("at work in"), "{busy}");
    drop(lock);
    fs::write(out.join("config.json"), "{}").unwrap();
    let taken = comparison.run(&mut Silent).unwrap_err().to_string();
    assert!(taken.contains("holds a run"), "{taken}");
}

#[test]
fn a_choice_of_settings_that_there_are_not_is_made_again() {
    let (_folder, data) = data();
    let comparison = comparison(&data, &["item-knn"]);
    let first = run(&comparison);
    let folder = comparison.config.out.join("item-knn");
    fs::remove_file(folder.join("seed-1.json")).unwrap();
    let path = folder.join("choice.json");
    let mut choice: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    choice["number"] = 99.into();
    fs::write(&path, choice.to_string()).unwrap();
    let figures = |report: &ComparisonReport| report.tables[0].rows[0].figures.clone();
    assert_eq!(figures(&run(&comparison)), figures(&first));
}

#[test]
fn credits_of_no_movie_are_refused() {
    let (folder, data) = data();
    let mut comparison = comparison(&data, &["popularity"]);
    let credits = folder.path().join("credits.csv");
    fs::write(&credits, "movieId,role,name\n999999999,actor,Nobody\n").unwrap();
    comparison.config.credits = Some(credits);
    let error = comparison.run(&mut Silent).unwrap_err().to_string();
    assert!(
        error.contains("none of its credits is of a movie"),
        "{error}"
    );
}

#[test]
fn a_sample_of_users_is_ranked_for_where_it_is_asked_for() {
    let (_folder, data) = data();
    let mut comparison = comparison(&data, &["popularity"]);
    let all = run(&comparison);
    comparison.config.ranking = RankedUsers::Sample(10);
    let some = run(&comparison);
    assert!(
        some.held_out.contains("a sample of 10 of the"),
        "{}",
        some.held_out
    );
    assert_ne!(
        all.tables[0].rows[0].figures,
        some.tables[0].rows[0].figures
    );
    comparison.config.ranking = RankedUsers::Off;
    assert!(comparison.run(&mut Silent).is_err());
}

#[test]
fn models_that_there_are_not_and_data_without_content_are_refused() {
    let (_folder, data) = data();
    let error = |models: &[&str]| {
        let error = comparison(&data, models).run(&mut Silent).unwrap_err();
        error.to_string()
    };
    let unknown = error(&["popularity", "nobody"]);
    assert!(unknown.contains("no model called 'nobody'"), "{unknown}");
    assert!(unknown.contains("light-gcn"), "{unknown}");
    let lacking = error(&["popularity", "vbpr"]);
    assert!(
        lacking.contains("models is vbpr, but it learns from vectors"),
        "{lacking}"
    );
}

/// Settings and epochs that were chosen.
fn choices(comparison: &Comparison) -> Vec<(String, serde_json::Value)> {
    run(comparison);
    let choice = |model: &String| {
        let path = comparison.config.out.join(model).join("choice.json");
        let choice: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        (
            model.clone(),
            serde_json::json!([choice["number"], choice["epochs"]]),
        )
    };
    comparison.models.iter().map(choice).collect()
}

#[test]
fn what_is_held_out_chooses_nothing() {
    let (_folder, data) = data();
    let comparison = comparison(&data, &["ease", "bpr-mf"]);
    let chosen = choices(&comparison);
    assert!(
        chosen
            .iter()
            .any(|(_, choice)| *choice != serde_json::json!([0, 1]))
    );
    let ratings = MovieLens::open(&data).unwrap().ratings;
    let split = Split::random(ratings.len(), 0.2, 42).unwrap();
    let path = data.join("ratings.csv");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for &row in split.test() {
        let line = &mut lines[row as usize + 1];
        let columns: Vec<&str> = line.split(',').collect();
        *line = format!("{},{},0.5,{}", columns[0], columns[1], columns[3]);
    }
    fs::write(&path, lines.join("\n")).unwrap();
    assert_eq!(choices(&comparison), chosen);
}

#[test]
fn each_protocol_has_its_table_first() {
    let (folder, data) = data();
    let vectors = folder.path().join("vectors.parquet");
    write_vectors(&vectors, &data);
    let movielens = MovieLens::open(&data).unwrap();
    let (users, movies) = (movielens.ratings.user_ids(), movielens.ratings.movie_ids());
    let candidates = folder.path().join("candidates.csv");
    let others: Vec<String> = movielens.movies.ids()[..9]
        .iter()
        .map(u32::to_string)
        .collect();
    let held_out = movies
        .iter()
        .position(|id| !others.contains(&id.to_string()))
        .unwrap();
    let row = format!(
        "{},{},{}",
        users[held_out],
        movies[held_out],
        others.join(",")
    );
    let names: Vec<String> = (0..9).map(|at| format!("negative{at}")).collect();
    let header = format!("userId,heldOutMovieId,{}", names.join(","));
    fs::write(&candidates, format!("{header}\n{row}\n")).unwrap();
    for (split, title) in [
        (
            SplitConfig::LeaveLastOut { count: 1 },
            "the one rated last relevant",
        ),
        (SplitConfig::Temporal { test_share: 0.2 }, "full catalogue"),
        (
            SplitConfig::ColdMovies {
                test_share: 0.2,
                seed: 1,
            },
            "items without a training rating alone",
        ),
        (
            SplitConfig::Candidates(candidates),
            "against 9 sampled others",
        ),
    ] {
        let mut comparison = comparison(&data, &["popularity", "vbpr"]);
        comparison.config.vectors = vec![format!("made={}", vectors.display()).parse().unwrap()];
        comparison.config.split = split;
        let report = run(&comparison);
        let table = &report.tables[0];
        assert!(table.title.contains(title), "{} {title}", table.title);
        assert_eq!(table.rows.len(), 2);
    }
}
