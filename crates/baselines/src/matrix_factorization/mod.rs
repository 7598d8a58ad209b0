//! Stars as products of vectors of users and movies.

mod config;
mod descent;
mod learning;
mod persist;
mod ranker;
#[cfg(test)]
mod tests;
mod vectors;

use std::fmt;

use crate::memory::{Size, numbers};
use mmdlrm_data::RatedBags;
use mmdlrm_features::{Features, TrainingData};
use mmdlrm_kernels::InstructionSet;
use mmdlrm_train::{Fit, Result, Session};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

pub use config::MatrixFactorizationConfig;
use vectors::Vectors;

/// Matrix factorization by stochastic gradient descent: SVD as Funk (2006) made it popular (Koren,
/// Bell and Volinsky, 2009), and SVD++ (Koren, 2008).
///
/// With the mean of the training ratings `μ`, biases `b`, and vectors of `D`
/// [factors](MatrixFactorizationConfig::factors), `p` `[users, D]`, `q` and `y` `[movies, D]`:
///
/// ```text
/// r_ui = μ + b_u + b_i + ⟨q_i, z_u⟩
///
/// SVD      z_u = p_u
/// SVD++    z_u = p_u + Σ_j y_j / √m        over the m movies j that u rated
///
/// minimized   Σ_ui [ e_ui² + λ·(b_u² + b_i² + ‖p_u‖² + ‖q_i‖² + Σ_j ‖y_j‖²) ]        e = stars − r
/// ```
///
/// A step for each rating moves all of these by `γ` times half their gradient, user by user, each
/// user's in an order that is drawn once. Steps and defaults are those of `SVD` and `SVDpp` of
/// Surprise (Hug, 2020), which learns the same, to rounding, from the same first numbers in the
/// same order. The `y` of all movies of a user move alike in these steps, and so together once a
/// user: a rating costs `O(D)` in SVD++ as in SVD, where step by step it is `O(m·D)`.
///
/// Numbers are `f32`, the sums of errors `f64`. It learns on one thread, since each step begins
/// where the one before ended. A run that was stopped goes on after the epoch at which it was;
/// where there are validation rows the epoch that is best on them is kept. Times are not looked at.
/// Users and movies without a training rating have no bias and no vector.
///
/// Somebody new is folded in: `b_u` and `p_u` go from 0 through as many epochs of their ratings,
/// and everything else stays as it is. [Vectors of items](mmdlrm_train::Ranker::item_vectors) are
/// `q`.
///
/// ```
/// use mmdlrm_baselines::MatrixFactorizationConfig;
/// use mmdlrm_data::{MovieLens, Split, generate};
/// use mmdlrm_features::Dataset;
/// use mmdlrm_train::{Fit, Session, measure};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let mut losses = Vec::new();
/// let session = Session::default().on_epoch(|epoch, _model| {
///     losses.push(epoch.train_loss);
///     Ok(())
/// });
/// let model = MatrixFactorizationConfig::svd_plus_plus().fit(&dataset, session)?;
/// assert_eq!(losses.len(), 20);
/// assert!(losses[19] < 0.9 * losses[0]);
/// assert!(measure(&model, &dataset)?.test_rmse < Some(1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MatrixFactorization {
    config: MatrixFactorizationConfig,
    /// `μ`.
    mean: f32,
    /// `b_u` and `z`, which is `p` where what users rated does not count.
    users: Table,
    /// `b_i` and `q`.
    movies: Table,
    /// `y`, where what users rated counts.
    implicit: Option<Vectors>,
}

/// A bias and a vector of each user, or of each movie.
#[derive(Debug, Clone, PartialEq)]
struct Table {
    biases: Vec<f32>,
    vectors: Vectors,
}

impl Table {
    fn of(vectors: Vectors) -> Self {
        Self {
            biases: vec![0.0; vectors.rows()],
            vectors,
        }
    }

    fn parameters(&self) -> usize {
        self.biases.len() + self.vectors.parameters()
    }
}

impl MatrixFactorization {
    /// Zeros.
    fn zeros(config: &MatrixFactorizationConfig, users: usize, movies: usize) -> Self {
        let vectors = |rows| Vectors::zeros(rows, config.factors);
        Self {
            config: *config,
            mean: 0.0,
            users: Table::of(vectors(users)),
            movies: Table::of(vectors(movies)),
            implicit: config.implicit.then(|| vectors(movies)),
        }
    }

    /// What it begins with: the mean of what users rated, biases of 0, and vectors that are drawn
    /// for all who rated anything and all that was rated.
    fn first(config: &MatrixFactorizationConfig, histories: &RatedBags, movies: usize) -> Self {
        let all = histories.columns(0..histories.ratings());
        let sum: f64 = all.stars.iter().map(|&stars| f64::from(stars)).sum();
        let users = 0..histories.len() as u32;
        let users: Vec<bool> = users.map(|user| !histories.row(user).is_empty()).collect();
        let mut rated = vec![false; movies];
        all.ids
            .iter()
            .for_each(|&movie| rated[movie as usize] = true);
        let mut random = ChaCha8Rng::seed_from_u64(config.seed);
        let mut draw = |rows| Vectors::draw(rows, config.factors, config.spread, &mut random);
        Self {
            config: *config,
            mean: (sum / all.len().max(1) as f64) as f32,
            users: Table::of(draw(&users)),
            movies: Table::of(draw(&rated)),
            implicit: config.implicit.then(|| draw(&rated)),
        }
    }

    /// How it was fitted.
    pub fn config(&self) -> &MatrixFactorizationConfig {
        &self.config
    }
}

impl Fit for MatrixFactorizationConfig {
    type Model = MatrixFactorization;

    fn check(&self, features: &Features) -> Result<Value> {
        check(self)?;
        let (users, movies) = (features.users().len(), features.movies().len());
        Ok(json!({ "users": users, "movies": movies, "factors": self.factors }))
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        self.epochs * data.training_rows()
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        let size = Size::of(data);
        let vectors = (size.nodes() + size.items) * (self.factors as u64 + 2);
        size.both_sides() + numbers(3 * vectors)
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<MatrixFactorization> {
        check(self)?;
        learning::learn_from(self, data, session)
    }
}

fn check(config: &MatrixFactorizationConfig) -> Result<()> {
    InstructionSet::in_use().map_err(|error| mmdlrm_data::Error::External(error.into()))?;
    config.validate()
}

impl fmt::Debug for MatrixFactorization {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("MatrixFactorization")
            .field("config", &self.config)
            .field("users", &self.users.biases.len())
            .field("movies", &self.movies.biases.len())
            .finish_non_exhaustive()
    }
}
