//! A [`KnnRater`] behind the seam.

use std::sync::atomic::AtomicBool;

use mmdlrm_data::{Batch, Rated, RatedBags};
use mmdlrm_train::{
    Cause, Error, Ranker, Rater, Result, Visitor, Who, check_rows, keep_within_bounds,
};
use rayon::prelude::*;

use super::neighbourhood::{Person, Room};
use super::similar::{Alike, Comparison};
use super::{KnnRater, Side, compared};
use crate::visitor;

/// Somebody new.
struct Guest {
    bias: f32,
    /// The only history.
    deviations: RatedBags,
    alike: Alike,
}

impl KnnRater {
    fn person(&self, user: u32) -> Person<'_> {
        Person {
            bias: self.baseline.users[user as usize],
            deviations: self.deviations.row(user),
            alike: match self.config.side {
                Side::Items => &[],
                Side::Users => self.similar.row(user),
            },
        }
    }

    fn people<'a>(&'a self, who: Who<'a>) -> Result<Vec<Person<'a>>> {
        match who {
            Who::Users(users) => {
                self.check_users(users)?;
                Ok(users.iter().map(|&user| self.person(user)).collect())
            }
            Who::Visitor(visitor) => {
                let guest: &Guest = visitor.state()?;
                Ok(vec![Person {
                    bias: guest.bias,
                    deviations: guest.deviations.row(0),
                    alike: &guest.alike,
                }])
            }
        }
    }

    /// Users who are most like somebody of these ratings.
    fn alike(&self, history: &RatedBags, deviations: &RatedBags) -> Alike {
        let Some(audiences) = &self.audiences else {
            return Vec::new();
        };
        let comparison = Comparison {
            others: audiences,
            count: self.baseline.users.len(),
            config: &self.config,
        };
        let own = compared(history, deviations, &self.config).row(0);
        comparison.most_similar(own, None, &mut comparison.scratch())
    }

    fn check_users(&self, users: &[u32]) -> Result<()> {
        check_rows("user", users.iter().copied(), self.baseline.users.len())
    }

    fn check_movies(&self, movies: &[u32]) -> Result<()> {
        check_rows("movie", movies.iter().copied(), self.baseline.movies.len())
    }
}

impl Ranker for KnnRater {
    fn parameters(&self) -> usize {
        self.baseline.parameters() + self.similar.pairs()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        let movies: Vec<u32> = (0..self.baseline.movies.len() as u32).collect();
        self.rate_items_unbounded(who, &movies, scores)
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        let history = visitor::history(ratings, self.baseline.movies.len())?;
        let own = history.row(0);
        let bias = self.baseline.of_history(own.stars_by_id());
        let left = own.rows_of(0).map(|rated| Rated {
            stars: rated.stars - self.baseline.stars(bias, rated.movie),
            ..rated
        });
        let deviations = RatedBags::of_users(1, left);
        let guest = Guest {
            alike: self.alike(&history, &deviations),
            bias,
            deviations,
        };
        Ok(Visitor::new(ratings.to_vec(), guest))
    }

    fn rater(&self) -> Option<&dyn Rater> {
        Some(self)
    }

    fn because(&self, who: Who, items: &[u32], count: usize) -> Result<Option<Vec<Vec<Cause>>>> {
        let people = self.people(who)?;
        let [person] = people.as_slice() else {
            return Err(Error::Mismatch(format!(
                "a score has reasons for one user, and there are {}",
                people.len()
            )));
        };
        self.check_movies(items)?;
        Ok(match self.config.side {
            Side::Users => None,
            Side::Items => {
                let causes = self.causes(person, items).into_iter();
                Some(causes.map(|it| Cause::strongest(it, count)).collect())
            }
        })
    }
}

impl Rater for KnnRater {
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

    /// User by user, whose ratings are laid out once.
    fn rate_unbounded(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.check_users(&batch.users)?;
        self.check_movies(&batch.movies)?;
        let user = |row: u32| batch.users[row as usize];
        let mut rows: Vec<u32> = (0..batch.len() as u32).collect();
        rows.sort_by_key(|&row| user(row));
        let by_user: Vec<&[u32]> = rows.chunk_by(|&a, &b| user(a) == user(b)).collect();
        let rate = |room: &mut Room, rows: &&[u32]| {
            let mut found = Vec::with_capacity(rows.len());
            let movies = rows.iter().map(|&row| batch.movies[row as usize]);
            let person = self.person(user(rows[0]));
            self.rate_person(&person, movies, room, |stars| found.push(stars));
            found
        };
        let found = by_user.par_iter().map_init(Room::default, rate);
        let found: Vec<Vec<f32>> = found.collect();
        stars.resize(batch.len(), 0.0);
        let of_rows = rows.iter().zip(found.iter().flatten());
        of_rows.for_each(|(&row, &found)| stars[row as usize] = found);
        Ok(())
    }

    fn rate_items_unbounded(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        let people = self.people(who)?;
        self.check_movies(items)?;
        stars.resize(people.len() * items.len(), 0.0);
        let rows = stars.par_chunks_exact_mut(items.len().max(1)).zip(&people);
        rows.for_each_init(Room::default, |room, (stars, person)| {
            let mut places = stars.iter_mut();
            self.rate_person(person, items.iter().copied(), room, |found| {
                if let Some(place) = places.next() {
                    *place = found;
                }
            });
        });
        Ok(())
    }
}
