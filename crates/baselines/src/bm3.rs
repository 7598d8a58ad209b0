//! Users and items that are to be foretold by each other and by their content, without items that
//! users did not rate.

use std::sync::Arc;

use mmdlrm_features::{Features, TrainingData};
use mmdlrm_kernels::{add_scaled, dot, vectorize};
use mmdlrm_train::{Error, Fit, Result, Session};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::graph::{Graph, Newcomers};
use crate::item_features::{ItemFeatures, need_modalities};
use crate::linear::Linear;
use crate::memory::{Size, numbers};
use crate::pairs::Pairs;
use crate::pairwise::{
    DEPTHS, Draw, FactorModel, Factors, Net, PairwiseTraining, Tables, Triples, WIDTHS, add_rows,
    not_negative,
};
use crate::parameters::{Matrix, Parameters, uniform, xavier_normal, xavier_uniform};

/// What is added to degrees, for none to be 0.
const ADDED: f64 = 1e-7;
/// The shortest length that a cosine divides by.
const SHORTEST: f32 = 1e-8;

/// How a [`Bm3`] is shaped and learned; its documentation has the formula.
///
/// ```
/// use mmdlrm_baselines::Bm3Config;
///
/// let config = Bm3Config::default();
/// assert_eq!((config.dim, config.layers), (64, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Bm3Config {
    /// `D`, the width of the vectors, from 1 to 4,096.
    pub dim: usize,
    /// `K`, how many times vectors go to neighbours, from 1 to 64.
    pub layers: usize,
    /// `λ`, of the penalty on the lengths of all vectors, 0 or more.
    pub penalty: f64,
    /// The weight of what the content is to foretell, 0 or more.
    pub content: f64,
    /// The share of the numbers of a target that are dropped, from 0 to below 1.
    pub dropout: f64,
    /// How long and how fast it learns.
    pub training: PairwiseTraining,
}

impl Default for Bm3Config {
    fn default() -> Self {
        Self {
            dim: 64,
            layers: 1,
            penalty: 0.1,
            content: 2.0,
            dropout: 0.3,
            training: PairwiseTraining::default(),
        }
    }
}

/// BM3 (Zhou et al., 2023), as MMRec has it: vectors of a pair are to foretell each other.
///
/// With tables `E⁰`, the normalized graph `Â` of users and items, a layer `P` of `[D, D]`, and
/// content tables `F_m`, which begin as the modalities' vectors and are learned too:
///
/// ```text
/// [U ; Ī] = (E⁰ + Â·E⁰ + … + Âᴷ·E⁰) / (K + 1),   I = Ī + E⁰_I,   T_m = F_m·W_mᵀ + b_m
/// s_ui    = ⟨P(U_u), P(I_i)⟩
/// L       = 2 − cos(P(u), ī) − cos(P(i), ū) + λ·(‖U‖ + ‖I‖) / items
///         + c·Σ_m (2 − cos(P(t_m), ī) − cos(P(t_m), t̄_m))
/// ```
///
/// Cosines are means over the pairs of a batch, each training pair once an epoch; what has a bar
/// is a target: some of its numbers are dropped, and it is learned nothing by. Losses, gradients and
/// three steps of Adam are held to those of MMRec's code by a test.
///
/// A visitor is a node that nobody knew of, as in [`LightGcn`](crate::LightGcn).
pub type Bm3 = FactorModel<Bm3Net>;

/// What a [`Bm3`] computes.
#[derive(Debug, Clone)]
pub struct Bm3Net {
    config: Bm3Config,
    graph: Graph,
    parameters: Parameters,
    tables: Tables,
    predictor: Linear,
    content: Vec<(Matrix, Linear)>,
    counts: Vec<u32>,
    newcomers: Newcomers,
}

/// What is to foretell targets, and learns: vectors, `[rows, dim]`, which rows of them a batch
/// names, and their gradients.
struct Online<'a> {
    vectors: &'a [f32],
    /// `P` of them.
    predicted: Vec<f32>,
    rows: &'a [u32],
    of_predicted: Vec<f32>,
}

impl Bm3Net {
    /// Without numbers.
    fn of(config: &Bm3Config, pairs: &Pairs, modalities: &[ItemFeatures]) -> Self {
        let dim = config.dim;
        let mut parameters = Parameters::default();
        let tables = Tables {
            users: parameters.add("user_embedding.weight", pairs.users(), dim),
            items: parameters.add("item_id_embedding.weight", pairs.items(), dim),
        };
        let predictor = Linear::add(&mut parameters, "predictor", dim, dim);
        let mut content = Vec::with_capacity(modalities.len());
        for ItemFeatures { name, width, .. } in modalities {
            let table = parameters.add(format!("{name}_embedding.weight"), pairs.items(), *width);
            let linear = Linear::add(&mut parameters, &format!("{name}_trs"), *width, dim);
            content.push((table, linear));
        }
        Self {
            config: *config,
            graph: Graph::of(pairs, ADDED),
            parameters,
            tables,
            predictor,
            content,
            counts: pairs.counts(),
            newcomers: Newcomers::default(),
        }
    }

    /// Draws tables and layers; content is what the modalities have.
    fn begin_with(&mut self, modalities: &[ItemFeatures]) {
        let mut random = ChaCha8Rng::seed_from_u64(self.config.training.seed);
        self.parameters.zero();
        let values = &mut self.parameters.values;
        xavier_uniform(self.tables.users, values, &mut random);
        xavier_uniform(self.tables.items, values, &mut random);
        begin_layer(self.predictor, values, &mut random);
        for ((table, linear), modality) in self.content.iter().zip(modalities) {
            table.of_mut(values).copy_from_slice(&modality.values);
            begin_layer(*linear, values, &mut random);
        }
    }

    /// `U` and `I`, one after the other.
    fn propagated(&self) -> Vec<f32> {
        let Bm3Config { layers, dim, .. } = self.config;
        let values = &self.parameters.values;
        let tables = self.tables.of(values);
        let mut vectors = vec![0.0; tables.len()];
        self.graph
            .mean_of_layers(tables, layers, dim, &mut vectors, &mut Vec::new());
        let own = self.tables.vectors(values).items;
        add_scaled(self.tables.split(&mut vectors).1, own, 1.0);
        vectors
    }

    fn online<'a>(&self, vectors: &'a [f32], rows: &'a [u32]) -> Online<'a> {
        let predicted = self.predictor.forward(&self.parameters.values, vectors);
        Online {
            vectors,
            of_predicted: vec![0.0; predicted.len()],
            predicted,
            rows,
        }
    }

    /// The vectors that a batch names, some of their numbers dropped and the others made larger
    /// for it, as they are each time that a target is made.
    fn target(&self, vectors: &[f32], rows: &[u32], draw: &mut ChaCha8Rng) -> Vec<f32> {
        let Bm3Config { dim, dropout, .. } = self.config;
        let of_row = |&row: &u32| &vectors[row as usize * dim..][..dim];
        let mut target: Vec<f32> = rows.iter().flat_map(of_row).copied().collect();
        if dropout > 0.0 {
            let kept = (1.0 / (1.0 - dropout)) as f32;
            for x in &mut target {
                *x *= if draw.random_bool(dropout) { 0.0 } else { kept };
            }
        }
        target
    }

    /// Lengths of all vectors, `λ·‖X‖ / items`; the gradient is added.
    fn add_length(&self, vectors: &[f32], gradients: &mut [f32]) -> f64 {
        let squares = vectors.iter().map(|x| f64::from(x * x));
        let length = squares.sum::<f64>().sqrt();
        if length == 0.0 {
            return 0.0;
        }
        let weight = self.config.penalty / self.tables.items.rows as f64;
        add_scaled(gradients, vectors, (weight / length) as f32);
        weight * length
    }
}

/// Weights begin normal by Xavier; biases keep what PyTorch draws, even within `±1/√inputs`.
fn begin_layer(linear: Linear, values: &mut [f32], random: &mut ChaCha8Rng) {
    xavier_normal(linear.weight, values, random);
    let bound = (linear.inputs().max(1) as f32).sqrt().recip();
    uniform(linear.bias.of_mut(values), bound, random);
}

impl Online<'_> {
    /// `factor·(1 − mean cos(P(x), target))` over the batch; gradients are added to those of `P(x)`.
    fn add_cosines(&mut self, target: &[f32], dim: usize, factor: f64) -> f64 {
        let (predicted, rows) = (&self.predicted, self.rows);
        let of_row = |row: u32| &predicted[row as usize * dim..][..dim];
        let weight = factor / rows.len() as f64;
        // Of each pair the cosine, and the lengths that it is divided by.
        let of_pair = |(&row, target): (&u32, &[f32])| {
            let x = of_row(row);
            let (product, squares, of_target) = vectorize(
                #[inline(always)]
                || (dot(x, target), dot(x, x), dot(target, target)),
            );
            let lengths = (squares.sqrt().max(SHORTEST), of_target.sqrt().max(SHORTEST));
            (product / (lengths.0 * lengths.1), lengths)
        };
        let pairs = rows
            .par_iter()
            .zip(target.par_chunks_exact(dim))
            .map(of_pair);
        let pairs: Vec<(f32, (f32, f32))> = pairs.collect();
        add_rows(&[rows], dim, &mut self.of_predicted, |number, out| {
            let (cosine, (length, of_target)) = pairs[number];
            let scale = -weight as f32 / length;
            add_scaled(out, &target[number * dim..][..dim], scale / of_target);
            add_scaled(out, of_row(rows[number]), -scale * cosine / length);
        });
        let sum = pairs.iter().map(|pair| f64::from(pair.0)).sum::<f64>();
        factor - weight * sum
    }

    /// The gradient of the vectors; that of `P` is added.
    fn gradient(&self, predictor: Linear, values: &[f32], gradients: &mut [f32]) -> Vec<f32> {
        predictor.add_gradients(&self.of_predicted, self.vectors, gradients);
        predictor.input_gradient(values, &self.of_predicted)
    }
}

impl Net for Bm3Net {
    type Config = Bm3Config;
    const KIND: &'static str = "bm3";

    fn check(config: &Bm3Config, features: &Features) -> Result<()> {
        WIDTHS.check("dim", config.dim)?;
        DEPTHS.check("layers", config.layers)?;
        not_negative("penalty", config.penalty)?;
        not_negative("content", config.content)?;
        if !(0.0..1.0).contains(&config.dropout) {
            return Err(Error::Setting {
                setting: "dropout",
                value: config.dropout.to_string(),
                rule: "it must be from 0 to below 1",
            });
        }
        need_modalities("BM3", features)
    }

    fn new(config: &Bm3Config, pairs: &Arc<Pairs>, features: &Features) -> Result<Self> {
        Ok(Self::of(config, pairs, &ItemFeatures::of(features)))
    }

    fn begin(&mut self, _pairs: &Pairs, features: &Features) {
        self.begin_with(&ItemFeatures::of(features));
    }

    fn training(config: &Bm3Config) -> &PairwiseTraining {
        &config.training
    }

    fn draw() -> Draw {
        Draw::EachPair { times: 1 }
    }

    fn memory(config: &Bm3Config, size: Size) -> u64 {
        let (tables, content) = (size.nodes() * config.dim as u64, size.items * size.content);
        let batch = config.training.batch_size as u64 * config.dim as u64;
        size.pairwise(tables + content, tables) + size.graph()
            // A batch's vectors, targets and what is foretold, of each modality too.
            + numbers(12 * tables + content + batch * (4 + size.modalities))
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn gradients(&mut self, triples: &Triples, draw: u64, gradients: &mut [f32]) -> f64 {
        let Bm3Config {
            layers,
            dim,
            content,
            ..
        } = self.config;
        let values = &self.parameters.values;
        let mut draw = ChaCha8Rng::seed_from_u64(draw);
        gradients.fill(0.0);
        let vectors = self.propagated();
        let both = self.tables.vectors(&vectors);
        let mut users = self.online(both.users, &triples.users);
        let mut items = self.online(both.items, &triples.rated);
        let of_items = self.target(items.vectors, items.rows, &mut draw);
        let of_users = self.target(users.vectors, users.rows, &mut draw);
        let mut loss = users.add_cosines(&of_items, dim, 1.0);
        loss += items.add_cosines(&of_users, dim, 1.0);
        for &(table, linear) in &self.content {
            let x = table.of(values);
            let made = linear.forward(values, x);
            let mut online = self.online(&made, &triples.rated);
            let of_made = self.target(&made, &triples.rated, &mut draw);
            loss += online.add_cosines(&of_items, dim, content);
            loss += online.add_cosines(&of_made, dim, content);
            let of_made = online.gradient(self.predictor, values, gradients);
            linear.add_gradients(&of_made, x, gradients);
            let of_content = linear.input_gradient(values, &of_made);
            table.of_mut(gradients).copy_from_slice(&of_content);
        }
        let mut of_vectors = users.gradient(self.predictor, values, gradients);
        of_vectors.extend(items.gradient(self.predictor, values, gradients));
        let (of_users, of_items) = self.tables.split(&mut of_vectors);
        loss += self.add_length(both.users, of_users);
        loss += self.add_length(both.items, of_items);
        let of_tables = self.tables.of_mut(gradients);
        self.graph
            .mean_of_layers(&of_vectors, layers, dim, of_tables, &mut Vec::new());
        let of_items = self.tables.vectors(&of_vectors).items;
        add_scaled(self.tables.split(gradients).1, of_items, 1.0);
        loss
    }

    fn vectors(&mut self) -> (Vec<f32>, Vec<f32>, usize) {
        let Bm3Config { layers, dim, .. } = self.config;
        let (counts, tables) = (self.counts.clone(), self.tables.of(&self.parameters.values));
        self.newcomers = Newcomers::of(&self.graph, counts, tables, layers, dim);
        let vectors = self.propagated();
        let mut users = self.predictor.forward(&self.parameters.values, &vectors);
        let items = users.split_off(self.tables.users.rows * dim);
        (users, items, dim)
    }

    fn visitor(&self, rated: &[u32], _factors: &Factors) -> Vec<f32> {
        let vector = self.newcomers.vector(rated);
        self.predictor.forward(&self.parameters.values, &vector)
    }
}

impl Fit for Bm3Config {
    type Model = Bm3;

    fn check(&self, features: &Features) -> Result<Value> {
        Bm3::check(self, features)?;
        let modalities = features.modalities().iter().map(|modality| modality.name());
        let modalities: Vec<&str> = modalities.collect();
        Ok(json!({ "dim": self.dim, "layers": self.layers, "modalities": modalities }))
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        Bm3::rows(self, data)
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        Bm3Net::memory(self, Size::of(data))
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<Bm3> {
        Bm3::fit(self, data, session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{cases, modalities, score_matrix, triples};

    #[test]
    fn biases_begin_as_pytorch_draws_them() {
        let pairs = Pairs::of_edges(&[(0, 0)], 1, 2);
        let text = ItemFeatures {
            name: "text".to_owned(),
            width: 4,
            values: (0..8).map(|x| x as f32).collect(),
        };
        let mut net = Bm3Net::of(&Bm3Config::default(), &pairs, std::slice::from_ref(&text));
        net.begin_with(std::slice::from_ref(&text));
        let values = &net.parameters.values;
        let (table, linear) = net.content[0];
        assert_eq!(table.of(values), text.values);
        for (bias, bound) in [(net.predictor.bias, 0.125), (linear.bias, 0.5)] {
            let largest = bias.of(values).iter().map(|x| x.abs());
            let largest = largest.fold(0.0, f32::max);
            assert!(
                (0.9 * bound..=bound).contains(&largest),
                "{largest} of {bound}"
            );
        }
    }

    #[test]
    fn golden_bm3_is_that_of_mmrec() {
        for case in cases("BM3") {
            let config = Bm3Config {
                dim: case.count("embedding_size"),
                layers: case.count("n_layers"),
                penalty: case.number("reg_weight"),
                content: case.number("cl_weight"),
                dropout: case.number("dropout"),
                ..Bm3Config::default()
            };
            let edges = case.edges();
            let pairs = Pairs::of_edges(&edges, case.count("users"), case.count("items"));
            let mut net = Bm3Net::of(&config, &pairs, &modalities(&case, &["image", "text"]));
            case.fill(&mut net.parameters);
            let vectors = net.propagated();
            let (users, items) = vectors.split_at(net.tables.users.rows * config.dim);
            case.assert_near("out.users", users);
            case.assert_near("out.items", items);
            let vectors = net.vectors();
            case.assert_near("out.score_matrix", &score_matrix(&vectors));
            let mut triples = triples(&case);
            triples.others.clear();
            case.assert_learns(net.parameters.clone(), |values, gradients| {
                net.parameters.values.copy_from_slice(values);
                net.gradients(&triples, 0, gradients)
            });
        }
    }
}
