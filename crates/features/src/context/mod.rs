//! What the samples of a batch have of other ratings.

mod around;
mod biases;
mod gather;
mod neighbours;
mod sittings;

use std::fmt;
use std::sync::Arc;

use mmdlrm_data::{
    Batch, BatchBags, Column, DataPart, Error, PartHasher, Rated, RatedBag, RatedBags, Result,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Features;
use crate::known::Histories;
use crate::known::tensors::{Source, Stored};
use biases::Bias;
pub use biases::Biases;
use gather::{Draw, Reader, gather};
use neighbours::{Moment, Neighbours};

/// Samples of the batch that bags are made to fit, and the ratings that it should
/// hold at most.
const SAMPLES: i32 = 2048;
const RATINGS: f64 = (1 << 19) as f64;

/// The last word of a context's fingerprint. It once was the share of a Gaussian process, 0.3
/// by default; the format keeps it, so that the same context has the same fingerprint in every
/// version.
const FORMAT_WORD: f32 = 0.3;

/// What the samples of a batch carry beside their own columns: biases, ratings
/// that stand near, and bags of ratings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContextConfig {
    /// Whether the times of ratings are looked at. Where they are not, nothing
    /// depends on them.
    pub timestamps: bool,
    /// Share of the ratings that the bags of a training batch hold; which, is
    /// drawn for each batch, the same for histories and audiences.
    pub kept: f32,
    /// About how many ratings a bag holds at most, drawn from those that there are;
    /// `None` for as many as keep a batch of 2,048 samples below half a million
    /// ratings: all of them in a small data set, and a batch does not cost more the
    /// longer histories grow.
    pub longest: Option<u32>,
}

impl Default for ContextConfig {
    /// With times, 80 % kept, bags as long as a batch affords.
    fn default() -> Self {
        Self {
            timestamps: true,
            kept: 0.8,
            longest: None,
        }
    }
}

impl ContextConfig {
    pub(crate) fn part(&self) -> DataPart {
        // A field that is not named here is an error of the compiler.
        let Self {
            timestamps,
            kept,
            longest,
        } = *self;
        let mut part = PartHasher::new("settings of the context");
        part.thing(&[u32::from(timestamps), kept.to_bits(), FORMAT_WORD.to_bits()]);
        part.thing(&longest.map_or([0, 0], |longest| [1, longest]));
        part.count(1).finish()
    }

    /// A rating, as far as it is looked at.
    pub(crate) fn seen(&self, rated: Rated) -> Rated {
        Rated {
            timestamp: if self.timestamps { rated.timestamp } else { 0 },
            ..rated
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        if !(self.kept > 0.0 && self.kept <= 1.0) {
            let rule = "it must be above 0 and at most 1";
            return Err(Error::setting("kept", f64::from(self.kept), rule));
        }
        if self.longest == Some(0) {
            return Err(Error::setting("longest", 0.0, "it must be 1 or more"));
        }
        Ok(())
    }
}

/// What gives batches their context: the training ratings by user and by movie, their biases,
/// and what is computed of them. [`Features::context`](crate::Features::context) has it.
#[derive(Clone)]
pub struct Context {
    pub(crate) config: ContextConfig,
    /// Ratings of a bag, at most.
    longest: u32,
    pub(crate) neighbours: Neighbours,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Context")
            .field("config", &self.config)
            .field("ratings", &self.histories().ratings())
            .finish_non_exhaustive()
    }
}

impl Context {
    /// How it was made.
    pub fn config(&self) -> &ContextConfig {
        &self.config
    }

    /// What each user rated in the training set, by dense row. Where times are not looked at
    /// all of them are 0, so that a bag is in the order of its ids.
    pub fn histories(&self) -> &Arc<RatedBags> {
        &self.neighbours.histories
    }

    /// Who rated each movie in the training set, by dense row; times as in the histories.
    pub fn audiences(&self) -> &Arc<RatedBags> {
        &self.neighbours.audiences
    }

    /// Biases of these ratings.
    pub fn biases(&self) -> &Biases {
        &self.neighbours.biases
    }

    /// `histories` and `audiences` hold the training rows, `years` an entry a movie.
    pub(crate) fn new(
        config: ContextConfig,
        histories: RatedBags,
        audiences: RatedBags,
        years: Vec<f32>,
    ) -> Self {
        Self::of(
            config,
            Neighbours::fit(histories, audiences, years, config.timestamps),
        )
    }

    /// What was kept of it, with the ratings that it was fitted to.
    pub(crate) fn get(
        stored: &Stored,
        config: ContextConfig,
        histories: &Histories,
        years: &[f32],
    ) -> Result<Self, Source> {
        let rows = histories.trained_rows()?;
        let rows = rows.iter().map(|&rated| config.seen(rated));
        let users = RatedBags::of_users(histories.users(), rows.clone());
        let movies = RatedBags::of_movies(years.len(), rows);
        let neighbours = Neighbours::get(stored, users, movies, years.to_vec(), config.timestamps)?;
        Ok(Self::of(config, neighbours))
    }

    fn of(config: ContextConfig, neighbours: Neighbours) -> Self {
        let sides = [&*neighbours.histories, &*neighbours.audiences];
        let longest = config.longest.unwrap_or_else(|| affordable(&sides));
        Self {
            config,
            longest,
            neighbours,
        }
    }

    /// With a movie more, that nobody has rated.
    pub(crate) fn with_movie(self, year: f32) -> Self {
        Self {
            neighbours: self.neighbours.with_movie(year),
            ..self
        }
    }

    /// For one other user, with these ratings.
    pub(crate) fn for_user(self, ratings: &[Rated]) -> Self {
        let ratings = ratings.iter().map(|rated| Rated {
            user: 0,
            timestamp: self.neighbours.time(rated.timestamp),
            ..*rated
        });
        let histories = RatedBags::of_users(1, ratings);
        Self {
            neighbours: self.neighbours.for_users(histories),
            ..self
        }
    }

    /// What a batch of `rows` has by its context: dense features, histories and audiences; its
    /// bases are written. Rows of the training set say by which `draw` ratings are left out of
    /// bags.
    pub(crate) fn columns(
        &self,
        rows: &[Rated],
        draw: Option<u64>,
        batch: &mut Batch,
    ) -> (Column, [Column; 2]) {
        let width = self.neighbours.names().len();
        let mut values = vec![0.0; rows.len() * width];
        let (bases, shifts) = self.fill_dense(rows, draw.is_some(), &mut values);
        batch.base = bases;
        let (users, movies) = shifts.into_iter().unzip();
        let bags = [
            self.histories_of(rows, &batch.users, users, draw),
            self.audiences_of(rows, &batch.movies, movies, draw),
        ];
        (Column::Dense { width, values }, bags.map(Column::Shared))
    }

    /// Writes again what depends on users and times, where no row is in the
    /// training set and the movies are those of before.
    pub(crate) fn retarget(&self, rows: &[Rated], batch: &mut Batch) {
        let Some(Column::Dense { values, .. }) = batch.column_mut(Features::DENSE) else {
            return;
        };
        let (bases, shifts) = self.fill_dense(rows, false, values);
        batch.base = bases;
        let users = shifts.into_iter().map(|(user, _)| user).collect();
        let histories = self.histories_of(rows, &batch.users, users, None);
        if let Some(Column::Shared(bags)) = batch.column_mut(Features::HISTORY) {
            *bags = histories;
        }
    }

    /// Writes dense features, `[rows, features]`; returns the bases, and what makes residuals
    /// of the deviations in each row's history and audience.
    fn fill_dense(
        &self,
        rows: &[Rated],
        is_training: bool,
        values: &mut [f32],
    ) -> (Vec<f32>, Vec<(f32, f32)>) {
        let neighbours = &self.neighbours;
        let dense = values.par_chunks_mut(neighbours.names().len());
        let biases: Vec<(Bias, Bias)> = rows
            .par_iter()
            .zip(dense)
            .map_init(Moment::default, |moment, (rated, out)| {
                neighbours.fill(rated, is_training, moment, out)
            })
            .collect();
        let mean = neighbours.biases.mean;
        let bases = biases.iter();
        let bases = bases.map(|(user, movie)| (mean + user.bias + movie.bias) as f32);
        let shifts = biases.iter();
        let shifts = shifts.map(|(user, movie)| (-user.bias as f32, -movie.bias as f32));
        (bases.collect(), shifts.collect())
    }

    fn histories_of(
        &self,
        rows: &[Rated],
        users: &[u32],
        shifts: Vec<f32>,
        draw: Option<u64>,
    ) -> BatchBags {
        let neighbours = &self.neighbours;
        let of_history = Reader {
            bags: &neighbours.histories,
            pair: |user, movie| (user, movie),
            deviation: |movie, stars| neighbours.biases.of_history(movie, stars),
            position: |sample: usize, bag: RatedBag| {
                self.position(rows[sample].movie, &rows[sample], draw, bag)
            },
        };
        gather(users, shifts, self.draw(draw), of_history)
    }

    fn audiences_of(
        &self,
        rows: &[Rated],
        movies: &[u32],
        shifts: Vec<f32>,
        draw: Option<u64>,
    ) -> BatchBags {
        let neighbours = &self.neighbours;
        let of_audience = Reader {
            bags: &neighbours.audiences,
            pair: |movie, user| (user, movie),
            deviation: |user, stars| neighbours.biases.of_audience(user, stars),
            position: |sample: usize, bag: RatedBag| {
                self.position(rows[sample].user, &rows[sample], draw, bag)
            },
        };
        gather(movies, shifts, self.draw(draw), of_audience)
    }

    /// Where a training row's own rating stands in a bag.
    fn position(&self, id: u32, rated: &Rated, draw: Option<u64>, bag: RatedBag) -> Option<usize> {
        draw?;
        bag.position(id, self.neighbours.time(rated.timestamp), rated.stars)
    }

    fn draw(&self, draw: Option<u64>) -> Draw {
        Draw {
            seed: draw.unwrap_or(0),
            kept: draw.map_or(1.0, |_| self.config.kept),
            longest: self.longest,
        }
    }
}

/// The longest bags, a power of two, of which a batch holds no more ratings than it
/// should, on average over batches.
fn affordable(sides: &[&RatedBags]) -> u32 {
    let bags = sides.iter().flat_map(|side| {
        let ratings = side.ratings().max(1) as f64;
        (0..side.len() as u32).map(move |bag| {
            let length = side.span(bag).len();
            let is_in_a_batch = 1.0 - (1.0 - length as f64 / ratings).powi(SAMPLES);
            (length as f64, is_in_a_batch)
        })
    });
    let bags: Vec<(f64, f64)> = bags.collect();
    let affords = |&longest: &u32| {
        let held = bags.iter();
        let held = held.map(|(length, is_in_a_batch)| length.min(longest.into()) * is_in_a_batch);
        held.sum::<f64>() <= RATINGS
    };
    let lengths = (0..u32::BITS).rev().map(|power| 1 << power);
    lengths.into_iter().find(affords).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest bags where each of so many users rated all of 1,000 movies.
    fn longest(users: u32) -> u32 {
        let of = |at: u32| Rated {
            user: at / 1000,
            movie: at % 1000,
            stars: 3.0,
            timestamp: 0,
        };
        let rows = || (0..users * 1000).map(of);
        let histories = RatedBags::of_users(users as usize, rows());
        let audiences = RatedBags::of_movies(1000, rows());
        affordable(&[&histories, &audiences])
    }

    #[test]
    fn bags_are_whole_in_a_small_set_and_as_long_as_a_batch_affords_in_a_large_one() {
        assert_eq!(longest(1), 1 << 31);
        assert!(longest(200) >= 1000);
        // 2,000 users and 1,000 movies, most of them in each batch: of 256 ratings,
        // these would be 580,000.
        assert_eq!(longest(2000), 128);
    }
}
