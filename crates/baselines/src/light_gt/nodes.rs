//! What a modality computes once a step for each user and item that its samples name.

use mmdlrm_kernels::{Finish, Panels, Rows, add_transposed, copy_rows, exp, vectorize};
use rayon::prelude::*;

use super::folded::{Folded, Weights, added};
use super::rows::add_sum;
use crate::linear::Linear;

/// Rows that a thread multiplies at a time.
const ROWS: usize = 64;
/// Rows of which gradients are summed together.
const SUMMED: usize = 512;

/// Some rows of a matrix, `[_, width]`, by number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picked<'a> {
    pub data: &'a [f32],
    pub width: usize,
    pub rows: &'a [u32],
}

impl Rows for Picked<'_> {
    #[inline(always)]
    fn read(&self, row: usize, from: usize, out: &mut [f32]) {
        let start = self.rows[row] as usize * self.width + from;
        out.copy_from_slice(&self.data[start..start + out.len()]);
    }
}

/// `last(A·B + bias)` of `count` rows, `rows_from(first)` being those from `first` on.
pub(super) fn product<R: Rows>(
    (panels, bias): (&Panels, &[f32]),
    count: usize,
    rows_from: impl Fn(usize) -> R + Sync,
    last: impl Fn(usize, usize, &mut [f32]) + Copy + Sync,
) -> Vec<f32> {
    let width = bias.len();
    let mut out = vec![0.0; count * width];
    let pieces = out.par_chunks_mut((ROWS * width).max(1)).enumerate();
    pieces.for_each_init(Vec::new, |scratch, (piece, out)| {
        let count = out.len() / width;
        let finish = Finish::new(Some(bias), false, last);
        let rows = rows_from(piece * ROWS);
        panels.multiply(rows, count, (out, width), finish, scratch);
    });
    out
}

/// What is known of nodes, `[nodes, D]` each.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// What goes into the first block.
    pub x: Vec<f32>,
    /// `p` of each block.
    pub p: Vec<Vec<f32>>,
    /// Of the first block, where another follows: `x + p`, and `t` and `v` of each head.
    pub q: Vec<f32>,
    pub heads: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Nodes {
    /// `positions` are `Ê¹ … Ê^L` of more nodes, in which these are `rows`.
    pub fn of(
        x: Vec<f32>,
        (positions, rows): (&[&[f32]], &[u32]),
        (layer, parameters): (Linear, &[f32]),
        (folded, weights): (&Folded, &Weights),
    ) -> Self {
        let (dim, count) = (folded.dim, rows.len());
        let of_positions = Panels::of_transposed(layer.weight.of(parameters), dim, dim);
        let position = |data: &&[f32]| {
            let picked = |from| Picked {
                data,
                width: dim,
                rows: &rows[from..],
            };
            let with_bias = (&of_positions, layer.bias.of(parameters));
            product(
                with_bias,
                count,
                picked,
                #[inline(always)]
                |_, _, x| x.iter_mut().for_each(|x| *x = 1.0 / (1.0 + exp(-*x))),
            )
        };
        let mut nodes = Self {
            p: positions.iter().map(position).collect(),
            x,
            ..Self::default()
        };
        if nodes.p.len() > 1 {
            nodes.project(folded, weights);
        }
        nodes
    }

    /// The first block's products.
    fn project(&mut self, folded: &Folded, weights: &Weights) {
        let dim = folded.dim;
        let sums = self.x.iter().zip(&self.p[0]);
        self.q = sums.map(|(x, p)| x + p).collect();
        let count = self.x.len() / dim;
        let of = |panels: &Panels, bias: &[f32], data: &[f32]| {
            let rows = |from| copy_rows(&data[from * dim..], dim);
            product(
                (panels, bias),
                count,
                rows,
                #[inline(always)]
                |_, _, _| {},
            )
        };
        let heads = weights.heads[0].iter().zip(&folded.blocks[0].heads);
        let head = heads.map(|(weight, head)| {
            let values = &weights.values;
            let t = of(&weight.qk, head.qk_bias.of(values), &self.q);
            (t, of(&weight.ov, head.ov_bias.of(values), &self.x))
        });
        self.heads = head.collect();
    }
}

/// Gradients by node, `[nodes, D]` each: of `x + p` of each block, and, of the first block, of `t`
/// and `v` of each head; where that is the last too, of what `x` else goes into.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeSums {
    pub tables: Vec<Vec<f32>>,
    blocks: usize,
}

impl NodeSums {
    /// Zeros.
    pub fn new(folded: &Folded, nodes: usize) -> Self {
        let blocks = folded.blocks.len();
        let others = match blocks {
            1 => 1,
            _ => 2 * folded.blocks[0].heads.len(),
        };
        Self {
            tables: vec![vec![0.0; nodes * folded.dim]; blocks + others],
            blocks,
        }
    }

    /// Of `x + p` of a block.
    pub fn q(&mut self, block: usize) -> &mut [f32] {
        &mut self.tables[block]
    }

    /// Of `t` and `v` of a head.
    pub fn t(&mut self, head: usize) -> &mut [f32] {
        &mut self.tables[self.blocks + 2 * head]
    }

    pub fn v(&mut self, head: usize) -> &mut [f32] {
        &mut self.tables[self.blocks + 2 * head + 1]
    }

    /// Of `x` beside `x + p`, where there is one block.
    pub fn x(&mut self) -> &mut [f32] {
        &mut self.tables[self.blocks]
    }
}

/// What gradients by node come to.
pub(super) struct NodeBack {
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

pub(super) fn add(out: &mut [f32], x: &[f32]) {
    vectorize(
        #[inline(always)]
        || out.iter_mut().zip(x).for_each(|(out, x)| *out += x),
    );
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
            let rows = copy_rows(t, dim);
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
            let rows = copy_rows(v, dim);
            weight
                .ov_back
                .multiply(rows, v.len() / dim, (x, dim), added(), scratch);
            let inputs = copy_rows(self.of(&nodes.x), dim);
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
