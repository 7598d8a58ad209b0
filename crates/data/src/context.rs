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
        let neighbours = &self.neighbours;
        let width = neighbours.names().len();
        let is_training = draw.is_some();
        batch.dense.resize(rows.len() * width, 0.0);
        let (mut users, mut movies) = (Vec::new(), Vec::new());
        for (rated, out) in rows.iter().zip(batch.dense.chunks_exact_mut(width)) {
            let (user, movie) = neighbours.fill(rated, is_training, out);
            let base = neighbours.biases.mean + user.bias + movie.bias;
            batch.base.push(base as f32);
            let shift = |of: Bias| -of.bias as f32;
            users.push(shift(user));
            movies.push(shift(movie));
        }
        let draw = Draw {
            seed: draw.unwrap_or(0),
            kept: if is_training { self.config.kept } else { 1.0 },
            longest: self.config.longest,
        };
        let position = |id: u32, rated: &Rated, bag: RatedBag| {
            let time = neighbours.time(rated.timestamp);
            is_training.then(|| bag.position(id, time, rated.stars))?
        };
        let of_history = Reader {
            bags: &neighbours.histories,
            pair: |user, movie| (user, movie),
            deviation: |movie, stars| neighbours.biases.of_history(movie, stars),
            position: |sample: usize, bag: RatedBag| {
                position(rows[sample].movie, &rows[sample], bag)
            },
        };
        batch.histories = BatchBags::gather(&batch.users, users, draw, of_history);
        let of_audience = Reader {
            bags: &neighbours.audiences,
            pair: |movie, user| (user, movie),
            deviation: |user, stars| neighbours.biases.of_audience(user, stars),
            position: |sample: usize, bag: RatedBag| {
                position(rows[sample].user, &rows[sample], bag)
            },
        };
        batch.audiences = BatchBags::gather(&batch.movies, movies, draw, of_audience);
    }
}
