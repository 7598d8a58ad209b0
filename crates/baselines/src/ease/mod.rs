//! What is rated together, by a linear model in closed form.

mod by_items;
mod by_neighbours;
mod by_users;
mod config;
mod inputs;
mod packed;
mod persist;
mod pivot;
mod ranker;
pub(crate) mod symmetric;
mod tile;

use std::fmt;
use std::sync::Arc;

use crate::memory::{Size, numbers};
use crate::whole::LIMIT;
use mmdlrm_data::{RatedBag, RatedBags};
use mmdlrm_features::{Features, TrainingData};
use mmdlrm_kernels::InstructionSet;
use mmdlrm_train::{Error, Fit, Result, Session};
use serde_json::{Value, json};

use by_items::ByItems;
use by_neighbours::ByNeighbours;
use by_users::ByUsers;
pub use config::EaseConfig;
use inputs::{Inputs, matrix};

/// EASE: the embarrassingly shallow autoencoder (Steck, 2019), weighted by stars.
///
/// A linear model of what a user rates, of what else the user rated. With weights `X`,
/// `[users, items]`, and `n_i` users who rated item `i`:
///
/// ```text
/// x_ui = 1 + star_weight·(stars − 3.5)        where u rated i, 0 elsewhere
/// Λ_ii = regularization·√n_i + dropout/(1 − dropout)·Σ_u x_ui²
/// P    = (XᵀX + Λ)⁻¹                                                     [items, items]
/// B_ij = −P_ij / P_jj,    B_jj = 0
/// s_j  = Σ_i x_ui·B_ij                                                   [items]
/// ```
///
/// `B` is what minimizes `‖X − XB‖² + Σ_ij Λ_ii·B_ij²` where no item may say anything of itself.
/// The second part of `Λ` is what training with inputs dropped at random comes to in the mean of
/// all draws (Steck, 2020), and `√n_i` stands where the paper of 2019 has a constant.
///
/// `B` is found in one of three ways, each the same where they overlap:
///
/// | where | what is solved | and kept | a user's scores cost |
/// | --- | --- | --- | --- |
/// | items ≤ users, and at most [`dense_up_to`](EaseConfig::dense_up_to) | an inverse, `[items, items]` | `B` | ratings of the user · items |
/// | users < items, and at most that | an inverse, `[users, users]` | that | all ratings + users² |
/// | else | equations of each item with its 256 [nearest](EaseConfig::neighbours) | 256 weights an item, twice once reasons are asked for | the weights that the user's items have in others: 256 each at most in the mean of all items, many more of much rated ones |
///
/// Sums are `f64`, what is kept `f32`. Everything runs on all threads, with the same bits
/// on any number of them.
///
/// A user is a history and nothing else: a visitor with the ratings of a user has the scores of
/// that user, to the bit. Of an item that was rated twice the later rating counts. Who rated
/// nothing, or nothing that weighs more than 0, is told popularity: the share of the users who
/// rated each item. [`because`](mmdlrm_train::Ranker::because) is exact: the `x_ui·B_ij`. There are
/// no vectors of items, and no stars.
///
/// ```
/// use std::sync::Arc;
///
/// use mmdlrm_baselines::{Ease, EaseConfig};
/// use mmdlrm_data::{Rated, RatedBags};
///
/// // Two users rated items 0 and 1, one 0 alone, and one 2.
/// let rated = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (3, 2)];
/// let rows = rated.map(|(user, movie)| Rated { user, movie, stars: 3.5, timestamp: 0 });
/// let histories = Arc::new(RatedBags::of_users(4, rows.into_iter()));
/// let ease = Ease::of(Arc::clone(&histories), 3, &EaseConfig::plain(1.0))?;
///
/// // XᵀX + 1 = [[4, 2, 0], [2, 3, 0], [0, 0, 2]], and so P ~ [[3, −2, 0], [−2, 4, 0], [0, 0, 4]].
/// let mut scores = Vec::new();
/// ease.score_history(histories.row(2), &mut scores)?;
/// assert_eq!(scores, [0.0, 0.5, 0.0]);
/// # Ok::<(), mmdlrm_train::Error>(())
/// ```
#[derive(Clone)]
pub struct Ease {
    config: EaseConfig,
    histories: Arc<RatedBags>,
    inputs: Inputs,
    weights: Weights,
}

/// `B`, by one of the ways to it.
#[derive(Clone)]
enum Weights {
    Items(ByItems),
    Users(ByUsers),
    Neighbours(ByNeighbours),
}

/// A way to `B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Items,
    Users,
    Neighbours,
}

impl Way {
    fn of(users: usize, items: usize, config: &EaseConfig) -> Self {
        match users.min(items) <= config.dense_up_to {
            true if items <= users => Self::Items,
            true => Self::Users,
            false => Self::Neighbours,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Users => "users",
            Self::Neighbours => "neighbours",
        }
    }
}

impl Ease {
    /// Fits `B` to what each user rated, of `items` items.
    ///
    /// # Errors
    /// Settings that make no sense, items that there are not, stars that are no numbers; a
    /// regularization that is too small for the equations to be solved in `f64`.
    pub fn of(histories: Arc<RatedBags>, items: usize, config: &EaseConfig) -> Result<Self> {
        check(items, config)?;
        let inputs = Inputs::of(&histories, items, config)?;
        let x = || matrix(&histories, config, |item| item);
        let too_small = |_| too_small(config);
        let weights = match Way::of(histories.len(), items, config) {
            Way::Items => Weights::Items(ByItems::fit(&x()?, &inputs).map_err(too_small)?),
            Way::Users => Weights::Users(ByUsers::fit(x()?, &inputs).map_err(too_small)?),
            Way::Neighbours => Weights::Neighbours(ByNeighbours::fit(&histories, &inputs, config)?),
        };
        Ok(Self {
            config: *config,
            histories,
            inputs,
            weights,
        })
    }

    /// How it was fitted.
    pub fn config(&self) -> &EaseConfig {
        &self.config
    }

    /// What it was fitted to.
    pub fn histories(&self) -> &Arc<RatedBags> {
        &self.histories
    }

    /// How many items it scores.
    pub fn items(&self) -> usize {
        self.inputs.counts.len()
    }

    /// Writes the scores of all items for whoever rated `history`, `[items]`; `scores` is resized
    /// to fit. Those of the history are what the other ratings say of it.
    ///
    /// # Errors
    /// Items that there are not, stars that are no numbers.
    pub fn score_history(&self, history: RatedBag, scores: &mut Vec<f32>) -> Result<()> {
        inputs::check(history, self.items())?;
        scores.resize(self.items(), 0.0);
        self.write_scores(&inputs::weights(history, &self.config), scores);
        Ok(())
    }

    fn write_scores(&self, history: &[(u32, f32)], scores: &mut [f32]) {
        if history.is_empty() {
            let users = self.histories.len().max(1) as f32;
            let counts = scores.iter_mut().zip(&self.inputs.counts);
            counts.for_each(|(score, &count)| *score = count as f32 / users);
            return;
        }
        match &self.weights {
            Weights::Items(weights) => weights.score(history, scores),
            Weights::Users(weights) => weights.score(history, scores),
            Weights::Neighbours(weights) => weights.score(history, scores),
        }
    }
}

impl Fit for EaseConfig {
    type Model = Ease;

    fn check(&self, features: &Features) -> Result<Value> {
        let (users, items) = (features.users().len(), features.movies().len());
        check(items, self)?;
        let way = Way::of(users, items, self).name();
        Ok(json!({ "users": users, "items": items, "way": way }))
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        let size = Size::of(data);
        let matrix = numbers(size.ratings);
        let weights = match Way::of(size.users as usize, size.items as usize, self) {
            // An inverse, and B.
            Way::Items => numbers(3 * size.items * size.items),
            Way::Users => numbers(3 * size.users * size.users + 2 * size.items),
            Way::Neighbours => {
                let inputs = size.items.min(self.inputs as u64);
                let kept = size.items * size.items.min(self.neighbours as u64);
                numbers(inputs * inputs / 2 + 4 * kept)
            }
        };
        size.histories() + 4 * matrix + weights
    }

    /// Fits `B` to the training ratings, whose times are not looked at.
    fn fit(&self, data: &dyn TrainingData, _session: Session) -> Result<Ease> {
        let histories = data.training_histories()?;
        Ease::of(histories, data.features().movies().len(), self)
    }
}

/// Refuses what cannot be fitted, or not be kept.
fn check(items: usize, config: &EaseConfig) -> Result<()> {
    InstructionSet::in_use().map_err(|error| mmdlrm_data::Error::External(error.into()))?;
    config.validate()?;
    match items < LIMIT {
        true => Ok(()),
        false => Err(Error::Mismatch(format!(
            "there are {items} items, and weights are kept of fewer than {LIMIT}"
        ))),
    }
}

fn too_small(config: &EaseConfig) -> Error {
    Error::Setting {
        setting: "regularization",
        value: config.regularization.to_string(),
        rule: "it is too small for these ratings: the equations have no solution in f64",
    }
}

impl fmt::Debug for Ease {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Ease")
            .field("config", &self.config)
            .field("items", &self.items())
            .finish_non_exhaustive()
    }
}
