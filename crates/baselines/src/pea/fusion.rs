//! What nodes make of all metapaths.

use mmdlrm_kernels::{add_scaled, dot, exp, vectorize};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::PeaFusion;
use super::dense::{ROWS, total};
use crate::parameters::{Matrix, Parameters, uniform};

/// Of the results `H_p`, `[nodes, repr]`, of `P` metapaths, for each node `v` by itself:
///
/// ```text
/// r_v = Σ_p w_vp·H_pv,   w_vp = softmax_p ⟨att_p, H_pv⟩, or 1/P
/// ```
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fusion {
    /// `[P, repr]`; `None` of the mean.
    att: Option<Matrix>,
    paths: usize,
    width: usize,
}

/// What it came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fused {
    /// `w`, `[nodes, P]`.
    weights: Vec<f32>,
    /// Gradients of `⟨att_p, H_pv⟩`, `[nodes, P]`.
    slopes: Vec<f32>,
    /// `r`, `[nodes, repr]`.
    pub out: Vec<f32>,
}

impl Fusion {
    /// With parameters of its own.
    pub fn new(parameters: &mut Parameters, kind: PeaFusion, paths: usize, width: usize) -> Self {
        let att = match kind {
            PeaFusion::Attention => Some(parameters.add("att", paths, width)),
            PeaFusion::Mean => None,
        };
        Self { att, paths, width }
    }

    /// Draws what the parameters begin with.
    pub fn begin(&self, values: &mut [f32], random: &mut ChaCha8Rng) {
        if let Some(att) = self.att {
            let bound = (6.0 / (self.paths + self.width) as f32).sqrt();
            uniform(att.of_mut(values), bound, random);
        }
    }

    /// Weights of a node by its results.
    #[inline(always)]
    fn weigh<'a>(&self, values: &[f32], result: impl Fn(usize) -> &'a [f32], weights: &mut [f32]) {
        let Some(att) = self.att else {
            return weights.fill(1.0 / self.paths as f32);
        };
        let att = att.of(values).chunks_exact(self.width);
        for (path, (weight, att)) in weights.iter_mut().zip(att).enumerate() {
            *weight = dot(att, result(path));
        }
        let greatest = weights.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        let mut sum = 0.0;
        for weight in &mut *weights {
            *weight = exp(*weight - greatest);
            sum += *weight;
        }
        weights.iter_mut().for_each(|weight| *weight /= sum);
    }

    /// `r` of all nodes.
    pub fn forth(&self, values: &[f32], results: &[&[f32]], fused: &mut Fused) {
        let (width, paths) = (self.width, self.paths);
        let nodes = results.first().map_or(0, |it| it.len() / width);
        fused.weights.resize(nodes * paths, 0.0);
        fused.out.resize(nodes * width, 0.0);
        let pieces = fused.out.par_chunks_mut(ROWS * width);
        let pieces = pieces.zip(fused.weights.par_chunks_mut(ROWS * paths));
        pieces.enumerate().for_each(|(number, (out, weights))| {
            vectorize(
                #[inline(always)]
                || {
                    let rows = out.chunks_exact_mut(width);
                    let rows = rows.zip(weights.chunks_exact_mut(paths));
                    for (place, (out, weights)) in rows.enumerate() {
                        let start = (number * ROWS + place) * width;
                        let result = |path: usize| &results[path][start..][..width];
                        self.weigh(values, result, weights);
                        out.fill(0.0);
                        for (path, &weight) in weights.iter().enumerate() {
                            add_scaled(out, result(path), weight);
                        }
                    }
                },
            );
        });
    }

    /// `r` of one node.
    pub fn of_node(&self, values: &[f32], results: &[Vec<f32>]) -> Vec<f32> {
        let (mut weights, mut out) = (vec![0.0; self.paths], vec![0.0; self.width]);
        self.weigh(values, |path| &results[path], &mut weights);
        for (result, weight) in results.iter().zip(weights) {
            add_scaled(&mut out, result, weight);
        }
        out
    }

    /// Gets ready for [`of_path`](Self::of_path), by `g`, gradients of `r`.
    pub fn back(&self, results: &[&[f32]], g: &[f32], fused: &mut Fused) {
        if self.att.is_none() {
            return;
        }
        let (width, paths) = (self.width, self.paths);
        fused.slopes.resize(fused.weights.len(), 0.0);
        let pieces = fused.slopes.par_chunks_mut(ROWS * paths);
        let pieces = pieces.zip(fused.weights.par_chunks(ROWS * paths));
        pieces.enumerate().for_each(|(number, (slopes, weights))| {
            vectorize(
                #[inline(always)]
                || {
                    let rows = slopes.chunks_exact_mut(paths);
                    let rows = rows.zip(weights.chunks_exact(paths));
                    for (place, (slopes, weights)) in rows.enumerate() {
                        let start = (number * ROWS + place) * width;
                        let g = &g[start..][..width];
                        let mut mean = 0.0;
                        for (path, (slope, weight)) in slopes.iter_mut().zip(weights).enumerate() {
                            *slope = dot(g, &results[path][start..][..width]);
                            mean += weight * *slope;
                        }
                        for (slope, weight) in slopes.iter_mut().zip(weights) {
                            *slope = weight * (*slope - mean);
                        }
                    }
                },
            );
        });
    }

    /// Writes the gradients of a metapath's results; returns those of its `att`, `[repr]`, where
    /// there is one.
    pub fn of_path(
        &self,
        values: &[f32],
        (path, result): (usize, &[f32]),
        (g, fused): (&[f32], &Fused),
        out: &mut [f32],
    ) -> Option<Vec<f32>> {
        let (width, paths) = (self.width, self.paths);
        let pieces = out.par_chunks_mut(ROWS * width).enumerate();
        let Some(att) = self.att else {
            pieces.for_each(|(number, out)| {
                let g = g[number * ROWS * width..].iter();
                out.iter_mut()
                    .zip(g)
                    .for_each(|(out, g)| *out = g / paths as f32);
            });
            return None;
        };
        let att = &att.of(values)[path * width..][..width];
        let sums = pieces.map(|(number, out)| {
            let mut sum = vec![0.0; width];
            vectorize(
                #[inline(always)]
                || {
                    for (place, out) in out.chunks_exact_mut(width).enumerate() {
                        let node = number * ROWS + place;
                        let at = node * paths + path;
                        let (weight, slope) = (fused.weights[at], fused.slopes[at]);
                        let g = &g[node * width..][..width];
                        for ((out, g), att) in out.iter_mut().zip(g).zip(att) {
                            *out = weight * g + slope * att;
                        }
                        add_scaled(&mut sum, &result[node * width..][..width], slope);
                    }
                },
            );
            sum
        });
        Some(total(sums.collect(), width))
    }

    /// Where the `att` of all metapaths lie.
    pub fn att(&self) -> Option<Matrix> {
        self.att
    }
}
