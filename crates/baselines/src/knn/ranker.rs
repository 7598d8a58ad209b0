//! A [`Knn`] behind the seam.

use std::sync::atomic::AtomicBool;

use mmdlrm_data::{Rated, RatedBags};
use mmdlrm_train::{Cause, Error, Ranker, Result, Visitor, Who, check_rows};
use rayon::prelude::*;

use super::{Asked, Knn, by_users};
use crate::incidence;

impl Knn {
    /// What each rating of a history adds to the score of an item.
    fn causes(&self, asked: &Asked, item: u32) -> Vec<Cause> {
        let Asked {
            history,
            neighbours,
        } = asked;
        let amounts = match &self.lists {
            Some(lists) => lists.column(history, item),
            None => by_users::column(&self.users, neighbours, history, item),
        };
        let causes = history.iter().zip(amounts);
        causes
            .map(|(&item, amount)| Cause { item, amount })
            .collect()
    }

    /// A user of the data.
    fn user(&self, user: u32, search: &mut Option<super::Search>) -> Asked {
        self.asked(self.users.row(user).to_vec(), Some(user), search)
    }
}

impl Ranker for Knn {
    fn parameters(&self) -> usize {
        self.lists.as_ref().map_or(0, |lists| lists.len())
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
        rows.for_each_init(
            || self.search(),
            |search, (scores, &user)| self.write_scores(&self.user(user, search), scores),
        );
        Ok(())
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        let own = ratings.iter().map(|rated| Rated { user: 0, ..*rated });
        let bags = RatedBags::of_users(1, own);
        let history = incidence::rated(bags.row(0), self.items())?;
        let asked = self.asked(history, None, &mut self.search());
        Ok(Visitor::new(ratings.to_vec(), asked))
    }

    fn because(&self, who: Who, items: &[u32], count: usize) -> Result<Option<Vec<Vec<Cause>>>> {
        let user;
        let asked = match who {
            Who::Visitor(visitor) => visitor.state()?,
            Who::Users(&[row]) => {
                check_rows("user", [row], self.users.rows())?;
                user = self.user(row, &mut self.search());
                &user
            }
            Who::Users(users) => {
                return Err(Error::Mismatch(format!(
                    "a score has reasons for one user, and there are {}",
                    users.len()
                )));
            }
        };
        check_rows("movie", items.iter().copied(), self.items())?;
        let of_item = |&item: &u32| Cause::strongest(self.causes(asked, item), count);
        Ok(Some(items.iter().map(of_item).collect()))
    }
}
