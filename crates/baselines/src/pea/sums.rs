//! Sums over neighbours, by weights that are known, on all threads, and back.

use mmdlrm_kernels::vectorize;
use rayon::prelude::*;

use super::edges::{Step, cut_rows};
use super::rows::{Columns, add_weighted_rows};

/// Weights `w_st = a_s·b_t` of edges, and `c_t` of a node for itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Weights {
    /// `a`, `[rows]`.
    sources: Vec<f32>,
    /// `b`, `[targets]`.
    targets: Vec<f32>,
    /// `c`, `[targets]`; empty where no node is a neighbour of its own.
    own: Vec<f32>,
}

impl Weights {
    /// Of means: `1/n` of each of `n` edges into a node.
    pub fn means(step: Step, rows: usize, targets: usize) -> Self {
        let share = |node| (step.into.degree(node).max(1) as f32).recip();
        Self {
            sources: vec![1.0; rows],
            targets: (0..targets).map(share).collect(),
            own: Vec::new(),
        }
    }

    /// `1/√(d_s·d_t)` with degrees `d` of edges into a node and of itself.
    pub fn by_degrees(step: Step, rows: usize, targets: usize) -> Self {
        let degree = |node| (step.into.degree(node) + 1) as f32;
        let root = |node| degree(node).sqrt().recip();
        Self {
            sources: (0..rows).map(root).collect(),
            targets: (0..targets).map(root).collect(),
            own: (0..targets).map(|node| degree(node).recip()).collect(),
        }
    }

    /// `out_t = c_t·z_t + b + Σ_s w_st·z_s`, where nodes weigh anything for themselves; else the
    /// sum is added to `out`. Then, where `relu` says so, what is below 0 becomes 0.
    pub fn forth(
        &self,
        step: Step,
        (z, columns): (&[f32], Columns),
        (bias, relu): (&[f32], bool),
        out: &mut [f32],
    ) {
        let pieces = || step.into.pieces(self.targets.len());
        let cut = cut_rows(pieces(), columns.stride, out);
        let pieces: Vec<_> = pieces().zip(cut).collect();
        let each = pieces.into_par_iter();
        each.for_each_init(Vec::new, |weights, (piece, out)| {
            vectorize(
                #[inline(always)]
                || {
                    for (place, node) in piece.clone().enumerate() {
                        let out = columns.of_mut(out, place);
                        if let Some(own) = self.own.get(node) {
                            let row = columns.of(z, node).iter().zip(bias);
                            out.iter_mut()
                                .zip(row)
                                .for_each(|(out, (z, b))| *out = own * z + b);
                        }
                        let nodes = step.into.nodes(node);
                        weigh(nodes, &self.sources, self.targets[node], weights);
                        add_weighted_rows((nodes, weights), (z, columns), out);
                        if relu {
                            out.iter_mut().for_each(|x| *x = x.max(0.0));
                        }
                    }
                },
            );
        });
    }

    /// `dz_s = c_s·g_s + Σ_t w_st·g_t`, of gradients `g` of what [`forth`](Self::forth) gives
    /// before it is cut off at 0.
    pub fn back(&self, step: Step, (g, columns): (&[f32], Columns), dz: &mut [f32]) {
        let pieces = || step.out_of.pieces(self.sources.len());
        let cut = cut_rows(pieces(), columns.stride, dz);
        let pieces: Vec<_> = pieces().zip(cut).collect();
        let each = pieces.into_par_iter();
        each.for_each_init(Vec::new, |weights, (piece, dz)| {
            vectorize(
                #[inline(always)]
                || {
                    for (place, node) in piece.clone().enumerate() {
                        let dz = columns.of_mut(dz, place);
                        match self.own.get(node) {
                            Some(own) => {
                                let row = columns.of(g, node);
                                dz.iter_mut().zip(row).for_each(|(dz, g)| *dz = own * g);
                            }
                            None => dz.fill(0.0),
                        }
                        let nodes = step.out_of.nodes(node);
                        weigh(nodes, &self.targets, self.sources[node], weights);
                        add_weighted_rows((nodes, weights), (g, columns), dz);
                    }
                },
            );
        });
    }

    /// The weights of somebody new among neighbours, `sources`, and for itself.
    pub fn of_visitor(&self, sources: &[u32]) -> (Vec<f32>, f32) {
        let count = sources.len();
        let mut weights = Vec::new();
        match self.own.is_empty() {
            true => {
                weigh(sources, &self.sources, 1.0 / count as f32, &mut weights);
                (weights, 0.0)
            }
            false => {
                let degree = (count + 1) as f32;
                weigh(sources, &self.sources, degree.sqrt().recip(), &mut weights);
                (weights, degree.recip())
            }
        }
    }
}

/// What some nodes weigh, times what the one does that they are neighbours of.
#[inline(always)]
fn weigh(nodes: &[u32], of_nodes: &[f32], own: f32, weights: &mut Vec<f32>) {
    weights.clear();
    weights.extend(nodes.iter().map(|&node| own * of_nodes[node as usize]));
}
