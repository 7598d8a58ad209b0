//! What a trained model says to people.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mmdlrm::data::generate::GeneratorConfig;
use mmdlrm::data::{MovieLens, Split};
use mmdlrm::train::Error::CalledOff;
use mmdlrm::{
    Error, Experiment, ExperimentConfig, Newcomer, Preset, Query, Recommender, Silent, Source,
    SplitConfig,
};

/// A run on a made-up sample; its folder lives as long as the tests.
pub fn trained(
    preset: Preset,
    split: SplitConfig,
    timestamps: bool,
) -> (Recommender, ExperimentConfig) {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap()).path();
    let mut config = ExperimentConfig::of(preset);
    config.source = Source::Sample(GeneratorConfig {
        users: 80,
        movies: 120,
        ratings: 4000,
        seed: 5,
        contents: true,
    });
    let name = format!("{preset:?}-{split:?}-{timestamps}/run");
    config.split = split;
    config.out = folder.join(name.replace([' ', ':', '{', '}'], ""));
    config.dim = 8;
    config.train.epochs = 2;
    config.context.timestamps = timestamps;
    // One is enough for all tests that want the same.
    static TRAINING: Mutex<()> = Mutex::new(());
    let training = TRAINING.lock().unwrap_or_else(PoisonError::into_inner);
    if !config.out.exists() {
        let experiment = Experiment::new(config.clone()).unwrap();
        experiment.run(&mut Silent).unwrap();
    }
    drop(training);
    (Recommender::load(&config.out, &mut Silent).unwrap(), config)
}

pub const RANDOM: SplitConfig = SplitConfig::Random {
    test_share: 0.2,
    seed: 1,
};

fn data_of(config: &ExperimentConfig) -> PathBuf {
    let Source::Sample(sample) = &config.source else {
        panic!("no sample")
    };
    config.out.parent().unwrap().join(sample.folder_name())
}

pub fn ratings_of(config: &ExperimentConfig) -> MovieLens {
    MovieLens::open(data_of(config)).unwrap()
}

#[test]
fn the_best_unseen_movies_come_first_with_the_stars_of_a_prediction_and_reasons() {
    for preset in [
        Preset::Mmdlrm,
        Preset::MmdlrmFactored,
        Preset::Best,
        Preset::DlrmClip,
    ] {
        let (recommender, _) = trained(preset, RANDOM, true);
        let user = recommender.user_ids()[3];
        let query = Query {
            count: 1000,
            ..Query::default()
        };
        let found = recommender.recommend(user, &query).unwrap();
        let rated = recommender.rated_by(user).unwrap();
        let seen: Vec<u32> = rated.into_iter().map(|(movie, _)| movie).collect();
        assert_eq!(found.len() + seen.len(), 120, "{preset:?}");
        assert!(found.iter().all(|movie| !seen.contains(&movie.movie_id)));
        assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        for movie in &found {
            let stars = recommender.predict(user, movie.movie_id).unwrap();
            assert!(
                (movie.stars.unwrap() - stars).abs() < 1e-3,
                "{preset:?} {} {stars}",
                movie.score
            );
            assert!(movie.reasons.len() <= 3);
            assert!(
                movie
                    .reasons
                    .windows(2)
                    .all(|pair| pair[0].stars >= pair[1].stars)
            );
        }
        assert!(!found[0].reasons.is_empty(), "{preset:?}");
    }
}

#[test]
fn genres_and_years_narrow_the_choice() {
    let (recommender, _) = trained(Preset::Mmdlrm, RANDOM, true);
    let user = recommender.user_ids()[0];
    let catalogue = recommender.catalogue();
    let genre = catalogue.genres()[0].clone();
    let years = 1980..=1999;
    let query = Query {
        count: 1000,
        genres: vec![genre.clone()],
        years: Some(years.clone()),
        unseen_only: false,
        ..Query::default()
    };
    let found = recommender.recommend(user, &query).unwrap();
    let fits = |id: u32| {
        let movie = catalogue.movie(id).unwrap();
        movie.genres.contains(&genre) && movie.year.is_some_and(|year| years.contains(&year))
    };
    let expected = catalogue.ids().iter().filter(|id| fits(**id)).count();
    assert!(expected > 0 && expected < 120);
    assert_eq!(found.len(), expected);
    assert!(found.iter().all(|movie| fits(movie.movie_id)));
}

#[test]
fn likeness_goes_both_ways_and_leaves_the_movie_itself_out() {
    let (recommender, _) = trained(Preset::Mmdlrm, RANDOM, true);
    let first = recommender.catalogue().ids()[0];
    let similar = recommender.similar(first, 119).unwrap();
    assert_eq!(similar.len(), 119);
    for other in &similar {
        assert_ne!(other.movie_id, first);
        let back = recommender.similar(other.movie_id, 119).unwrap();
        let back = back.iter().find(|it| it.movie_id == first).unwrap();
        assert!((back.cosine - other.cosine).abs() < 1e-5);
        assert!(other.cosine.abs() <= 1.0 + 1e-5);
    }
}

fn correlation(pairs: &[(f32, f32)]) -> f32 {
    let count = pairs.len() as f32;
    let mean = |of: fn(&(f32, f32)) -> f32| pairs.iter().map(of).sum::<f32>() / count;
    let (a, b) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let sum = |of: &dyn Fn(f32, f32) -> f32| -> f32 {
        pairs.iter().map(|pair| of(pair.0 - a, pair.1 - b)).sum()
    };
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

#[test]
fn somebody_new_with_the_ratings_of_a_user_is_told_what_the_user_is() {
    // Without times, of which a visitor's ratings have none.
    let (recommender, config) = trained(Preset::Best, RANDOM, false);
    let ratings = ratings_of(&config).ratings;
    let split = Split::random(ratings.len(), 0.2, 1).unwrap();
    let user = recommender.user_ids()[7];
    let own: Vec<(u32, f32)> = split
        .train()
        .iter()
        .map(|&row| row as usize)
        .filter(|&row| ratings.user_ids()[row] == user)
        .map(|row| (ratings.movie_ids()[row], ratings.stars()[row]))
        .collect();
    let others: Vec<u32> = recommender.catalogue().ids().to_vec();
    let visitor = recommender.predict_for_visitor(&own, &others).unwrap();
    let pairs: Vec<(f32, f32)> = others
        .iter()
        .zip(visitor)
        .map(|(&movie, stars)| (recommender.predict(user, movie).unwrap(), stars))
        .collect();
    // Not the same: the user's ratings are in the audiences, the visitor's are not.
    assert!(correlation(&pairs) > 0.9, "{}", correlation(&pairs));
    let stranger = recommender.predict_for_visitor(&[], &others).unwrap();
    let of_stranger: Vec<(f32, f32)> = pairs.iter().zip(stranger).map(|(p, s)| (p.0, s)).collect();
    assert!(correlation(&of_stranger) < correlation(&pairs));
}

#[test]
fn a_visitor_is_learned_and_the_next_begins_anew() {
    let (recommender, _) = trained(Preset::MmdlrmFactored, RANDOM, true);
    let movies = recommender.catalogue().ids().to_vec();
    let ratings: Vec<(u32, f32)> = movies
        .iter()
        .enumerate()
        .take(40)
        .map(|(place, &movie)| (movie, if place % 2 == 0 { 5.0 } else { 1.0 }))
        .collect();
    let rated: Vec<u32> = ratings.iter().map(|rating| rating.0).collect();
    let first = recommender.predict_for_visitor(&[], &rated).unwrap();
    let learned = recommender.predict_for_visitor(&ratings, &rated).unwrap();
    let error = |stars: &[f32]| -> f32 {
        stars
            .iter()
            .zip(&ratings)
            .map(|(p, r)| (p - r.1).powi(2))
            .sum()
    };
    assert!(
        error(&learned) < error(&first),
        "{} {}",
        error(&learned),
        error(&first)
    );
    assert_eq!(recommender.predict_for_visitor(&[], &rated).unwrap(), first);
    let found = recommender
        .recommend_to_visitor(&ratings, &Query::default())
        .unwrap();
    assert!(!found.is_empty());
    assert!(found.iter().all(|movie| !rated.contains(&movie.movie_id)));
}

#[test]
fn visitors_who_ask_at_once_are_each_told_what_they_are_told_alone() {
    for preset in [Preset::Mmdlrm, Preset::MmdlrmFactored, Preset::Best] {
        let (recommender, _) = trained(preset, RANDOM, true);
        let movies = recommender.catalogue().ids();
        let visitors: Vec<Vec<(u32, f32)>> = (0..8)
            .map(|visitor| {
                let rated = movies.iter().enumerate().skip(5 * visitor).take(30);
                rated
                    .map(|(place, &id)| (id, 1.0 + ((place + visitor) % 5) as f32))
                    .collect()
            })
            .collect();
        let ask = |ratings: &[(u32, f32)]| {
            let found = recommender.recommend_to_visitor(ratings, &Query::default());
            (
                found.unwrap(),
                recommender.predict_for_visitor(ratings, movies).unwrap(),
            )
        };
        let alone: Vec<_> = visitors.iter().map(|ratings| ask(ratings)).collect();
        assert_ne!(alone[0], alone[1]);
        let at_once: Vec<_> = std::thread::scope(|scope| {
            let ask = &ask;
            let asked: Vec<_> = visitors
                .iter()
                .map(|ratings| scope.spawn(move || ask(ratings)))
                .collect();
            asked.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(alone == at_once, "{preset:?}");
    }
}

#[test]
fn a_question_that_is_called_off_has_no_answer() {
    let (recommender, _) = trained(Preset::MmdlrmFactored, RANDOM, true);
    let stop = Arc::new(AtomicBool::new(true));
    let called_off = recommender.stop_when(Arc::clone(&stop));
    let (query, movie) = (Query::default(), recommender.catalogue().ids()[0]);
    let user = recommender.user_ids()[0];
    let visitor = [(movie, 5.0)];
    let errors = [
        called_off.recommend(user, &query).err(),
        called_off.recommend_to_visitor(&visitor, &query).err(),
        called_off.predict_for_visitor(&visitor, &[movie]).err(),
        called_off.fans(&Newcomer::default(), 3).err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(Error::Train(CalledOff))), "{error:?}");
    }
    // Others are answered, and so are those who ask again.
    let found = recommender.recommend(user, &query).unwrap();
    stop.store(false, Ordering::Relaxed);
    assert_eq!(called_off.recommend(user, &query).unwrap(), found);
}

#[test]
fn fans_of_a_new_movie_are_found_among_all_users_some_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ExperimentConfig::of(Preset::Dlrm);
    config.source = Source::Sample(GeneratorConfig {
        users: 6500,
        movies: 60,
        ratings: 13_000,
        seed: 5,
        contents: true,
    });
    config.split = SplitConfig::ColdMovies {
        test_share: 0.2,
        seed: 3,
    };
    config.out = folder.path().join("run");
    config.dim = 8;
    config.train.epochs = 1;
    let experiment = Experiment::new(config.clone()).unwrap();
    experiment.run(&mut Silent).unwrap();
    let recommender = Recommender::load(&config.out, &mut Silent).unwrap();
    let ratings = ratings_of(&config).ratings;
    let split = Split::cold_movies(&ratings, 0.2, 3).unwrap();
    // One that nobody rated, as far as the model knows.
    let id = ratings.movie_ids()[split.test()[0] as usize];
    let known = recommender.catalogue().movie(id).unwrap();
    let movie = Newcomer {
        genres: known.genres.clone(),
        year: known.year,
        ..Newcomer::default()
    };
    let mut fans = recommender.fans(&movie, usize::MAX).unwrap();
    fans.sort_by_key(|fan| fan.user_id);
    let users: Vec<u32> = fans.iter().map(|fan| fan.user_id).collect();
    assert!(users == recommender.user_ids());
    for fan in fans.iter().step_by(97).chain(fans.last()) {
        // Which has a row of the table as it was drawn, and the new one a row of zeros.
        let stars = recommender.predict(fan.user_id, id).unwrap();
        assert!((fan.stars - stars).abs() < 0.1, "{} {stars}", fan.stars);
    }
}

#[test]
fn a_new_movie_is_predicted_as_one_of_the_catalogue_that_nobody_rated() {
    let split = SplitConfig::ColdMovies {
        test_share: 0.2,
        seed: 3,
    };
    // Of movies rated at one moment the one with the lower number comes first, and a new
    // one has the highest: neighbours in time may be others by one.
    for (preset, close) in [(Preset::DlrmMultimodal, 1e-4), (Preset::Best, 0.05)] {
        let (recommender, config) = trained(preset, split.clone(), true);
        let movielens = ratings_of(&config);
        let split = Split::cold_movies(&movielens.ratings, 0.2, 3).unwrap();
        let data = data_of(&config);
        let plots = mmdlrm::data::read_summaries(&data.join("summaries.csv"), None).unwrap();
        let cold = split
            .test()
            .iter()
            .map(|&row| movielens.ratings.movie_ids()[row as usize]);
        let mut cold = cold.filter(|&id| {
            let has_plot = plots.iter().any(|plot| plot.movie_id == id);
            recommender.catalogue().poster(id).is_some_and(Path::exists) && has_plot
        });
        let id = cold.next().unwrap();
        let known = recommender.catalogue().movie(id).unwrap();
        let movie = Newcomer {
            poster: Some(std::fs::read(recommender.catalogue().poster(id).unwrap()).unwrap()),
            plot: plots
                .iter()
                .find(|plot| plot.movie_id == id)
                .map(|it| it.text.clone()),
            genres: known.genres.clone(),
            year: known.year,
        };
        let fans = recommender.fans(&movie, 1000).unwrap();
        assert_eq!(fans.len(), recommender.user_ids().len());
        assert!(fans.windows(2).all(|pair| pair[0].stars >= pair[1].stars));
        for fan in fans {
            let stars = recommender.predict(fan.user_id, id).unwrap();
            assert!(
                (fan.stars - stars).abs() < close,
                "{preset:?} {} {stars}",
                fan.stars
            );
        }
    }
}

#[test]
fn questions_that_make_no_sense_are_refused_in_words() {
    let (recommender, config) = trained(Preset::Dlrm, RANDOM, true);
    let query = Query::default();
    let genre = Query {
        genres: vec!["Cooking".to_owned()],
        ..Query::default()
    };
    let of_variety = |variety: f32| Query {
        variety,
        ..Query::default()
    };
    let (user, movie) = (recommender.user_ids()[0], recommender.catalogue().ids()[0]);
    let plot = Newcomer {
        plot: Some("A robot falls in love.".to_owned()),
        ..Newcomer::default()
    };
    let visitor = |ratings: &[(u32, f32)]| {
        let found = recommender.recommend_to_visitor(ratings, &query);
        found.unwrap_err().to_string()
    };
    let errors = [
        (
            recommender.recommend(0, &query).unwrap_err().to_string(),
            "no user 0",
        ),
        (
            recommender.recommend(user, &genre).unwrap_err().to_string(),
            "Cooking",
        ),
        (
            recommender.predict(user, 999_999).unwrap_err().to_string(),
            "no movie 999999",
        ),
        (
            recommender.similar(999_999, 3).unwrap_err().to_string(),
            "no movie 999999",
        ),
        (
            recommender
                .recommend(user, &of_variety(2.0))
                .unwrap_err()
                .to_string(),
            "variety is 2, but it must be from 0 to 1",
        ),
        (
            recommender
                .shelves(user, &of_variety(f32::NAN))
                .unwrap_err()
                .to_string(),
            "variety is NaN",
        ),
        (visitor(&[(999_999, 3.0)]), "no movie 999999"),
        (visitor(&[(movie, f32::NAN)]), "NaN"),
        (visitor(&[(movie, 7.0)]), "from 0.5 to 5"),
        (visitor(&[(movie, 3.0), (movie, 4.0)]), "rated once"),
        (
            recommender.fans(&plot, 3).unwrap_err().to_string(),
            "trained without",
        ),
    ];
    for (error, part) in errors {
        assert!(error.contains(part), "{error}");
    }
    let nowhere = Recommender::load(config.out.join("nowhere"), &mut Silent);
    assert!(nowhere.err().unwrap().to_string().contains("holds no run"));
    assert_eq!(
        recommender
            .recommend(user, &Query { count: 0, ..query })
            .unwrap(),
        []
    );
}

#[test]
fn a_sample_of_another_seed_has_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let config = |seed: u64| {
        let mut config = ExperimentConfig {
            source: Source::Sample(GeneratorConfig {
                seed,
                ..GeneratorConfig::tiny()
            }),
            out: folder.path().join(format!("run-{seed}")),
            preset: Preset::Dlrm,
            dim: 8,
            ..ExperimentConfig::default()
        };
        config.train.epochs = 1;
        config
    };
    let train = |config: &ExperimentConfig| {
        let experiment = Experiment::new(config.clone()).unwrap();
        experiment.run(&mut Silent).unwrap();
    };
    train(&config(1));
    let first = Recommender::load(&config(1).out, &mut Silent).unwrap();
    let user = first.user_ids()[0];
    let found = first.recommend(user, &Query::default()).unwrap();
    train(&config(2));
    let again = Recommender::load(&config(1).out, &mut Silent).unwrap();
    assert_eq!(again.recommend(user, &Query::default()).unwrap(), found);
    assert_ne!(data_of(&config(1)), data_of(&config(2)));
}

#[test]
fn a_run_that_is_to_be_replaced_stays_until_the_new_one_begins() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ExperimentConfig {
        source: Source::Sample(GeneratorConfig::tiny()),
        out: folder.path().join("run"),
        preset: Preset::Dlrm,
        dim: 8,
        ..ExperimentConfig::default()
    };
    config.train.epochs = 1;
    let new = || Experiment::new(config.clone()).unwrap();
    new().run(&mut Silent).unwrap();
    let error = Experiment::new(config.clone()).err().unwrap().to_string();
    assert!(error.contains("holds a run"), "{error}");
    config.overwrite = true;
    config.seed += 1;
    // Everything is read, and the run is there as it was.
    drop(Experiment::new(config.clone()).unwrap());
    Recommender::load(&config.out, &mut Silent).unwrap();
    let user = |config: &ExperimentConfig| {
        let recommender = Recommender::load(&config.out, &mut Silent).unwrap();
        assert_eq!(recommender.config().seed, config.seed);
    };
    Experiment::new(config.clone())
        .unwrap()
        .run(&mut Silent)
        .unwrap();
    user(&config);
}
