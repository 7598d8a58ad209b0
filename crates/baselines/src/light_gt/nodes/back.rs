//! Gradients by node, on their way to the parameters.

use mmdlrm_kernels::{add_transposed, vectorize};
use rayon::prelude::*;

use super::{NodeSums, Nodes};
use crate::light_gt::folded::{Folded, Weights, added};
use crate::light_gt::rows::{Picked, add, add_sum, lines};

/// Rows of which gradients are summed together.
const SUMMED: usize = 512;

/// What gradients by node come to.
pub(in crate::light_gt) struct NodeBack {
    /// Of `x`, `[nodes, D]`.
    pub x: Vec<f32>,
    /// Of what the blocks compute with.
    pub folded: Vec<f32>,
    /// Of the layer that positions go through.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl NodeBack {
    /// Pieces of nodes are each summed by one thread, and added up in order.
    pub fn of(
        nodes: &Nodes,
        mut sums: NodeSums,
        (positions, rows): (&[&[f32]], &[u32]),
        (folded, weights): (&Folded, &Weights),
    ) -> Self {
        let dim = folded.dim;
        let (first, others) = sums.tables.split_at_mut(1);
        let pieces = first[0].par_chunks_mut((SUMMED * dim).max(1)).enumerate();
        let of_piece = |(number, x): (usize, &mut [f32])| {
            let from = number * SUMMED;
            let piece = Piece {
                from: from * dim,
                length: x.len(),
                others,
            };
            let mut back = Self {
                x: Vec::new(),
                folded: folded.zeros(),
                weight: vec![0.0; dim * dim],
                bias: vec![0.0; dim],
            };
            let scratch = &mut Vec::new();
            let blocks = nodes.p.len();
            if blocks > 1 {
                piece.of_first_block(nodes, x, &mut back.folded, (folded, weights), scratch);
            }
            let rows = &rows[from..from + x.len() / dim];
            for block in 0..blocks {
                let of_q = match block {
                    0 => &*x,
                    _ => piece.of(&others[block - 1]),
                };
                let data = positions[block];
                let width = dim;
                let positions = Picked { data, width, rows };
                let out = (&mut *back.weight, &mut *back.bias);
                of_position(of_q, piece.of(&nodes.p[block]), positions, out, scratch);
            }
            piece.add_to_x(x, &mut back, (nodes, blocks), (folded, weights), scratch);
            back
        };
        let pieces: Vec<Self> = pieces.map(of_piece).collect();
        let zero = Self {
            x: Vec::new(),
            folded: folded.zeros(),
            weight: vec![0.0; dim * dim],
            bias: vec![0.0; dim],
        };
        let mut sum = pieces.into_iter().fold(zero, Self::plus);
        sum.x = std::mem::take(&mut sums.tables[0]);
        sum
    }

    fn plus(mut self, other: Self) -> Self {
        add(&mut self.folded, &other.folded);
        add(&mut self.weight, &other.weight);
        add(&mut self.bias, &other.bias);
        self
    }
}

/// Gradients of `p = σ(M·ê + c)`: `[n, D]`.
fn of_position(
    gradients: &[f32],
    p: &[f32],
    positions: Picked,
    (weight, bias): (&mut [f32], &mut [f32]),
    scratch: &mut Vec<f32>,
) {
    let dim = bias.len();
    let mut inner = gradients.to_vec();
    vectorize(
        #[inline(always)]
        || {
            inner
                .iter_mut()
                .zip(p)
                .for_each(|(x, p)| *x *= p * (1.0 - p));
            add_sum(&inner, bias);
        },
    );
    add_transposed(weight, &inner, positions, (dim, dim), scratch);
}

/// Nodes next to each other: a part of each table.
struct Piece<'a> {
    from: usize,
    length: usize,
    /// All tables of gradients but that of the first block's `x + p`.
    others: &'a [Vec<f32>],
}

impl Piece<'_> {
    fn of<'b>(&self, table: &'b [f32]) -> &'b [f32] {
        &table[self.from..][..self.length]
    }

    /// Adds to the gradients of the first block's `x + p` those that come by `t`.
    fn of_first_block(
        &self,
        nodes: &Nodes,
        q: &mut [f32],
        sums: &mut [f32],
        (folded, weights): (&Folded, &Weights),
        scratch: &mut Vec<f32>,
    ) {
        let (dim, blocks) = (folded.dim, nodes.p.len());
        let heads = folded.blocks[0].heads.iter().zip(&weights.heads[0]);
        for (number, (head, weight)) in heads.enumerate() {
            let t = self.of(&self.others[blocks - 1 + 2 * number]);
            let rows = lines(t, dim);
            weight
                .qk_back
                .multiply(rows, t.len() / dim, (q, dim), added(), scratch);
            let inputs = self.of(&nodes.q);
            add_transposed(head.qk.of_mut(sums), inputs, rows, (dim, dim), scratch);
            add_sum(t, head.qk_bias.of_mut(sums));
        }
    }

    /// Adds to the gradients of `x` those that do not come by `x + p`.
    fn add_to_x(
        &self,
        x: &mut [f32],
        back: &mut NodeBack,
        (nodes, blocks): (&Nodes, usize),
        (folded, weights): (&Folded, &Weights),
        scratch: &mut Vec<f32>,
    ) {
        let dim = folded.dim;
        if blocks == 1 {
            add(x, self.of(&self.others[0]));
            return;
        }
        let heads = folded.blocks[0].heads.iter().zip(&weights.heads[0]);
        for (number, (head, weight)) in heads.enumerate() {
            let v = self.of(&self.others[blocks + 2 * number]);
            let rows = lines(v, dim);
            weight
                .ov_back
                .multiply(rows, v.len() / dim, (x, dim), added(), scratch);
            let inputs = lines(self.of(&nodes.x), dim);
            add_transposed(
                head.ov.of_mut(&mut back.folded),
                v,
                inputs,
                (dim, dim),
                scratch,
            );
            add_sum(v, head.ov_bias.of_mut(&mut back.folded));
        }
    }
}
