//! Gradients of a [`NextItem`], by an explicit backward pass.
//!
//! With the names of [`forward`](super::forward), for `n` examples of which each was followed by
//! the item `next`,
//!
//! ```text
//! L      = −1/n · Σ ln softmax(s)[next]
//! g      = ∂L/∂s = (softmax(s) − onehot(next)) / n          [rows, items]
//! ∂L/∂v_f = Σ g·φ_f     ∂L/∂b = Σ_rows g     ∂L/∂E = gᵀ·u
//! ∂L/∂u  = g·E                                             [rows, dim]
//! ∂L/∂A  = pᵀ·∂L/∂u     ∂L/∂moment = ∂L/∂length = ∂L/∂u
//! ∂L/∂p  = ∂L/∂u·Aᵀ, times what dropout multiplied by       [rows, bags · dim]
//! ∂L/∂H[history_a] = Σ_bags w_a·∂L/∂p
//! ```

use std::ops::Range;

use mmdlrm_kernels::{Panels, add_transposed, copy_rows, exp, store, vectorize};
use rayon::prelude::*;

use super::forward::{Composed, Drops, UserSide};
use super::{ItemInputs, NextItem, NextItemConfig, NextItemExample, PIECE, PairFeatures, input};
use crate::waves::{add_in_order, wave};
use crate::{Result, StepPart};

/// Least pieces of a wave: all of a batch of 512 examples.
const WAVE: usize = 8;

/// Gradients of the parameters of a [`NextItem`], in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NextItemGradients {
    /// One number a parameter.
    pub values: Vec<f32>,
    /// Which of their step's examples the next are, which take it; all of them by default.
    pub part: Option<StepPart>,
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
        let part = StepPart::of(gradients.part.take(), examples.len())?;
        let step = Step::new(self, inputs, pairs, step, part);
        let values = &mut gradients.values;
        values.clear();
        values.resize(self.parameters.len(), 0.0);
        let mut loss = 0.0;
        let of_wave = PIECE * wave(WAVE);
        for (number, wave) in examples.chunks(of_wave).enumerate() {
            let first = number * of_wave;
            let pieces = wave.par_chunks(PIECE).enumerate();
            let pieces: Vec<(f64, Vec<f32>)> = pieces
                .map(|(number, examples)| step.piece(first + number * PIECE, examples))
                .collect();
            let of_pieces: Vec<&[f32]> = pieces.iter().map(|(_, piece)| &**piece).collect();
            add_in_order(values, &of_pieces);
            pieces.iter().for_each(|(of_piece, _)| loss += of_piece);
        }
        self.hand_to_features(inputs, values);
        Ok(loss / part.samples.max(1) as f64)
    }

    /// Hands the gradients of the items' whole vectors on to what these are made of: features
    /// and the tower.
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

/// What all pieces of a step read.
struct Step<'a> {
    model: &'a NextItem,
    composed: Composed,
    /// `E`, for `g·E`.
    targets: Panels,
    /// `Aᵀ`, for `∂L/∂u·Aᵀ`.
    user: Panels,
    pairs: &'a dyn PairFeatures,
    number: u64,
    /// Its `samples` are `n`.
    part: StepPart,
}

impl<'a> Step<'a> {
    fn new(
        model: &'a NextItem,
        inputs: &ItemInputs<'_>,
        pairs: &'a dyn PairFeatures,
        number: u64,
        part: StepPart,
    ) -> Self {
        let config = &model.config;
        let composed = Composed::new(model, inputs);
        let mut targets = Panels::default();
        targets.fill((&composed.targets, config.dim), config.items, config.dim);
        let user = &model.parameters[model.layout.user.clone()];
        Self {
            model,
            composed,
            targets,
            user: Panels::of_transposed(user, config.bags.len() * config.dim, config.dim),
            pairs,
            number,
            part,
        }
    }

    /// Sum of the losses of a piece, whose first example is number `first` of the batch, and its
    /// gradients: those of the items' whole vectors in the place of their own.
    fn piece(&self, first: usize, examples: &[NextItemExample<'_>]) -> (f64, Vec<f32>) {
        let step = self.number;
        let drops = Some(Drops {
            step,
            first: self.part.first + first,
        });
        let mut piece = Piece {
            step: self,
            first,
            examples,
            users: UserSide::new(self.model, &self.composed, examples, drops),
            gradients: vec![0.0; self.model.parameters.len()],
            scratch: Vec::new(),
        };
        let (loss, of_scores) = piece.scores();
        let of_users = piece.targets_backward(&of_scores);
        let of_pooled = piece.user_backward(&of_users);
        piece.history_backward(&of_pooled);
        (loss, piece.gradients)
    }
}

/// A piece of a batch on its way down.
struct Piece<'a> {
    step: &'a Step<'a>,
    /// Number in the batch of the first example.
    first: usize,
    examples: &'a [NextItemExample<'a>],
    users: UserSide,
    /// Gradients of the parameters, summed over the piece.
    gradients: Vec<f32>,
    scratch: Vec<f32>,
}

impl Piece<'_> {
    /// Sum of the losses, and the scores' gradients, `g`; adds those of biases and features of
    /// pairs.
    fn scores(&mut self) -> (f64, Vec<f32>) {
        let Step {
            model,
            composed,
            pairs,
            ..
        } = self.step;
        let (layout, items) = (&model.layout, model.config.items);
        let mut scores = vec![0.0; self.examples.len() * items];
        model.score_users(composed, &self.users, &mut scores);
        let mut features = vec![0.0; model.config.pair_features * items];
        let (mut loss, scale) = (0.0, 1.0 / self.step.part.samples as f32);
        let rows = scores.chunks_exact_mut(items).zip(self.examples);
        for (number, (scores, example)) in (self.first..).zip(rows) {
            pairs.fill(number, &mut features);
            model.add_bias_and_pairs(&features, scores);
            // What is rated twice has been seen and comes next.
            for &item in example.seen.iter().filter(|&&item| item != example.next) {
                scores[item as usize] = f32::NEG_INFINITY;
            }
            loss += softmax(scores, example.next as usize, scale);
            let of_pairs = self.gradients[layout.pairs.clone()].iter_mut();
            for (out, feature) in of_pairs.zip(features.chunks_exact(items)) {
                *out += dot(scores, feature);
            }
            let bias = self.gradients[layout.bias.clone()].iter_mut();
            bias.zip(&*scores).for_each(|(x, y)| *x += y);
        }
        (loss, scores)
    }

    /// From the scores' gradients, `g`, to the users', `∂L/∂u`; adds the targets', `∂L/∂E`.
    fn targets_backward(&mut self, of_scores: &[f32]) -> Vec<f32> {
        let model = self.step.model;
        let (items, dim) = (model.config.items, model.config.dim);
        let of_items = &mut self.gradients[model.layout.items.clone()];
        let users = copy_rows(&self.users.vectors, dim);
        add_transposed(of_items, of_scores, users, (items, dim), &mut self.scratch);

        let rows = self.examples.len();
        let mut of_users = vec![0.0; rows * dim];
        let (of_scores, out) = (copy_rows(of_scores, items), (&mut of_users[..], dim));
        let targets = &self.step.targets;
        targets.multiply(of_scores, rows, out, store(), &mut self.scratch);
        of_users
    }

    /// From the users' gradients, `∂L/∂u`, to those of what was pooled, `∂L/∂p`; adds those of
    /// moments, lengths and the user's layer, `∂L/∂A`.
    fn user_backward(&mut self, of_users: &[f32]) -> Vec<f32> {
        let model = self.step.model;
        let (rows, dim) = (self.examples.len(), model.config.dim);
        for (example, of_user) in self.examples.iter().zip(of_users.chunks_exact(dim)) {
            for row in model.layout.context(example, dim) {
                let out = &mut self.gradients[row];
                out.iter_mut().zip(of_user).for_each(|(x, y)| *x += y);
            }
        }
        let width = model.config.bags.len() * dim;
        let of_users = copy_rows(of_users, dim);
        let of_layer = &mut self.gradients[model.layout.user.clone()];
        let (pooled, sizes) = (&self.users.pooled, (width, dim));
        add_transposed(of_layer, pooled, of_users, sizes, &mut self.scratch);

        let mut of_pooled = vec![0.0; rows * width];
        let out = (&mut of_pooled[..], width);
        let user = &self.step.user;
        user.multiply(of_users, rows, out, store(), &mut self.scratch);
        of_pooled
            .iter_mut()
            .zip(&self.users.kept)
            .for_each(|(x, kept)| *x *= kept);
        of_pooled
    }

    /// Adds the gradients of the items' vectors as history, `∂L/∂H`, from those of what was
    /// pooled.
    fn history_backward(&mut self, of_pooled: &[f32]) {
        let NextItemConfig { dim, ref bags, .. } = self.step.model.config;
        let of_history = &mut self.gradients[self.step.model.layout.history_items.clone()];
        let mut weights = self.users.weights.iter();
        let rows = of_pooled.chunks_exact(bags.len() * dim);
        for (example, of_bags) in self.examples.iter().zip(rows) {
            for of_bag in of_bags.chunks_exact(dim) {
                for (&item, weight) in example.history.iter().zip(&mut weights) {
                    let out = &mut of_history[item as usize * dim..][..dim];
                    out.iter_mut()
                        .zip(of_bag)
                        .for_each(|(x, y)| *x += weight * y);
                }
            }
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
