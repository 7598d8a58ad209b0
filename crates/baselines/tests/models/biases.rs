//! Biases of users and movies.

use mmdlrm_baselines::BiasConfig;
use mmdlrm_data::{Rated, RatedBags};
use mmdlrm_features::{Biases, TrainingData};
use mmdlrm_train::{Ranker, Who};

use crate::raters::{fit, latest_small, ratings_of};
use crate::{dataset, predictions, scores};

#[test]
fn stars_are_the_mean_and_biases_of_the_training_ratings() {
    let data = dataset();
    let model = fit(&BiasConfig::default(), &data);
    let (users, movies) = (
        data.features().users().len(),
        data.features().movies().len(),
    );
    let rows = (0..users as u32).flat_map(|user| {
        let timeless = |rated| Rated {
            timestamp: 0,
            ..rated
        };
        data.user_histories().row(user).rows_of(user).map(timeless)
    });
    let histories = RatedBags::of_users(users, rows.clone());
    let biases = Biases::fit(&histories, &RatedBags::of_movies(movies, rows));
    assert_eq!(model.mean(), biases.mean() as f32);
    let of_users = scores(&model, Who::Users(&[3, 7]));
    for (row, user) in [3, 7].into_iter().enumerate() {
        for movie in 0..movies as u32 {
            let expected = biases.mean() + biases.user(user) + biases.movie(movie);
            let found = f64::from(of_users[row * movies + movie as usize]);
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }
    assert_eq!(model.parameters(), 1 + users + movies);
}

#[test]
fn a_visitor_with_the_ratings_of_a_user_has_the_scores_of_that_user() {
    let data = dataset();
    let model = fit(&BiasConfig::default(), &data);
    for user in [5, 6] {
        let visitor = model.meet(&ratings_of(user, &data), None).unwrap();
        let own = scores(&model, Who::Users(&[user]));
        assert!(own == scores(&model, Who::Visitor(&visitor)));
    }
}

/// As docs/accuracy.md has it.
#[test]
fn it_predicts_ml_latest_small_as_well_as_it_is_known_to() {
    let Some(data) = latest_small() else { return };
    let (_, error) = predictions(&fit(&BiasConfig::default(), &data), &data);
    assert!((error - 0.8754).abs() < 0.0005, "{error}");
}
