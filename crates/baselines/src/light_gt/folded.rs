//! The layers of a head, multiplied together where nothing but their product matters.
//!
//! ```text
//! ⟨W_q·a + b_q, W_k·b + b_k⟩ / (100·√D) = ⟨QKᵀ·a + u, b⟩ + what no b changes
//!     QK = W_qᵀ·W_k / (100·√D),  u = W_kᵀ·b_q / (100·√D)
//! W_o·(W_v·x + b_v) = OV·x + v
//!     OV = W_o·W_v,  v = W_o·b_v
//! ```
//!
//! A softmax over `b` does not see what no `b` changes, so that `b_k` has no gradient. Products of
//! places, of which there are tens of thousands in a step, are two in place of four then.

use mmdlrm_kernels::{Finish, Panels, add_scaled, add_transposed, copy_rows, store};

use super::LightGtConfig;
use super::shape::{EncoderShape, HeadShape};
use crate::linear::Linear;
use crate::parameters::{Matrix, Parameters};

/// What is done to a score before the softmax, beside `1/√D`.
const SCALE: f32 = 0.01;

/// `QK`, `u`, `OV` and `v` of a head, of which the authors have four layers.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoldedHead {
    pub qk: Matrix,
    pub qk_bias: Matrix,
    pub ov: Matrix,
    pub ov_bias: Matrix,
}

#[derive(Debug, Clone)]
pub(super) struct FoldedBlock {
    pub heads: Vec<FoldedHead>,
    /// The sum of the heads' last biases.
    pub bias: Matrix,
    /// Of the layer's norm.
    pub scale: Matrix,
    pub shift: Matrix,
}

/// Where what a modality's blocks compute with stands in one piece, and its gradients in another.
#[derive(Debug, Clone)]
pub(super) struct Folded {
    pub dim: usize,
    pub blocks: Vec<FoldedBlock>,
    pub dense: Linear,
    /// How many numbers there are in a piece.
    count: usize,
}

impl Folded {
    pub fn new(config: &LightGtConfig) -> Self {
        let dim = config.dim;
        let mut all = Parameters::default();
        let mut add = |rows| all.add(String::new(), rows, dim);
        let mut block = || FoldedBlock {
            heads: (0..config.heads)
                .map(|_| FoldedHead {
                    qk: add(dim),
                    qk_bias: add(1),
                    ov: add(dim),
                    ov_bias: add(1),
                })
                .collect(),
            bias: add(1),
            scale: add(1),
            shift: add(1),
        };
        let blocks = (0..config.blocks).map(|_| block()).collect();
        let dense = Linear {
            weight: add(dim),
            bias: add(1),
        };
        Self {
            dim,
            blocks,
            dense,
            count: all.count(),
        }
    }

    /// Room for gradients: zeros.
    pub fn zeros(&self) -> Vec<f32> {
        vec![0.0; self.count]
    }

    /// Of the parameters.
    pub fn fold(&self, shape: &EncoderShape, parameters: &[f32]) -> Vec<f32> {
        let mut values = self.zeros();
        let copied = |from: Matrix, to: Matrix, values: &mut [f32]| {
            to.of_mut(values).copy_from_slice(from.of(parameters));
        };
        for (block, folded) in shape.blocks.iter().zip(&self.blocks) {
            copied(block.scale, folded.scale, &mut values);
            copied(block.shift, folded.shift, &mut values);
            for (head, to) in block.heads.iter().zip(&folded.heads) {
                let bias = head.out.bias.of(parameters);
                add_scaled(folded.bias.of_mut(&mut values), bias, 1.0);
                self.fold_head(head, to, parameters, &mut values);
            }
        }
        copied(shape.dense.weight, self.dense.weight, &mut values);
        copied(shape.dense.bias, self.dense.bias, &mut values);
        values
    }

    fn fold_head(&self, head: &HeadShape, to: &FoldedHead, parameters: &[f32], out: &mut [f32]) {
        let dim = self.dim;
        let weight = |layer: Linear| layer.weight.of(parameters);
        let scratch = &mut Vec::new();
        let keys = copy_rows(weight(head.key), dim);
        add_transposed(
            to.qk.of_mut(out),
            weight(head.query),
            keys,
            (dim, dim),
            scratch,
        );
        let bias = head.query.bias.of(parameters);
        add_transposed(to.qk_bias.of_mut(out), bias, keys, (1, dim), scratch);
        for matrix in [to.qk, to.qk_bias] {
            let scale = self.scale();
            matrix.of_mut(out).iter_mut().for_each(|x| *x *= scale);
        }
        let rows = copy_rows(weight(head.out), dim);
        let mut panels = Panels::default();
        panels.fill((weight(head.value), dim), dim, dim);
        panels.multiply(rows, dim, (to.ov.of_mut(out), dim), store(), scratch);
        panels.fill((head.value.bias.of(parameters), 1), dim, 1);
        panels.multiply(rows, dim, (to.ov_bias.of_mut(out), 1), store(), scratch);
    }

    /// Adds gradients of the parameters, of those of what was made of them.
    pub fn unfold(
        &self,
        shape: &EncoderShape,
        parameters: &[f32],
        folded: &[f32],
        gradients: &mut [f32],
    ) {
        let mut add = |from: Matrix, to: Matrix| {
            add_scaled(to.of_mut(gradients), from.of(folded), 1.0);
        };
        add(self.dense.weight, shape.dense.weight);
        add(self.dense.bias, shape.dense.bias);
        for (block, of_block) in shape.blocks.iter().zip(&self.blocks) {
            add(of_block.scale, block.scale);
            add(of_block.shift, block.shift);
            for head in &block.heads {
                add(of_block.bias, head.out.bias);
            }
        }
        for (block, of_block) in shape.blocks.iter().zip(&self.blocks) {
            for (head, of_head) in block.heads.iter().zip(&of_block.heads) {
                self.unfold_qk(head, of_head, (parameters, folded), gradients);
                self.unfold_ov(head, of_head, (parameters, folded), gradients);
            }
        }
    }

    /// With `s = 1/(100·√D)`: `dW_q = s·W_k·dQKᵀ`, `db_q = s·W_k·du`,
    /// `dW_k = s·(W_q·dQK + b_q·duᵀ)`.
    fn unfold_qk(
        &self,
        head: &HeadShape,
        of: &FoldedHead,
        (parameters, folded): (&[f32], &[f32]),
        gradients: &mut [f32],
    ) {
        let (dim, scale, scratch) = (self.dim, self.scale(), &mut Vec::new());
        let scaled =
            |matrix: Matrix| -> Vec<f32> { matrix.of(folded).iter().map(|x| scale * x).collect() };
        let (qk, bias) = (scaled(of.qk), scaled(of.qk_bias));
        let queries = copy_rows(head.query.weight.of(parameters), dim);
        let keys = copy_rows(head.key.weight.of(parameters), dim);
        let mut panels = Panels::of_transposed(&qk, dim, dim);
        let out = head.query.weight.of_mut(gradients);
        panels.multiply(keys, dim, (out, dim), added(), scratch);
        panels.fill((&qk, dim), dim, dim);
        let out = head.key.weight.of_mut(gradients);
        panels.multiply(queries, dim, (out, dim), added(), scratch);
        for (row, &x) in out
            .chunks_exact_mut(dim)
            .zip(head.query.bias.of(parameters))
        {
            add_scaled(row, &bias, x);
        }
        panels.fill((&bias, 1), dim, 1);
        let out = head.query.bias.of_mut(gradients);
        panels.multiply(keys, dim, (out, 1), added(), scratch);
    }

    /// `dW_o = dOV·W_vᵀ + dv·b_vᵀ`, `dW_v = W_oᵀ·dOV`, `db_v = W_oᵀ·dv`.
    fn unfold_ov(
        &self,
        head: &HeadShape,
        of: &FoldedHead,
        (parameters, folded): (&[f32], &[f32]),
        gradients: &mut [f32],
    ) {
        let (dim, scratch) = (self.dim, &mut Vec::new());
        let (ov, bias) = (of.ov.of(folded), of.ov_bias.of(folded));
        let out_layer = head.out.weight.of(parameters);
        let out = head.out.weight.of_mut(gradients);
        let panels = Panels::of_transposed(head.value.weight.of(parameters), dim, dim);
        panels.multiply(copy_rows(ov, dim), dim, (out, dim), added(), scratch);
        for (row, &x) in out.chunks_exact_mut(dim).zip(bias) {
            add_scaled(row, head.value.bias.of(parameters), x);
        }
        let out = head.value.weight.of_mut(gradients);
        add_transposed(out, out_layer, copy_rows(ov, dim), (dim, dim), scratch);
        let out = head.value.bias.of_mut(gradients);
        add_transposed(out, out_layer, copy_rows(bias, 1), (dim, 1), scratch);
    }

    fn scale(&self) -> f32 {
        SCALE / (self.dim as f32).sqrt()
    }
}

/// The product is added to what is there.
pub(super) fn added() -> Finish<'static, impl Fn(usize, usize, &mut [f32])> {
    Finish::new(
        None,
        true,
        #[inline(always)]
        |_, _, _| {},
    )
}

/// The product, and a bias.
pub(super) fn with_bias(bias: &[f32]) -> Finish<'_, impl Fn(usize, usize, &mut [f32])> {
    Finish::new(
        Some(bias),
        false,
        #[inline(always)]
        |_, _, _| {},
    )
}

/// What a modality's blocks multiply by, as products read it, forwards and back.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    pub heads: Vec<Vec<HeadWeights>>,
    pub dense: Panels,
    pub dense_back: Panels,
    pub values: Vec<f32>,
}

/// Of a head; `qk_back` multiplies by `QKᵀ`.
#[derive(Debug, Clone)]
pub(super) struct HeadWeights {
    pub qk: Panels,
    pub qk_back: Panels,
    pub ov: Panels,
    pub ov_back: Panels,
}

impl Weights {
    /// Of what [`Folded::fold`] makes.
    pub fn new(folded: &Folded, values: Vec<f32>) -> Self {
        let dim = folded.dim;
        let transposed = |matrix: Matrix| Panels::of_transposed(matrix.of(&values), dim, dim);
        let as_it_is = |matrix: Matrix| {
            let mut panels = Panels::default();
            panels.fill((matrix.of(&values), dim), dim, dim);
            panels
        };
        let of_head = |head: &FoldedHead| HeadWeights {
            qk: as_it_is(head.qk),
            qk_back: transposed(head.qk),
            ov: transposed(head.ov),
            ov_back: as_it_is(head.ov),
        };
        let of_block = |block: &FoldedBlock| block.heads.iter().map(of_head).collect();
        Self {
            heads: folded.blocks.iter().map(of_block).collect(),
            dense: transposed(folded.dense.weight),
            dense_back: as_it_is(folded.dense.weight),
            values,
        }
    }
}
