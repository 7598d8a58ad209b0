//! What is rated together, by vectors of users and items.

mod config;
mod eigen;
mod equations;
mod fixed;
mod gradients;
mod gram;
mod lanes;
mod learn;
mod persist;
mod ranker;

use std::fmt;

use mmdlrm_data::{RatedBag, RatedBags};
use mmdlrm_features::{Features, TrainingData};
use mmdlrm_kernels::InstructionSet;
use mmdlrm_train::{Fit, Result, Session};
use serde_json::{Value, json};

use crate::incidence::{self, Incidence};
use crate::memory::{Size, numbers};
pub use config::IalsConfig;
use equations::{EXACTLY, Equations};
use fixed::Fixed;
use lanes::Lanes;

/// Implicit alternating least squares (Hu, Koren and Volinsky, 2008): vectors of users and items
/// whose products are 1 where a user rated an item and 0 elsewhere, the latter with less weight.
///
/// Stars are not looked at. With vectors `X`, `[users, factors]`, and `Y`, `[items, factors]`:
///
/// ```text
/// min Σ_ui c_ui·(p_ui − x_u·y_i)² + Σ_u ρ_u·‖x_u‖² + Σ_i ρ_i·‖y_i‖²
/// p_ui = 1, c_ui = α     where u rated i,     0 and 1 elsewhere
/// ρ_u  = λ·(Σ_i c_ui)^ν,     ρ_i = λ·(Σ_u c_ui)^ν
/// s_i  = x_u·y_i                                                            [items]
/// ```
///
/// `ν = 0` is the paper of 2008, with `α` for its `1 + α`, and what the package `implicit` fits
/// with the same `factors`, `regularization` and `alpha`. `ν = 1` has ridges by frequency, with
/// which iALS holds its own among recent models (Rendle et al., 2022):
/// [`IalsConfig::by_frequency`].
///
/// With the vectors of one side fixed, each of the other solves equations of its own, and the sides
/// are taken by turns:
///
/// ```text
/// x_u = (YᵀY + (α − 1)·Σ_i y_i·y_iᵀ + ρ_u)⁻¹·α·Σ_i y_i      i rated by u
/// ```
///
/// For that the fixed side is turned by the eigenvectors of `YᵀY`, so that what all equations share
/// is diagonal and taken out of them: what is left is so well conditioned, no worse than `α`, that
/// conjugate gradients solve it in a few steps (Takács, Pilászy and Tikk, 2011, take a few steps of
/// the equations as they are). While vectors are fitted they stop when a thousandth of the
/// right-hand side is left, and at a hundred-thousandth when somebody asks. Numbers are `f32`; `YᵀY`,
/// its eigenvectors and the loss are `f64`. Everything runs on all threads, with the same bits on any
/// number of them.
///
/// A user is a history and nothing else: the equations are solved when somebody asks, with the
/// last vectors of the items, and a visitor with the ratings of a user has the scores of that user,
/// to the bit. Who rated nothing is told popularity: the share of the users who rated each item.
/// [`because`](mmdlrm_train::Ranker::because) is exact, since a score is linear in the right-hand
/// side: rating `i` adds `α·y_iᵀ·(…)⁻¹·y_j` to the score of item `j`.
///
/// ```
/// use mmdlrm_baselines::{Ials, IalsConfig};
/// use mmdlrm_data::{Rated, RatedBags};
///
/// // Two circles of users, and one who rated a single item.
/// let rated = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (2, 3), (3, 2), (3, 3), (4, 0)];
/// let rows = rated.map(|(user, movie)| Rated { user, movie, stars: 3.5, timestamp: 0 });
/// let histories = RatedBags::of_users(5, rows.into_iter());
/// let mut config = IalsConfig::default();
/// (config.factors, config.regularization) = (2, 0.1);
/// let ials = Ials::of(&histories, 4, &config)?;
///
/// let mut scores = Vec::new();
/// ials.score_history(histories.row(4), &mut scores)?;
/// assert!(scores[1] > 0.7 && scores[2].abs() < 0.01);
/// # Ok::<(), mmdlrm_train::Error>(())
/// ```
#[derive(Clone)]
pub struct Ials {
    config: IalsConfig,
    users: Incidence,
    /// How many users rated each item.
    counts: Vec<u32>,
    vectors: Fixed,
}

/// Who is asked about: what they rated, and the vector of it.
#[derive(Debug, Clone)]
struct Asked {
    history: Vec<u32>,
    vector: Vec<Lanes>,
}

impl Ials {
    /// Fits vectors to what each user rated of `items` items.
    ///
    /// # Errors
    /// Settings that make no sense, items that there are not.
    pub fn of(histories: &RatedBags, items: usize, config: &IalsConfig) -> Result<Self> {
        check(config)?;
        Self::fit(histories, items, config, Session::default())
    }

    fn fit(
        histories: &RatedBags,
        items: usize,
        config: &IalsConfig,
        session: Session,
    ) -> Result<Self> {
        let users = Incidence::of(histories, items)?;
        let items = users.transposed(items);
        let begun = Self {
            config: *config,
            counts: items.counts(),
            vectors: learn::drawn(items.rows(), config),
            users,
        };
        begun.learn(&items, session)
    }

    /// How it was fitted.
    pub fn config(&self) -> &IalsConfig {
        &self.config
    }

    /// How many items it scores.
    pub fn items(&self) -> usize {
        self.counts.len()
    }

    /// Writes the scores of all items for whoever rated `history`, `[items]`; `scores` is resized
    /// to fit.
    ///
    /// # Errors
    /// Items that there are not.
    pub fn score_history(&self, history: RatedBag, scores: &mut Vec<f32>) -> Result<()> {
        let history = incidence::rated(history, self.items())?;
        scores.resize(self.items(), 0.0);
        self.write_scores(&self.asked(history), scores);
        Ok(())
    }

    fn asked(&self, history: Vec<u32>) -> Asked {
        let mut vector = vec![Lanes::default(); self.vectors.across()];
        if !history.is_empty() {
            let mut equations = self.equations(&history);
            equations.vector(&mut vector, history.len(), EXACTLY);
        }
        Asked { history, vector }
    }

    /// Those of whoever rated `history`, which is not nothing.
    fn equations(&self, history: &[u32]) -> Equations {
        let ridge = self.config.ridge(history.len(), self.items());
        let mut equations = Equations::default();
        equations.set(&self.vectors, history, self.config.alpha, ridge);
        equations
    }
}

impl Fit for IalsConfig {
    type Model = Ials;

    fn check(&self, features: &Features) -> Result<Value> {
        check(self)?;
        let (users, items) = (features.users().len(), features.movies().len());
        Ok(json!({ "users": users, "items": items, "factors": self.factors }))
    }

    /// All of them twice an iteration: once for the users, and once for the items.
    fn rows(&self, data: &dyn TrainingData) -> usize {
        2 * self.iterations * data.training_rows()
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        let size = Size::of(data);
        let vectors = size.nodes() * self.factors as u64;
        size.histories() + size.incidences() + numbers(3 * vectors)
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<Ials> {
        check(self)?;
        let histories = data.training_histories()?;
        Ials::fit(&histories, data.features().movies().len(), self, session)
    }
}

/// Refuses what cannot be fitted.
fn check(config: &IalsConfig) -> Result<()> {
    InstructionSet::in_use().map_err(|error| mmdlrm_data::Error::External(error.into()))?;
    config.validate()
}

impl fmt::Debug for Ials {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Ials")
            .field("config", &self.config)
            .field("items", &self.items())
            .finish_non_exhaustive()
    }
}
