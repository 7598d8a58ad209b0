//! From histories to scores.
//!
//! With the items' vectors as history, `H`, and as targets, `E`, both `[items, dim]`, and the
//! weights `w` of a bag ([`RecencyBag`](super::RecencyBag)), an example's scores are
//!
//! ```text
//! p = ‖_bags Σ_a w_a·H[history_a]                  pooled, [bags · dim], then dropped
//! u = p·A + moment + length                        the user's vector, [dim]
//! s = u·Eᵀ + b + Σ_f v_f·φ_f                       scores, [items]
//! ```

use std::ops::Range;

use mmdlrm_kernels::{Panels, copy_rows, store};

use super::{ItemInputs, NextItem, NextItemConfig, NextItemExample, RecencyBag};
use crate::dropout::mix;

impl NextItem {
    /// `u·Eᵀ` of a piece, `[rows, items]`: scores without bias and features of pairs.
    pub(super) fn score_users(&self, composed: &Composed, users: &UserSide, scores: &mut [f32]) {
        let (items, dim) = (self.config.items, self.config.dim);
        let (rows, out) = (scores.len() / items, (scores, items));
        let vectors = copy_rows(&users.vectors, dim);
        composed
            .packed_targets
            .multiply(vectors, rows, out, store(), &mut Vec::new());
    }

    /// Adds `b + Σ_f v_f·φ_f` to the scores of an example; `features` is `φ`,
    /// `[pair_features, items]`.
    pub(super) fn add_bias_and_pairs(&self, features: &[f32], scores: &mut [f32]) {
        let bias = &self.parameters[self.layout.bias.clone()];
        let weights = &self.parameters[self.layout.pairs.clone()];
        scores.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
        for (weight, features) in weights.iter().zip(features.chunks_exact(scores.len())) {
            scores
                .iter_mut()
                .zip(features)
                .for_each(|(x, feature)| *x += weight * feature);
        }
    }
}

/// The items' vectors, composed of what items are made of, and the user's layer, as the products
/// read them: what all examples of a pass share.
pub(super) struct Composed {
    /// Vectors as history, `H`, `[items, dim]`.
    pub history: Vec<f32>,
    /// Vectors as targets, `E`, `[items, dim]`.
    pub targets: Vec<f32>,
    /// `Eᵀ`.
    packed_targets: Panels,
    /// `A`, `[bags · dim, dim]`.
    user: Panels,
}

impl Composed {
    pub fn new(model: &NextItem, inputs: &ItemInputs<'_>) -> Self {
        let (layout, config) = (&model.layout, &model.config);
        let (items, dim) = (config.items, config.dim);
        let of = |span: &Range<usize>| &model.parameters[span.clone()];
        let history = with_features(
            inputs,
            of(&layout.history_items),
            of(&layout.history_features),
            dim,
        );
        let mut targets = with_features(inputs, of(&layout.items), of(&layout.features), dim);
        if config.vector > 0 {
            let mut tower = Panels::default();
            tower.fill((of(&layout.tower), dim), config.vector, dim);
            let rows = copy_rows(inputs.vectors, config.vector);
            let mut of_vectors = vec![0.0; items * dim];
            let out = (&mut of_vectors[..], dim);
            tower.multiply(rows, items, out, store(), &mut Vec::new());
            targets
                .iter_mut()
                .zip(&of_vectors)
                .for_each(|(x, y)| *x += y);
        }
        let mut user = Panels::default();
        user.fill((of(&layout.user), dim), config.bags.len() * dim, dim);
        Self {
            history,
            packed_targets: Panels::of_transposed(&targets, items, dim),
            targets,
            user,
        }
    }
}

/// Each item's own vector and those of its features, summed, `[items, dim]`.
fn with_features(inputs: &ItemInputs<'_>, own: &[f32], features: &[f32], dim: usize) -> Vec<f32> {
    let mut out = own.to_vec();
    let bags = inputs.offsets.windows(2);
    for (out, bag) in out.chunks_exact_mut(dim).zip(bags) {
        for &row in &inputs.features[bag[0] as usize..bag[1] as usize] {
            let row = &features[row as usize * dim..(row as usize + 1) * dim];
            out.iter_mut()
                .zip(row)
                .for_each(|(x, feature)| *x += feature);
        }
    }
    out
}

/// What a training step drops, drawn by its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drops {
    pub step: u64,
    /// Number in the batch of the first example at hand.
    pub first: usize,
}

impl Drops {
    /// A number from 0 to 1 for a place in the example of row `row`.
    fn draw(self, row: usize, place: usize) -> f32 {
        let key = mix(mix(self.step) ^ (self.first + row) as u64);
        let drawn = mix(key.wrapping_add(place as u64)) >> 40;
        drawn as f32 / (1u64 << 24) as f32
    }
}

/// The users of a piece of examples.
pub(super) struct UserSide {
    /// Weights in bags, of each example `[bags, history]`, one after the other.
    pub weights: Vec<f32>,
    /// Pooled bags, `p`, after dropout, `[rows, bags · dim]`.
    pub pooled: Vec<f32>,
    /// What dropout multiplies each pooled number by; empty where nothing is dropped.
    pub kept: Vec<f32>,
    /// Users' vectors, `u`, `[rows, dim]`.
    pub vectors: Vec<f32>,
}

impl UserSide {
    pub fn new(
        model: &NextItem,
        composed: &Composed,
        examples: &[NextItemExample<'_>],
        drops: Option<Drops>,
    ) -> Self {
        let config = &model.config;
        let (weights, mut pooled) = pool(config, composed, examples, drops);
        let kept = match drops {
            Some(drops) => kept(config, examples.len(), drops),
            None => Vec::new(),
        };
        pooled
            .iter_mut()
            .zip(&kept)
            .for_each(|(x, kept)| *x *= kept);
        Self {
            weights,
            vectors: user_vectors(model, composed, examples, &pooled),
            pooled,
            kept,
        }
    }
}

/// Weights in bags, of each example `[bags, history]`, and the pooled bags, `p`,
/// `[rows, bags · dim]`.
fn pool(
    config: &NextItemConfig,
    composed: &Composed,
    examples: &[NextItemExample<'_>],
    drops: Option<Drops>,
) -> (Vec<f32>, Vec<f32>) {
    let dim = config.dim;
    let width = config.bags.len() * dim;
    let mut weights = Vec::new();
    let mut pooled = vec![0.0; examples.len() * width];
    let rows = examples.iter().zip(pooled.chunks_exact_mut(width));
    for (row, (example, out)) in rows.enumerate() {
        let is_kept =
            |age: usize| drops.is_none_or(|drops| drops.draw(row, age) >= config.history_dropout);
        let kept: Vec<bool> = (0..example.history.len()).map(is_kept).collect();
        for (bag, out) in config.bags.iter().zip(out.chunks_exact_mut(dim)) {
            let start = weights.len();
            weights.extend(bag.weights(example.deviations, &kept));
            let weights = &mut weights[start..];
            let total = weights.iter().map(|weight| weight.abs()).sum::<f32>();
            let scale = 1.0 / (total + 1e-6).sqrt();
            for (weight, &item) in weights.iter_mut().zip(example.history) {
                *weight *= scale;
                let row = &composed.history[item as usize * dim..][..dim];
                out.iter_mut().zip(row).for_each(|(x, y)| *x += *weight * y);
            }
        }
    }
    (weights, pooled)
}

impl RecencyBag {
    /// Weights of a history before the sum is scaled; 0 of what is not kept.
    fn weights(self, deviations: &[f32], kept: &[bool]) -> impl Iterator<Item = f32> {
        let ratings = deviations.iter().zip(kept).enumerate();
        ratings.map(move |(age, (deviation, &kept))| {
            let weight = (-(age as f32) / self.recency).exp();
            if kept {
                weight * (1.0 + self.rating * deviation)
            } else {
                0.0
            }
        })
    }
}

/// What dropout multiplies the pooled numbers by, `[rows, bags · dim]`.
fn kept(config: &NextItemConfig, rows: usize, drops: Drops) -> Vec<f32> {
    let width = config.bags.len() * config.dim;
    let scale = 1.0 / (1.0 - config.dropout);
    // Behind the numbers that the history was drawn with.
    let draw = |place| drops.draw(place / width, usize::MAX - place % width);
    let keep = |place| {
        if draw(place) < config.dropout {
            0.0
        } else {
            scale
        }
    };
    (0..rows * width).map(keep).collect()
}

/// `u = p·A + moment + length`, `[rows, dim]`.
fn user_vectors(
    model: &NextItem,
    composed: &Composed,
    examples: &[NextItemExample<'_>],
    pooled: &[f32],
) -> Vec<f32> {
    let dim = model.config.dim;
    let mut users = vec![0.0; examples.len() * dim];
    let rows = copy_rows(pooled, model.config.bags.len() * dim);
    let out = (&mut users[..], dim);
    composed
        .user
        .multiply(rows, examples.len(), out, store(), &mut Vec::new());
    for (example, out) in examples.iter().zip(users.chunks_exact_mut(dim)) {
        for row in model.layout.context(example, dim) {
            let row = &model.parameters[row];
            out.iter_mut().zip(row).for_each(|(x, y)| *x += y);
        }
    }
    users
}
