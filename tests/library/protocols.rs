//! Ranking by each protocol, from the configuration to the figures, against brute force.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mmdlrm::data::generate::{self, GeneratorConfig};
use mmdlrm::{
    EvaluationConfig, Experiment, ExperimentConfig, Preset, RankedUsers, Ranking, Report, Silent,
    Source, SplitConfig,
};

use crate::support::{predictions, rankings};

const MOVIES: usize = 60;

/// A made-up release, and runs beside it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let generator = GeneratorConfig {
            users: 40,
            movies: MOVIES as u32,
            ratings: 1000,
            seed: 9,
            contents: false,
        };
        generate::write(&folder.path().join("data"), &generator, |_| {}).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self, split: SplitConfig, out: &str) -> ExperimentConfig {
        let mut config = ExperimentConfig {
            source: Source::Folder {
                data: self.path("data"),
                posters: None,
                summaries: None,
            },
            split,
            preset: Preset::Dlrm,
            dim: 8,
            out: self.path(out),
            ..ExperimentConfig::default()
        };
        config.train.epochs = 2;
        config
    }

    fn run(&self, split: SplitConfig, out: &str) -> Report {
        run(self.config(split, out))
    }

    /// `(userId, movieId, stars, timestamp)`.
    fn ratings(&self) -> Vec<(i64, i64, f64, u64)> {
        let text = fs::read_to_string(self.path("data/ratings.csv")).unwrap();
        let rows = text.lines().skip(1).map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (
                fields[0].parse().unwrap(),
                fields[1].parse().unwrap(),
                fields[2].parse().unwrap(),
                fields[3].parse().unwrap(),
            )
        });
        rows.collect()
    }
}

fn run(config: ExperimentConfig) -> Report {
    Experiment::new(config).unwrap().run(&mut Silent).unwrap()
}

fn random() -> SplitConfig {
    SplitConfig::Random {
        test_share: 0.3,
        seed: 5,
    }
}

fn ranking<'a>(report: &'a Report, word: &str) -> Option<&'a Ranking> {
    let rankings = &report.ranking.as_ref().unwrap().rankings;
    rankings.iter().find(|it| it.protocol.contains(word))
}

fn figure(ranking: &Ranking, metric: &str) -> f64 {
    ranking.figure(metric).unwrap().value
}

/// Of each user the movies that a run recommends, the best first.
fn recommended(run: &Path) -> BTreeMap<i64, Vec<i64>> {
    let mut lists: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (user, rank, movie, _) in rankings(run) {
        let list = lists.entry(user).or_default();
        list.push(movie);
        assert_eq!(list.len() as i64, rank, "user {user}");
    }
    lists
}

/// Of each user what was held out, with its stars.
fn held_out(run: &Path) -> BTreeMap<i64, Vec<(i64, f64)>> {
    let mut of_users: BTreeMap<i64, Vec<(i64, f64)>> = BTreeMap::new();
    for (user, movie, stars, _) in predictions(run) {
        of_users.entry(user).or_default().push((movie, stars));
    }
    of_users
}

/// nDCG@10 by the definition, of a list without ties.
fn ndcg(list: &[i64], relevant: &[(i64, f64)]) -> f64 {
    let discount = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let gain = |movie: &i64| {
        relevant
            .iter()
            .find(|it| it.0 == *movie)
            .map_or(0.0, |it| it.1)
    };
    let ranked = list.iter().take(10).enumerate();
    let dcg: f64 = ranked
        .map(|(rank, movie)| gain(movie) * discount(rank))
        .sum();
    let mut best: Vec<f64> = relevant.iter().map(|it| it.1).collect();
    best.sort_by(|a, b| b.total_cmp(a));
    let ideal = best.iter().take(10).enumerate();
    dcg / ideal.map(|(rank, gain)| gain * discount(rank)).sum::<f64>()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} {expected}");
}

#[test]
fn the_rankings_of_a_run_give_the_figures_of_its_report() {
    let folder = Folder::new();
    let report = folder.run(random(), "run");
    let run = folder.path("run");
    let (lists, held_out) = (recommended(&run), held_out(&run));
    assert!(lists.keys().eq(held_out.keys()), "other users");
    let is_sorted = |rows: &[(i64, i64, i64, f32)]| {
        rows.is_sorted_by(|a, b| (a.0, a.1) < (b.0, b.1))
            && rows
                .windows(2)
                .all(|pair| pair[0].0 != pair[1].0 || pair[0].3 >= pair[1].3)
    };
    assert!(is_sorted(&rankings(&run)));

    let all = ranking(&report, "full catalogue").unwrap();
    let users = || held_out.iter().map(|(user, rated)| (&lists[user], rated));
    let expected = mean(users().map(|(list, rated)| ndcg(list, rated)));
    assert_near(report.ndcg_at_10().unwrap(), expected);
    let hits = |list: &[i64], rated: &[(i64, f64)]| {
        rated.iter().filter(|it| list[..10].contains(&it.0)).count() as f64
    };
    let recall = mean(users().map(|(list, rated)| hits(list, rated) / rated.len() as f64));
    assert_near(figure(all, "recall"), recall);
    let hit_rate = mean(users().map(|(list, rated)| hits(list, rated).min(1.0)));
    assert_near(figure(all, "hit rate"), hit_rate);
    let place = |list: &[i64], rated: &[(i64, f64)]| {
        list[..10]
            .iter()
            .position(|movie| rated.iter().any(|it| it.0 == *movie))
    };
    let mrr = mean(
        users()
            .map(|(list, rated)| place(list, rated).map_or(0.0, |place| 1.0 / (place + 1) as f64)),
    );
    assert_near(figure(all, "MRR"), mrr);

    let liked: Vec<_> = users()
        .map(|(list, rated)| {
            let liked = rated.iter().filter(|it| it.1 >= 4.0);
            (list, liked.map(|it| (it.0, 1.0)).collect::<Vec<_>>())
        })
        .filter(|it| !it.1.is_empty())
        .collect();
    let of_liked = ranking(&report, "rated 4 or more").unwrap();
    assert_eq!(of_liked.users, liked.len() as u64);
    assert_eq!(of_liked.left_out, (held_out.len() - liked.len()) as u64);
    let expected = mean(liked.iter().map(|(list, liked)| ndcg(list, liked)));
    assert_near(figure(of_liked, "nDCG"), expected);
}

#[test]
fn no_movie_that_a_user_is_known_to_have_rated_is_recommended() {
    let folder = Folder::new();
    let mut config = folder.config(random(), "run");
    config.validation = Some(0.2);
    run(config);
    let held_out = held_out(&folder.path("run"));
    for (user, list) in recommended(&folder.path("run")) {
        let rated = folder.ratings();
        let of_user = rated.iter().filter(|it| it.0 == user).map(|it| it.1);
        let test: BTreeSet<i64> = held_out[&user].iter().map(|it| it.0).collect();
        let known: BTreeSet<i64> = of_user.filter(|movie| !test.contains(movie)).collect();
        let distinct: BTreeSet<i64> = list.iter().copied().collect();
        assert!(distinct.is_disjoint(&known), "user {user}");
        assert_eq!(distinct.len(), list.len(), "user {user}");
        assert_eq!(list.len(), MOVIES - known.len(), "user {user}");
    }
}

#[test]
fn recommendations_do_not_see_the_labels_of_the_test_rows() {
    let folder = Folder::new();
    folder.run(random(), "before");
    let held_out = held_out(&folder.path("before"));
    let is_test = |user: i64, movie: i64| {
        let of_user = held_out.get(&user);
        of_user.is_some_and(|rated| rated.iter().any(|it| it.0 == movie))
    };
    let mut noisy = "userId,movieId,rating,timestamp\n".to_owned();
    for (row, (user, movie, stars, time)) in folder.ratings().into_iter().enumerate() {
        let noise = (row * 7 % 10 + 1) as f64 / 2.0;
        let stars = if is_test(user, movie) { noise } else { stars };
        noisy += &format!("{user},{movie},{stars:.1},{time}\n");
    }
    fs::write(folder.path("data/ratings.csv"), noisy).unwrap();
    folder.run(random(), "after");
    let of = |run: &str, file: &str| fs::read(folder.path(run).join(file)).unwrap();
    let same = of("before", "rankings.parquet") == of("after", "rankings.parquet");
    assert!(same, "recommendations saw the labels");
    let other = of("before", "predictions.parquet") != of("after", "predictions.parquet");
    assert!(other, "no label was changed");
}

#[test]
fn each_user_s_last_rating_is_the_next_item() {
    let folder = Folder::new();
    let report = folder.run(SplitConfig::LeaveLastOut { count: 1 }, "run");
    let run = folder.path("run");
    let next = ranking(&report, "the one rated last").unwrap();
    assert_eq!(
        (next.users, next.held_out.as_str()),
        (40, "the last rating of each user")
    );
    assert!(ranking(&report, "items without").is_none(), "{report}");
    let (lists, held_out) = (recommended(&run), held_out(&run));
    let places = held_out.iter().map(|(user, rated)| {
        let place = lists[user].iter().position(|movie| *movie == rated[0].0);
        place.filter(|place| *place < 10)
    });
    let places: Vec<Option<usize>> = places.collect();
    let of = |value: fn(f64) -> f64| {
        let values = places.iter();
        mean(values.map(|place| place.map_or(0.0, |place| value((place + 1) as f64))))
    };
    assert_near(figure(next, "hit rate"), of(|_| 1.0));
    assert_near(figure(next, "MRR"), of(|place| 1.0 / place));
    assert_near(figure(next, "nDCG"), of(|place| 1.0 / (place + 1.0).log2()));
    assert_eq!(report.ndcg_at_10(), Some(figure(next, "nDCG")));
}

#[test]
fn cold_movies_compete_among_themselves() {
    let folder = Folder::new();
    let split = SplitConfig::ColdMovies {
        test_share: 0.3,
        seed: 1,
    };
    let report = folder.run(split, "run");
    let run = folder.path("run");
    let cold = ranking(&report, "items without a training rating").unwrap();
    let (lists, held_out) = (recommended(&run), held_out(&run));
    let warm: BTreeSet<i64> = {
        let held: BTreeSet<i64> = held_out.values().flatten().map(|it| it.0).collect();
        let rated = folder.ratings().into_iter().map(|it| it.1);
        rated.filter(|movie| !held.contains(movie)).collect()
    };
    assert_eq!(cold.competing, MOVIES - warm.len());
    assert_eq!(cold.users + cold.left_out, held_out.len() as u64);
    let expected = mean(held_out.iter().map(|(user, rated)| {
        let list = lists[user].iter().filter(|movie| !warm.contains(movie));
        ndcg(&list.copied().collect::<Vec<_>>(), rated)
    }));
    assert_near(figure(cold, "nDCG"), expected);
    // Popularity tells none of them apart, and ties count against it.
    let baseline = &cold.figure("recall").unwrap().baselines[0];
    assert_eq!(baseline.name, "popularity");
    let within = held_out.values().map(|rated| {
        let relevant = rated.len() as f64;
        (relevant + 10.0 - cold.competing as f64).max(0.0) / relevant
    });
    assert_near(baseline.value, mean(within));
}

#[test]
fn users_without_history_are_ranked_for_and_counted() {
    let folder = Folder::new();
    let split = SplitConfig::ColdUsers {
        test_share: 0.25,
        seed: 3,
    };
    let report = folder.run(split, "run");
    let all = ranking(&report, "full catalogue").unwrap();
    assert_eq!((all.users, all.without_history), (10, 10));
    let said = "10 of 10 users have no training rating, and are ranked for all the same";
    assert!(report.to_string().contains(said), "{report}");
    assert_eq!(recommended(&folder.path("run")).len(), 10);

    let report = folder.run(SplitConfig::Temporal { test_share: 0.3 }, "later");
    let all = ranking(&report, "full catalogue").unwrap();
    assert_eq!(all.held_out, "the latest 30 % of the ratings");
    let trained: BTreeSet<i64> = {
        let later: BTreeSet<(i64, i64)> = {
            let rows = predictions(&folder.path("later")).into_iter();
            rows.map(|it| (it.0, it.1)).collect()
        };
        let rows = folder.ratings().into_iter().map(|it| (it.0, it.1));
        rows.filter(|row| !later.contains(row))
            .map(|row| row.0)
            .collect()
    };
    let tested = held_out(&folder.path("later"));
    let without = tested.keys().filter(|user| !trained.contains(user)).count();
    assert_eq!(all.without_history, without as u64);
}

#[test]
fn a_model_and_popularity_are_held_against_each_other_on_the_same_users() {
    let folder = Folder::new();
    let report = folder.run(random(), "run");
    let held_out = held_out(&folder.path("run"));
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    let is_test = |user: i64, movie| {
        let of_user = held_out.get(&user);
        of_user.is_some_and(|rated| rated.iter().any(|it| it.0 == movie))
    };
    for (user, movie, ..) in folder.ratings() {
        *counts.entry(movie).or_default() += usize::from(!is_test(user, movie));
    }
    // Of movies of one count the mean gain, as of all figures.
    let of_user = |user: i64, rated: &[(i64, f64)]| {
        let known = folder.ratings();
        let known = known
            .iter()
            .filter(|it| it.0 == user && !is_test(user, it.1));
        let known: BTreeSet<i64> = known.map(|it| it.1).collect();
        let competing = counts.iter().filter(|it| !known.contains(it.0));
        let (relevance, scores): (Vec<f64>, Vec<f64>) = competing
            .map(|(movie, count)| {
                let rated = rated.iter().find(|it| it.0 == *movie);
                (rated.map_or(0.0, |it| it.1), *count as f64)
            })
            .unzip();
        mmdlrm::metrics::ndcg_at_k(&relevance, &scores, 10).unwrap()
    };
    let popularity = mean(held_out.iter().map(|(user, rated)| of_user(*user, rated)));
    let all = ranking(&report, "full catalogue")
        .unwrap()
        .figure("nDCG")
        .unwrap();
    let [of_popularity, of_ease] = &all.baselines[..] else {
        panic!("{:?}", all.baselines);
    };
    assert_eq!(
        [&*of_popularity.name, &*of_ease.name],
        ["popularity", "EASE"]
    );
    assert_near(of_popularity.value, popularity);
    let beside = all.best_baseline().unwrap();
    assert_eq!(beside.value, of_popularity.value.max(of_ease.value));
    assert_near(beside.difference, all.value - beside.value);
    let (low, high) = beside.difference_interval.unwrap();
    assert!(
        low < beside.difference && beside.difference < high,
        "{low} {high}"
    );
    let line = format!(
        "| nDCG@10, full catalogue less the user's training items | {:.4} ({:.4}–{:.4}) | {:.4} | \
         {:.4} | {beside} | 40 users, 60 movies |",
        all.value,
        all.interval.unwrap().0,
        all.interval.unwrap().1,
        of_popularity.value,
        of_ease.value
    );
    assert!(report.to_string().contains(&line), "{report}");
    let page = fs::read_to_string(folder.path("run/report.html")).unwrap();
    assert!(page.contains(&format!("<td class=\"number\">{:.4}</td>", beside.value)));
    let metrics = fs::read_to_string(folder.path("run/metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    let figure = &last["rankings"][0]["figures"][0];
    assert_eq!(figure["metric"], "nDCG@10");
    assert_near(
        figure["baselines"][0]["value"].as_f64().unwrap(),
        popularity,
    );
    assert_near(last["ndcg_at_10"].as_f64().unwrap(), all.value);
}

#[test]
fn a_sample_of_users_is_drawn_by_the_seed_and_said_to_be_one() {
    let folder = Folder::new();
    let of = |ranking, out: &str| {
        let config = folder.config(random(), out);
        run(ExperimentConfig { ranking, ..config })
    };
    let sample = of(RankedUsers::Sample(7), "sample");
    let lists = recommended(&folder.path("sample"));
    assert_eq!(lists.len(), 7);
    let said = "ranked for a sample of 7 of the 40 users with held-out ratings, drawn by seed 42";
    assert!(sample.to_string().contains(said), "{sample}");
    assert_eq!(ranking(&sample, "full catalogue").unwrap().users, 7);
    of(RankedUsers::Sample(7), "again");
    assert_eq!(recommended(&folder.path("again")), lists);
    let all = of(RankedUsers::Sample(1000), "all");
    let said = "ranked for all 40 users with held-out ratings, of whom a sample of 1000 was wanted";
    assert!(all.to_string().contains(said), "{all}");
    // Errors are of all ratings.
    assert_eq!(all.errors, sample.errors);

    let none = of(RankedUsers::Off, "none");
    assert!(none.ranking.is_none() && none.errors == all.errors);
    assert!(!none.to_string().contains("nDCG"), "{none}");
    assert!(!folder.path("none/rankings.parquet").exists());
    let page = fs::read_to_string(folder.path("none/report.html")).unwrap();
    assert!(page.contains("RMSE") && !page.contains("nDCG"));
    // The model is the same whoever is ranked for.
    let model = |run: &str| fs::read(folder.path(run).join("model.safetensors")).unwrap();
    assert!(model("none") == model("sample"));
    let error = Experiment::new(ExperimentConfig {
        ranking: RankedUsers::Sample(0),
        ..folder.config(random(), "nobody")
    });
    let error = error.err().unwrap().to_string();
    assert!(
        error.contains("number of users to rank for is 0"),
        "{error}"
    );
}

/// The last rating of each user, against five movies that the user did not rate.
fn write_candidates(folder: &Folder) -> PathBuf {
    let ratings = folder.ratings();
    let movies: BTreeSet<i64> = ratings.iter().map(|it| it.1).collect();
    let mut file = "userId,heldOutMovieId,a,b,c,d,e\n".to_owned();
    for of_user in ratings.chunk_by(|a, b| a.0 == b.0) {
        let rated: BTreeSet<i64> = of_user.iter().map(|it| it.1).collect();
        let others: Vec<String> = movies.difference(&rated).map(i64::to_string).collect();
        let last = of_user.iter().max_by_key(|it| it.3).unwrap();
        file += &format!("{},{},{}\n", last.0, last.1, others[..5].join(","));
    }
    let path = folder.path("candidates.csv");
    fs::write(&path, file).unwrap();
    path
}

#[test]
fn any_model_ranks_the_candidates_that_a_file_names() {
    let folder = Folder::new();
    let candidates = write_candidates(&folder);
    folder.run(SplitConfig::LeaveLastOut { count: 1 }, "run");
    let wanted = EvaluationConfig {
        split: Some(SplitConfig::Candidates(candidates.clone())),
        ..EvaluationConfig::default()
    };
    let evaluate = |run: &str, out: &str| {
        let (run, out) = (folder.path(run), folder.path(out));
        Experiment::evaluate_on(run, &wanted, out, &mut Silent)
    };
    let report = evaluate("run", "evaluated").unwrap();
    let among = ranking(&report, "against 5 sampled others").unwrap();
    assert_eq!((among.users, among.competing), (40, 6));
    // All candidates are within ten.
    assert_eq!(figure(among, "hit rate"), 1.0);
    let scores = crate::support::candidate_scores(&folder.path("evaluated"));
    let reciprocal = scores.chunks(6).map(|of_user| {
        assert!(of_user[0].3 && !of_user[1].3);
        let above = of_user[1..]
            .iter()
            .filter(|it| it.2 >= of_user[0].2)
            .count();
        1.0 / (above + 1) as f64
    });
    assert_near(figure(among, "MRR"), mean(reciprocal));
    assert_eq!(among.figure("MRR").unwrap().baselines[0].name, "popularity");

    // A run that learned from them cannot be asked.
    folder.run(random(), "other");
    let error = evaluate("other", "refused").unwrap_err().to_string();
    assert!(
        error.contains("candidates.csv: ") && error.contains(" of its 40 held-out"),
        "{error}"
    );
    assert!(error.contains("such as movie "), "{error}");
    assert!(!folder.path("refused").exists());
}
