use std::ops::Range;

use mmdlrm_kernels::{Panels, add_transposed, copy_rows, exp, store, vectorize};
use rayon::prelude::*;

use super::forward::{Drops, Piece, Prepared};
use super::{ItemInputs, NextItem, NextItemExample, PIECE, PairFeatures, input};
use crate::Result;
use crate::waves::{add_in_order, wave};

/// Least pieces of a wave: all of a batch of 512 examples.
const WAVE: usize = 8;

/// Gradients of the parameters of a [`NextItem`], in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NextItemGradients {
    /// One number a parameter.
    pub values: Vec<f32>,
}

/// The transposes that lead down.
struct Down {
    targets: Panels,
    user: Panels,
}

impl NextItem {
    /// The mean over `examples` of `−ln softmax(scores)[next]` among the items not
    /// seen, and its gradients. `step` draws what is dropped.
    ///
    /// The result does not depend on the number of threads.
    ///
    /// # Errors
    /// Inputs that do not fit the model.
    pub fn gradients(
        &self,
        inputs: &ItemInputs<'_>,
        examples: &[NextItemExample<'_>],
        pairs: &dyn PairFeatures,
        step: u64,
        gradients: &mut NextItemGradients,
    ) -> Result<f64> {
        input::check(&self.config, inputs, examples)?;
        let config = &self.config;
        let (items, dim) = (config.items, config.dim);
        let prepared = Prepared::new(self, inputs);
        let mut targets = Panels::default();
        targets.fill((&prepared.targets, dim), items, dim);
        let weights = &self.parameters[self.layout.user.clone()];
        let down = Down {
            targets,
            user: Panels::of_transposed(weights, config.bags.len() * dim, dim),
        };
        let values = &mut gradients.values;
        values.clear();
        values.resize(self.parameters.len(), 0.0);
        let mut loss = 0.0;
        let of_wave = PIECE * wave(WAVE);
        for (number, wave) in examples.chunks(of_wave).enumerate() {
            let first = number * of_wave;
            let pieces: Vec<(f64, Vec<f32>)> = wave
                .par_chunks(PIECE)
                .enumerate()
                .map(|(number, chunk)| {
                    let place = (first + number * PIECE, examples.len(), step);
                    self.piece(&prepared, &down, chunk, pairs, place)
                })
                .collect();
            let of_pieces: Vec<&[f32]> = pieces.iter().map(|(_, piece)| &**piece).collect();
            add_in_order(values, &of_pieces);
            pieces.iter().for_each(|(of_piece, _)| loss += of_piece);
        }
        self.hand_to_features(inputs, values);
        Ok(loss / examples.len().max(1) as f64)
    }

    /// Sum of the losses of a piece, and its gradients: those of the items' whole
    /// vectors in the place of their own.
    fn piece(
        &self,
        prepared: &Prepared,
        down: &Down,
        examples: &[NextItemExample<'_>],
        pairs: &dyn PairFeatures,
        (first, count, step): (usize, usize, u64),
    ) -> (f64, Vec<f32>) {
        let (items, dim) = (self.config.items, self.config.dim);
        let layout = &self.layout;
        let mut gradients = vec![0.0; self.parameters.len()];
        let piece = Piece::new(self, prepared, examples, Some(Drops { step, first }));
        let rows = examples.len();
        let mut scores = vec![0.0; rows * items];
        // Of each row: kept until the softmax is known.
        let width = self.config.pair_features * items;
        let mut features = vec![0.0; rows * width];
        self.score(
            prepared,
            &piece,
            (first, pairs),
            &mut scores,
            |row, of_row| {
                features[row * width..][..width].copy_from_slice(of_row);
            },
        );
        let mut loss = 0.0;
        for (row, (scores, example)) in scores.chunks_exact_mut(items).zip(examples).enumerate() {
            // What is rated twice has been seen and comes next.
            for &item in example.seen.iter().filter(|&&item| item != example.next) {
                scores[item as usize] = f32::NEG_INFINITY;
            }
            loss += softmax(scores, example.next as usize, 1.0 / count as f32);
            let features = &features[row * width..][..width];
            let of_pairs = gradients[layout.pairs.clone()].iter_mut();
            for (out, feature) in of_pairs.zip(features.chunks_exact(items)) {
                *out += dot(scores, feature);
            }
            let bias = gradients[layout.bias.clone()].iter_mut();
            bias.zip(&*scores).for_each(|(x, y)| *x += y);
        }
        let mut scratch = Vec::new();
        let users = copy_rows(&piece.users, dim);
        let of_items = &mut gradients[layout.items.clone()];
        add_transposed(of_items, &scores, users, (items, dim), &mut scratch);

        let mut of_users = vec![0.0; rows * dim];
        let out = (&mut of_users[..], dim);
        down.targets
            .multiply(copy_rows(&scores, items), rows, out, store(), &mut scratch);
        for (example, of_user) in examples.iter().zip(of_users.chunks_exact(dim)) {
            let context = [
                (&layout.moments, example.moment),
                (&layout.lengths, example.length),
            ];
            for (table, row) in context {
                let out = &mut gradients[table.start + row as usize * dim..][..dim];
                out.iter_mut().zip(of_user).for_each(|(x, y)| *x += y);
            }
        }
        let width = self.config.bags.len() * dim;
        let of_tower = &mut gradients[layout.user.clone()];
        let rows_of_users = copy_rows(&of_users, dim);
        add_transposed(
            of_tower,
            &piece.pooled,
            rows_of_users,
            (width, dim),
            &mut scratch,
        );
        let mut of_bags = vec![0.0; rows * width];
        let out = (&mut of_bags[..], width);
        down.user
            .multiply(rows_of_users, rows, out, store(), &mut scratch);
        of_bags
            .iter_mut()
            .zip(&piece.kept)
            .for_each(|(x, kept)| *x *= kept);
        let of_history = &mut gradients[layout.history_items.clone()];
        let mut weights = piece.weights.iter();
        for (example, of_bags) in examples.iter().zip(of_bags.chunks_exact(width)) {
            for of_bag in of_bags.chunks_exact(dim) {
                for (&item, weight) in example.history.iter().zip(&mut weights) {
                    let out = &mut of_history[item as usize * dim..][..dim];
                    out.iter_mut()
                        .zip(of_bag)
                        .for_each(|(x, y)| *x += weight * y);
                }
            }
        }
        (loss, gradients)
    }

    /// What the items' vectors are made of gets its share.
    fn hand_to_features(&self, inputs: &ItemInputs<'_>, values: &mut [f32]) {
        let (layout, dim) = (&self.layout, self.config.dim);
        let mut hand = |from: &Range<usize>, to: &Range<usize>| {
            // Items come before features.
            let (before, after) = values.split_at_mut(to.start);
            let items = before[from.clone()].chunks_exact(dim);
            for (of_item, bag) in items.zip(inputs.offsets.windows(2)) {
                for &row in &inputs.features[bag[0] as usize..bag[1] as usize] {
                    let out = &mut after[row as usize * dim..][..dim];
                    out.iter_mut().zip(of_item).for_each(|(x, y)| *x += y);
                }
            }
        };
        hand(&layout.history_items, &layout.history_features);
        hand(&layout.items, &layout.features);
        let width = self.config.vector;
        if width > 0 {
            let (before, after) = values.split_at_mut(layout.tower.start);
            let of_items = copy_rows(&before[layout.items.clone()], dim);
            let out = &mut after[..width * dim];
            add_transposed(out, inputs.vectors, of_items, (width, dim), &mut Vec::new());
        }
    }
}

/// Makes scores the gradients of `scale · −ln softmax(scores)[next]`; returns that
/// without the scale.
fn softmax(scores: &mut [f32], next: usize, scale: f32) -> f64 {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let of_next = f64::from(scores[next] - most);
    let mut sums = [0f32; 16];
    vectorize(
        #[inline(always)]
        || {
            // Beyond ±87 exp is as there: as good as nothing.
            for values in scores.chunks_mut(sums.len()) {
                for (x, sum) in values.iter_mut().zip(&mut sums) {
                    *x = if *x == f32::NEG_INFINITY {
                        0.0
                    } else {
                        exp(*x - most)
                    };
                    *sum += *x;
                }
            }
            let scale = scale / sums.iter().sum::<f32>();
            scores.iter_mut().for_each(|x| *x *= scale);
        },
    );
    scores[next] -= scale;
    f64::from(sums.iter().sum::<f32>()).ln() - of_next
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 16];
    vectorize(
        #[inline(always)]
        || {
            for (a, b) in a.chunks(sums.len()).zip(b.chunks(16)) {
                for ((a, b), sum) in a.iter().zip(b).zip(&mut sums) {
                    *sum += a * b;
                }
            }
        },
    );
    sums.iter().sum()
}
