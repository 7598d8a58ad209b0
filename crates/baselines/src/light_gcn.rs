//! A graph of users and items, of whose vectors sums over neighbours are learned.

use std::sync::Arc;

use mmdlrm_features::{Features, TrainingData};
use mmdlrm_train::{Fit, Result, Session};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::graph::{Graph, Newcomers};
use crate::memory::{Size, numbers};
use crate::pairs::Pairs;
use crate::pairwise::{
    DEPTHS, Draw, FactorModel, Factors, Net, PairwiseTraining, Tables, Triples, WIDTHS, bpr,
    not_negative,
};
use crate::parameters::{Parameters, normal};

/// Deviation of the initial values.
const DEVIATION: f32 = 0.1;

/// How a [`LightGcn`] is shaped and learned; its documentation has the formula.
///
/// ```
/// use mmdlrm_baselines::LightGcnConfig;
/// use mmdlrm_data::{MovieLens, Split, generate};
/// use mmdlrm_features::Dataset;
/// use mmdlrm_train::{Fit, Session, rank_catalogue};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let mut config = LightGcnConfig::default();
/// config.training.epochs = 5;
/// let model = config.fit(&dataset, Session::default())?;
/// println!("{:?}", rank_catalogue(&model, &dataset, 10, |_user, _ndcg| Ok(()))?.mean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LightGcnConfig {
    /// `D`, the width of the vectors, from 1 to 4,096.
    pub dim: usize,
    /// `K`, how many times vectors go to neighbours, from 1 to 64.
    pub layers: usize,
    /// `λ`, of the penalty on the vectors that a batch names, 0 or more.
    pub decay: f64,
    /// How long and how fast it learns.
    pub training: PairwiseTraining,
}

impl Default for LightGcnConfig {
    fn default() -> Self {
        Self {
            dim: 64,
            layers: 2,
            decay: 1e-4,
            training: PairwiseTraining::default(),
        }
    }
}

/// LightGCN (He et al., 2020): what users and items are is what their neighbours are.
///
/// With tables `E⁰`, `[users + items, D]`, and `Â = D^-½·A·D^-½` of the graph whose edges are the
/// training pairs, any number of stars:
///
/// ```text
/// Eᵏ   = Â·Eᵏ⁻¹,   E = (E⁰ + E¹ + … + Eᴷ) / (K + 1)
/// s_ui = ⟨E_u, E_i⟩
/// L    = mean softplus(s_uj − s_ui) + λ·½·Σ(‖e⁰_u‖² + ‖e⁰_i‖² + ‖e⁰_j‖²) / B
/// ```
///
/// over batches of `B` triples: a user drawn evenly, one of the user's items, and one that is not.
/// That is the authors' code in PyTorch, to which losses, gradients and three steps of Adam are
/// held by tests; `E⁰` begins normal, of deviation 0.1.
///
/// A visitor is a node that nobody knew of: `e⁰` of 0, and the mean of what comes to it from the
/// neighbours as they stand.
///
/// ```
/// use mmdlrm_baselines::LightGcnConfig;
/// use mmdlrm_data::{MovieLens, Rated, Split, generate};
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
/// let mut config = LightGcnConfig::default();
/// (config.dim, config.training.epochs, config.training.batch_size) = (4, 50, 50);
/// let model = config.fit(&dataset, Session::default())?;
///
/// // Somebody new rated three even ones: all others of these come long before all odd ones.
/// let row = |number: usize| dataset.features().movies().row(movies[number]).unwrap_or_default();
/// let rated = [0, 2, 10].map(|number| Rated { movie: row(number), ..Rated::default() });
/// let mut scores = Vec::new();
/// model.score(Who::Visitor(&model.meet(&rated, None)?), &mut scores)?;
/// let score = |number| scores[row(number) as usize];
/// let own = (0..30).step_by(2).map(score).fold(f32::MAX, f32::min);
/// let others = (1..30).step_by(2).map(score).fold(f32::MIN, f32::max);
/// assert!(own > others + 1.0, "{own} and {others}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type LightGcn = FactorModel<LightGcnNet>;

/// What a [`LightGcn`] computes.
#[derive(Debug, Clone)]
pub struct LightGcnNet {
    config: LightGcnConfig,
    graph: Graph,
    parameters: Parameters,
    tables: Tables,
    counts: Vec<u32>,
    newcomers: Newcomers,
    buffers: Buffers,
}

/// Kept from one step to the next, and dropped after the last: fresh memory is a quarter of a step's time.
#[derive(Debug, Clone, Default)]
struct Buffers {
    propagated: Vec<f32>,
    of_propagated: Vec<f32>,
    scratch: Vec<f32>,
}

impl LightGcnNet {
    /// Over a graph of its own, without numbers.
    fn of(config: &LightGcnConfig, graph: Graph, counts: Vec<u32>) -> Self {
        let mut parameters = Parameters::default();
        let users = graph.nodes() - counts.len();
        Self {
            config: *config,
            tables: Tables {
                users: parameters.add("embedding_user", users, config.dim),
                items: parameters.add("embedding_item", counts.len(), config.dim),
            },
            parameters,
            graph,
            counts,
            newcomers: Newcomers::default(),
            buffers: Buffers::default(),
        }
    }

    /// `E`, `[users + items, D]`.
    fn propagated(&self) -> Vec<f32> {
        let LightGcnConfig { layers, dim, .. } = self.config;
        let tables = &self.parameters.values;
        let mut out = vec![0.0; tables.len()];
        self.graph
            .mean_of_layers(tables, layers, dim, &mut out, &mut Vec::new());
        out
    }
}

impl Net for LightGcnNet {
    type Config = LightGcnConfig;
    const KIND: &'static str = "light-gcn";

    fn check(config: &LightGcnConfig, _features: &Features) -> Result<()> {
        WIDTHS.check("dim", config.dim)?;
        DEPTHS.check("layers", config.layers)?;
        not_negative("decay", config.decay)
    }

    fn new(config: &LightGcnConfig, pairs: &Arc<Pairs>, _features: &Features) -> Result<Self> {
        Ok(Self::of(config, Graph::of(pairs, 0.0), pairs.counts()))
    }

    fn begin(&mut self, _pairs: &Pairs, _features: &Features) {
        let mut random = ChaCha8Rng::seed_from_u64(self.config.training.seed);
        self.parameters.zero();
        normal(&mut self.parameters.values, DEVIATION, &mut random);
    }

    fn end(&mut self) {
        self.buffers = Buffers::default();
    }

    fn training(config: &LightGcnConfig) -> &PairwiseTraining {
        &config.training
    }

    fn draw() -> Draw {
        Draw::UsersEvenly
    }

    fn memory(config: &LightGcnConfig, size: Size) -> u64 {
        let tables = size.nodes() * config.dim as u64;
        size.pairwise(tables, tables) + size.graph() + numbers(4 * tables)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn gradients(&mut self, triples: &Triples, _draw: u64, gradients: &mut [f32]) -> f64 {
        let LightGcnConfig {
            layers, dim, decay, ..
        } = self.config;
        let values = &self.parameters.values;
        let Buffers {
            propagated,
            of_propagated,
            scratch,
        } = &mut self.buffers;
        propagated.resize(values.len(), 0.0);
        of_propagated.clear();
        of_propagated.resize(values.len(), 0.0);
        self.graph
            .mean_of_layers(values, layers, dim, propagated, scratch);
        let parts = self.tables.split(of_propagated);
        let loss = bpr(self.tables.vectors(propagated), triples, 1.0, parts);
        self.graph
            .mean_of_layers(of_propagated, layers, dim, gradients, scratch);
        loss + self.tables.add_penalty(values, triples, decay, gradients)
    }

    fn vectors(&mut self) -> (Vec<f32>, Vec<f32>, usize) {
        let LightGcnConfig { layers, dim, .. } = self.config;
        let (counts, tables) = (self.counts.clone(), &self.parameters.values);
        self.newcomers = Newcomers::of(&self.graph, counts, tables, layers, dim);
        let mut users = self.propagated();
        let items = users.split_off(self.tables.users.rows * dim);
        (users, items, dim)
    }

    fn visitor(&self, rated: &[u32], _factors: &Factors) -> Vec<f32> {
        self.newcomers.vector(rated)
    }
}

impl Fit for LightGcnConfig {
    type Model = LightGcn;

    fn check(&self, features: &Features) -> Result<Value> {
        LightGcn::check(self, features)?;
        let (users, items) = (features.users().len(), features.movies().len());
        Ok(json!({ "users": users, "items": items, "dim": self.dim, "layers": self.layers }))
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        LightGcn::rows(self, data)
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        LightGcnNet::memory(self, Size::of(data))
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<LightGcn> {
        LightGcn::fit(self, data, session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{cases, dense, triples};

    #[test]
    fn golden_light_gcn_is_that_of_its_authors() {
        for case in cases("LightGCN") {
            let (users, items) = (case.count("users"), case.count("items"));
            let config = LightGcnConfig {
                dim: case.count("dim"),
                layers: case.count("layers"),
                decay: case.number("decay"),
                ..LightGcnConfig::default()
            };
            let graph = Graph::of_edges(&case.edges(), users, items, 0.0);
            let mut net = LightGcnNet::of(&config, graph, vec![0; items]);
            case.fill(&mut net.parameters);
            case.assert_near("in.norm_adj", &dense(net.graph.matrix(), users + items));
            let (of_users, of_items, _) = net.vectors();
            case.assert_near("out.users", &of_users);
            case.assert_near("out.items", &of_items);
            let triples = triples(&case);
            let propagated = net.propagated();
            let vectors = net.tables.vectors(&propagated);
            let score = |(&user, &item): (&u32, &u32)| {
                let products = vectors.user(user).iter().zip(vectors.item(item));
                products.map(|(a, b)| a * b).sum::<f32>()
            };
            let scores = triples.users.iter().zip(&triples.rated).map(score);
            case.assert_near("out.pair_score", &scores.collect::<Vec<_>>());
            case.assert_learns(net.parameters.clone(), |values, gradients| {
                net.parameters.values.copy_from_slice(values);
                net.gradients(&triples, 0, gradients)
            });
        }
    }
}
