//! What a modality computes once a step for each user and item that its samples name.

mod back;

use mmdlrm_kernels::{Finish, Panels, Rows, exp};
use rayon::prelude::*;

use super::folded::{Folded, Weights};
use super::rows::{Picked, lines};
use crate::linear::Linear;
pub(super) use back::NodeBack;

/// Rows that a thread multiplies at a time.
const ROWS: usize = 64;

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
            let rows = |from| lines(&data[from * dim..], dim);
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
