//! The way back of a sample through the blocks.

use mmdlrm_kernels::{add_scaled, add_transposed, dot, store, vectorize};

use super::{Encoder, Rooms, SLOPE, Trace};
use crate::light_gt::attention::attend_back;
use crate::light_gt::folded::added;
use crate::light_gt::lanes::{LANES, Lanes, length, wide};
use crate::light_gt::nodes::NodeSums;
use crate::light_gt::norm::norm_back;
use crate::light_gt::rows::{add_sum, lines, room, scatter};
use crate::light_gt::softmax::softmax_back;

impl Encoder<'_> {
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
