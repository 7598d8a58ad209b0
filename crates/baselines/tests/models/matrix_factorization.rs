//! Matrix factorization.

use std::sync::atomic::{AtomicBool, Ordering};

use mmdlrm_baselines::{MatrixFactorization, MatrixFactorizationConfig};
use mmdlrm_data::{Rated, Split};
use mmdlrm_features::TrainingData;
use mmdlrm_train::{
    CheckpointConfig, Checkpoints, Error, Fit, Persist, Ranker, Session, Who, measure, stars_of,
};

use crate::raters::{fit, latest_small, latest_small_of, ratings_of};
use crate::{dataset, predictions, scores};

fn with(
    mut config: MatrixFactorizationConfig,
    change: impl Fn(&mut MatrixFactorizationConfig),
) -> MatrixFactorizationConfig {
    change(&mut config);
    config
}

fn both() -> [MatrixFactorizationConfig; 2] {
    [
        MatrixFactorizationConfig::svd(),
        MatrixFactorizationConfig::svd_plus_plus(),
    ]
}

#[test]
fn each_epoch_is_told_and_the_best_one_on_validation_rows_is_kept() {
    let data = dataset();
    for config in both() {
        // So fast that it soon fits the training rows alone.
        let config = with(config, |config| {
            config.learning_rate = 0.1;
            config.regularization = 0.0;
            config.epochs = 40;
        });
        let (mut figures, mut rows) = (Vec::new(), 0);
        let mut files = Vec::new();
        let session = Session::default().on_step(|of_step| rows += of_step);
        let session = session.on_epoch(|epoch, model| {
            figures.push(epoch.clone());
            files.push(model.to_safetensors()?);
            Ok(())
        });
        let model = config.fit(&data, session).unwrap();
        assert_eq!(rows, config.rows(&data));
        assert!(figures[39].train_loss < 0.5 * figures[0].train_loss);
        let error = |at: &usize| figures[*at].validation_rmse.unwrap();
        let best = (0..40)
            .min_by(|a, b| error(a).total_cmp(&error(b)))
            .unwrap();
        assert!(best < 39, "{best}");
        assert!(model.to_safetensors().unwrap() == files[best]);
        let measured = measure(&model, &data).unwrap();
        for (found, told) in [
            (measured.validation_rmse, figures[best].validation_rmse),
            (measured.test_rmse, figures[best].test_rmse),
        ] {
            let (found, told) = (found.unwrap(), told.unwrap());
            assert!((found - told).abs() < 1e-6, "{found} {told}");
        }
    }
}

#[test]
fn the_first_numbers_depend_on_the_seed_alone() {
    let data = dataset();
    for config in both() {
        let file = |seed| {
            let config = with(config, |config| config.seed = seed);
            fit(&config, &data).to_safetensors().unwrap()
        };
        assert!(file(1) == file(1));
        assert!(file(1) != file(2));
    }
}

#[test]
fn a_run_that_is_stopped_goes_on_to_the_same_bits() {
    let data = dataset();
    for config in both() {
        let config = with(config, |config| config.epochs = 5);
        let whole = fit(&config, &data).to_safetensors().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
        let stop = AtomicBool::new(false);
        let mut epochs = 0;
        let session = Session {
            checkpoints: Some(checkpoints.clone()),
            stop: Some(&stop),
            ..Session::default()
        };
        let session = session.on_epoch(|_, _| {
            epochs += 1;
            stop.store(epochs == 3, Ordering::Relaxed);
            Ok(())
        });
        let stopped = config.fit(&data, session);
        assert!(matches!(stopped, Err(Error::Stopped { step: 3 })));
        let session = Session {
            resumed: checkpoints.latest().unwrap().checkpoint,
            ..Session::default()
        };
        let resumed = config.fit(&data, session).unwrap();
        assert!(resumed.to_safetensors().unwrap() == whole);
    }
}

#[test]
fn a_rate_that_is_too_high_is_said_to_be() {
    let config = with(MatrixFactorizationConfig::svd(), |config| {
        config.learning_rate = 1.0;
        config.spread = 10.0;
    });
    let error = config.fit(&dataset(), Session::default()).unwrap_err();
    assert!(
        error.to_string().contains("lower the learning rate"),
        "{error}"
    );
}

/// How alike scores of two are beyond what they are of a third, who rated nothing.
fn correlation(a: &[f32], b: &[f32], nobody: &[f32]) -> f32 {
    let beyond =
        |scores: &[f32]| -> Vec<f32> { scores.iter().zip(nobody).map(|(s, n)| s - n).collect() };
    let (a, b) = (beyond(a), beyond(b));
    let sum = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    sum(&a, &b) / (sum(&a, &a) * sum(&b, &b)).sqrt()
}

#[test]
fn a_visitor_with_the_ratings_of_a_user_is_told_much_what_that_user_is() {
    let data = dataset();
    for config in both() {
        let config = with(config, |config| {
            config.factors = 4;
            config.epochs = 100;
            config.learning_rate = 0.02;
        });
        let model = fit(&config, &data);
        let met = |ratings: &[Rated]| {
            let visitor = model.meet(ratings, None).unwrap();
            scores(&model, Who::Visitor(&visitor))
        };
        let nobody = met(&[]);
        for user in [3, 5] {
            let own = scores(&model, Who::Users(&[user]));
            let found = correlation(&own, &met(&ratings_of(user, &data)), &nobody);
            assert!(found > 0.9, "{found}");
        }
    }
}

#[test]
fn what_nobody_rated_has_no_vector_and_who_rated_nothing_is_told_biases() {
    let data = dataset();
    let counts = data.features().movie_counts();
    for config in both() {
        let model = fit(&config, &data);
        let vectors = model.item_vectors().unwrap().unwrap();
        let movies = counts.len();
        assert_eq!(vectors.len(), movies * config.factors);
        for (vector, &count) in vectors.chunks(config.factors).zip(&counts) {
            assert_eq!(vector.iter().all(|&x| x == 0.0), count == 0);
        }
        let (nobody, user) = (model.meet(&[], None).unwrap(), 3);
        let means = scores(&model, Who::Visitor(&nobody));
        let own = scores(&model, Who::Users(&[user]));
        let unrated: Vec<usize> = (0..movies).filter(|&it| counts[it] == 0).collect();
        // Of a movie that is not known all that is known of is the user.
        let beyond: Vec<f32> = unrated.iter().map(|&it| own[it] - means[it]).collect();
        assert!(beyond.iter().all(|it| (it - beyond[0]).abs() < 1e-6));
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    type Change = fn(&mut MatrixFactorizationConfig);
    let changes: [(&str, Change); 10] = [
        ("factors is 0", |config| config.factors = 0),
        ("factors is 4097", |config| config.factors = 4097),
        ("epochs is 0", |config| config.epochs = 0),
        ("learning_rate is 0", |config| config.learning_rate = 0.0),
        ("learning_rate is 1.5", |config| config.learning_rate = 1.5),
        ("learning_rate is NaN", |config| {
            config.learning_rate = f64::NAN
        }),
        ("regularization is -1", |config| {
            config.regularization = -1.0
        }),
        ("regularization is 101", |config| {
            config.regularization = 101.0
        }),
        ("regularization is 50", |config| {
            config.learning_rate = 0.02;
            config.regularization = 50.0;
        }),
        ("spread is inf", |config| config.spread = f64::INFINITY),
    ];
    let data = dataset();
    for (why, change) in changes {
        let config = with(MatrixFactorizationConfig::default(), change);
        for error in [
            config.check(data.features()).unwrap_err(),
            config.fit(&data, Session::default()).unwrap_err(),
        ] {
            assert!(error.to_string().contains(why), "{error}");
        }
    }
    let empty = MatrixFactorizationConfig::default();
    let shape = empty.check(data.features()).unwrap();
    assert_eq!(shape["factors"], 20);
}

/// As Surprise has it, means of 20 seeds and orders.
#[test]
fn it_predicts_ml_latest_small_as_surprise_does() {
    let Some(data) = latest_small() else { return };
    for (config, expected) in both().into_iter().zip([0.8835, 0.8690]) {
        let errors = (1..=3).map(|seed| {
            let config = with(config, |config| config.seed = seed);
            predictions(&fit(&config, &data), &data).1
        });
        let errors: Vec<f64> = errors.collect();
        let mean = errors.iter().sum::<f64>() / 3.0;
        println!("{config:?}: RMSE {mean:.5}, {errors:.5?}");
        assert!((mean - expected).abs() < 0.003, "{mean} {expected}");
    }
}

/// Every fifth user, known to one model and met by another.
#[test]
fn visitors_of_ml_latest_small_are_predicted_as_well_as_users() {
    let Some(data) = latest_small() else { return };
    let split = data.split();
    let (others, rest): (Vec<u32>, Vec<u32>) = split
        .train()
        .iter()
        .partition(|&&row| data.rating(row).user % 5 == 0);
    let test = split.test().iter().map(|&row| data.rating(row));
    let test: Vec<Rated> = test.filter(|rated| rated.user % 5 == 0).collect();
    assert!(others.len() > 10_000 && test.len() > 3000);
    let Some(without) =
        latest_small_of(|split, ratings| Split::new(ratings, rest, split.test().to_vec()).unwrap())
    else {
        return;
    };
    for config in both() {
        let (known, met) = (fit(&config, &data), fit(&config, &without));
        let error = |model: &MatrixFactorization, as_visitors: bool| {
            let mut squares = 0.0;
            for own in test.chunk_by(|a, b| a.user == b.user) {
                let user = own[0].user;
                let visitor = model.meet(&ratings_of(user, &data), None).unwrap();
                let items: Vec<u32> = own.iter().map(|rated| rated.movie).collect();
                let who = match as_visitors {
                    true => Who::Visitor(&visitor),
                    false => Who::Users(std::slice::from_ref(&user)),
                };
                let stars = stars_of(model, who, &items).unwrap().unwrap();
                let pairs = stars.iter().zip(own);
                squares += pairs
                    .map(|(s, own)| f64::from(s - own.stars).powi(2))
                    .sum::<f64>();
            }
            (squares / test.len() as f64).sqrt()
        };
        let (users, visitors) = (error(&known, false), error(&met, true));
        println!("as users {users:.4}, as visitors {visitors:.4}");
        assert!(visitors < users + 0.002, "{visitors} {users}");
    }
}
