//! A [`MatrixFactorization`] behind the seam.

use std::sync::atomic::AtomicBool;

use mmdlrm_data::{Batch, Rated};
use mmdlrm_kernels::vectorize;
use mmdlrm_train::{Ranker, Rater, Result, Visitor, Who, check_rows, keep_within_bounds};
use rayon::prelude::*;

use super::MatrixFactorization;
use super::descent::fold_in;
use super::vectors::{Block, dot};
use crate::visitor;

/// Rows that a thread rates at a time, at least.
const ROWS_AT_A_TIME: usize = 1024;

/// Somebody new: `b_u` and `z_u`.
struct Guest {
    bias: f32,
    vector: Vec<Block>,
}

/// Bias and vector of somebody who is asked about.
type Person<'a> = (f32, &'a [Block]);

impl MatrixFactorization {
    fn person(&self, user: u32) -> Person<'_> {
        let bias = self.users.biases[user as usize];
        (bias, self.users.vectors.row(user))
    }

    fn people<'a>(&'a self, who: Who<'a>) -> Result<Vec<Person<'a>>> {
        match who {
            Who::Users(users) => {
                self.check_users(users)?;
                Ok(users.iter().map(|&user| self.person(user)).collect())
            }
            Who::Visitor(visitor) => {
                let guest: &Guest = visitor.state()?;
                Ok(vec![(guest.bias, &guest.vector)])
            }
        }
    }

    /// What a user would give to a movie, in stars that go on where the scale ends.
    pub(super) fn stars(&self, user: u32, movie: u32) -> f32 {
        vectorize(
            #[inline(always)]
            || self.stars_of(self.person(user), movie),
        )
    }

    #[inline(always)]
    fn stars_of(&self, (bias, vector): Person, movie: u32) -> f32 {
        let biases = self.mean + bias + self.movies.biases[movie as usize];
        biases + dot(vector, self.movies.vectors.row(movie))
    }

    fn check_users(&self, users: &[u32]) -> Result<()> {
        check_rows("user", users.iter().copied(), self.users.biases.len())
    }

    fn check_movies(&self, movies: &[u32]) -> Result<()> {
        check_rows("movie", movies.iter().copied(), self.movies.biases.len())
    }
}

impl Ranker for MatrixFactorization {
    fn parameters(&self) -> usize {
        let implicit = self.implicit.as_ref().map_or(0, |it| it.parameters());
        1 + self.users.parameters() + self.movies.parameters() + implicit
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        let movies: Vec<u32> = (0..self.movies.biases.len() as u32).collect();
        self.rate_items_unbounded(who, &movies, scores)
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        let history = visitor::history(ratings, self.movies.biases.len())?;
        let implicit = self.implicit.as_ref();
        let (bias, vector) = fold_in(&self.config, self.mean, &self.movies, implicit, &history);
        Ok(Visitor::new(ratings.to_vec(), Guest { bias, vector }))
    }

    fn rater(&self) -> Option<&dyn Rater> {
        Some(self)
    }

    fn item_vectors(&self) -> Result<Option<Vec<f32>>> {
        Ok(Some(self.movies.vectors.numbers()))
    }
}

impl Rater for MatrixFactorization {
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
        let rows = batch.users.par_iter().zip(&batch.movies);
        rows.with_min_len(ROWS_AT_A_TIME)
            .map(|(&user, &movie)| self.stars(user, movie))
            .collect_into_vec(stars);
        Ok(())
    }

    fn rate_items_unbounded(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        let people = self.people(who)?;
        self.check_movies(items)?;
        stars.resize(people.len() * items.len(), 0.0);
        let rows = stars.par_chunks_exact_mut(items.len().max(1)).zip(&people);
        rows.for_each(|(stars, &person)| {
            vectorize(
                #[inline(always)]
                || {
                    let places = stars.iter_mut().zip(items);
                    places.for_each(|(stars, &item)| *stars = self.stars_of(person, item));
                },
            );
        });
        Ok(())
    }
}
