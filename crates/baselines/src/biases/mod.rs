//! What is known of a rating from who gives it and what it is given to.

mod baseline;
mod ranker;

use mmdlrm_features::{Features, Known, TrainingData};
use mmdlrm_train::{Fit, Kept, Persist, Result, Session, Tensors};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::memory::Size;
use crate::training_ratings::TrainingRatings;
pub(crate) use baseline::Baseline;

/// How a [`BiasModel`] is fitted: there is one way.
///
/// ```
/// use mmdlrm_baselines::BiasConfig;
///
/// assert_eq!(BiasConfig::default(), BiasConfig {});
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BiasConfig {}

/// Biases of users and movies: what any other model of stars should beat (Koren, Bell and
/// Volinsky, 2009).
///
/// ```text
/// r_ui = μ + b_u + b_i
///
/// b_u = Σ_i (r − μ − b_i) / (n_u + 4)        b_i = Σ_u (r − μ − b_u) / (n_i + 4)
/// ```
///
/// `μ` is the mean of the training ratings, `n_u` and `n_i` are the numbers of the user's and the
/// movie's: [`Biases`](mmdlrm_features::Biases), `[users]` and `[movies]`, which are fitted to each
/// other in `f64` and kept in `f32`, with users' fitted once more at the end. So somebody new with
/// the ratings of a user has the bias of that user, to the bit. Who rated nothing has none, nor has
/// what nobody rated. Times are not looked at.
///
/// All users have the same order of movies: as a ranking it is one of movies that are liked, not of
/// those that somebody will watch.
///
/// ```
/// use mmdlrm_baselines::BiasConfig;
/// use mmdlrm_data::{MovieLens, Rated, Split};
/// use mmdlrm_features::Dataset;
/// use mmdlrm_train::{Fit, Ranker, Session, Who};
///
/// # let folder = tempfile::tempdir()?;
/// # let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
/// write("movies.csv", "movieId,title,genres\n1,Heat (1995),Crime\n2,Big (1988),Comedy\n")?;
/// write("ratings.csv", "userId,movieId,rating,timestamp\n1,1,5,0\n1,2,4,0\n2,1,3,0\n2,2,2,0\n")?;
/// let movielens = MovieLens::open(folder.path())?;
/// let dataset = Dataset::new(&movielens, Split::new(4, vec![0, 1, 2, 3], vec![])?, Vec::new())?;
/// let biases = BiasConfig::default().fit(&dataset, Session::default())?;
///
/// // The mean is 3.5. The first user's two ratings are 1 above it: 2 · 1 / (2 + 4) = 1/3. Those of
/// // the first movie are 1/2 above it: 2 · 1/2 / (2 + 4) = 1/6.
/// let mut scores = Vec::new();
/// biases.score(Who::Users(&[0]), &mut scores)?;
/// assert!((scores[0] - (3.5 + 1.0 / 3.0 + 1.0 / 6.0)).abs() < 1e-6);
/// let nobody = biases.meet(&[], None)?;
/// biases.score(Who::Visitor(&nobody), &mut scores)?;
/// assert!((scores[1] - (3.5 - 1.0 / 6.0)).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BiasModel {
    baseline: Baseline,
}

impl BiasModel {
    /// The mean of the training ratings, `μ`, in stars.
    pub fn mean(&self) -> f32 {
        self.baseline.mean
    }

    /// Biases of users, `[users]`, in stars.
    pub fn users(&self) -> &[f32] {
        &self.baseline.users
    }

    /// Biases of movies, `[movies]`, in stars.
    pub fn movies(&self) -> &[f32] {
        &self.baseline.movies
    }
}

impl Fit for BiasConfig {
    type Model = BiasModel;

    fn check(&self, features: &Features) -> Result<Value> {
        let (users, movies) = (features.users().len(), features.movies().len());
        Ok(json!({ "users": users, "movies": movies }))
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        Size::of(data).both_sides()
    }

    /// Biases of a context that looks at no times are taken over, and not fitted again.
    fn fit(&self, data: &dyn TrainingData, _session: Session) -> Result<BiasModel> {
        let ratings = TrainingRatings::of(data, false)?;
        let movies = data.features().movies().len();
        Ok(BiasModel {
            baseline: Baseline::new(&ratings.biases, &ratings.histories, movies),
        })
    }
}

impl Persist for BiasModel {
    fn kind() -> &'static str {
        "biases"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors = Tensors::default();
        self.baseline.put(&mut tensors);
        tensors.to_safetensors(&BiasConfig::default())
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let (BiasConfig {}, kept) = Kept::from_safetensors(file)?;
        let baseline = Baseline::load(&kept, known.features())?;
        Ok(Self { baseline })
    }
}
