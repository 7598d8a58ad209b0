//! Products of vectors, of which a part of the items' is made of their content.

use std::sync::Arc;

use mmdlrm_features::{Features, TrainingData};
use mmdlrm_kernels::add_scaled;
use mmdlrm_train::{Fit, Result, Session};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::item_features::{ItemFeatures, need_modalities};
use crate::linear::Linear;
use crate::memory::{Size, numbers};
use crate::pairs::Pairs;
use crate::pairwise::{
    Draw, FactorModel, Factors, Net, PairwiseTraining, Triples, Vectors, WIDTHS, add_rows, bpr,
    not_negative,
};
use crate::parameters::{Matrix, Parameters, xavier_normal, xavier_uniform};

/// Ridge on the vector of a visitor, who is learned without the penalty on whole batches.
const RIDGE: f64 = 1e-3;

/// How a [`Vbpr`] is shaped and learned; its documentation has the formula.
///
/// ```
/// use mmdlrm_baselines::VbprConfig;
///
/// let config = VbprConfig::default();
/// assert_eq!((config.dim, config.penalty), (64, 0.1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct VbprConfig {
    /// `D`: half the width of the vectors, from 1 to 4,096.
    pub dim: usize,
    /// `λ`, of the penalty on the vectors of a batch, 0 or more.
    pub penalty: f64,
    /// How long and how fast it learns.
    pub training: PairwiseTraining,
}

impl Default for VbprConfig {
    fn default() -> Self {
        Self {
            dim: 64,
            penalty: 0.1,
            training: PairwiseTraining {
                epochs: 35,
                ..PairwiseTraining::default()
            },
        }
    }
}

/// VBPR (He and McAuley, 2016), as MMRec has it: an item is a vector of its own beside a linear
/// map of its content.
///
/// With the vectors `f_i` of all modalities side by side, text first, `W` of `[D, Σ widths]`, tables
/// `P` of `[users, 2·D]` and `Q` of `[items, D]`:
///
/// ```text
/// v_i  = [q_i ; W·f_i + b],   s_ui = ⟨p_u, v_i⟩
/// L    = mean softplus(s_uj − s_ui) + λ·(‖P_B‖ + ‖V_B‖ + ‖V'_B‖) / B
/// ```
///
/// over batches of `B` triples, each training pair once an epoch; `P_B`, `V_B` and `V'_B` are the
/// vectors of a batch's users, rated items and others, whose norms are not squared. The paper has
/// biases besides, and squares. Content is what the modalities hold, each standardized; an item
/// without a vector has zeros. Tables begin even by Xavier, `W` normal.
///
/// Losses, gradients and three steps of Adam are held to those of MMRec's code by a test. A visitor
/// is learned as users are, with the items as they stand.
pub type Vbpr = FactorModel<VbprNet>;

/// What a [`Vbpr`] computes.
#[derive(Debug, Clone)]
pub struct VbprNet {
    config: VbprConfig,
    parameters: Parameters,
    users: Matrix,
    items: Matrix,
    linear: Linear,
    /// All modalities side by side, `[items, Σ widths]`.
    content: Vec<f32>,
}

impl VbprNet {
    /// Without numbers.
    fn of(config: &VbprConfig, users: usize, modalities: &[ItemFeatures]) -> Self {
        let width: usize = modalities.iter().map(|modality| modality.width).sum();
        let items = modalities
            .first()
            .map_or(0, |it| it.values.len() / it.width.max(1));
        let mut content = Vec::with_capacity(items * width);
        for item in 0..items {
            for modality in modalities {
                content.extend(&modality.values[item * modality.width..][..modality.width]);
            }
        }
        let mut parameters = Parameters::default();
        Self {
            config: *config,
            users: parameters.add("u_embedding", users, 2 * config.dim),
            items: parameters.add("i_embedding", items, config.dim),
            linear: Linear::add(&mut parameters, "item_linear", width, config.dim),
            parameters,
            content,
        }
    }

    /// `V`, `[items, 2·D]`.
    fn item_vectors(&self) -> Vec<f32> {
        let (dim, values) = (self.config.dim, &self.parameters.values);
        let of_content = self.linear.forward(values, &self.content);
        let own = self.items.of(values).chunks_exact(dim);
        let pairs = own.zip(of_content.chunks_exact(dim));
        pairs
            .flat_map(|(own, other)| own.iter().chain(other))
            .copied()
            .collect()
    }

    /// `λ·‖X_B‖ / B` of the rows of a table that a batch names; its gradient is added to `out`.
    fn add_norm(&self, table: &[f32], rows: &[u32], out: &mut [f32]) -> f64 {
        let width = 2 * self.config.dim;
        let row = |row: u32| &table[row as usize * width..][..width];
        let of_row = |&it: &u32| row(it).iter().map(|x| f64::from(x * x)).sum::<f64>();
        let norm = rows.iter().map(of_row).sum::<f64>().sqrt();
        if norm == 0.0 {
            return 0.0;
        }
        let weight = self.config.penalty / rows.len() as f64;
        let factor = (weight / norm) as f32;
        add_rows(&[rows], width, out, |number, out| {
            add_scaled(out, row(rows[number]), factor)
        });
        weight * norm
    }
}

impl Net for VbprNet {
    type Config = VbprConfig;
    const KIND: &'static str = "vbpr";

    fn check(config: &VbprConfig, features: &Features) -> Result<()> {
        WIDTHS.check("dim", config.dim)?;
        not_negative("penalty", config.penalty)?;
        need_modalities("VBPR", features)
    }

    fn new(config: &VbprConfig, pairs: &Arc<Pairs>, features: &Features) -> Result<Self> {
        let mut modalities = ItemFeatures::of(features);
        modalities.sort_by_key(|modality| modality.name != "text");
        Ok(Self::of(config, pairs.users(), &modalities))
    }

    fn begin(&mut self, _pairs: &Pairs, _features: &Features) {
        let mut random = ChaCha8Rng::seed_from_u64(self.config.training.seed);
        self.parameters.zero();
        let values = &mut self.parameters.values;
        xavier_uniform(self.users, values, &mut random);
        xavier_uniform(self.items, values, &mut random);
        xavier_normal(self.linear.weight, values, &mut random);
    }

    fn training(config: &VbprConfig) -> &PairwiseTraining {
        &config.training
    }

    fn draw() -> Draw {
        Draw::EachPair { times: 1 }
    }

    fn memory(config: &VbprConfig, size: Size) -> u64 {
        let dim = config.dim as u64;
        let learned = dim * (2 * size.users + size.items + size.content);
        size.pairwise(learned, 2 * dim * size.nodes()) + numbers(2 * size.items * size.content)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn gradients(&mut self, triples: &Triples, _draw: u64, gradients: &mut [f32]) -> f64 {
        let dim = self.config.dim;
        gradients.fill(0.0);
        let items = self.item_vectors();
        let users = self.users.of(&self.parameters.values);
        let vectors = Vectors {
            users,
            items: &items,
            width: 2 * dim,
        };
        let mut of_items = vec![0.0; items.len()];
        let of_users = self.users.of_mut(gradients);
        let mut loss = bpr(vectors, triples, 1.0, (of_users, &mut of_items));
        loss += self.add_norm(users, &triples.users, self.users.of_mut(gradients));
        for rows in [&triples.rated, &triples.others] {
            loss += self.add_norm(&items, rows, &mut of_items);
        }
        let own = self.items.of_mut(gradients).chunks_exact_mut(dim);
        let mut of_content = Vec::with_capacity(items.len() / 2);
        for (own, both) in own.zip(of_items.chunks_exact(2 * dim)) {
            own.copy_from_slice(&both[..dim]);
            of_content.extend(&both[dim..]);
        }
        self.linear
            .add_gradients(&of_content, &self.content, gradients);
        loss
    }

    fn vectors(&mut self) -> (Vec<f32>, Vec<f32>, usize) {
        let users = self.users.of(&self.parameters.values).to_vec();
        (users, self.item_vectors(), 2 * self.config.dim)
    }

    fn visitor(&self, rated: &[u32], factors: &Factors) -> Vec<f32> {
        factors.fold_in(rated, RIDGE)
    }
}

impl Fit for VbprConfig {
    type Model = Vbpr;

    fn check(&self, features: &Features) -> Result<Value> {
        Vbpr::check(self, features)?;
        let modalities = features.modalities().iter().map(|modality| modality.name());
        Ok(json!({ "dim": self.dim, "modalities": modalities.collect::<Vec<_>>() }))
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        Vbpr::rows(self, data)
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        VbprNet::memory(self, Size::of(data))
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<Vbpr> {
        Vbpr::fit(self, data, session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{cases, modalities, score_matrix, triples};

    #[test]
    fn golden_vbpr_is_that_of_mmrec() {
        for case in cases("VBPR") {
            let config = VbprConfig {
                dim: case.count("embedding_size"),
                penalty: case.number("reg_weight"),
                ..VbprConfig::default()
            };
            let modalities = modalities(&case, &["text", "image"]);
            let mut net = VbprNet::of(&config, case.count("users"), &modalities);
            case.fill(&mut net.parameters);
            let vectors = net.vectors();
            case.assert_near("out.items", &vectors.1);
            case.assert_near("out.score_matrix", &score_matrix(&vectors));
            let triples = triples(&case);
            case.assert_learns(net.parameters.clone(), |values, gradients| {
                net.parameters.values.copy_from_slice(values);
                net.gradients(&triples, 0, gradients)
            });
        }
    }
}
