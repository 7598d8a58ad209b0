//! Scores of all items for some users: what depends on one side alone is computed once.
//!
//! A user has vectors `u_s`, an item vectors `v_t`. What they interact to is what comes from the
//! user alone, `x(u)`, what comes from the item alone, `x(i)`, and the products of the one's
//! vectors with the other's. The first layer of the top MLP is linear in it, so that it is a sum
//! of terms:
//!
//! ```text
//! h(u, i) = act( U·x(u) + I·x(i) + P·[⟨u_s, v_t⟩] + b )
//!                user's   item's   product
//!                term     term     weights
//! ```
//!
//! `U`, `I` and `P` are columns of that layer's weight, `[outputs, inputs]`. The item's term is
//! computed once a catalogue, the user's once a user; for a pair there remain the products,
//! their part of the first layer, and the layers behind it.

use std::ops::Range;

use mmdlrm_kernels::{Panels, copy_rows, dispatch, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::config::{Activation, Interaction, Side};
use crate::forward::{PIECE, Pass, PieceBuffers};
use crate::interaction::pair;
use crate::mlp::Layer;
use crate::{Dlrm, Error, Inputs, Result};

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
    /// For each slot of the items' side the vectors there, `v_t`, `[dim, count]`.
    vectors: Vec<Panels>,
    /// The items' terms of the first layer, `I·x(i)`, `[outputs, BLOCK]`.
    terms: Vec<f32>,
}

/// What a side contributes, for some samples.
struct SideTerms {
    /// Vectors of the side, `[samples, slots of the side × dim]`.
    vectors: Vec<f32>,
    /// Terms of the first layer, `U·x(u)` or `I·x(i)`, `[samples, outputs]`.
    terms: Vec<f32>,
}

/// The model as ranking reads it.
struct PairScorer<'a> {
    model: &'a Dlrm,
    /// Number of the users' vectors that are multiplied with the items'.
    user_slots: usize,
    /// Number of the items' vectors.
    item_slots: usize,
    /// Weights of the products in the first layer, `P`,
    /// `[outputs, item slots × user slots]`.
    product_weights: Vec<f32>,
}

impl Dlrm {
    /// Computes once what depends on the items alone. The samples of
    /// `catalogue` are the items; inputs of other sides are not read and may be
    /// empty, but for the columns of [`Inputs::dense`].
    ///
    /// # Errors
    /// A batch that does not fit the configuration, or inputs that describe
    /// pairs.
    pub fn items(&self, catalogue: &Inputs) -> Result<Items> {
        let SideTerms { vectors, terms } = self.side_terms(catalogue, Side::Item)?;
        let outputs = self.layout.top.layers[0].outputs;
        let count = terms.len() / outputs;
        let (dim, slots) = (self.config.dim, self.product_slots(Side::Item).len());
        let blocks = (0..count).into_par_iter().step_by(BLOCK).map(|first| {
            let count = BLOCK.min(count - first);
            let panels = |slot: usize| {
                let mut panels = Panels::default();
                let vectors = &vectors[(first * slots + slot) * dim..];
                panels.fill_transposed((vectors, slots * dim), count, dim);
                panels
            };
            Block {
                count,
                vectors: (0..slots).map(panels).collect(),
                terms: side_by_side(&terms[first * outputs..][..count * outputs], outputs),
            }
        });
        Ok(Items {
            count,
            blocks: blocks.collect(),
        })
    }

    /// Scores every item for some users, `[users, items]`, in the unit of the
    /// targets. The samples of `users` are the users; inputs of other sides are
    /// not read and may be empty, but for the columns of [`Inputs::dense`]. The
    /// scores are [`Self::predict`]'s within rounding.
    ///
    /// `items` must come from the model as it is now.
    ///
    /// # Errors
    /// A batch that does not fit the configuration, or inputs that describe
    /// pairs ([`DlrmConfig::pair_inputs`](crate::DlrmConfig::pair_inputs)).
    ///
    /// ```
    /// use mmdlrm_model::{TableInput, Inputs, BottomConfig, Dlrm, DlrmConfig, Side, TableConfig, top_k};
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
    /// let no_bags = TableInput::Single(&[]);
    /// let movies = TableInput::Single(&[0, 1, 2]);
    /// let catalogue = Inputs { dense: &[0.0; 3], tables: &[no_bags, movies], modalities: &[] };
    /// let items = model.items(&catalogue)?;
    ///
    /// let users = TableInput::Single(&[1, 0]);
    /// let users = Inputs { dense: &[0.5, -0.5], tables: &[users, no_bags], modalities: &[] };
    /// let mut scores = Vec::new();
    /// model.score_items(&items, &users, &mut scores)?;
    /// let best = top_k(&scores[..3], 1, &[]);
    /// assert_eq!(scores[best[0].0 as usize], scores[..3].iter().copied().fold(f32::MIN, f32::max));
    /// # Ok::<(), mmdlrm_model::Error>(())
    /// ```
    pub fn score_items(&self, items: &Items, users: &Inputs, scores: &mut Vec<f32>) -> Result<()> {
        let side = self.side_terms(users, Side::User)?;
        let scorer = PairScorer::new(self);
        let count = side.terms.len() / self.layout.top.layers[0].outputs;
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
                scorer.score(&side, block, &mut outs, buffers);
            });
        Ok(())
    }

    /// Vectors of a side and its terms of the first layer.
    fn side_terms(&self, batch: &Inputs, side: Side) -> Result<SideTerms> {
        let inputs = self.config.pair_inputs();
        if !inputs.is_empty() {
            return Err(Error::PairInputs { inputs });
        }
        let samples = batch.check_sides(&self.config, |of| of == side)?;
        let prepared = self.prepare(batch, Some(side))?;
        let pass = prepared.pass(self, batch, Some(side));
        let slots = self.product_slots(side);
        let outputs = self.layout.top.layers[0].outputs;
        let width = slots.len() * self.config.dim;
        let mut found = SideTerms {
            vectors: vec![0.0; samples * width],
            terms: vec![0.0; samples * outputs],
        };
        let terms = found.terms.par_chunks_mut(PIECE * outputs);
        // A side may have no vector that is multiplied with the other's.
        let vectors: Vec<&mut [f32]> = match width {
            0 => (0..terms.len()).map(|_| &mut [][..]).collect(),
            _ => found.vectors.chunks_mut(PIECE * width).collect(),
        };
        terms.zip(vectors).enumerate().for_each_init(
            || (PieceBuffers::default(), Vec::new()),
            |(piece, scratch), (number, (terms, vectors))| {
                let first = number * PIECE;
                pass.fill_rows(first..first + terms.len() / outputs, piece);
                pass.write_terms(piece, terms, scratch);
                let rows = piece.rows.chunks_exact(self.layout.row_width);
                let wanted = rows.flat_map(|row| slots.iter().map(|slot| &row[slot.clone()]));
                let dim = self.config.dim;
                for (out, vector) in vectors.chunks_exact_mut(dim).zip(wanted) {
                    out.copy_from_slice(vector);
                }
            },
        );
        Ok(found)
    }

    /// Columns of the vectors of a side that are multiplied with those of the other.
    fn product_slots(&self, side: Side) -> Vec<Range<usize>> {
        let of_side = self.side_slots(side).into_iter();
        of_side
            .map(|slot| self.layout.slots[slot].clone())
            .collect()
    }

    /// Numbers of these vectors among all.
    fn side_slots(&self, side: Side) -> Vec<usize> {
        let sides = self.config.sides();
        match self.config.interaction {
            Interaction::Cat => Vec::new(),
            Interaction::Dot { .. } => (0..sides.len()).filter(|&i| sides[i] == side).collect(),
        }
    }
}

impl Pass<'_> {
    /// A side's terms of the first layer, `[rows, outputs]`, from rows in which the vectors of
    /// the other side are 0, and so are the products with them.
    fn write_terms(&self, piece: &mut PieceBuffers, terms: &mut [f32], scratch: &mut Vec<f32>) {
        self.interact(piece);
        let outputs = self.model.layout.top.layers[0].outputs;
        self.packed.top[0].multiply(
            copy_rows(&piece.interacted, self.model.layout.interaction_width),
            terms.len() / outputs,
            (terms, outputs),
            scratch,
        );
    }
}

/// From the terms of a block's items, `[count, outputs]`, to `[outputs, BLOCK]`.
fn side_by_side(terms: &[f32], outputs: usize) -> Vec<f32> {
    let mut out = vec![0.0; outputs * BLOCK];
    for (item, terms) in terms.chunks_exact(outputs).enumerate() {
        for (output, &term) in terms.iter().enumerate() {
            out[output * BLOCK + item] = term;
        }
    }
    out
}

/// Buffers of a thread.
#[derive(Default)]
struct Buffers {
    /// `⟨u_s, v_t⟩` of all users with a block, `[item slots, users, user slots, BLOCK]`.
    products: Vec<f32>,
    /// `⟨u_s, v_t⟩` of one user with the items at hand,
    /// `[item slots × user slots, items at a time]`.
    products_of_user: Vec<f32>,
    /// Outputs of one layer and of the next, `[outputs, items at a time]`.
    layers: [Vec<f32>; 2],
    scratch: Vec<f32>,
}

impl<'a> PairScorer<'a> {
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
        let product_weights = weight
            .chunks_exact(layer.inputs)
            .flat_map(|row| columns.iter().map(|&column| row[column]))
            .collect();
        Self {
            model,
            user_slots: users.len(),
            item_slots: items.len(),
            product_weights,
        }
    }

    /// Scores a block of items for all users, one of `outs` each.
    fn score(
        &self,
        users: &SideTerms,
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
    scorer: &'a PairScorer<'a>,
    users: &'a SideTerms,
    block: &'a Block,
    outs: &'a mut [&'o mut [f32]],
    buffers: &'a mut Buffers,
}

impl WithSimd for Layers<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let PairScorer {
            model,
            user_slots,
            item_slots,
            ref product_weights,
        } = *self.scorer;
        let Buffers {
            products,
            products_of_user,
            layers: [layer, next],
            ..
        } = self.buffers;
        let parameters = &model.parameters.dense;
        let Some((first, behind)) = model.layout.top.layers.split_first() else {
            return;
        };
        let step = REGISTERS * S::F32_LANES;
        let users = self.outs.len();
        let outs = self.outs.iter_mut().enumerate();
        for ((user, out), user_terms) in outs.zip(self.users.terms.chunks_exact(first.outputs)) {
            for item in (0..self.block.count).step_by(step) {
                products_of_user.clear();
                for item_slot in 0..item_slots {
                    let start = (item_slot * users + user) * user_slots;
                    for row in start..start + user_slots {
                        let products = &products[row * BLOCK + item..][..step];
                        products_of_user.extend_from_slice(products);
                    }
                }
                let terms = Terms {
                    bias: &parameters[first.bias_start()..first.end()],
                    user: user_terms,
                    items: &self.block.terms[item..],
                };
                dense(simd, first, product_weights, terms, products_of_user, layer);
                for layer_behind in behind {
                    let weights = &parameters[layer_behind.start..layer_behind.bias_start()];
                    let bias = Bias(&parameters[layer_behind.bias_start()..layer_behind.end()]);
                    dense(simd, layer_behind, weights, bias, layer, next);
                    std::mem::swap(layer, next);
                }
                let count = step.min(self.block.count - item);
                model.write_predictions(&layer[..count], &mut out[item..item + count]);
            }
        }
    }
}

/// What the sums of a layer begin with.
trait Addends {
    /// One number for each of the items at hand.
    fn of_output<S: Simd>(&self, simd: S, output: usize) -> [S::f32s; REGISTERS];
}

/// `b`, the same for all items.
struct Bias<'a>(&'a [f32]);

impl Addends for Bias<'_> {
    #[inline(always)]
    fn of_output<S: Simd>(&self, simd: S, output: usize) -> [S::f32s; REGISTERS] {
        [simd.splat_f32s(self.0[output]); REGISTERS]
    }
}

/// `U·x(u) + b + I·x(i)`.
struct Terms<'a> {
    /// `b`, `[outputs]`.
    bias: &'a [f32],
    /// `U·x(u)`, `[outputs]`.
    user: &'a [f32],
    /// `I·x(i)` from the first item at hand on, `[outputs, BLOCK]`.
    items: &'a [f32],
}

impl Addends for Terms<'_> {
    #[inline(always)]
    fn of_output<S: Simd>(&self, simd: S, output: usize) -> [S::f32s; REGISTERS] {
        let mut sums = [simd.splat_f32s(self.user[output] + self.bias[output]); REGISTERS];
        let items = &self.items[output * BLOCK..][..REGISTERS * S::F32_LANES];
        let (items, _) = S::as_simd_f32s(items);
        for (sum, item) in sums.iter_mut().zip(items) {
            *sum = simd.add_f32s(*sum, *item);
        }
        sums
    }
}

/// `out = act(addends + W·input)` of a layer over items side by side, `[inputs, items]` to
/// `[outputs, items]`; `weights` is `W`, `[outputs, inputs]`.
#[inline(always)]
fn dense<S: Simd>(
    simd: S,
    layer: &Layer,
    weights: &[f32],
    addends: impl Addends,
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
            *sums = addends.of_output(simd, first + number);
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
