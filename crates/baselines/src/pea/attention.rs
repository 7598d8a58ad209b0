//! A head of graph attention.

use mmdlrm_kernels::{add_scaled, dot, exp, ln, vectorize};
use rayon::prelude::*;

use super::dense::{ROWS, total};
use super::edges::{Step, cut_rows};
use super::rows::{Columns, add_rows, add_rows_and_products};

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
fn leaky(x: f32) -> f32 {
    if x > 0.0 { x } else { SLOPE * x }
}

#[inline(always)]
fn slope(x: f32) -> f32 {
    if x > 0.0 { 1.0 } else { SLOPE }
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
                        add_rows(edges, (z, columns), out);
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
        let of_piece = |scratch: &mut Scratch, (piece, out): (std::ops::Range<usize>, _)| {
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
                        add_rows_and_products(edges, (g, columns), z, (dz, products));
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
