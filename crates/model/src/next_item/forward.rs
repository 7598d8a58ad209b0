use std::ops::Range;

use mmdlrm_kernels::{Panels, copy_rows, store};

use super::{ItemInputs, NextItem, NextItemConfig, NextItemExample, PairFeatures};
use crate::dropout::mix;

impl NextItem {
    /// Scores of a piece, `[rows, items]`; `each` gets each row's number and
    /// features.
    pub(super) fn score(
        &self,
        prepared: &Prepared,
        piece: &Piece,
        (first, pairs): (usize, &dyn PairFeatures),
        out: &mut [f32],
        mut each: impl FnMut(usize, &[f32]),
    ) {
        let (items, dim) = (self.config.items, self.config.dim);
        let rows = copy_rows(&piece.users, dim);
        prepared.items.multiply(
            rows,
            out.len() / items,
            (out, items),
            store(),
            &mut Vec::new(),
        );
        let bias = &self.parameters[self.layout.bias.clone()];
        let weights = &self.parameters[self.layout.pairs.clone()];
        let mut features = vec![0.0; weights.len() * items];
        for (row, out) in out.chunks_exact_mut(items).enumerate() {
            out.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
            pairs.fill(first + row, &mut features);
            for (weight, features) in weights.iter().zip(features.chunks_exact(items)) {
                out.iter_mut()
                    .zip(features)
                    .for_each(|(x, feature)| *x += weight * feature);
            }
            each(row, &features);
        }
    }
}

/// What all examples of a step share.
pub(super) struct Prepared {
    /// The items' vectors as history, `[items, dim]`.
    pub history: Vec<f32>,
    /// The transpose of those as targets.
    pub items: Panels,
    /// Those as targets.
    pub targets: Vec<f32>,
    /// The user tower.
    pub user: Panels,
}

impl Prepared {
    pub fn new(model: &NextItem, inputs: &ItemInputs<'_>) -> Self {
        let (layout, config) = (&model.layout, &model.config);
        let (items, dim) = (config.items, config.dim);
        let of = |span: &Range<usize>| &model.parameters[span.clone()];
        let compose = |own: &[f32], features: &[f32]| {
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
        };
        let history = compose(of(&layout.history_items), of(&layout.history_features));
        let mut targets = compose(of(&layout.items), of(&layout.features));
        if config.vector > 0 {
            let mut tower = Panels::default();
            tower.fill((of(&layout.tower), dim), config.vector, dim);
            let rows = copy_rows(inputs.vectors, config.vector);
            let mut of_vectors = vec![0.0; items * dim];
            tower.multiply(
                rows,
                items,
                (&mut of_vectors, dim),
                store(),
                &mut Vec::new(),
            );
            targets
                .iter_mut()
                .zip(&of_vectors)
                .for_each(|(x, y)| *x += y);
        }
        let mut user = Panels::default();
        user.fill((of(&layout.user), dim), config.bags.len() * dim, dim);
        Self {
            history,
            items: Panels::of_transposed(&targets, items, dim),
            targets,
            user,
        }
    }
}

/// What a training step drops, drawn by its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drops {
    pub step: u64,
    /// Number in the batch of the first example.
    pub first: usize,
}

/// A piece of a batch on its way up.
pub(super) struct Piece {
    /// Weights in bags, of each example `[bags, history]`, one after the other.
    pub weights: Vec<f32>,
    /// Pooled bags, `[rows, bags · dim]`, after dropout.
    pub pooled: Vec<f32>,
    /// What dropout made of each number.
    pub kept: Vec<f32>,
    /// Users' vectors, `[rows, dim]`.
    pub users: Vec<f32>,
}

impl Piece {
    pub fn new(
        model: &NextItem,
        prepared: &Prepared,
        examples: &[NextItemExample<'_>],
        drops: Option<Drops>,
    ) -> Self {
        let NextItemConfig {
            dim,
            ref bags,
            dropout,
            history_dropout,
            ..
        } = model.config;
        let width = bags.len() * dim;
        let mut weights = Vec::new();
        let mut pooled = vec![0.0; examples.len() * width];
        for (row, (example, out)) in examples
            .iter()
            .zip(pooled.chunks_exact_mut(width))
            .enumerate()
        {
            let is_kept = |age: usize| {
                drops.is_none_or(|drops| drops.draw(drops.first + row, age) >= history_dropout)
            };
            let kept: Vec<bool> = (0..example.history.len()).map(is_kept).collect();
            for (bag, out) in bags.iter().zip(out.chunks_exact_mut(dim)) {
                let start = weights.len();
                weights.extend(example.deviations.iter().zip(&kept).enumerate().map(
                    |(age, (deviation, &kept))| {
                        let weight = (-(age as f32) / bag.recency).exp();
                        if kept {
                            weight * (1.0 + bag.rating * deviation)
                        } else {
                            0.0
                        }
                    },
                ));
                let weights = &mut weights[start..];
                let total = weights.iter().map(|weight| weight.abs()).sum::<f32>();
                let scale = 1.0 / (total + 1e-6).sqrt();
                for (weight, &item) in weights.iter_mut().zip(example.history) {
                    *weight *= scale;
                    let row = &prepared.history[item as usize * dim..][..dim];
                    out.iter_mut().zip(row).for_each(|(x, y)| *x += *weight * y);
                }
            }
        }
        let mut kept = Vec::new();
        if let Some(drops) = drops {
            let scale = 1.0 / (1.0 - dropout);
            // Behind the numbers that the history was drawn with.
            let draw = |place| drops.draw(drops.first + place / width, usize::MAX - place % width);
            let keep = |place| if draw(place) < dropout { 0.0 } else { scale };
            kept = (0..pooled.len()).map(keep).collect();
            pooled
                .iter_mut()
                .zip(&kept)
                .for_each(|(x, kept)| *x *= kept);
        }
        let mut users = vec![0.0; examples.len() * dim];
        let rows = copy_rows(&pooled, width);
        let out = (&mut users[..], dim);
        prepared
            .user
            .multiply(rows, examples.len(), out, store(), &mut Vec::new());
        for (example, out) in examples.iter().zip(users.chunks_exact_mut(dim)) {
            let context = [
                (&model.layout.moments, example.moment),
                (&model.layout.lengths, example.length),
            ];
            for (table, row) in context {
                let row = &model.parameters[table.start + row as usize * dim..][..dim];
                out.iter_mut().zip(row).for_each(|(x, y)| *x += y);
            }
        }
        Self {
            weights,
            pooled,
            kept,
            users,
        }
    }
}

impl Drops {
    /// From 0 to 1.
    fn draw(self, example: usize, place: usize) -> f32 {
        let key = mix(mix(self.step) ^ example as u64);
        let drawn = mix(key.wrapping_add(place as u64)) >> 40;
        drawn as f32 / (1u64 << 24) as f32
    }
}
