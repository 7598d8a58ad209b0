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

use mmdlrm_kernels::{add_scaled, add_transposed, dot, store, vectorize};

use super::attention::{HeadTrace, Scratch, attend, attend_back, room};
use super::folded::{Folded, FoldedHead, HeadWeights, Weights, added, with_bias};
use super::nodes::{NodeSums, Nodes};
use super::rows::{
    Dropout, LANES, Lanes, add_sum, add_to_rows, copy, each_row, key, length, lines, norm,
    norm_back, softmax, softmax_back, wide,
};

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

    /// Of the gradients of `g`, adds those of what the blocks compute with to `sums`, and those of
    /// the nodes to `tables`, in which the sample's are `rows`.
    pub fn back(
        &self,
        of_g: &[f32],
        (trace, rooms): (&Trace, &mut Rooms),
        sums: &mut [f32],
        (tables, rows): (&mut NodeSums, &[u32]),
    ) {
        let mut of_dense = of_g.to_vec();
        for (x, dense) in of_dense.iter_mut().zip(&trace.dense) {
            *x *= if *dense > 0.0 { 1.0 } else { SLOPE };
        }
        let (dim, n, last) = (self.dim(), rows.len(), self.folded.blocks.len() - 1);
        let dense = &self.folded.dense;
        let scratch = &mut rooms.scratch.rows;
        let out = lines(&trace.out, dim);
        add_transposed(
            dense.weight.of_mut(sums),
            &of_dense,
            out,
            (dim, dim),
            scratch,
        );
        add_scaled(dense.bias.of_mut(sums), &of_dense, 1.0);
        let y = room(&mut rooms.y, dim);
        let back = &self.weights.dense_back;
        back.multiply(lines(&of_dense, dim), 1, (y, dim), store(), scratch);
        room(&mut rooms.x, n * dim).fill(0.0);
        room(&mut rooms.q, n * dim).fill(0.0);
        self.last_back(trace, rooms, sums);
        if last == 0 {
            scatter(&rooms.x, rows, dim, tables.x());
        } else {
            add_scaled(&mut rooms.x, &rooms.q, 1.0);
        }
        scatter(&rooms.q, rows, dim, tables.q(last));
        for block in (0..last).rev() {
            self.block_back(block, trace, rooms, sums, (&mut *tables, rows));
        }
    }

    /// Of the gradients of the last `x₀`, in `rooms.y`, those of what went into the block, which
    /// are added to `rooms.x` and, of `x + p`, to `rooms.q`.
    fn last_back(&self, trace: &Trace, rooms: &mut Rooms, sums: &mut [f32]) {
        let (dim, values) = (self.dim(), &self.weights.values);
        let block = self.folded.blocks.len() - 1;
        let folded = &self.folded.blocks[block];
        let (x, q) = &trace.inputs[block];
        let Rooms {
            scratch,
            lanes,
            y,
            x: of_x,
            q: of_q,
            t,
            ..
        } = rooms;
        self.norm_back(block, (&trace.normal, &[trace.factor]), (y, lanes), sums);
        let scratch = &mut scratch.rows;
        for (number, head) in trace.last.iter().enumerate() {
            let (weight, folded) = (&self.weights.heads[block][number], &folded.heads[number]);
            let mean = lines(&head.mean, dim);
            add_transposed(folded.ov.of_mut(sums), y, mean, (dim, dim), scratch);
            add_scaled(folded.ov_bias.of_mut(sums), y, head.total);
            let mut of_mean = vec![0.0; dim];
            let rows = lines(y, dim);
            weight
                .ov_back
                .multiply(rows, 1, (&mut of_mean, dim), store(), scratch);
            let of_total = dot(y, folded.ov_bias.of(values));
            let of_t = room(t, dim);
            of_t.fill(0.0);
            let n = x.len() / dim;
            let mut of_kept = vec![0.0; wide(n)];
            let mut scores = vec![0.0; length(1, n)];
            vectorize(
                #[inline(always)]
                || {
                    let rows = x.chunks_exact(dim).zip(of_x.chunks_exact_mut(dim));
                    for ((out, &kept), (x, of_x)) in of_kept.iter_mut().zip(&head.kept).zip(rows) {
                        *out = dot(&of_mean, x) + of_total;
                        add_scaled(of_x, &of_mean, kept);
                    }
                    let of_weights = (&*head.weights, &*head.kept);
                    let lanes = &mut [[0.0; LANES]];
                    softmax_back(&mut of_kept, n, of_weights, &mut scores, lanes);
                    let rows = q.chunks_exact(dim).zip(of_q.chunks_exact_mut(dim));
                    for (&score, (q, of_q)) in scores.iter().zip(rows) {
                        add_scaled(of_t, q, score);
                        add_scaled(of_q, &head.t, score);
                    }
                },
            );
            let rows = lines(of_t, dim);
            add_transposed(folded.qk.of_mut(sums), &q[..dim], rows, (dim, dim), scratch);
            add_scaled(folded.qk_bias.of_mut(sums), of_t, 1.0);
            weight
                .qk_back
                .multiply(rows, 1, (&mut of_q[..dim], dim), added(), scratch);
        }
    }

    /// Of the gradients of what comes out of a block, in `rooms.x`, those of what goes into it,
    /// there too; the first block's go to the nodes.
    fn block_back(
        &self,
        block: usize,
        trace: &Trace,
        rooms: &mut Rooms,
        sums: &mut [f32],
        (tables, rows): (&mut NodeSums, &[u32]),
    ) {
        let dim = self.dim();
        let folded = &self.folded.blocks[block];
        let (x, q) = &trace.inputs[block];
        let of_block = &trace.blocks[block];
        let Rooms {
            scratch,
            lanes,
            y,
            x: of_x,
            q: of_q,
            t,
            v,
        } = rooms;
        std::mem::swap(y, of_x);
        self.norm_back(
            block,
            (&of_block.normal, &of_block.factors),
            (y, lanes),
            sums,
        );
        let length = y.len();
        room(of_q, length).fill(0.0);
        let of_x = room(of_x, length);
        of_x.fill(0.0);
        let (t, v) = (room(t, length), room(v, length));
        for (number, head) in of_block.heads.iter().enumerate() {
            attend_back(head, q, (y, dim), (t, v, of_q), scratch);
            if block == 0 {
                scatter(t, rows, dim, tables.t(number));
                scatter(v, rows, dim, tables.v(number));
                continue;
            }
            let (weight, folded) = (&self.weights.heads[block][number], &folded.heads[number]);
            let (n, scratch) = (rows.len(), &mut scratch.rows);
            let (of_t, of_v) = (lines(t, dim), lines(v, dim));
            weight
                .qk_back
                .multiply(of_t, n, (of_q, dim), added(), scratch);
            add_transposed(folded.qk.of_mut(sums), q, of_t, (dim, dim), scratch);
            weight
                .ov_back
                .multiply(of_v, n, (of_x, dim), added(), scratch);
            let inputs = lines(x, dim);
            add_transposed(folded.ov.of_mut(sums), v, inputs, (dim, dim), scratch);
            vectorize(
                #[inline(always)]
                || {
                    add_sum(t, folded.qk_bias.of_mut(sums));
                    add_sum(v, folded.ov_bias.of_mut(sums));
                },
            );
        }
        scatter(of_q, rows, dim, tables.q(block));
        vectorize(
            #[inline(always)]
            || add_scaled(of_x, of_q, 1.0),
        );
    }

    /// Gradients of what a block gives become those of what its heads add up to.
    fn norm_back(
        &self,
        block: usize,
        normal: (&[f32], &[f32]),
        (gradients, lanes): (&mut [f32], &mut Vec<[Lanes; 2]>),
        sums: &mut [f32],
    ) {
        let (dim, folded) = (self.dim(), &self.folded.blocks[block]);
        let scale = folded.scale.of(&self.weights.values);
        let (mut of_scale, mut of_shift) = (vec![0.0; dim], vec![0.0; dim]);
        lanes.resize(normal.1.len(), [[0.0; LANES]; 2]);
        vectorize(
            #[inline(always)]
            || {
                let out = (&mut *of_scale, &mut *of_shift);
                norm_back(gradients, normal, scale, out, lanes);
                add_sum(gradients, folded.bias.of_mut(sums));
            },
        );
        add_scaled(folded.scale.of_mut(sums), &of_scale, 1.0);
        add_scaled(folded.shift.of_mut(sums), &of_shift, 1.0);
    }
}

/// Rows of a table, `[_, D]`, one after another.
fn gather(table: &[f32], rows: &[u32], dim: usize, out: &mut Vec<f32>) {
    let out = room(out, rows.len() * dim);
    vectorize(
        #[inline(always)]
        || {
            each_row(
                table,
                rows,
                dim,
                #[inline(always)]
                |row, number| copy(row, &mut out[number * dim..][..dim]),
            );
        },
    );
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

/// Adds to rows of a table.
pub(super) fn scatter(values: &[f32], rows: &[u32], dim: usize, table: &mut [f32]) {
    vectorize(
        #[inline(always)]
        || add_to_rows(values, rows, dim, table),
    );
}
