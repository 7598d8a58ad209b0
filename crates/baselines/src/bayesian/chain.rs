//! Gibbs sampling: everything is drawn given everything else, over and over.

use mmdlrm_data::RatedBags;
use mmdlrm_kernels::vectorize;
use rayon::prelude::*;

use super::BayesianConfig;
use super::block::{Block, FIRST_DEVIATION, Level};
use super::folded::dot;
use super::links::Links;
use super::random::Random;

/// Users whose errors are summed at a time.
const USERS: usize = 64;
/// `α₀`, `β₀` of the precision of ratings, `α ~ Γ(α₀/2, β₀/2)`, and that of `w₀ ~ N(0, 1)`.
const SHAPE: f64 = 1.0;
const RATE: f64 = 1.0;
const MEAN_PRECISION: f64 = 1.0;

/// A chain of samples from what is known of all weights when the ratings are.
#[derive(Clone)]
pub(super) struct Chain<'a> {
    histories: &'a RatedBags,
    audiences: &'a RatedBags,
    pub random: Random,
    pub level: Level,
    pub users: Block,
    pub items: Block,
}

/// Errors of all ratings, `Σ (r − r̂)` and `Σ (r − r̂)²`.
#[derive(Debug, Clone, Copy, Default)]
struct Errors {
    sum: f64,
    squares: f64,
}

impl<'a> Chain<'a> {
    /// At its beginning: weights of `N(0, 0.1²)`. Both sides are of the same ratings, and in the
    /// order of their ids.
    pub fn new(
        histories: &'a RatedBags,
        audiences: &'a RatedBags,
        config: &BayesianConfig,
    ) -> Self {
        let mut random = Random::new(config.seed);
        let mean = FIRST_DEVIATION * random.normal();
        let of_histories = config.histories.then(|| Links::of(audiences));
        let of_audiences = config.audiences.then(|| Links::of(histories));
        Self {
            level: Level {
                mean,
                precision: 1.0,
            },
            users: Block::new(histories, of_histories, config.rank, &mut random),
            items: Block::new(audiences, of_audiences, config.rank, &mut random),
            histories,
            audiences,
            random,
        }
    }

    /// Draws everything once. Returns the mean squared error before.
    pub fn step(&mut self) -> f64 {
        let errors = self.errors();
        self.draw_level(errors);
        let Self { random, level, .. } = self;
        self.users
            .draw(self.histories, &self.items.folded, *level, random);
        self.items
            .draw(self.audiences, &self.users.folded, *level, random);
        errors.squares / self.histories.ratings() as f64
    }

    /// ```text
    /// α  ~ Γ((α₀ + n)/2, (β₀ + Σ (r − r̂)²)/2)
    /// w₀ ~ N(w₀ + (α·Σ (r − r̂) − w₀)/(α·n + 1), 1/(α·n + 1))
    /// ```
    fn draw_level(&mut self, errors: Errors) {
        let count = self.histories.ratings() as f64;
        let Level { mean, precision } = &mut self.level;
        let (shape, rate) = ((SHAPE + count) / 2.0, (RATE + errors.squares) / 2.0);
        *precision = self.random.gamma(shape, rate);
        let of_mean = *precision * count + MEAN_PRECISION;
        let linear = *precision * errors.sum - MEAN_PRECISION * *mean;
        *mean += linear / of_mean + self.random.normal() / of_mean.sqrt();
    }

    /// Computed anew, so that no rounding adds up.
    fn errors(&self) -> Errors {
        let users: Vec<u32> = (0..self.histories.len() as u32).collect();
        let pieces = users.par_chunks(USERS).map(|users| {
            let mut errors = Errors::default();
            vectorize(
                #[inline(always)]
                || {
                    users
                        .iter()
                        .for_each(|&user| self.add_errors(user, &mut errors))
                },
            );
            errors
        });
        let pieces: Vec<Errors> = pieces.collect();
        pieces.into_iter().fold(Errors::default(), |a, b| Errors {
            sum: a.sum + b.sum,
            squares: a.squares + b.squares,
        })
    }

    #[inline(always)]
    fn add_errors(&self, user: u32, errors: &mut Errors) {
        for (item, stars) in self.histories.row(user).stars_by_id() {
            let error = f64::from(stars) - self.predict(user, item);
            errors.sum += error;
            errors.squares += error * error;
        }
    }

    /// What a user gives to an item, `w₀ + A + B + ⟨P, Q⟩`.
    #[inline(always)]
    pub fn predict(&self, user: u32, item: u32) -> f64 {
        let (user, item) = (user as usize, item as usize);
        let (users, items) = (&self.users.folded, &self.items.folded);
        // The first product is 1, in the bias's place.
        let products = dot(users.row(user), items.row(item)) - 1.0;
        self.level.mean + users.biases[user] + items.biases[item] + products
    }
}
