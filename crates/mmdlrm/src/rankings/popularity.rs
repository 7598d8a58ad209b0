use std::sync::atomic::AtomicBool;

use mmdlrm_data::Rated;
use mmdlrm_features::Features;
use mmdlrm_train::{Ranker, Result, Visitor, Who};

/// `score(user, movie) =` number of the movie's training ratings, whoever the user is.
pub(super) struct Popularity {
    counts: Vec<f32>,
}

impl Popularity {
    pub fn of(features: &Features) -> Self {
        let counts = features.movie_counts().into_iter();
        Self {
            counts: counts.map(|count| count as f32).collect(),
        }
    }
}

impl Ranker for Popularity {
    fn parameters(&self) -> usize {
        self.counts.len()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        scores.clear();
        for _ in 0..who.len() {
            scores.extend_from_slice(&self.counts);
        }
        Ok(())
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        Ok(Visitor::new(ratings.to_vec(), ()))
    }
}
