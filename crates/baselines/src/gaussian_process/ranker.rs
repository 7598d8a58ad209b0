//! A [`GaussianProcess`] behind the seam.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mmdlrm_data::{Batch, Rated, RatedBags};
use mmdlrm_features::NewMovie;
use mmdlrm_train::{
    Error, Ranker, RateNewcomer, Rater, Result, Share, Visitor, Who, keep_within_bounds,
};
use rayon::prelude::*;

use super::GaussianProcess;
use super::points::Traits;
use super::process::UserSide;
use mmdlrm_train::check_rows;

/// Movies that stand for the average one: so many tell the mean well.
const BACKGROUND: usize = 256;

/// Somebody new, the only user of their own side.
struct Guest {
    users: UserSide,
    /// When they rated last.
    latest: u32,
}

/// Whose ratings decide, and for each who is asked about the row there and the moment.
struct Asked<'a> {
    users: &'a UserSide,
    rows: Vec<(u32, u32)>,
}

impl Asked<'_> {
    /// Each of them with each of `items` items.
    fn pairs(
        &self,
        items: usize,
        item: impl Fn(usize) -> u32 + Send + Sync,
    ) -> impl IndexedParallelIterator<Item = Rated> {
        let pairs = (0..self.rows.len() * items).into_par_iter();
        pairs.map(move |pair| {
            let (user, timestamp) = self.rows[pair / items];
            Rated {
                user,
                movie: item(pair % items),
                timestamp,
                ..Rated::default()
            }
        })
    }
}

impl GaussianProcess {
    fn asked<'a>(&'a self, who: Who<'a>) -> Result<Asked<'a>> {
        match who {
            Who::Users(users) => {
                self.check_users(users)?;
                let at = |&user: &u32| (user, self.features.unrated(user, 0).timestamp);
                Ok(Asked {
                    users: &self.users,
                    rows: users.iter().map(at).collect(),
                })
            }
            Who::Visitor(visitor) => {
                let guest: &Guest = visitor.state()?;
                Ok(Asked {
                    users: &guest.users,
                    rows: vec![(0, guest.latest)],
                })
            }
        }
    }

    fn check_users(&self, users: &[u32]) -> Result<()> {
        check_rows("user", users.iter().copied(), self.features.users().len())
    }

    fn check_movies(&self, movies: &[u32]) -> Result<()> {
        check_rows("movie", movies.iter().copied(), self.movies.means.len())
    }
}

impl Ranker for GaussianProcess {
    fn parameters(&self) -> usize {
        let factors = self.movies.factors.numbers().len();
        factors + self.movies.means.len() + self.users.weights.len()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        let asked = self.asked(who)?;
        let pairs = asked.pairs(self.movies.means.len(), |movie| movie as u32);
        self.movies.rate(asked.users, pairs, scores);
        Ok(())
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        let movies = &self.movies;
        let of_guest = ratings.iter().map(|rated| Rated {
            user: 0,
            timestamp: movies.time(rated.timestamp),
            ..*rated
        });
        for rated in ratings {
            self.check_movies(&[rated.movie])?;
        }
        let histories = Arc::new(RatedBags::of_users(1, of_guest));
        let deviation = |movie: u32, stars: f32| stars - movies.means[movie as usize];
        let times = ratings.iter().map(|rated| rated.timestamp);
        let guest = Guest {
            users: movies.fit(histories, deviation),
            latest: times.max().unwrap_or_else(|| self.features.latest()),
        };
        Ok(Visitor::new(ratings.to_vec(), guest))
    }

    fn rater(&self) -> Option<&dyn Rater> {
        Some(self)
    }

    fn explain(&self, who: Who, items: &[u32]) -> Result<Option<Vec<Vec<Share>>>> {
        let asked = self.asked(who)?;
        if asked.rows.len() != 1 {
            return Err(Error::Mismatch(format!(
                "a score is explained for one user, and there are {}",
                asked.rows.len()
            )));
        }
        self.check_movies(items)?;
        let movies = &self.movies;
        let step = movies.means.len().div_ceil(BACKGROUND).max(1);
        let background: Vec<u32> = (0..movies.means.len() as u32).step_by(step).collect();
        let parts_of = |items: &[u32]| {
            let bias = items.iter().map(|&item| movies.means[item as usize]);
            let bias: Vec<f32> = bias.collect();
            let mut process = Vec::new();
            let pairs = asked.pairs(items.len(), |item| items[item]);
            movies.deviations(asked.users, pairs, &mut process);
            [(Share::BIAS, bias), (Self::PART, process)]
        };
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len().max(1) as f32;
        let means = parts_of(&background).map(|(_, values)| mean(&values));
        let found = parts_of(items);
        let of_item = |item: usize| {
            let parts = found.iter().zip(means);
            let shares = parts.map(|((part, values), mean)| Share {
                part: (*part).to_owned(),
                amount: values[item] - mean,
            });
            shares.collect()
        };
        Ok(Some((0..items.len()).map(of_item).collect()))
    }

    fn newcomer(&self, movie: &NewMovie) -> Result<Option<RateNewcomer<'_>>> {
        let features = self.features.with_new_movie(movie)?;
        let row = self.movies.means.len() as u32;
        let year = features.years().last().copied().unwrap_or_default();
        let traits = Traits::new(year, features.genres(row));
        let movies = self.movies.clone().with_movie(traits);
        Ok(Some(Box::new(move |users, stars| {
            let asked = self.asked(Who::Users(users))?;
            movies.rate(asked.users, asked.pairs(1, |_| row), stars);
            keep_within_bounds(stars);
            Ok(())
        })))
    }
}

impl Rater for GaussianProcess {
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
        self.check_movies(&batch.movies)?;
        let pairs = batch.users.par_iter().zip(&batch.movies);
        let rows = pairs.zip(&batch.timestamps);
        let rows = rows.map(|((&user, &movie), &timestamp)| Rated {
            user,
            movie,
            timestamp,
            ..Rated::default()
        });
        self.movies.rate(&self.users, rows, stars);
        Ok(())
    }

    fn rate_items_unbounded(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        let asked = self.asked(who)?;
        self.check_movies(items)?;
        let pairs = asked.pairs(items.len(), |item| items[item]);
        self.movies.rate(asked.users, pairs, stars);
        Ok(())
    }
}
