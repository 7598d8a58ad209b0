//! What a user's other ratings say of one more.

mod cholesky;
mod covariance;
mod factors;
mod persist;
mod points;
mod process;
mod ranker;

use std::fmt;

use mmdlrm_features::{Features, TrainingData};
use mmdlrm_kernels::InstructionSet;
use mmdlrm_train::{Fit, Result, Session};
use serde::{Deserialize, Serialize};

use crate::memory::{Size, numbers};
use crate::training_ratings::TrainingRatings;
use factors::Factors;
use process::{MovieSide, UserSide};

/// A Gaussian process over each user's ratings: how far a rating lies from the mean and the
/// movie's bias is taken to be a smooth function of the moment and of the movie (Rasmussen
/// and Williams, 2006, chapter 2).
///
/// A user's history is cut into windows of about one length, of 256 ratings at most. With the
/// deviations `d = r − μ − b_i` of a window of `n` ratings, `[n]`, their covariances `K`,
/// `[n, n]`, and those of one more rating with them, `k`, `[n]`:
///
/// ```text
/// r = μ + b_i + ⟨k, w⟩        w = (K + noise·1)⁻¹·d     [n], once a window
/// ```
///
/// Two ratings of one user are alike if they were given in one sitting or month, to movies of
/// the same years, genres or factors:
///
/// ```text
/// k(a, b) =  user
///          + factors(⟨f_a, f_b⟩) + near_factors(f_a, f_b)
///          + years(|year_a − year_b|) + genres(cos(genres_a, genres_b))
///          + moment(t) + sitting(t, cos) + month(t)              t = |time_a − time_b|
/// ```
///
/// The factors `f`, `[16]` a movie, are probabilistic principal components of what
/// [biases](mmdlrm_features::Biases) leave (Tipping and Bishop, 1999), fitted for each fifth of
/// the users to the other four fifths: so none of that is fitted to the user's own stars, which
/// are left to decide alone. Numbers are `f32`, biases are fitted in `f64`.
///
/// A fit costs a Cholesky factor a window, once, and a prediction 256 covariances; both run on
/// all threads. Somebody new is known by a few ratings, and a new movie by its year and genres,
/// without any more fitting.
///
/// ```
/// use mmdlrm_baselines::GaussianProcessConfig;
/// use mmdlrm_data::{MovieLens, Rated, Split, generate};
/// use mmdlrm_features::Dataset;
/// use mmdlrm_train::{Fit, Ranker, Session, Who};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// # generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let process = GaussianProcessConfig { timestamps: false }.fit(&dataset, Session::default())?;
///
/// let liked = |stars| Rated { movie: 3, stars, ..Rated::default() };
/// let mut scores = Vec::new();
/// process.score(Who::Visitor(&process.meet(&[liked(5.0)], None)?), &mut scores)?;
/// let of_a_fan = scores[3];
/// process.score(Who::Visitor(&process.meet(&[liked(1.0)], None)?), &mut scores)?;
/// assert!(of_a_fan > scores[3] + 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct GaussianProcess {
    config: GaussianProcessConfig,
    features: Features,
    movies: MovieSide,
    users: UserSide,
}

/// How a [`GaussianProcess`] is fitted. Any is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianProcessConfig {
    /// Whether the times of ratings are looked at. Where they are not, nothing depends on
    /// them.
    pub timestamps: bool,
}

impl Default for GaussianProcessConfig {
    /// With times.
    fn default() -> Self {
        Self { timestamps: true }
    }
}

impl Fit for GaussianProcessConfig {
    type Model = GaussianProcess;

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        let size = Size::of(data);
        size.both_sides() + numbers(size.ratings)
    }

    /// Fits biases, factors and every user's windows. Histories, audiences and biases of a
    /// context that looks at times alike are shared, and not fitted again.
    fn fit(&self, data: &dyn TrainingData, _session: Session) -> Result<GaussianProcess> {
        InstructionSet::in_use().map_err(|error| mmdlrm_data::Error::External(error.into()))?;
        let TrainingRatings {
            histories,
            audiences,
            biases,
        } = TrainingRatings::of(data, self.timestamps)?;
        let features = data.features();
        let mean_of = |movie| (biases.mean() + biases.movie(movie)) as f32;
        let movies = MovieSide {
            traits: process::traits(features),
            factors: Factors::fit(&histories, &audiences, &biases).into(),
            mean: biases.mean() as f32,
            means: (0..features.movies().len() as u32).map(mean_of).collect(),
            times: self.timestamps,
        };
        let deviation = |movie, stars| biases.of_history(movie, stars) as f32;
        Ok(GaussianProcess {
            config: *self,
            features: features.clone(),
            users: movies.fit(histories, deviation),
            movies,
        })
    }
}

impl GaussianProcess {
    /// The part of a score, [`Share::part`](mmdlrm_train::Share::part), that the user's other
    /// ratings decide.
    pub const PART: &str = "process";

    /// How it was fitted.
    pub fn config(&self) -> &GaussianProcessConfig {
        &self.config
    }
}

impl fmt::Debug for GaussianProcess {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("GaussianProcess")
            .field("config", &self.config)
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}
