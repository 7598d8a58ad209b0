//! The preset `rank`: what is held out stays hidden, and it is better than what proposes.

use std::collections::BTreeSet;
use std::path::Path;

use mmdlrm::baselines::EaseConfig;
use mmdlrm::data::{MovieLens, Rated, Split, generate};
use mmdlrm::features::{Dataset, Known, TrainingData};
use mmdlrm::model::{Loss, top_k};
use mmdlrm::train::{
    CheckpointConfig, Checkpoints, Error, Fit, Persist, Ranker, Session, Wanted, Who, best_of,
    rank_catalogue,
};
use mmdlrm::{
    Experiment, ExperimentConfig, Preset, Query, Recommender, Silent, Source, SplitConfig,
    TwoStage, TwoStageModel,
};

use crate::held_out::with_held_out;
use crate::support::shared;

fn dataset(held_out: impl Fn(usize, &[&str], &dyn Fn(&str) -> bool) -> String) -> Dataset {
    let (movielens, split) = with_held_out(held_out);
    Dataset::new(&movielens, split, Vec::new()).unwrap()
}

fn as_it_is() -> Dataset {
    dataset(|_, columns, _| columns[1..].join(","))
}

/// What learns in a moment.
fn two_stage() -> TwoStage {
    let mut two_stage = TwoStage {
        candidates: 40,
        ..TwoStage::default()
    };
    two_stage.train.epochs = 3;
    two_stage
}

fn fit(data: &Dataset) -> TwoStageModel {
    two_stage().fit(data, Session::default()).unwrap()
}

/// Scores of all movies for all users, as bits.
fn scores(model: &dyn Ranker, data: &Dataset) -> Vec<u32> {
    let users: Vec<u32> = (0..data.features().users().len() as u32).collect();
    let mut scores = Vec::new();
    model.score(Who::Users(&users), &mut scores).unwrap();
    scores.into_iter().map(f32::to_bits).collect()
}

#[test]
fn recommendations_do_not_see_which_movies_the_test_rows_are_of() {
    let data = as_it_is();
    let movies = data.features().movies().ids();
    // Another time, other stars, and a movie that the user never rated, where there is one.
    let noise = dataset(|row, columns, is_free| {
        let others = movies.iter().map(|movie| movie.to_string());
        let mut others = others.filter(|movie| is_free(movie));
        let movie = others.nth(row % 7).unwrap_or_else(|| columns[1].to_owned());
        format!(
            "{movie},{},{}",
            0.5 * (row % 10 + 1) as f32,
            900_000_000 + row
        )
    });
    assert_ne!(data.fingerprint(), noise.fingerprint());
    assert_eq!(data.features().movies(), noise.features().movies());
    assert!(scores(&fit(&data), &data) == scores(&fit(&noise), &noise));
}

#[test]
fn a_ranker_is_the_same_on_any_number_of_threads_and_out_of_its_file() {
    let data = as_it_is();
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| fit(&data))
    };
    let (one, three) = (on(1), on(3));
    let file = one.to_safetensors().unwrap();
    assert!(file == three.to_safetensors().unwrap());
    let read = TwoStageModel::load(&file, &Known::of(&data).unwrap()).unwrap();
    assert!(scores(&one, &data) == scores(&read, &data));
    for length in [0, 8, file.len() / 2, file.len() - 1] {
        let known = Known::of(&data).unwrap();
        assert!(
            TwoStageModel::load(&file[..length], &known).is_err(),
            "{length}"
        );
    }
}

#[test]
fn a_ranker_that_was_stopped_goes_on_to_the_same_bits() {
    let data = as_it_is();
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = || {
        let config = CheckpointConfig {
            every_steps: 2,
            ..CheckpointConfig::default()
        };
        Checkpoints::new(folder.path(), config)
    };
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut steps = 0;
    let session = Session {
        checkpoints: Some(checkpoints()),
        stop: Some(&stop),
        ..Session::default()
    };
    let session = session.on_step(|_| {
        steps += 1;
        stop.store(steps == 8, std::sync::atomic::Ordering::Relaxed);
    });
    let error = two_stage().fit(&data, session).unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "{error}");
    let session = Session {
        resumed: checkpoints().latest().unwrap().checkpoint,
        ..Session::default()
    };
    assert!(session.resumed.is_some());
    let resumed = two_stage().fit(&data, session).unwrap();
    assert!(scores(&resumed, &data) == scores(&fit(&data), &data));
}

#[test]
fn a_visitor_with_the_ratings_of_a_user_is_told_the_same() {
    let data = as_it_is();
    let model = fit(&data);
    let known = Known::of(&data).unwrap();
    let trained = known.histories().trained().unwrap();
    let (mut of_user, mut of_visitor) = (Vec::new(), Vec::new());
    for user in [0, 7, 79] {
        model.score(Who::Users(&[user]), &mut of_user).unwrap();
        let rated: Vec<Rated> = trained.row(user).rows_of(user).collect();
        let visitor = model.meet(&rated, None).unwrap();
        model
            .score(Who::Visitor(&visitor), &mut of_visitor)
            .unwrap();
        assert_eq!(of_user, of_visitor);
        let because = |who| model.because(who, &[3, 5], 2).unwrap();
        assert_eq!(
            because(Who::Users(&[user])),
            because(Who::Visitor(&visitor))
        );
    }
    // Nobody has rated less.
    let nobody = model.meet(&[], None).unwrap();
    model.score(Who::Visitor(&nobody), &mut of_visitor).unwrap();
    let ease = model.ease();
    let nobody = ease.meet(&[], None).unwrap();
    ease.score(Who::Visitor(&nobody), &mut of_user).unwrap();
    assert_eq!(of_visitor, of_user);
    let error = model.score(Who::Users(&[80]), &mut of_user).unwrap_err();
    assert!(error.to_string().contains("row 80"), "{error}");
}

/// The best of all movies but some, for one user.
fn best(model: &TwoStageModel, data: &Dataset, passed_over: &[u32], count: usize) -> Vec<u32> {
    let wanted = Wanted {
        items: data.features().movies().len(),
        passed_over,
        count,
    };
    let best = best_of(model, Who::Users(&[7]), &wanted).unwrap();
    assert!(best.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    best.into_iter().map(|(movie, _)| movie).collect()
}

#[test]
fn the_second_stage_puts_in_order_what_filters_leave() {
    let data = as_it_is();
    let model = fit(&data);
    let trained = Known::of(&data).unwrap().histories().trained().unwrap();
    let rated = trained.row(7).ids;
    let movies = data.features().movies().len();
    // Without a filter as all scores say, to the last movie.
    let mut scores = Vec::new();
    model.score(Who::Users(&[7]), &mut scores).unwrap();
    let by_scores = top_k(&scores, movies, rated);
    let by_scores: Vec<u32> = by_scores.into_iter().map(|(movie, _)| movie).collect();
    assert_eq!(best(&model, &data, rated, movies), by_scores);
    assert_eq!(best(&model, &data, rated, 5), by_scores[..5]);
    // What it would put first passed over, the next are in its order, and not the first stage's.
    let passed_over = [rated, &by_scores[..20]].concat();
    let narrowed = best(&model, &data, &passed_over, movies);
    assert_ne!(narrowed, by_scores[20..]);
    let sorted = |movies: &[u32]| movies.iter().copied().collect::<BTreeSet<u32>>();
    assert_eq!(sorted(&narrowed), sorted(&by_scores[20..]));
    // What was rated is found where it is wanted.
    let all = best(&model, &data, &[], 40);
    assert!(all.iter().any(|movie| rated.contains(movie)));
    let everything: Vec<u32> = (0..movies as u32).collect();
    assert!(best(&model, &data, &everything, 5).is_empty());
    let of_two = Wanted {
        items: movies,
        passed_over: &[],
        count: 1,
    };
    let error = model.best(Who::Users(&[7, 8]), &of_two).unwrap_err();
    assert!(error.to_string().contains("one user"), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |change: &dyn Fn(&mut TwoStage), why: &str| {
        let mut config = two_stage();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(&|it| it.candidates = 0, "candidates");
    refused(&|it| it.held_back = 1.0, "held_back");
    refused(&|it| it.held_back = f64::NAN, "held_back");
    refused(&|it| it.lists_an_epoch = 0, "lists_an_epoch");
    refused(&|it| it.train.batch_size = 100, "batch_size");
    refused(&|it| it.train.patience = Some(2), "patience");
    let (length, power) = (48, 1.0);
    refused(&|it| it.train.loss = Loss::Lists { length, power }, "loss");
    refused(&|it| it.ease.regularization = -1.0, "regularization");
    let experiment = |change: &dyn Fn(&mut ExperimentConfig), why: &str| {
        let mut config = ExperimentConfig::of(Preset::Rank);
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    experiment(&|it| it.validation = Some(0.1), "validation");
    experiment(&|it| it.train.loss = Loss::Mse, "loss");
    experiment(&|it| it.preset = Preset::Dlrm, "loss");
    experiment(&|it| it.device = "cuda".to_owned(), "device");
    experiment(&|it| it.stream = true, "stream");
    let other = ExperimentConfig {
        rater: false,
        ..ExperimentConfig::default()
    };
    let error = other.validate().unwrap_err().to_string();
    assert!(error.contains("rater"), "{error}");
}

#[test]
fn a_run_recommends_with_titles_as_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ExperimentConfig {
        source: Source::Sample(generate::GeneratorConfig::tiny()),
        out: folder.path().join("run"),
        ..ExperimentConfig::of(Preset::Rank)
    };
    config.train.epochs = 1;
    let report = Experiment::new(config.clone())
        .unwrap()
        .run(&mut Silent)
        .unwrap();
    // Of the rater.
    assert!(report.rmse().unwrap() < 2.0);
    let recommender = Recommender::load(&config.out, &mut Silent).unwrap();
    assert_eq!(recommender.model(), "rank");
    let user = recommender.user_ids()[0];
    let rated = recommender.rated_by(user).unwrap();
    let titles: Vec<&str> = rated
        .iter()
        .map(|&(movie, _)| recommender.catalogue().movie(movie).unwrap().title.as_str())
        .collect();
    let found = recommender.recommend(user, &Query::default()).unwrap();
    assert!(found.iter().any(|it| !it.reasons.is_empty()));
    let stars = recommender.predict(user, found[0].movie_id).unwrap();
    assert_eq!(found[0].stars, Some(stars));
    let ratings = [(rated[0].0, 5.0), (rated[1].0, 4.0)];
    let told = recommender
        .recommend_to_visitor(&ratings, &Query::default())
        .unwrap();
    let stars = recommender
        .predict_for_visitor(&ratings, &[told[0].movie_id])
        .unwrap();
    assert_eq!(told[0].stars, Some(stars[0]));
    assert!(recommender.similar(found[0].movie_id, 3).is_ok());
    for reason in found.iter().flat_map(|it| &it.reasons) {
        let words = reason.words.strip_prefix("because you ").unwrap();
        assert!(titles.iter().any(|title| words.contains(title)), "{words}");
    }
}

#[test]
fn movies_that_nobody_has_rated_come_last_in_an_order_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("sample");
    let sample = generate::GeneratorConfig {
        contents: false,
        ..generate::GeneratorConfig::tiny()
    };
    generate::write(&folder, &sample, |_| {}).unwrap();
    let movielens = MovieLens::open(&folder).unwrap();
    let split = Split::cold_movies(&movielens.ratings, 0.2, 42).unwrap();
    let data = Dataset::new(&movielens, split, Vec::new()).unwrap();
    let model = fit(&data);
    let counts = data.features().movie_counts();
    let (mut rated, mut unrated) = (Vec::new(), Vec::new());
    for (movie, &count) in (0..).zip(&counts) {
        match count {
            0 => unrated.push(movie),
            _ => rated.push(movie),
        }
    }
    assert!(unrated.len() > 5);
    let who = Who::Users(&[3]);
    let mut scores = Vec::new();
    model.score(who, &mut scores).unwrap();
    let score = |&movie: &u32| scores[movie as usize];
    let lowest = rated.iter().map(score).fold(f32::INFINITY, f32::min);
    let mut of_unrated: Vec<f32> = unrated.iter().map(score).collect();
    assert!(of_unrated.iter().all(|&score| score < lowest));
    of_unrated.sort_by(|a, b| b.total_cmp(a));
    of_unrated.dedup();
    assert!(of_unrated.len() > unrated.len() / 2);
    // Where nothing else is wanted they are found, in the same order.
    let wanted = Wanted {
        items: counts.len(),
        passed_over: &rated,
        count: unrated.len(),
    };
    let best = model.best(who, &wanted).unwrap();
    assert_eq!(best.len(), unrated.len());
    let in_order = best.windows(2);
    assert!(
        in_order
            .clone()
            .all(|pair| score(&pair[0].0) >= score(&pair[1].0))
    );
    let wanted = Wanted {
        passed_over: &unrated,
        ..wanted
    };
    let best = model.best(who, &wanted).unwrap();
    assert!(best.iter().all(|(movie, _)| rated.contains(movie)));
}

/// What `rank` has on a split of real ratings, of one protocol and metric.
fn figure(
    shared: &Path,
    change: impl Fn(&mut ExperimentConfig),
    protocol: &str,
    metric: &str,
) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ExperimentConfig {
        source: Source::Folder {
            data: shared.join("data/ml-latest-small"),
            posters: None,
            summaries: None,
        },
        rater: false,
        out: folder.path().join("run"),
        ..ExperimentConfig::of(Preset::Rank)
    };
    config.train.epochs = 6;
    change(&mut config);
    let report = Experiment::new(config).unwrap().run(&mut Silent).unwrap();
    let rankings = report.ranking.unwrap().rankings;
    let ranking = rankings.iter().find(|it| it.protocol.starts_with(protocol));
    let figures = &ranking.unwrap().figures;
    figures.iter().find(|it| it.metric == metric).unwrap().value
}

#[test]
fn what_comes_next_is_found_by_what_was_rated_last() {
    let Some(shared) = shared() else {
        return;
    };
    let last =
        |config: &mut ExperimentConfig| config.split = SplitConfig::LeaveLastOut { count: 1 };
    let found = figure(&shared, last, "full catalogue", "nDCG@10");
    // EASE has 0.037.
    assert!(found > 0.075, "{found}");
}

#[test]
fn credits_tell_which_movies_without_ratings_somebody_watches() {
    let Some(shared) = shared() else {
        return;
    };
    let cold = |config: &mut ExperimentConfig| {
        let (test_share, seed) = (0.2, 42);
        config.split = SplitConfig::ColdMovies { test_share, seed };
    };
    let protocol = "items without a training rating alone";
    let genres = figure(&shared, cold, protocol, "recall@10");
    let with_credits = |config: &mut ExperimentConfig| {
        cold(config);
        config.credits = Some(shared.join("data/credits.csv"));
    };
    let credits = figure(&shared, with_credits, protocol, "recall@10");
    // By chance it is 0.006.
    assert!(genres > 0.04, "{genres}");
    assert!(credits > genres + 0.02, "{credits} and {genres}");
}

/// Figures of one run each; `docs/accuracy.md` has them.
#[test]
fn ranking_real_ratings_is_better_than_by_what_is_rated_together() {
    let Some(shared) = shared() else {
        return;
    };
    let movielens = MovieLens::open(shared.join("data/ml-latest-small")).unwrap();
    let rows = shared.join("data/splits/ml-latest-small-random42-test.csv");
    let split = Split::from_test_rows(&rows, &movielens).unwrap();
    let data = Dataset::new(&movielens, split, Vec::new()).unwrap();
    let ndcg = |model: &dyn Ranker| {
        let ranking = rank_catalogue(model, &data, 10, |_, _| Ok(())).unwrap();
        ranking.mean().unwrap()
    };
    let mut config = TwoStage::default();
    config.train.epochs = 12;
    let two_stage = ndcg(&config.fit(&data, Session::default()).unwrap());
    let ease = ndcg(
        &EaseConfig::default()
            .fit(&data, Session::default())
            .unwrap(),
    );
    assert!(two_stage > 0.345, "{two_stage}");
    assert!(two_stage > ease + 0.005, "{two_stage} and {ease}");
}
