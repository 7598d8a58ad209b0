//! A [`BayesianFactorization`] behind the seam.

use std::sync::atomic::AtomicBool;

use mmdlrm_data::{Batch, Rated, RatedBags};
use mmdlrm_kernels::vectorize;
use mmdlrm_train::{
    Cause, Error, Ranker, Rater, Result, Visitor, Who, check_rows, keep_within_bounds,
};
use rayon::prelude::*;

use super::samples::{Draws, Means, Samples};
use super::{BayesianFactorization, check_bag};

/// Users for whom an item's numbers are read at a time.
const USERS: usize = 8;
/// Rows of a batch that a thread takes at a time.
const ROWS: usize = 256;

/// Somebody new: the only row, and the only bag.
struct Guest {
    means: Means,
    ratings: RatedBags,
}

/// Who is asked about, by row.
struct Asked<'a> {
    people: &'a Means,
    histories: &'a RatedBags,
    rows: &'a [u32],
}

impl BayesianFactorization {
    fn asked<'a>(&'a self, who: Who<'a>) -> Result<Asked<'a>> {
        match who {
            Who::Users(rows) => {
                self.check_users(rows)?;
                Ok(Asked {
                    people: &self.samples.users,
                    histories: &self.histories,
                    rows,
                })
            }
            Who::Visitor(visitor) => {
                let guest: &Guest = visitor.state()?;
                if guest.means.factors.len() != self.samples.width() {
                    return Err(Error::Mismatch("another model met the visitor".to_owned()));
                }
                check_bag(guest.ratings.row(0), self.items())?;
                Ok(Asked {
                    people: &guest.means,
                    histories: &guest.ratings,
                    rows: &[0],
                })
            }
        }
    }

    fn check_users(&self, users: &[u32]) -> Result<()> {
        let count = self.samples.users.biases.len();
        check_rows("user", users.iter().copied(), count)
    }

    fn check_items(&self, items: &[u32]) -> Result<()> {
        check_rows("movie", items.iter().copied(), self.items())
    }

    fn items(&self) -> usize {
        self.samples.items.biases.len()
    }

    /// Writes what each of those who are asked about gives to each of `count` items.
    fn write(
        &self,
        asked: &Asked,
        count: usize,
        item: impl Fn(usize) -> u32 + Sync,
        out: &mut Vec<f32>,
    ) {
        out.clear();
        out.resize(asked.rows.len() * count, 0.0);
        let pieces = out.par_chunks_mut(USERS * count.max(1));
        let pieces = pieces.zip(asked.rows.par_chunks(USERS));
        pieces.for_each(|(out, rows)| {
            vectorize(
                #[inline(always)]
                || {
                    for at in 0..count {
                        let item = item(at);
                        let out = out[at..].iter_mut().step_by(count);
                        for (out, &row) in out.zip(rows) {
                            *out = self.samples.predict(asked.people, row, item);
                        }
                    }
                },
            );
        });
    }
}

impl Ranker for BayesianFactorization {
    fn parameters(&self) -> usize {
        let Samples {
            users,
            items,
            priors,
            draws,
            histories,
            ..
        } = &self.samples;
        let of_means = |means: &Means| means.biases.len() + means.factors.len();
        let of_draws = |draws: &Draws| draws.biases.len() + draws.factors.len();
        let of_histories = histories.as_ref().map_or(0, of_draws);
        of_means(users) + of_means(items) + priors.len() + of_draws(draws) + of_histories
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        let asked = self.asked(who)?;
        self.write(&asked, self.items(), |item| item as u32, scores);
        Ok(())
    }

    fn meet(&self, ratings: &[Rated], stop: Option<&AtomicBool>) -> Result<Visitor> {
        let own = ratings.iter().map(|rated| Rated {
            user: 0,
            timestamp: 0,
            ..*rated
        });
        let own = RatedBags::of_users(1, own);
        check_bag(own.row(0), self.items())?;
        let guest = Guest {
            means: self.samples.meet(own.row(0), stop)?,
            ratings: own,
        };
        Ok(Visitor::new(ratings.to_vec(), guest))
    }

    fn rater(&self) -> Option<&dyn Rater> {
        Some(self)
    }

    fn because(&self, who: Who, items: &[u32], count: usize) -> Result<Option<Vec<Vec<Cause>>>> {
        let asked = self.asked(who)?;
        let [row] = asked.rows else {
            return Err(Error::Mismatch(format!(
                "a score has reasons for one user, and there are {}",
                asked.rows.len()
            )));
        };
        self.check_items(items)?;
        let causes = self.samples.causes(asked.histories.row(*row), items);
        let strongest = causes.into_iter().map(|it| Cause::strongest(it, count));
        Ok(Some(strongest.collect()))
    }

    fn item_vectors(&self) -> Result<Option<Vec<f32>>> {
        let mut is_rated = vec![false; self.items()];
        for user in 0..self.histories.len() as u32 {
            let items = self.histories.row(user).ids.iter();
            items.for_each(|&item| is_rated[item as usize] = true);
        }
        let mut vectors = self.samples.items.factors.clone();
        let rows = vectors.chunks_exact_mut(self.samples.width()).zip(is_rated);
        let unknown = rows.filter(|(_, is_rated)| !is_rated);
        unknown.for_each(|(vector, _)| vector.fill(0.0));
        Ok(Some(vectors))
    }
}

impl Rater for BayesianFactorization {
    fn rate(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.rate_unbounded(batch, stars)?;
        keep_within_bounds(stars);
        Ok(())
    }

    fn rate_items(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        self.rate_items_unbounded(who, items, stars)?;
        keep_within_bounds(stars);
        Ok(())
    }

    fn rate_unbounded(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.check_users(&batch.users)?;
        self.check_items(&batch.movies)?;
        stars.clear();
        stars.resize(batch.len(), 0.0);
        let rows = batch.users.par_chunks(ROWS);
        let rows = rows.zip(batch.movies.par_chunks(ROWS));
        let samples = &self.samples;
        let pieces = stars.par_chunks_mut(ROWS).zip(rows);
        pieces.for_each(|(stars, (users, items))| {
            vectorize(
                #[inline(always)]
                || {
                    let rows = users.iter().zip(items);
                    for (stars, (&user, &item)) in stars.iter_mut().zip(rows) {
                        *stars = samples.predict(&samples.users, user, item);
                    }
                },
            );
        });
        Ok(())
    }

    fn rate_items_unbounded(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        let asked = self.asked(who)?;
        self.check_items(items)?;
        self.write(&asked, items.len(), |at| items[at], stars);
        Ok(())
    }
}
