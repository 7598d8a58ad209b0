use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::batch_bags::{Draw, Reader};
use crate::biases::Bias;
use crate::neighbours::Neighbours;
use crate::rated::Rated;
use crate::rated_bags::{RatedBag, RatedBags};
use crate::{Batch, BatchBags, Error, Result};

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
    /// About how many ratings a bag holds at most, drawn from those that there
    /// are: so that a batch does not cost more the longer histories grow.
    pub longest: u32,
}

impl Default for ContextConfig {
    /// With times, 80 % kept, 256 ratings a bag.
    fn default() -> Self {
        Self {
            timestamps: true,
            kept: 0.8,
            longest: 256,
        }
    }
}

impl ContextConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        if !(self.kept > 0.0 && self.kept <= 1.0) {
            let rule = "it must be above 0 and at most 1";
            return Err(Error::setting("kept", f64::from(self.kept), rule));
        }
        if self.longest == 0 {
            return Err(Error::setting("longest", 0.0, "it must be 1 or more"));
        }
        Ok(())
    }
}

/// What gives batches their context.
#[derive(Clone)]
pub(crate) struct Context {
    config: ContextConfig,
    pub neighbours: Neighbours,
}

impl Context {
    /// `histories` and `audiences` hold the training rows, `years` an entry a
    /// movie.
    pub fn new(
        config: ContextConfig,
        histories: RatedBags,
        audiences: RatedBags,
        years: Vec<f32>,
    ) -> Self {
        Self {
            config,
            neighbours: Neighbours::fit(histories, audiences, years, config.timestamps),
        }
    }

    /// Fills in what a batch of `rows` has by its context. Rows of the training
    /// set say by which `draw` ratings are left out of bags.
    pub fn fill(&self, rows: &[Rated], draw: Option<u64>, batch: &mut Batch) {
        let shifts = self.fill_dense(rows, draw.is_some(), batch);
        let (users, movies) = shifts.into_iter().unzip();
        self.fill_histories(rows, users, draw, batch);
        let neighbours = &self.neighbours;
        let of_audience = Reader {
            bags: &neighbours.audiences,
            pair: |movie, user| (user, movie),
            deviation: |user, stars| neighbours.biases.of_audience(user, stars),
            position: |sample: usize, bag: RatedBag| {
                self.position(rows[sample].user, &rows[sample], draw, bag)
            },
        };
        let draw = self.draw(draw);
        batch.audiences = BatchBags::gather(&batch.movies, movies, draw, of_audience);
    }

    /// Fills in again what depends on users and times, where no row is in the
    /// training set and the movies are those of before.
    pub fn retarget(&self, rows: &[Rated], batch: &mut Batch) {
        let shifts = self.fill_dense(rows, false, batch);
        let users = shifts.into_iter().map(|(user, _)| user).collect();
        self.fill_histories(rows, users, None, batch);
    }

    /// Writes dense features and bases; returns what makes residuals of the
    /// deviations in each row's history and audience.
    fn fill_dense(&self, rows: &[Rated], is_training: bool, batch: &mut Batch) -> Vec<(f32, f32)> {
        let neighbours = &self.neighbours;
        let width = neighbours.names().len();
        batch.dense.resize(rows.len() * width, 0.0);
        let dense = batch.dense.par_chunks_mut(width);
        let biases: Vec<(Bias, Bias)> = rows
            .par_iter()
            .zip(dense)
            .map(|(rated, out)| neighbours.fill(rated, is_training, out))
            .collect();
        let mean = neighbours.biases.mean;
        let bases = biases.iter();
        let bases = bases.map(|(user, movie)| (mean + user.bias + movie.bias) as f32);
        batch.base = bases.collect();
        let shifts = biases.iter();
        shifts
            .map(|(user, movie)| (-user.bias as f32, -movie.bias as f32))
            .collect()
    }

    fn fill_histories(
        &self,
        rows: &[Rated],
        shifts: Vec<f32>,
        draw: Option<u64>,
        batch: &mut Batch,
    ) {
        let neighbours = &self.neighbours;
        let of_history = Reader {
            bags: &neighbours.histories,
            pair: |user, movie| (user, movie),
            deviation: |movie, stars| neighbours.biases.of_history(movie, stars),
            position: |sample: usize, bag: RatedBag| {
                self.position(rows[sample].movie, &rows[sample], draw, bag)
            },
        };
        let draw = self.draw(draw);
        batch.histories = BatchBags::gather(&batch.users, shifts, draw, of_history);
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
            longest: self.config.longest,
        }
    }
}
