//! An [`Ease`] behind the seam.

use std::sync::atomic::AtomicBool;

use mmdlrm_data::{Rated, RatedBags};
use mmdlrm_train::{Cause, Error, Ranker, Result, Visitor, Who};
use rayon::prelude::*;

use super::inputs::{self, History};
use super::{Ease, Weights};
use mmdlrm_train::check_rows;

/// Weights that a thread looks up at a time, at least.
const WEIGHTS_AT_A_TIME: usize = 4096;

impl Ease {
    /// What each user, or the visitor, rated.
    fn read(&self, who: Who) -> Result<Vec<History>> {
        match who {
            Who::Users(users) => {
                check_rows("user", users.iter().copied(), self.histories.len())?;
                let of = |&user: &u32| inputs::weights(self.histories.row(user), &self.config);
                Ok(users.iter().map(of).collect())
            }
            Who::Visitor(visitor) => Ok(vec![visitor.state::<History>()?.clone()]),
        }
    }

    /// What each rating of a history adds to the score of an item, takes away from it, or neither.
    fn causes(&self, history: &[(u32, f32)], item: u32) -> Vec<Cause> {
        let column = match &self.weights {
            Weights::Items(weights) => weights.column(history, item),
            Weights::Users(weights) => weights.column(history, item),
            Weights::Neighbours(weights) => weights.column(history, item),
        };
        let causes = history.iter().zip(column);
        let cause = |(&(item, weight), b): (&(u32, f32), f32)| Cause {
            item,
            amount: weight * b,
        };
        causes.map(cause).collect()
    }
}

impl Ranker for Ease {
    fn parameters(&self) -> usize {
        match &self.weights {
            Weights::Items(weights) => weights.parameters(),
            Weights::Users(weights) => weights.parameters(),
            Weights::Neighbours(weights) => weights.parameters(),
        }
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        let histories = self.read(who)?;
        scores.resize(histories.len() * self.items(), 0.0);
        let rows = scores.par_chunks_exact_mut(self.items().max(1));
        let rows = rows.zip(&histories);
        rows.for_each(|(scores, history)| self.write_scores(history, scores));
        Ok(())
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        let own = ratings.iter().map(|rated| Rated { user: 0, ..*rated });
        let bags = RatedBags::of_users(1, own);
        inputs::check(bags.row(0), self.items())?;
        let history = inputs::weights(bags.row(0), &self.config);
        Ok(Visitor::new(ratings.to_vec(), history))
    }

    fn because(&self, who: Who, items: &[u32], count: usize) -> Result<Option<Vec<Vec<Cause>>>> {
        let histories = self.read(who)?;
        let [history] = histories.as_slice() else {
            return Err(Error::Mismatch(format!(
                "a score has reasons for one user, and there are {}",
                histories.len()
            )));
        };
        check_rows("movie", items.iter().copied(), self.items())?;
        let of_item = |&item: &u32| Cause::strongest(self.causes(history, item), count);
        // A few weights are found sooner than other threads are woken.
        let at_a_time = WEIGHTS_AT_A_TIME.div_ceil(history.len().max(1));
        let items = items.par_iter().with_min_len(at_a_time);
        Ok(Some(items.map(of_item).collect()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::EaseConfig;

    #[test]
    fn what_ratings_add_and_take_away_adds_up_to_the_score() {
        let rows = (0..400u32).map(|at| Rated {
            user: at % 20,
            movie: at * 7919 % 1009 % 23,
            stars: (at % 10 + 1) as f32 / 2.0,
            timestamp: at,
        });
        // More items than users, more users than items, and neither few.
        for (users, dense_up_to) in [(20, 100), (30, 100), (20, 0)] {
            let histories = Arc::new(RatedBags::of_users(users, rows.clone()));
            let config = EaseConfig {
                dense_up_to,
                regularization: 1.0,
                ..EaseConfig::default()
            };
            let ease = Ease::of(histories, 23, &config).unwrap();
            let mut scores = Vec::new();
            ease.score(Who::Users(&[3]), &mut scores).unwrap();
            let history = &ease.read(Who::Users(&[3])).unwrap()[0];
            let mut takes_away = false;
            for (item, &score) in (0..).zip(&scores) {
                let causes = ease.causes(history, item);
                let sum: f32 = causes.iter().map(|cause| cause.amount).sum();
                assert!((sum - score).abs() < 1e-5, "{sum} {score}");
                takes_away |= causes.iter().any(|cause| cause.amount < 0.0);
            }
            assert!(takes_away);
        }
    }
}
