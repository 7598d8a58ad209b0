use std::collections::BTreeMap;

use mmdlrm_data::{Dataset, HIGHEST_RATING, IdMap, LOWEST_RATING};
use mmdlrm_metrics::{Ranking, ndcg_at_k};
use mmdlrm_model::Dlrm;

use crate::Result;
use crate::input::{Wiring, predict};

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

impl RatedPrediction {
    /// Prediction and rating, as [`Regression`](mmdlrm_metrics::Regression)
    /// takes them.
    pub fn pair(&self) -> (f64, f64) {
        (self.prediction, self.rating)
    }
}

/// Predicts every held-out row, in the order of `ratings.csv`.
///
/// # Errors
/// A model that does not fit the data.
pub fn predict_test(model: &Dlrm, dataset: &Dataset) -> Result<Vec<RatedPrediction>> {
    let wiring = Wiring::new(model.config(), dataset)?;
    let mut predictions = Vec::new();
    let mut rated = Vec::with_capacity(dataset.split().test.len());
    for rows in dataset.split().test.chunks(ROWS_AT_A_TIME) {
        predict(model, &wiring, &dataset.test_batch(rows), &mut predictions)?;
        for (&row, &prediction) in rows.iter().zip(&predictions) {
            let (user, movie, stars) = dataset.rating(row);
            rated.push(RatedPrediction {
                user_id: dataset.users().ids()[user as usize],
                movie_id: dataset.movies().ids()[movie as usize],
                movie,
                rating: f64::from(stars),
                prediction: f64::from(prediction.clamp(LOWEST_RATING, HIGHEST_RATING)),
            });
        }
    }
    Ok(rated)
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
    dataset: &Dataset,
    k: usize,
    mut on_user: impl FnMut(),
) -> Result<Ranking> {
    let wiring = Wiring::new(model.config(), dataset)?;
    let held_out = held_out_by_user(dataset);
    let mut ranking = Ranking::default();
    let Some(&first) = held_out.keys().next() else {
        return Ok(ranking);
    };
    let mut catalogue = dataset.catalogue_batch(first);
    let items = wiring.with(&catalogue, |input| model.item_vectors(input))?;
    let mut scores = Vec::new();
    let mut relevance = vec![0f32; dataset.movies().len()];
    for (&user, rated) in &held_out {
        dataset.retarget(&mut catalogue, user);
        wiring.with(&catalogue, |input| {
            model.score_items(&items, input, &mut scores)
        })?;
        for &(movie, stars) in rated {
            relevance[movie as usize] = stars;
        }
        ranking.add(candidate_ndcg(
            dataset.history(user),
            &relevance,
            &scores,
            k,
        )?);
        for &(movie, _) in rated {
            relevance[movie as usize] = 0.0;
        }
        on_user();
    }
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

/// Users with held-out ratings, in order, so that sums do not depend on
/// chance.
fn held_out_by_user(dataset: &Dataset) -> BTreeMap<u32, Vec<(u32, f32)>> {
    let mut held_out = BTreeMap::<u32, Vec<(u32, f32)>>::new();
    for &row in &dataset.split().test {
        let (user, movie, stars) = dataset.rating(row);
        held_out.entry(user).or_default().push((movie, stars));
    }
    held_out
}

/// Number of users with held-out ratings: how often [`rank_catalogue`] calls
/// `on_user`.
pub fn test_users(dataset: &Dataset) -> usize {
    let test = dataset.split().test.iter();
    IdMap::from_ids(test.map(|&row| dataset.rating(row).0)).len()
}
