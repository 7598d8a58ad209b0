//! The way back through a head.

use std::ops::Range;

use mmdlrm_kernels::{add_scaled, dot, exp, vectorize};
use rayon::prelude::*;

use super::{Head, LANES, Looks, SLOPE, Target, leaky};
use crate::pea::dense::{ROWS, total};
use crate::pea::edges::{Step, cut_rows};
use crate::pea::rows::{Columns, add_weighted_rows_and_products};

/// Gradients of `⟨a_src, z⟩`, `⟨a_dst, z⟩`, and of a node's logit of its own.
#[derive(Debug, Clone, Default)]
struct Slopes {
    /// `[rows]`.
    sources: Vec<f32>,
    /// `[rows]`.
    own: Vec<f32>,
    /// `[targets]`.
    targets: Vec<f32>,
}

#[inline(always)]
fn slope(x: f32) -> f32 {
    if x > 0.0 { 1.0 } else { SLOPE }
}

impl Head {
    /// Gradients of `z`, `[rows, _]`, are written to `dz`, and those of the vectors that the head
    /// looks at are returned; `g` are those of what it gives before that is cut off at 0, and `out`
    /// what it gives where `g` is not 0.
    pub fn back(
        &mut self,
        step: Step,
        (z, columns): (&[f32], Columns),
        looks: Looks,
        (g, out, bias): (&[f32], &[f32], &[f32]),
        dz: &mut [f32],
    ) -> (Vec<f32>, Vec<f32>) {
        self.find_means(columns, (g, out, bias));
        let mut slopes = self.back_to_sources(step, (z, columns), looks, g, dz);
        let Slopes { own, targets, .. } = &mut slopes;
        let pieces = targets.par_chunks_mut(ROWS).zip(own.par_chunks(ROWS));
        let pieces = pieces.zip(dz.par_chunks_mut(ROWS * columns.stride));
        pieces.for_each(|((targets, own), dz)| {
            vectorize(
                #[inline(always)]
                || {
                    for (place, (target, own)) in targets.iter_mut().zip(own).enumerate() {
                        *target += own;
                        add_scaled(columns.of_mut(dz, place), looks.target, *target);
                    }
                },
            );
        });
        let of = |slopes: &[f32]| of_look(slopes, (z, columns));
        (of(&slopes.sources), of(&slopes.targets))
    }

    /// What the softmax takes off all of a target's edges.
    fn find_means(&mut self, columns: Columns, (g, out, bias): (&[f32], &[f32], &[f32])) {
        let bias = columns.of(bias, 0);
        let pieces = self.targets.par_chunks_mut(ROWS).enumerate();
        pieces.for_each(|(number, targets)| {
            vectorize(
                #[inline(always)]
                || {
                    for (place, target) in targets.iter_mut().enumerate() {
                        let row = number * ROWS + place;
                        let (g, out) = (columns.of(g, row), columns.of(out, row));
                        target.mean = dot(g, out) - dot(g, bias);
                    }
                },
            );
        });
    }

    /// From each source along all edges out of it. Each piece sums for itself what comes to the
    /// targets.
    fn back_to_sources(
        &self,
        step: Step,
        (z, columns): (&[f32], Columns),
        looks: Looks,
        g: &[f32],
        dz: &mut [f32],
    ) -> Slopes {
        let rows = self.sources.len();
        let mut slopes = Slopes {
            sources: vec![0.0; rows],
            own: vec![0.0; rows],
            targets: vec![0.0; self.targets.len()],
        };
        let pieces = || step.out_of.pieces(rows);
        let dz = cut_rows(pieces(), columns.stride, dz);
        let sources = cut_rows(pieces(), 1, &mut slopes.sources);
        let own = cut_rows(pieces(), 1, &mut slopes.own);
        let out = dz.into_iter().zip(sources).zip(own);
        let pieces: Vec<_> = pieces().zip(out).collect();
        let span = step.into.span();
        let of_piece = |scratch: &mut Scratch, (piece, out): (Range<usize>, _)| {
            let ((dz, sources), own): ((&mut [f32], &mut [f32]), &mut [f32]) = out;
            let mut sums = vec![0.0; span.len()];
            vectorize(
                #[inline(always)]
                || {
                    for (place, node) in piece.clone().enumerate() {
                        let nodes = step.out_of.nodes(node);
                        let (z, dz) = (columns.of(z, node), columns.of_mut(dz, place));
                        self.attend(nodes, self.sources[node], scratch);
                        own[place] = self.back_to_itself(step, node, (z, columns), g, dz);
                        let count = nodes.len();
                        let edges = (nodes, &scratch.weights[..count]);
                        let products = &mut scratch.products[..count];
                        add_weighted_rows_and_products(edges, (g, columns), z, (dz, products));
                        sources[place] = own[place] + scratch.slope(count);
                        add_scaled(dz, looks.source, sources[place]);
                        for (&node, slope) in nodes.iter().zip(&scratch.products) {
                            sums[node as usize - span.start] += slope;
                        }
                    }
                },
            );
            sums
        };
        let each = pieces.into_par_iter();
        let sums = each.map_init(Scratch::default, of_piece);
        let sums = total(sums.collect(), span.len());
        slopes.targets[span].copy_from_slice(&sums);
        slopes
    }

    /// Finds `α` of all edges out of a node, and gets ready for the products.
    #[inline(always)]
    fn attend(&self, nodes: &[u32], source: f32, scratch: &mut Scratch) {
        let Scratch {
            weights,
            bends,
            means,
            products,
        } = scratch;
        let count = nodes.len();
        for part in [&mut *weights, &mut *bends, &mut *means, &mut *products] {
            part.resize(count.next_multiple_of(LANES), 0.0);
        }
        let parts = weights.iter_mut().zip(&mut *bends).zip(&mut *means);
        for (&node, ((weight, bend), target_mean)) in nodes.iter().zip(parts) {
            let Target { logit, level, mean } = self.targets[node as usize];
            *bend = source + logit;
            *weight = level;
            *target_mean = mean;
        }
        // Whole lanes: what stands in the last ones beyond the edges means nothing.
        let lanes = weights.as_chunks_mut::<LANES>().0.iter_mut();
        for (weights, bends) in lanes.zip(bends.as_chunks_mut::<LANES>().0) {
            for (weight, bend) in weights.iter_mut().zip(bends) {
                *weight = exp(leaky(*bend) - *weight);
                *bend = slope(*bend);
            }
        }
        products.fill(0.0);
    }

    /// Writes what comes to a node's `z` from the node itself, and returns the gradient of its own
    /// logit. Alone, it attends to nothing else, and that is 0.
    #[inline(always)]
    fn back_to_itself(
        &self,
        step: Step,
        node: usize,
        (z, columns): (&[f32], Columns),
        g: &[f32],
        dz: &mut [f32],
    ) -> f32 {
        let Some(target) = self.targets.get(node) else {
            dz.fill(0.0);
            return 0.0;
        };
        let logit = self.sources[node] + target.logit;
        let weight = exp(leaky(logit) - target.level);
        let g = columns.of(g, node);
        dz.iter_mut().zip(g).for_each(|(dz, g)| *dz = weight * g);
        match step.into.degree(node) {
            0 => 0.0,
            _ => weight * (dot(g, z) - target.mean) * slope(logit),
        }
    }
}

/// Of the edges out of one node.
#[derive(Debug, Default)]
struct Scratch {
    /// `α`.
    weights: Vec<f32>,
    /// Derivatives of the leaky relu.
    bends: Vec<f32>,
    /// Of the targets.
    means: Vec<f32>,
    /// `⟨g_t, z_s⟩`, and then gradients of the logits.
    products: Vec<f32>,
}

impl Scratch {
    /// Makes of the products of so many edges gradients of the logits, and adds them up.
    #[inline(always)]
    fn slope(&mut self, edges: usize) -> f32 {
        let each = self.weights.iter().zip(&self.bends).zip(&self.means);
        for (product, ((weight, bend), mean)) in self.products.iter_mut().zip(each) {
            *product = weight * (*product - mean) * bend;
        }
        self.products[edges..].fill(0.0);
        let mut sums = [0.0; LANES];
        for lanes in self.products.as_chunks::<LANES>().0 {
            sums.iter_mut().zip(lanes).for_each(|(sum, x)| *sum += x);
        }
        sums.iter().sum()
    }
}

/// `Σ_v slopes_v·z_v`.
fn of_look(slopes: &[f32], (z, columns): (&[f32], Columns)) -> Vec<f32> {
    let pieces = slopes.par_chunks(ROWS).enumerate();
    let sums = pieces.map(|(number, slopes)| {
        let mut sum = vec![0.0; columns.width];
        vectorize(
            #[inline(always)]
            || {
                for (place, &slope) in slopes.iter().enumerate() {
                    add_scaled(&mut sum, columns.of(z, number * ROWS + place), slope);
                }
            },
        );
        sum
    });
    total(sums.collect(), columns.width)
}
