use mmdlrm_data::Batches;
use mmdlrm_features::TrainingData;
use mmdlrm_metrics::{PerUser, Regression, ndcg_at_k};
use rayon::prelude::*;

use crate::ranker::check_numbers;
use crate::{Error, Measured, Ranker, Rater, Result, Who, score_all};

/// Held-out rows that are predicted at a time.
const ROWS_AT_A_TIME: usize = 16_384;
/// Users whose scores are computed at a time.
const USERS_AT_A_TIME: usize = 32;

/// One held-out rating and what a model says of it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RatedPrediction {
    /// Raw user id.
    pub user_id: u32,
    /// Raw movie id.
    pub movie_id: u32,
    /// User by dense row.
    pub user: u32,
    /// Movie by dense row.
    pub movie: u32,
    /// Stars that the user gave.
    pub rating: f64,
    /// Stars that the model gives.
    pub prediction: f64,
}

/// Predicts every held-out row, in the order of the file, and hands out some at
/// a time.
///
/// # Errors
/// A model that does not fit the data, data of which rows are missing, or what `take`
/// returns.
pub fn predict_test(
    model: &dyn Rater,
    data: &dyn TrainingData,
    take: impl FnMut(&[RatedPrediction]) -> Result<()>,
) -> Result<()> {
    let seen = predict(model, data, data.test_batches(ROWS_AT_A_TIME), take)?;
    all_came("held-out ratings", seen, data.test_rows())
}

/// The same for the validation rows.
///
/// # Errors
/// As [`predict_test`].
pub fn predict_validation(
    model: &dyn Rater,
    data: &dyn TrainingData,
    take: impl FnMut(&[RatedPrediction]) -> Result<()>,
) -> Result<()> {
    let seen = predict(model, data, data.validation_batches(ROWS_AT_A_TIME), take)?;
    all_came("validation ratings", seen, data.validation_rows())
}

/// What a model is worth after an epoch: its errors on the validation rows and on the
/// held-out ones. A [`Session`](crate::Session) may say otherwise.
///
/// # Errors
/// As [`predict_test`].
pub fn measure(model: &dyn Rater, data: &dyn TrainingData) -> Result<Measured> {
    let (mut validation, mut test) = (Regression::default(), Regression::default());
    predict_validation(model, data, |rated| add(&mut validation, rated))?;
    predict_test(model, data, |rated| add(&mut test, rated))?;
    Ok(Measured::new(validation.rmse(), test.rmse()))
}

fn add(errors: &mut Regression, rated: &[RatedPrediction]) -> Result<()> {
    for rated in rated {
        errors.add(rated.prediction, rated.rating)?;
    }
    Ok(())
}

/// A figure is of all rows, or of none.
pub(crate) fn all_came(rows: &'static str, seen: usize, expected: usize) -> Result<()> {
    Ok(mmdlrm_data::Error::unless_all(rows, seen, expected)?)
}

/// The number of rows that were predicted.
fn predict(
    model: &dyn Rater,
    data: &dyn TrainingData,
    batches: Batches,
    mut take: impl FnMut(&[RatedPrediction]) -> Result<()>,
) -> Result<usize> {
    let features = data.features();
    let (users, movies) = (features.users().ids(), features.movies().ids());
    let (mut predictions, mut rated) = (Vec::new(), Vec::new());
    let mut seen = 0;
    for batch in batches {
        let batch = batch?;
        model.rate(&batch, &mut predictions)?;
        check_numbers("predictions", &predictions, batch.len())?;
        rated.clear();
        for (row, &prediction) in predictions.iter().enumerate() {
            let (user, movie) = (batch.users[row], batch.movies[row]);
            rated.push(RatedPrediction {
                user_id: users[user as usize],
                movie_id: movies[movie as usize],
                user,
                movie,
                rating: f64::from(batch.stars[row]),
                prediction: f64::from(prediction),
            });
        }
        seen += rated.len();
        take(&rated)?;
    }
    Ok(seen)
}

/// nDCG@`k` over the whole catalogue: for each user with held-out ratings, all
/// movies outside the user's training and validation sets are ranked by predicted score; the
/// relevance of a movie is its held-out rating, 0 where there is none; the
/// mean is over users. `on_user` gets each user, by dense row, and nDCG as they are
/// computed.
///
/// Memory is that of a few users' scores, whatever the number of users.
///
/// # Errors
/// A model that does not fit the data, data of which rows are missing, scores that are
/// no numbers, `k` of 0, or what `on_user` returns.
pub fn rank_catalogue(
    model: &dyn Ranker,
    data: &dyn TrainingData,
    k: usize,
    mut on_user: impl FnMut(u32, f64) -> Result<()>,
) -> Result<PerUser> {
    let features = data.features();
    let mut ranking = PerUser::default();
    if features.users().is_empty() || features.movies().is_empty() {
        return Ok(ranking);
    }
    let movies = features.movies().len();
    let mut scores = Vec::new();
    let mut rank = |waiting: &mut Vec<Waiting>| {
        let users: Vec<u32> = waiting.iter().map(|user| user.user).collect();
        score_all(model, Who::Users(&users), movies, &mut scores)?;
        let of_users = scores.par_chunks_exact(movies);
        let found: Vec<f64> = of_users
            .zip(waiting.par_iter())
            .map(|(scores, user)| user.ndcg(scores, k))
            .collect::<Result<_>>()?;
        for (waiting, ndcg) in waiting.iter().zip(found) {
            ranking.add(ndcg)?;
            on_user(waiting.user, ndcg)?;
        }
        waiting.clear();
        Ok::<_, Error>(())
    };
    let mut waiting = Vec::new();
    let mut held_out = 0;
    data.for_each_user(|user| {
        if user.held_out.is_empty() {
            return Ok(());
        }
        held_out += user.held_out.len();
        waiting.push(Waiting {
            user: user.user,
            known: user.known(),
            held_out: user.held_out.stars_by_id().collect(),
        });
        if waiting.len() == USERS_AT_A_TIME {
            rank(&mut waiting)?;
        }
        Ok::<_, Error>(())
    })?;
    rank(&mut waiting)?;
    all_came("held-out ratings", held_out, data.test_rows())?;
    Ok(ranking)
}

/// A user who waits to be ranked for.
struct Waiting {
    user: u32,
    known: Vec<u32>,
    held_out: Vec<(u32, f32)>,
}

impl Waiting {
    /// nDCG of all movies but those in the user's training and validation sets.
    fn ndcg(&self, scores: &[f32], k: usize) -> Result<f64> {
        let mut relevance = vec![0f32; scores.len()];
        for &(movie, stars) in &self.held_out {
            relevance[movie as usize] = stars;
        }
        let mut seen = vec![false; scores.len()];
        for &movie in &self.known {
            seen[movie as usize] = true;
        }
        let unseen = |values: &[f32]| -> Vec<f32> {
            values
                .iter()
                .zip(&seen)
                .filter(|&(_, &seen)| !seen)
                .map(|(&value, _)| value)
                .collect()
        };
        Ok(ndcg_at_k(&unseen(&relevance), &unseen(scores), k)?)
    }
}
