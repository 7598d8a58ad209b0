//! A sample through the blocks of a modality, and back.
//!
//! With `x`, `[n, D]`, of the user and the items of a sample, and `p` of their positions, block
//! after block:
//!
//! ```text
//! y = Σ_h A_h·v_h + b        by `x + p` and `x`, as `attention` has it
//! x ← scale·(y − mean)/√(variance + ε) + shift
//! g = leakyrelu(W'·x₀ + b')
//! ```
//!
//! Of the last block nothing but the user's place is read, `x₀`: there the means of `x` under the
//! weights go through `OV`, not each `x`.

mod back;

use mmdlrm_kernels::{add_scaled, dot, vectorize};

use super::attention::{HeadTrace, Scratch, attend};
use super::folded::{Folded, FoldedHead, HeadWeights, Weights, added, with_bias};
use super::lanes::{LANES, Lanes, length, wide};
use super::nodes::Nodes;
use super::norm::norm;
use super::rows::{each_row, gather, lines, room};
use super::softmax::{Dropout, key, softmax};

/// Slope of the leaky ReLU below 0.
const SLOPE: f32 = 0.01;

/// The blocks of a modality and what they are given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoder<'a> {
    pub folded: &'a Folded,
    pub weights: &'a Weights,
    pub nodes: &'a Nodes,
    pub dropout: Dropout,
}

/// What the way back needs again.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    /// Of each block but the last.
    blocks: Vec<BlockTrace>,
    /// Of what goes into each block, `x` and `x + p`, `[n, D]`.
    inputs: Vec<(Vec<f32>, Vec<f32>)>,
    last: Vec<LastHead>,
    /// Of the last block, `[D]`.
    normal: Vec<f32>,
    factor: f32,
    out: Vec<f32>,
    /// Before the leaky ReLU.
    dense: Vec<f32>,
}

#[derive(Debug, Clone, Default)]
struct BlockTrace {
    heads: Vec<HeadTrace>,
    /// `x̂` and `1/√…` of the norm.
    normal: Vec<f32>,
    factors: Vec<f32>,
}

/// A head of the last block: `t` of the user's place, weights, `Σ A·x` and `Σ A`.
#[derive(Debug, Clone, Default)]
struct LastHead {
    t: Vec<f32>,
    weights: Vec<f32>,
    kept: Vec<f32>,
    mean: Vec<f32>,
    total: f32,
}

/// Rooms for one sample after another.
#[derive(Debug, Clone, Default)]
pub(super) struct Rooms {
    scratch: Scratch,
    lanes: Vec<[Lanes; 2]>,
    y: Vec<f32>,
    x: Vec<f32>,
    q: Vec<f32>,
    t: Vec<f32>,
    v: Vec<f32>,
}

impl Trace {
    /// `x` of a block's beginning, `[n, D]`.
    #[cfg(test)]
    pub fn input(&self, block: usize) -> &[f32] {
        &self.inputs[block].0
    }

    /// `x₀` of the last block.
    #[cfg(test)]
    pub fn out(&self) -> &[f32] {
        &self.out
    }
}

impl Encoder<'_> {
    fn dim(&self) -> usize {
        self.folded.dim
    }

    /// `g` of a sample, `[D]`; `draw` tells what it drops from what others drop.
    pub fn forward(
        &self,
        sample: &[u32],
        draw: u64,
        (trace, rooms): (&mut Trace, &mut Rooms),
        out: &mut [f32],
    ) {
        let (dim, last) = (self.dim(), self.folded.blocks.len() - 1);
        trace.blocks.resize_with(last, BlockTrace::default);
        trace.inputs.resize_with(last + 1, Default::default);
        if last == 0 {
            gather(&self.nodes.x, sample, dim, &mut trace.inputs[0].0);
        }
        for block in 0..last {
            self.attend(block, sample, draw, trace, rooms);
        }
        self.attend_last(sample, draw, trace, rooms);
        let finish = with_bias(self.folded.dense.bias.of(&self.weights.values));
        let dense = room(&mut trace.dense, dim);
        let rows = lines(&trace.out, dim);
        let scratch = &mut rooms.scratch.rows;
        self.weights
            .dense
            .multiply(rows, 1, (dense, dim), finish, scratch);
        for (out, &x) in out.iter_mut().zip(&*dense) {
            *out = if x > 0.0 { x } else { SLOPE * x };
        }
    }

    /// A block but the last: `trace` gets what goes into the next.
    fn attend(
        &self,
        block: usize,
        sample: &[u32],
        draw: u64,
        trace: &mut Trace,
        rooms: &mut Rooms,
    ) {
        let (dim, values) = (self.dim(), &self.weights.values);
        let folded = &self.folded.blocks[block];
        let (before, behind) = trace.inputs.split_at_mut(block + 1);
        let (x, q) = &mut before[block];
        let of_block = &mut trace.blocks[block];
        of_block
            .heads
            .resize_with(folded.heads.len(), HeadTrace::default);
        match block {
            0 => gather(&self.nodes.q, sample, dim, q),
            _ => add_positions(&self.nodes.p[block], sample, x, q),
        }
        let n = sample.len();
        let y = room(&mut rooms.y, n * dim);
        for (number, head) in of_block.heads.iter_mut().enumerate() {
            let HeadTrace { t, v, .. } = head;
            if block == 0 {
                gather(&self.nodes.heads[number].0, sample, dim, t);
                gather(&self.nodes.heads[number].1, sample, dim, v);
            } else {
                let HeadWeights { qk, ov, .. } = &self.weights.heads[block][number];
                let FoldedHead {
                    qk_bias, ov_bias, ..
                } = &folded.heads[number];
                let scratch = &mut rooms.scratch.rows;
                let (t, v) = (room(t, n * dim), room(v, n * dim));
                let finish = with_bias(qk_bias.of(values));
                qk.multiply(lines(q, dim), n, (t, dim), finish, scratch);
                let finish = with_bias(ov_bias.of(values));
                ov.multiply(lines(x, dim), n, (v, dim), finish, scratch);
            }
            let bias = (number == 0).then(|| folded.bias.of(values));
            let drawn = (self.dropout, self.key(draw, block, number));
            attend(head, q, drawn, (y, bias, dim), &mut rooms.scratch);
        }
        let (scale, shift) = (folded.scale.of(values), folded.shift.of(values));
        let out = room(&mut behind[0].0, n * dim);
        let normal = room(&mut of_block.normal, n * dim);
        let factors = room(&mut of_block.factors, n);
        let lanes = &mut rooms.scratch.lanes;
        vectorize(
            #[inline(always)]
            || norm(y, (scale, shift), (normal, factors), out, lanes),
        );
    }

    /// The last block, of the user's place alone.
    fn attend_last(&self, sample: &[u32], draw: u64, trace: &mut Trace, rooms: &mut Rooms) {
        let (dim, values, n) = (self.dim(), &self.weights.values, sample.len());
        let block = self.folded.blocks.len() - 1;
        let folded = &self.folded.blocks[block];
        let (x, q) = &mut trace.inputs[block];
        add_positions(&self.nodes.p[block], sample, x, q);
        let y = room(&mut rooms.y, dim);
        y.copy_from_slice(folded.bias.of(values));
        trace
            .last
            .resize_with(folded.heads.len(), LastHead::default);
        for (number, head) in trace.last.iter_mut().enumerate() {
            let (weight, folded) = (&self.weights.heads[block][number], &folded.heads[number]);
            let scratch = &mut rooms.scratch.rows;
            let t = room(&mut head.t, dim);
            let finish = with_bias(folded.qk_bias.of(values));
            weight
                .qk
                .multiply(lines(q, dim), 1, (t, dim), finish, scratch);
            let weights = room(&mut head.weights, wide(n));
            weights[n..].fill(f32::NEG_INFINITY);
            let kept = room(&mut head.kept, length(1, n));
            let mean = room(&mut head.mean, dim);
            mean.fill(0.0);
            let drawn = (self.dropout, self.key(draw, block, number));
            vectorize(
                #[inline(always)]
                || {
                    for (score, q) in weights.iter_mut().zip(q.chunks_exact(dim)) {
                        *score = dot(t, q);
                    }
                    softmax(weights, n, drawn, kept, &mut [[0.0; LANES]]);
                    for (&weight, x) in kept.iter().zip(x.chunks_exact(dim)) {
                        add_scaled(mean, x, weight);
                    }
                },
            );
            head.total = kept[..n].iter().sum();
            weight
                .ov
                .multiply(lines(mean, dim), 1, (y, dim), added(), scratch);
            add_scaled(y, folded.ov_bias.of(values), head.total);
        }
        let parts = (folded.scale.of(values), folded.shift.of(values));
        let normal = room(&mut trace.normal, dim);
        let factors = std::slice::from_mut(&mut trace.factor);
        let out = room(&mut trace.out, dim);
        norm(y, parts, (normal, factors), out, &mut [[0.0; LANES]]);
    }

    fn key(&self, draw: u64, block: usize, head: usize) -> u32 {
        let heads = self.folded.blocks[0].heads.len();
        key(draw, (block * heads + head) as u64) as u32
    }
}

/// `x + p`.
fn add_positions(p: &[f32], sample: &[u32], x: &[f32], out: &mut Vec<f32>) {
    let dim = x.len() / sample.len();
    let out = room(out, x.len());
    vectorize(
        #[inline(always)]
        || {
            each_row(
                p,
                sample,
                dim,
                #[inline(always)]
                |p, number| {
                    let x = &x[number * dim..][..dim];
                    let out = out[number * dim..][..dim].iter_mut();
                    out.zip(x.iter().zip(p))
                        .for_each(|(out, (x, p))| *out = x + p);
                },
            );
        },
    );
}
