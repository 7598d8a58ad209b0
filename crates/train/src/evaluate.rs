use mmdlrm_data::{HIGHEST_RATING, LOWEST_RATING, TrainingData};
use mmdlrm_metrics::{Ranking, ndcg_at_k};
use mmdlrm_model::Dlrm;

use crate::input::{Wiring, predict};
use crate::{Error, Result};

/// Held-out rows that are predicted at a time.
const ROWS_AT_A_TIME: usize = 16_384;

/// One held-out rating and what a model says of it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RatedPrediction {
    /// Raw user id.
    pub user_id: u32,
    /// Raw movie id.
    pub movie_id: u32,
    /// Movie by dense row.
    pub movie: u32,
    /// Stars that the user gave.
    pub rating: f64,
    /// Stars that the model gives, within 0.5 to 5.
    pub prediction: f64,
}

/// Predicts every held-out row, in the order of the file, and hands out some at
/// a time.
///
/// # Errors
/// A model that does not fit the data, or what `take` returns.
pub fn predict_test(
    model: &Dlrm,
    data: &impl TrainingData,
    mut take: impl FnMut(&[RatedPrediction]) -> Result<()>,
) -> Result<()> {
    let features = data.features();
    let wiring = Wiring::new(model.config(), features)?;
    let (users, movies) = (features.users().ids(), features.movies().ids());
    let (mut predictions, mut rated) = (Vec::new(), Vec::new());
    for batch in data.test_batches(ROWS_AT_A_TIME) {
        let batch = batch?;
        predict(model, &wiring, &batch, &mut predictions)?;
        rated.clear();
        for (row, &prediction) in predictions.iter().enumerate() {
            let (user, movie) = (batch.users[row], batch.movies[row]);
            rated.push(RatedPrediction {
                user_id: users[user as usize],
                movie_id: movies[movie as usize],
                movie,
                rating: f64::from(batch.stars[row]),
                prediction: f64::from(prediction.clamp(LOWEST_RATING, HIGHEST_RATING)),
            });
        }
        take(&rated)?;
    }
    Ok(())
}

/// nDCG@`k` over the whole catalogue: for each user with held-out ratings, all
/// movies outside the user's training set are ranked by predicted score; the
/// relevance of a movie is its held-out rating, 0 where there is none; the
/// mean is over users. `on_user` is called as each user is done.
///
/// What depends on the movies alone is computed once; memory is that of one
/// user's scores, whatever the number of users.
///
/// # Errors
/// A model that does not fit the data, or `k` of 0.
pub fn rank_catalogue(
    model: &Dlrm,
    data: &impl TrainingData,
    k: usize,
    mut on_user: impl FnMut(),
) -> Result<Ranking> {
    let features = data.features();
    let wiring = Wiring::new(model.config(), features)?;
    let mut ranking = Ranking::default();
    if features.users().is_empty() {
        return Ok(ranking);
    }
    let mut catalogue = features.catalogue_batch(0);
    let items = wiring.with(&catalogue, |input| model.item_vectors(input))?;
    let mut scores = Vec::new();
    let mut relevance = vec![0f32; features.movies().len()];
    data.for_each_test_user(|test| {
        features.retarget(&mut catalogue, test.user);
        wiring.with(&catalogue, |input| {
            model.score_items(&items, input, &mut scores)
        })?;
        for &(movie, stars) in test.held_out {
            relevance[movie as usize] = stars;
        }
        ranking.add(candidate_ndcg(test.trained, &relevance, &scores, k)?);
        for &(movie, _) in test.held_out {
            relevance[movie as usize] = 0.0;
        }
        on_user();
        Ok::<_, Error>(())
    })?;
    Ok(ranking)
}

/// nDCG of all movies but those in `history`.
fn candidate_ndcg(history: &[u32], relevance: &[f32], scores: &[f32], k: usize) -> Result<f64> {
    let mut seen = vec![false; scores.len()];
    for &movie in history {
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
    Ok(ndcg_at_k(&unseen(relevance), &unseen(scores), k)?)
}
