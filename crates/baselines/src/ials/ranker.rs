//! An [`Ials`] behind the seam.

use std::sync::atomic::AtomicBool;

use mmdlrm_data::{Rated, RatedBags};
use mmdlrm_kernels::vectorize;
use mmdlrm_train::{Cause, Error, Ranker, Result, Visitor, Who, check_rows};
use rayon::prelude::*;

use super::lanes::dot;
use super::{Asked, Ials};
use crate::incidence;

impl Ials {
    pub(super) fn write_scores(&self, asked: &Asked, scores: &mut [f32]) {
        if asked.history.is_empty() {
            let users = self.users.rows().max(1) as f32;
            let counts = scores.iter_mut().zip(&self.counts);
            counts.for_each(|(score, &count)| *score = count as f32 / users);
            return;
        }
        vectorize(
            #[inline(always)]
            || {
                let scores = scores.iter_mut().zip(self.vectors.rows());
                scores.for_each(|(score, y)| *score = dot(&asked.vector, y));
            },
        );
    }

    /// A user of the data.
    fn user(&self, user: u32) -> Asked {
        self.asked(self.users.row(user).to_vec())
    }
}

impl Ranker for Ials {
    fn parameters(&self) -> usize {
        self.items() * self.config.factors
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        scores.resize(who.len() * self.items(), 0.0);
        let users = match who {
            Who::Visitor(visitor) => {
                self.write_scores(visitor.state()?, scores);
                return Ok(());
            }
            Who::Users(users) => users,
        };
        check_rows("user", users.iter().copied(), self.users.rows())?;
        let rows = scores.par_chunks_exact_mut(self.items().max(1)).zip(users);
        rows.for_each(|(scores, &user)| self.write_scores(&self.user(user), scores));
        Ok(())
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        let own = ratings.iter().map(|rated| Rated { user: 0, ..*rated });
        let bags = RatedBags::of_users(1, own);
        let history = incidence::rated(bags.row(0), self.items())?;
        Ok(Visitor::new(ratings.to_vec(), self.asked(history)))
    }

    fn because(&self, who: Who, items: &[u32], count: usize) -> Result<Option<Vec<Vec<Cause>>>> {
        let history = match who {
            Who::Visitor(visitor) => &visitor.state::<Asked>()?.history,
            Who::Users(&[row]) => {
                check_rows("user", [row], self.users.rows())?;
                self.users.row(row)
            }
            Who::Users(users) => {
                return Err(Error::Mismatch(format!(
                    "a score has reasons for one user, and there are {}",
                    users.len()
                )));
            }
        };
        check_rows("movie", items.iter().copied(), self.items())?;
        if history.is_empty() {
            return Ok(Some(vec![Vec::new(); items.len()]));
        }
        let mut equations = self.equations(history);
        let of_item = |&item: &u32| {
            let shares = equations.shares(&self.vectors, history, item);
            let causes = history.iter().zip(shares);
            let causes = causes.map(|(&item, amount)| Cause { item, amount });
            Cause::strongest(causes.collect(), count)
        };
        Ok(Some(items.iter().map(of_item).collect()))
    }

    fn item_vectors(&self) -> Result<Option<Vec<f32>>> {
        Ok(Some(self.vectors.parts().0))
    }
}
