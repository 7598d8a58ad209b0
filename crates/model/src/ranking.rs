//! All items for some users: what depends on one side alone is computed once.
//!
//! The first layer of the top MLP is linear in what the vectors interact to.
//! Numbers that come from the user alone, or from the item alone, contribute
//! the same to it whoever they meet; for a pair there remain the products of a
//! user's vectors with an item's, their part of the first layer, and the layers
//! behind it.

use mmdlrm_kernels::{Panels, copy_rows, dispatch, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::config::{Activation, Interaction, Side};
use crate::forward::{PIECE, Pass, PieceBuffers};
use crate::interaction::pair;
use crate::mlp::Layer;
use crate::{Batch, Dlrm, Error, Result};

/// Items that are scored for all users before the next: what is kept of them
/// stays in the second-level cache.
const BLOCK: usize = 256;
/// Registers of items that the layers work on at a time.
const REGISTERS: usize = 2;
/// Outputs of a layer that are computed at a time.
const OUTPUTS: usize = 4;

/// What [`Dlrm::items`] computed.
#[derive(Debug, Clone)]
pub struct Items {
    count: usize,
    blocks: Vec<Block>,
}

impl Items {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Up to [`BLOCK`] items.
#[derive(Debug, Clone)]
struct Block {
    count: usize,
    /// For each vector of the items' side, `[dim, count]`.
    vectors: Vec<Panels>,
    /// Their part of the first layer, `[outputs, BLOCK]`.
    fixed: Vec<f32>,
}

/// What a side contributes, for some samples.
struct SideParts {
    /// Its vectors, `[samples, slots of the side × dim]`.
    vectors: Vec<f32>,
    /// Its part of the first layer, `[samples, outputs]`, without bias.
    fixed: Vec<f32>,
}

/// The model as ranking reads it.
struct Scorer<'a> {
    model: &'a Dlrm,
    /// Slots of the users and of the items that meet in products.
    user_slots: usize,
    item_slots: usize,
    /// What the first layer makes of those products, `[outputs, users × items]`.
    crossing: Vec<f32>,
}

impl Dlrm {
    /// Computes once what depends on the items alone. The samples of
    /// `catalogue` are the items; inputs of other sides are not read and may be
    /// empty, but for the columns of [`Batch::dense`].
    ///
    /// # Errors
    /// A batch that does not fit the configuration, or inputs that describe
    /// pairs.
    pub fn items(&self, catalogue: &Batch) -> Result<Items> {
        let parts = self.side_parts(catalogue, Side::Item)?;
        let outputs = self.layout.top.layers[0].outputs;
        let count = parts.fixed.len() / outputs;
        let (dim, slots) = (self.config.dim, self.crossing_slots(Side::Item).len());
        let blocks = (0..count).into_par_iter().step_by(BLOCK).map(|first| {
            let count = BLOCK.min(count - first);
            let panels = |slot: usize| {
                let mut panels = Panels::default();
                let vectors = &parts.vectors[(first * slots + slot) * dim..];
                panels.fill_transposed((vectors, slots * dim), count, dim);
                panels
            };
            let mut fixed = vec![0.0; outputs * BLOCK];
            for (item, values) in parts.fixed[first * outputs..]
                .chunks_exact(outputs)
                .take(count)
                .enumerate()
            {
                for (output, &value) in values.iter().enumerate() {
                    fixed[output * BLOCK + item] = value;
                }
            }
            Block {
                count,
                vectors: (0..slots).map(panels).collect(),
                fixed,
            }
        });
        Ok(Items {
            count,
            blocks: blocks.collect(),
        })
    }

    /// Scores every item for some users, `[users, items]`, in the unit of the
    /// targets. The samples of `users` are the users; inputs of other sides are
    /// not read and may be empty, but for the columns of [`Batch::dense`]. The
    /// scores are [`Self::predict`]'s within rounding.
    ///
    /// `items` must come from the model as it is now.
    ///
    /// # Errors
    /// A batch that does not fit the configuration, or inputs that describe
    /// pairs ([`DlrmConfig::pair_inputs`](crate::DlrmConfig::pair_inputs)).
    ///
    /// ```
    /// use mmdlrm_model::{Bags, Batch, BottomConfig, Dlrm, DlrmConfig, Side, TableConfig, top_k};
    ///
    /// let config = DlrmConfig {
    ///     dim: 8,
    ///     bottoms: vec![BottomConfig::new(Side::User, 0..1, vec![8])],
    ///     tables: vec![
    ///         TableConfig::new("user", 2, Side::User),
    ///         TableConfig::new("movie", 3, Side::Item),
    ///     ],
    ///     ..DlrmConfig::default()
    /// };
    /// let model = Dlrm::new(config, 42)?;
    /// let no_bags = Bags::Single(&[]);
    /// let movies = Bags::Single(&[0, 1, 2]);
    /// let catalogue = Batch { dense: &[0.0; 3], bags: &[no_bags, movies], modalities: &[] };
    /// let items = model.items(&catalogue)?;
    ///
    /// let users = Bags::Single(&[1, 0]);
    /// let users = Batch { dense: &[0.5, -0.5], bags: &[users, no_bags], modalities: &[] };
    /// let mut scores = Vec::new();
    /// model.score_items(&items, &users, &mut scores)?;
    /// let best = top_k(&scores[..3], 1, &[]);
    /// assert_eq!(scores[best[0].0 as usize], scores[..3].iter().copied().fold(f32::MIN, f32::max));
    /// # Ok::<(), mmdlrm_model::Error>(())
    /// ```
    pub fn score_items(&self, items: &Items, users: &Batch, scores: &mut Vec<f32>) -> Result<()> {
        let parts = self.side_parts(users, Side::User)?;
        let scorer = Scorer::new(self);
        let count = parts.fixed.len() / self.layout.top.layers[0].outputs;
        scores.resize(count * items.count, 0.0);
        if scores.is_empty() {
            return Ok(());
        }
        let mut of_users: Vec<_> = scores
            .chunks_exact_mut(items.count)
            .map(|scores| scores.chunks_mut(BLOCK))
            .collect();
        let tasks: Vec<(&Block, Vec<&mut [f32]>)> = items
            .blocks
            .iter()
            .map(|block| {
                let outs = of_users.iter_mut().filter_map(Iterator::next);
                (block, outs.collect())
            })
            .collect();
        tasks
            .into_par_iter()
            .for_each_init(Buffers::default, |buffers, (block, mut outs)| {
                scorer.score(&parts, block, &mut outs, buffers);
            });
        Ok(())
    }

    /// Vectors of a side and what the first layer makes of them alone.
    fn side_parts(&self, batch: &Batch, side: Side) -> Result<SideParts> {
        let inputs = self.config.pair_inputs();
        if !inputs.is_empty() {
            return Err(Error::PairInputs { inputs });
        }
        let samples = batch.check_sides(&self.config, |of| of == side)?;
        let prepared = self.prepare(batch, Some(side));
        let run = Pass {
            model: self,
            packed: &prepared.packed,
            batch,
            towered: &prepared.towered,
            sums: &prepared.sums,
            dropout: None,
            only: Some(side),
        };
        let slots = self.crossing_slots(side);
        let (outputs, width) = (
            self.layout.top.layers[0].outputs,
            slots.len() * self.config.dim,
        );
        let mut parts = SideParts {
            vectors: vec![0.0; samples * width],
            fixed: vec![0.0; samples * outputs],
        };
        // A side may have no slot that crosses.
        let vectors: Vec<&mut [f32]> = match width {
            0 => parts
                .fixed
                .chunks(PIECE * outputs)
                .map(|_| &mut [][..])
                .collect(),
            _ => parts.vectors.chunks_mut(PIECE * width).collect(),
        };
        let pieces = parts.fixed.par_chunks_mut(PIECE * outputs).zip(vectors);
        pieces.enumerate().for_each_init(
            || (PieceBuffers::default(), Vec::new()),
            |(piece, scratch), (number, (fixed, vectors))| {
                let first = number * PIECE;
                run.fill_rows(first..first + fixed.len() / outputs, piece);
                run.interact(piece);
                // Vectors of the other side are 0, and so are the products.
                prepared.packed.top[0].multiply(
                    copy_rows(&piece.interacted, self.layout.interaction_width),
                    fixed.len() / outputs,
                    (fixed, outputs),
                    scratch,
                );
                let rows = piece.rows.chunks_exact(self.layout.row_width);
                let wanted = rows.flat_map(|row| slots.iter().map(|slot| &row[slot.clone()]));
                let dim = self.config.dim;
                for (out, vector) in vectors.chunks_exact_mut(dim).zip(wanted) {
                    out.copy_from_slice(vector);
                }
            },
        );
        Ok(parts)
    }

    /// Columns of the vectors of a side that meet those of the other.
    fn crossing_slots(&self, side: Side) -> Vec<std::ops::Range<usize>> {
        let of_side = self.side_slots(side).into_iter();
        of_side
            .map(|slot| self.layout.slots[slot].clone())
            .collect()
    }

    fn side_slots(&self, side: Side) -> Vec<usize> {
        let sides = self.config.sides();
        match self.config.interaction {
            Interaction::Cat => Vec::new(),
            Interaction::Dot { .. } => (0..sides.len()).filter(|&i| sides[i] == side).collect(),
        }
    }
}

/// Buffers of a thread.
#[derive(Default)]
struct Buffers {
    /// `[item slots, users, user slots, BLOCK]`.
    products: Vec<f32>,
    /// Outputs of one layer and of the next, `[outputs, items at a time]`.
    layers: [Vec<f32>; 2],
    scratch: Vec<f32>,
}

impl<'a> Scorer<'a> {
    fn new(model: &'a Dlrm) -> Self {
        let (users, items) = (model.side_slots(Side::User), model.side_slots(Side::Item));
        let itself = model.config.interaction == Interaction::Dot { itself: true };
        let layer = &model.layout.top.layers[0];
        let first = model.layout.bottom_width();
        let columns: Vec<usize> = items
            .iter()
            .flat_map(|&item| {
                users
                    .iter()
                    .filter_map(move |&user| pair(user, item, itself))
            })
            .map(|pair| first + pair)
            .collect();
        let weight = &model.parameters.dense[layer.start..layer.bias_start()];
        let crossing = weight
            .chunks_exact(layer.inputs)
            .flat_map(|row| columns.iter().map(|&column| row[column]))
            .collect();
        Self {
            model,
            user_slots: users.len(),
            item_slots: items.len(),
            crossing,
        }
    }

    /// Scores a block of items for all users, one of `outs` each.
    fn score(
        &self,
        users: &SideParts,
        block: &Block,
        outs: &mut [&mut [f32]],
        buffers: &mut Buffers,
    ) {
        let dim = self.model.config.dim;
        let rows = outs.len() * self.user_slots;
        buffers.products.resize(self.item_slots * rows * BLOCK, 0.0);
        for (panels, out) in block
            .vectors
            .iter()
            .zip(buffers.products.chunks_exact_mut((rows * BLOCK).max(1)))
        {
            let (vectors, out) = (copy_rows(&users.vectors, dim), (out, BLOCK));
            panels.multiply(vectors, rows, out, store(), &mut buffers.scratch);
        }
        dispatch(Layers {
            scorer: self,
            users,
            block,
            outs,
            buffers,
        });
    }
}

/// The layers of the top MLP, items side by side in the registers.
struct Layers<'a, 'o> {
    scorer: &'a Scorer<'a>,
    users: &'a SideParts,
    block: &'a Block,
    outs: &'a mut [&'o mut [f32]],
    buffers: &'a mut Buffers,
}

impl WithSimd for Layers<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let model = self.scorer.model;
        let parameters = &model.parameters.dense;
        let (first, behind) = match model.layout.top.layers.split_first() {
            Some(layers) => layers,
            None => return,
        };
        let step = REGISTERS * S::F32_LANES;
        let (user_slots, users) = (self.scorer.user_slots, self.outs.len());
        let crossing = self.scorer.item_slots * user_slots;
        let bias = &parameters[first.bias_start()..first.end()];
        let products = |item_slot: usize, user: usize, user_slot: usize, item: usize| {
            let row = (item_slot * users + user) * user_slots + user_slot;
            &self.buffers.products[row * BLOCK + item..][..step]
        };
        let [layer, next] = &mut self.buffers.layers;
        let mut met = Vec::with_capacity(crossing * step);
        for (user, out) in self.outs.iter_mut().enumerate() {
            let of_user = &self.users.fixed[user * first.outputs..][..first.outputs];
            for item in (0..self.block.count).step_by(step) {
                met.clear();
                for item_slot in 0..self.scorer.item_slots {
                    for user_slot in 0..user_slots {
                        met.extend_from_slice(products(item_slot, user, user_slot, item));
                    }
                }
                let fixed = |output: usize| &self.block.fixed[output * BLOCK + item..][..step];
                let start = |output: usize| of_user[output] + bias[output];
                let weights = &self.scorer.crossing;
                dense(simd, first, weights, start, Some(fixed), &met, layer);
                for next_layer in behind {
                    let bias = &parameters[next_layer.bias_start()..next_layer.end()];
                    let weights = &parameters[next_layer.start..next_layer.bias_start()];
                    let start = |output: usize| bias[output];
                    let none = None::<fn(usize) -> &'static [f32]>;
                    dense(simd, next_layer, weights, start, none, layer, next);
                    std::mem::swap(layer, next);
                }
                let count = step.min(self.block.count - item);
                model.write_predictions(&layer[..count], &mut out[item..item + count]);
            }
        }
    }
}

/// A layer over items side by side: `[inputs, items]` to `[outputs, items]`.
/// An output begins at `start(output)`, plus `fixed(output)` for each item.
#[inline(always)]
fn dense<'a, S: Simd>(
    simd: S,
    layer: &Layer,
    weights: &[f32],
    start: impl Fn(usize) -> f32,
    fixed: Option<impl Fn(usize) -> &'a [f32]>,
    input: &[f32],
    out: &mut Vec<f32>,
) {
    let step = REGISTERS * S::F32_LANES;
    out.resize(layer.outputs * step, 0.0);
    let inputs = weights.len() / layer.outputs;
    let (input, _) = S::as_simd_f32s(&input[..inputs * step]);
    let (input, _) = input.as_chunks::<REGISTERS>();
    let relu = layer.activation == Activation::Relu;
    let zero = simd.splat_f32s(0.0);
    for (task, out) in out.chunks_mut(OUTPUTS * step).enumerate() {
        let first = task * OUTPUTS;
        let count = out.len() / step;
        let mut sums = [[zero; REGISTERS]; OUTPUTS];
        for (number, sums) in sums[..count].iter_mut().enumerate() {
            *sums = [simd.splat_f32s(start(first + number)); REGISTERS];
            if let Some(fixed) = &fixed {
                let (fixed, _) = S::as_simd_f32s(fixed(first + number));
                for (sum, fixed) in sums.iter_mut().zip(fixed) {
                    *sum = simd.add_f32s(*sum, *fixed);
                }
            }
        }
        let row = |number: usize| &weights[(first + number) * inputs..][..inputs];
        if count == OUTPUTS {
            let rows: [&[f32]; OUTPUTS] = std::array::from_fn(row);
            for (i, x) in input.iter().enumerate() {
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let weight = simd.splat_f32s(row[i]);
                    for (sum, x) in sums.iter_mut().zip(x) {
                        *sum = simd.mul_add_e_f32s(weight, *x, *sum);
                    }
                }
            }
        } else {
            for (number, sums) in sums[..count].iter_mut().enumerate() {
                for (weight, x) in row(number).iter().zip(input) {
                    let weight = simd.splat_f32s(*weight);
                    for (sum, x) in sums.iter_mut().zip(x) {
                        *sum = simd.mul_add_e_f32s(weight, *x, *sum);
                    }
                }
            }
        }
        let (out, _) = S::as_mut_simd_f32s(out);
        for (out, sum) in out.iter_mut().zip(sums.as_flattened()) {
            *out = if relu {
                // Written so that NaN stays NaN.
                simd.select_f32s(simd.less_than_f32s(*sum, zero), zero, *sum)
            } else {
                *sum
            };
        }
    }
}

/// The `k` highest of `scores` but those in `excluded`, best first; of equal
/// scores the first comes first, and NaN last.
///
/// ```
/// let scores = [0.5, 2.0, 1.0, 2.0];
/// assert_eq!(mmdlrm_model::top_k(&scores, 2, &[1]), [(3, 2.0), (2, 1.0)]);
/// ```
pub fn top_k(scores: &[f32], k: usize, excluded: &[u32]) -> Vec<(u32, f32)> {
    let mut excluded = excluded.to_vec();
    excluded.sort_unstable();
    let mut excluded = excluded.into_iter().peekable();
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(k.min(scores.len()) + 1);
    // NaN is below all: no comparison with it is true.
    let beats = |a: f32, b: f32| a > b || b.is_nan() && !a.is_nan();
    for (item, &score) in (0u32..).zip(scores) {
        if best.len() == k && !best.last().is_some_and(|&(_, worst)| beats(score, worst)) {
            continue;
        }
        while excluded.next_if(|&excluded| excluded < item).is_some() {}
        if excluded.peek() == Some(&item) {
            continue;
        }
        let place = best.partition_point(|&(_, other)| !beats(score, other));
        best.insert(place, (item, score));
        best.truncate(k);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_found_in_order() {
        let scores = [1.0, f32::NAN, 3.0, 2.0, 3.0];
        assert_eq!(top_k(&scores, 3, &[]), [(2, 3.0), (4, 3.0), (3, 2.0)]);
        assert_eq!(top_k(&scores, 2, &[4, 2]), [(3, 2.0), (0, 1.0)]);
        assert_eq!(top_k(&scores, 0, &[]), []);
        let all = top_k(&scores, 9, &[0]);
        assert_eq!(all.iter().map(|x| x.0).collect::<Vec<_>>(), [2, 4, 3, 1]);
    }
}
