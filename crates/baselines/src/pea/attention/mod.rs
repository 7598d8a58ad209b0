//! A head of graph attention.

mod back;

use mmdlrm_kernels::{dot, exp, ln, vectorize};
use rayon::prelude::*;

use super::dense::ROWS;
use super::edges::{Step, cut_rows};
use super::rows::{Columns, add_weighted_rows};

/// What becomes of logits below 0.
const SLOPE: f32 = 0.2;
/// Partial sums that fill a vector register.
const LANES: usize = 16;

/// What a head looks at: vectors of sources and of targets, as long as a row of its columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looks<'a> {
    pub source: &'a [f32],
    pub target: &'a [f32],
}

/// How much a head attends to each edge:
///
/// ```text
/// l_st = leakyrelu(⟨a_src, z_s⟩ + ⟨a_dst, z_t⟩),   α_st = softmax over all edges into t, and t itself
/// ```
///
/// With `level_t = ln Σ_s exp(l_st)`, `α_st = exp(l_st − level_t)` is found again wherever it is
/// needed, and not kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    /// `⟨a_src, z⟩`, `[rows]`.
    sources: Vec<f32>,
    /// `[targets]`.
    targets: Vec<Target>,
}

/// What edges need to know of where they end.
#[derive(Debug, Clone, Copy, Default)]
struct Target {
    /// `⟨a_dst, z⟩`.
    logit: f32,
    level: f32,
    /// `⟨g, Σ_s α_s·z_s⟩`, on the way back.
    mean: f32,
}

#[inline(always)]
fn leaky(x: f32) -> f32 {
    if x > 0.0 { x } else { SLOPE * x }
}

impl Head {
    /// `out_t = Σ_s α_st·z_s + α_tt·z_t + b`, of `z`, `[rows, _]`; then, where `relu` says so, what
    /// is below 0 becomes 0.
    pub fn forth(
        &mut self,
        step: Step,
        (z, columns): (&[f32], Columns),
        looks: Looks,
        (bias, relu): (&[f32], bool),
        out: &mut [f32],
    ) {
        let (rows, targets) = (z.len() / columns.stride, out.len() / columns.stride);
        self.find_logits((z, columns), looks, rows, targets);
        let pieces = || step.into.pieces(targets);
        let out = cut_rows(pieces(), columns.stride, out);
        let targets = cut_rows(pieces(), 1, &mut self.targets);
        let pieces: Vec<_> = pieces().zip(out.into_iter().zip(targets)).collect();
        let (sources, bias) = (&self.sources, columns.of(bias, 0));
        let each = pieces.into_par_iter();
        each.for_each_init(Vec::new, |weights, (piece, (out, targets))| {
            vectorize(
                #[inline(always)]
                || {
                    for (place, node) in piece.clone().enumerate() {
                        let (nodes, target) = (step.into.nodes(node), &mut targets[place]);
                        let own = sources[node] + target.logit;
                        let out = columns.of_mut(out, place);
                        let own = match nodes.is_empty() {
                            true => {
                                weights.clear();
                                target.level = leaky(own);
                                1.0
                            }
                            false => {
                                logits(nodes, sources, target.logit, weights);
                                let (own, level) = softmax(leaky(own), weights);
                                target.level = level;
                                own
                            }
                        };
                        let row = columns.of(z, node).iter().zip(bias);
                        out.iter_mut()
                            .zip(row)
                            .for_each(|(out, (z, b))| *out = own * z + b);
                        let edges = (nodes, &weights[..nodes.len()]);
                        add_weighted_rows(edges, (z, columns), out);
                        if relu {
                            out.iter_mut().for_each(|x| *x = x.max(0.0));
                        }
                    }
                },
            );
        });
    }

    fn find_logits(
        &mut self,
        (z, columns): (&[f32], Columns),
        looks: Looks,
        rows: usize,
        targets: usize,
    ) {
        self.sources.resize(rows, 0.0);
        self.targets.resize(targets, Target::default());
        let sources = self.sources.par_chunks_mut(ROWS).enumerate();
        sources.for_each(|(number, sources)| {
            vectorize(
                #[inline(always)]
                || {
                    for (place, source) in sources.iter_mut().enumerate() {
                        *source = dot(columns.of(z, number * ROWS + place), looks.source);
                    }
                },
            );
        });
        let targets = self.targets.par_chunks_mut(ROWS).enumerate();
        targets.for_each(|(number, targets)| {
            vectorize(
                #[inline(always)]
                || {
                    for (place, target) in targets.iter_mut().enumerate() {
                        target.logit = dot(columns.of(z, number * ROWS + place), looks.target);
                    }
                },
            );
        });
    }

    /// The weights of somebody new among neighbours, `sources`, and for itself, whose
    /// `⟨a_src, z⟩` and `⟨a_dst, z⟩` are `own`.
    pub fn of_visitor(&self, sources: &[u32], own: (f32, f32)) -> (Vec<f32>, f32) {
        let mut weights = Vec::new();
        logits(sources, &self.sources, own.1, &mut weights);
        let (own, _) = softmax(leaky(own.0 + own.1), &mut weights);
        weights.truncate(sources.len());
        (weights, own)
    }
}

/// `l` of the edges from some nodes to one, and what weighs nothing up to a whole number of lanes.
#[inline(always)]
fn logits(nodes: &[u32], sources: &[f32], target: f32, out: &mut Vec<f32>) {
    out.clear();
    out.extend(nodes.iter().map(|&node| sources[node as usize]));
    out.resize(nodes.len().next_multiple_of(LANES), f32::MIN);
    out.iter_mut().for_each(|x| *x = leaky(*x + target));
}

/// Makes weights of logits. Returns the weight of the one that stands apart, `own`, and the
/// logarithm of the sum of all exponentials.
#[inline(always)]
fn softmax(own: f32, logits: &mut [f32]) -> (f32, f32) {
    let lanes = logits.as_chunks_mut::<LANES>().0;
    let mut most = [own; LANES];
    for lanes in &*lanes {
        most.iter_mut()
            .zip(lanes)
            .for_each(|(most, x)| *most = most.max(*x));
    }
    let greatest = most.iter().fold(own, |a, b| a.max(*b));
    let mut sums = [0.0; LANES];
    for lanes in &mut *lanes {
        for (x, sum) in lanes.iter_mut().zip(&mut sums) {
            *x = exp(*x - greatest);
            *sum += *x;
        }
    }
    let own = exp(own - greatest);
    let sum = own + sums.iter().sum::<f32>();
    let scale = sum.recip();
    logits.iter_mut().for_each(|x| *x *= scale);
    (own * scale, greatest + ln(sum))
}
