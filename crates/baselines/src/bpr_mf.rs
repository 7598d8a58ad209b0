//! Products of vectors of users and items, learned to put what a user rated before what not.

use std::sync::Arc;

use mmdlrm_features::{Features, TrainingData};
use mmdlrm_train::{Fit, Result, Session};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::memory::Size;
use crate::pairs::Pairs;
use crate::pairwise::{
    Draw, FactorModel, Factors, Net, PairwiseTraining, Tables, Triples, WIDTHS, bpr, not_negative,
};
use crate::parameters::{Parameters, normal};

/// Deviation of the initial values.
const DEVIATION: f32 = 0.1;

/// How a [`BprMf`] is shaped and learned; its documentation has the formula.
///
/// ```
/// use mmdlrm_baselines::BprMfConfig;
///
/// let mut config = BprMfConfig::default();
/// config.dim = 32;
/// assert_eq!(config.training.epochs, 100);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BprMfConfig {
    /// `D`, the width of the vectors, from 1 to 4,096.
    pub dim: usize,
    /// `λ`, of the penalty on the vectors that a batch names, 0 or more.
    pub decay: f64,
    /// How long and how fast it learns.
    pub training: PairwiseTraining,
}

impl Default for BprMfConfig {
    fn default() -> Self {
        Self {
            dim: 64,
            decay: 1e-2,
            training: PairwiseTraining::default(),
        }
    }
}

/// Matrix factorization by Bayesian personalized ranking (Rendle et al., 2009).
///
/// With tables `P`, `[users, D]`, and `Q`, `[items, D]`, over batches of `B` triples: a user drawn
/// evenly, one of the user's items, and one that is not.
///
/// ```text
/// s_ui = ⟨p_u, q_i⟩
/// L    = mean softplus(s_uj − s_ui) + λ·½·Σ(‖p_u‖² + ‖q_i‖² + ‖q_j‖²) / B
/// ```
///
/// That is the code beside LightGCN's, to which losses and gradients are held by a test; tables
/// begin normal, of deviation 0.1. A visitor is learned as users are, with the items as they stand.
///
/// ```
/// use mmdlrm_baselines::BprMfConfig;
/// use mmdlrm_data::{MovieLens, Split, generate};
/// use mmdlrm_features::{Dataset, TrainingData};
/// use mmdlrm_train::{Fit, Ranker, Session, Who};
///
/// // Some rate movies of even numbers and some those of odd ones: two of three, at most.
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movies = MovieLens::open(&folder)?.movies.ids().to_vec();
/// let mut ratings = "userId,movieId,rating,timestamp\n".to_owned();
/// for (user, number) in (0..20).flat_map(|user| (0..30).map(move |number| (user, number))) {
///     if matches!((user + number) % 6, 2 | 4) {
///         ratings += &format!("{user},{},4.0,1000000000\n", movies[number]);
///     }
/// }
/// std::fs::write(folder.join("ratings.csv"), ratings)?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.05, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let mut config = BprMfConfig::default();
/// (config.dim, config.training.epochs, config.training.batch_size) = (4, 50, 50);
/// let model = config.fit(&dataset, Session::default())?;
///
/// // User 0 rated even ones but every third: these come long before all odd ones.
/// let mut scores = Vec::new();
/// model.score(Who::Users(&[0]), &mut scores)?;
/// let row = |number: usize| dataset.features().movies().row(movies[number]);
/// let score = |number| row(number).map_or(f32::NAN, |row| scores[row as usize]);
/// let own = (0..30).step_by(6).map(score).fold(f32::MAX, f32::min);
/// let others = (1..30).step_by(2).map(score).fold(f32::MIN, f32::max);
/// assert!(own > others + 1.0, "{own} and {others}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type BprMf = FactorModel<BprMfNet>;

/// What a [`BprMf`] computes.
#[derive(Debug, Clone)]
pub struct BprMfNet {
    config: BprMfConfig,
    parameters: Parameters,
    tables: Tables,
}

impl BprMfNet {
    /// Without numbers.
    fn of(config: &BprMfConfig, users: usize, items: usize) -> Self {
        let mut parameters = Parameters::default();
        Self {
            config: *config,
            tables: Tables {
                users: parameters.add("embedding_user", users, config.dim),
                items: parameters.add("embedding_item", items, config.dim),
            },
            parameters,
        }
    }
}

impl Net for BprMfNet {
    type Config = BprMfConfig;
    const KIND: &'static str = "bpr-mf";

    fn check(config: &BprMfConfig, _features: &Features) -> Result<()> {
        WIDTHS.check("dim", config.dim)?;
        not_negative("decay", config.decay)
    }

    fn new(config: &BprMfConfig, pairs: &Arc<Pairs>, _features: &Features) -> Result<Self> {
        Ok(Self::of(config, pairs.users(), pairs.items()))
    }

    fn begin(&mut self, _pairs: &Pairs, _features: &Features) {
        let mut random = ChaCha8Rng::seed_from_u64(self.config.training.seed);
        self.parameters.zero();
        normal(&mut self.parameters.values, DEVIATION, &mut random);
    }

    fn training(config: &BprMfConfig) -> &PairwiseTraining {
        &config.training
    }

    fn draw() -> Draw {
        Draw::UsersEvenly
    }

    fn memory(config: &BprMfConfig, size: Size) -> u64 {
        let tables = size.nodes() * config.dim as u64;
        size.pairwise(tables, tables)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn gradients(&mut self, triples: &Triples, _draw: u64, gradients: &mut [f32]) -> f64 {
        let values = &self.parameters.values;
        gradients.fill(0.0);
        let loss = bpr(
            self.tables.vectors(values),
            triples,
            1.0,
            self.tables.split(gradients),
        );
        loss + self
            .tables
            .add_penalty(values, triples, self.config.decay, gradients)
    }

    fn vectors(&mut self) -> (Vec<f32>, Vec<f32>, usize) {
        let vectors = self.tables.vectors(&self.parameters.values);
        (
            vectors.users.to_vec(),
            vectors.items.to_vec(),
            vectors.width,
        )
    }

    fn visitor(&self, rated: &[u32], factors: &Factors) -> Vec<f32> {
        factors.fold_in(rated, self.config.decay)
    }
}

impl Fit for BprMfConfig {
    type Model = BprMf;

    fn check(&self, features: &Features) -> Result<Value> {
        BprMf::check(self, features)?;
        let (users, items) = (features.users().len(), features.movies().len());
        Ok(json!({ "users": users, "items": items, "dim": self.dim }))
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        BprMf::rows(self, data)
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        BprMfNet::memory(self, Size::of(data))
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<BprMf> {
        BprMf::fit(self, data, session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{cases, triples};

    #[test]
    fn golden_bpr_mf_is_that_of_its_authors() {
        for case in cases("BPR-MF") {
            let config = BprMfConfig {
                dim: case.count("dim"),
                decay: case.number("decay"),
                ..BprMfConfig::default()
            };
            let mut net = BprMfNet::of(&config, case.count("users"), case.count("items"));
            case.fill(&mut net.parameters);
            let triples = triples(&case);
            let (users, items, width) = net.vectors();
            let asked = triples.users.iter().map(|&user| user as usize * width);
            let asked = asked.flat_map(|start| users[start..start + width].to_vec());
            let scores = crate::golden::score_matrix(&(asked.collect(), items, width));
            let ratings = scores.iter().map(|score| 1.0 / (1.0 + (-score).exp()));
            case.assert_near("out.rating", &ratings.collect::<Vec<_>>());
            case.assert_learns(net.parameters.clone(), |values, gradients| {
                net.parameters.values.copy_from_slice(values);
                net.gradients(&triples, 0, gradients)
            });
        }
    }
}
