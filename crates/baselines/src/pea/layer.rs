//! A layer of a metapath: what nodes make of their neighbours.

use std::ops::Range;

use mmdlrm_kernels::{Panels, add_scaled, dot};
use rand_chacha::ChaCha8Rng;

use super::PeaLayer;
use super::attention::{Head, Looks};
use super::dense::{Out, multiply, of_bias, of_weight};
use super::edges::Step;
use super::rows::{Columns, add_weighted_rows};
use super::sums::Weights;
use crate::parameters::{Matrix, Parameters, uniform, xavier_uniform};

/// With `z = W·x` and a bias `b`:
///
/// ```text
/// GAT   out_t = Σ_s α_st·z_s + α_tt·z_t + b, of each head, beside each other
/// GCN   out_t = Σ_s z_s/√(d_s·d_t) + z_t/d_t + b,    d: edges into a node, and one
/// SAGE  out_t = mean_s z_s + W_r·x_t + b
/// ```
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer {
    /// Numbers of `x`.
    inputs: usize,
    /// Numbers of a head.
    width: usize,
    heads: usize,
    /// `W`, `[heads·width, inputs]`.
    weight: Matrix,
    /// `b`.
    bias: Matrix,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// `a_src` and `a_dst`, each `[heads, width]`.
    Gat {
        source: Matrix,
        target: Matrix,
    },
    Gcn,
    /// `W_r`.
    Sage {
        own: Matrix,
    },
}

/// What a layer came to, for the way back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passed {
    /// `z`, `[rows, heads·width]`: of all nodes that edges begin or end at.
    z: Vec<f32>,
    /// Rows of it that anything is made of.
    used: Range<usize>,
    /// `[targets, heads·width]`.
    pub out: Vec<f32>,
    edges: EdgeWeights,
    /// Gradients of `z`.
    dz: Vec<f32>,
}

/// What edges weigh.
#[derive(Debug, Clone)]
enum EdgeWeights {
    /// What heads make of them.
    Attended(Vec<Head>),
    Known(Weights),
}

impl Default for EdgeWeights {
    fn default() -> Self {
        Self::Attended(Vec::new())
    }
}

impl Layer {
    /// Parameters as the authors' code in PyTorch calls them.
    pub fn new(
        parameters: &mut Parameters,
        name: &str,
        kind: PeaLayer,
        (inputs, heads, width): (usize, usize, usize),
    ) -> Self {
        let all = heads * width;
        let mut add =
            |part: &str, rows, columns| parameters.add(format!("{name}.{part}"), rows, columns);
        let (weight, bias, kind) = match kind {
            PeaLayer::Gat => {
                let source = add("att_src", heads, width);
                let target = add("att_dst", heads, width);
                let kind = Kind::Gat { source, target };
                (add("lin.weight", all, inputs), add("bias", 1, all), kind)
            }
            PeaLayer::Gcn => (
                add("lin.weight", all, inputs),
                add("bias", 1, all),
                Kind::Gcn,
            ),
            PeaLayer::Sage => {
                let own = add("lin_r.weight", all, inputs);
                let (weight, bias) = ("lin_l.weight", "lin_l.bias");
                (
                    add(weight, all, inputs),
                    add(bias, 1, all),
                    Kind::Sage { own },
                )
            }
        };
        Self {
            inputs,
            width,
            heads,
            weight,
            bias,
            kind,
        }
    }

    /// Draws what the parameters begin with.
    pub fn begin(&self, values: &mut [f32], random: &mut ChaCha8Rng) {
        match self.kind {
            Kind::Gat { source, target } => {
                xavier_uniform(self.weight, values, random);
                xavier_uniform(source, values, random);
                xavier_uniform(target, values, random);
            }
            Kind::Gcn => xavier_uniform(self.weight, values, random),
            Kind::Sage { own } => {
                let bound = (self.inputs as f32).sqrt().recip();
                for matrix in [self.weight, self.bias, own] {
                    uniform(matrix.of_mut(values), bound, random);
                }
            }
        }
    }

    /// Numbers of what it takes.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Numbers of what it gives.
    pub fn outputs(&self) -> usize {
        self.heads * self.width
    }

    /// Columns of a head.
    fn columns(&self, head: usize) -> Columns {
        Columns {
            stride: self.outputs(),
            start: head * self.width,
            width: self.width,
        }
    }

    /// Room for what comes of `targets` nodes.
    pub fn passed(&self, step: Step, targets: usize) -> Passed {
        let rows = targets.max(step.out_of.span().end);
        let edges = match self.kind {
            Kind::Gat { .. } => EdgeWeights::Attended(vec![Head::default(); self.heads]),
            Kind::Gcn => EdgeWeights::Known(Weights::by_degrees(step, rows, targets)),
            Kind::Sage { .. } => EdgeWeights::Known(Weights::means(step, rows, targets)),
        };
        Passed {
            used: match self.kind {
                // Of itself a node has another product.
                Kind::Sage { .. } => step.out_of.span(),
                Kind::Gat { .. } | Kind::Gcn => 0..rows,
            },
            z: vec![0.0; rows * self.outputs()],
            out: vec![0.0; targets * self.outputs()],
            dz: vec![0.0; rows * self.outputs()],
            edges,
        }
    }

    /// Of `x`, `[_, inputs]`, cut off at 0 where `relu` says so.
    pub fn forth(&self, values: &[f32], step: Step, x: &[f32], relu: bool, passed: &mut Passed) {
        let Passed {
            z,
            used,
            out,
            edges,
            ..
        } = passed;
        let (n, m) = (self.inputs, self.outputs());
        let targets = out.len() / m;
        let weight = self.panels(self.weight, values);
        let of_used = &mut z[used.start * m..used.end * m];
        multiply(
            (&x[used.start * n..used.end * n], n),
            &weight,
            of_used,
            Out::Store,
        );
        let bias = self.bias.of(values);
        if let Kind::Sage { own } = self.kind {
            let own = self.panels(own, values);
            multiply((&x[..targets * n], n), &own, out, Out::Biased(bias));
        }
        match edges {
            EdgeWeights::Attended(heads) => {
                for (number, head) in heads.iter_mut().enumerate() {
                    let (columns, looks) = (self.columns(number), self.looks(values, number));
                    head.forth(step, (z, columns), looks, (bias, relu), out);
                }
            }
            EdgeWeights::Known(weights) => {
                weights.forth(step, (z, self.columns(0)), (bias, relu), out);
            }
        }
    }

    /// What of its parameters gets gradients by `g`, those of `out` before it is cut off at 0,
    /// and which; those of `z` are left in `passed`, for [`back_to_inputs`](Self::back_to_inputs).
    pub fn back(
        &self,
        values: &[f32],
        step: Step,
        (x, g): (&[f32], &[f32]),
        passed: &mut Passed,
    ) -> Vec<(Matrix, Vec<f32>)> {
        let (n, m) = (self.inputs, self.outputs());
        let mut found = vec![(self.bias, of_bias((g, m)))];
        let Passed {
            z,
            used,
            out,
            edges,
            dz,
        } = passed;
        match edges {
            EdgeWeights::Attended(heads) => {
                let (mut sources, mut targets) = (Vec::new(), Vec::new());
                for (number, head) in heads.iter_mut().enumerate() {
                    let (columns, looks) = (self.columns(number), self.looks(values, number));
                    let sums = (g, &**out, self.bias.of(values));
                    let (of_source, of_target) = head.back(step, (z, columns), looks, sums, dz);
                    sources.extend(of_source);
                    targets.extend(of_target);
                }
                if let Kind::Gat { source, target } = self.kind {
                    found.extend([(source, sources), (target, targets)]);
                }
            }
            EdgeWeights::Known(weights) => weights.back(step, (g, self.columns(0)), dz),
        }
        if let Kind::Sage { own } = self.kind {
            let x = &x[..g.len() / m * n];
            found.push((own, of_weight((g, m), (x, n))));
        }
        let x = &x[used.start * n..used.end * n];
        let dz = &dz[used.start * m..used.end * m];
        found.push((self.weight, of_weight((dz, m), (x, n))));
        found
    }

    /// The gradients of `x` after [`back`](Self::back), which are added to `dx` or take its
    /// place.
    pub fn back_to_inputs(
        &self,
        values: &[f32],
        passed: &Passed,
        g: &[f32],
        dx: &mut [f32],
        how: Out,
    ) {
        let (n, m) = (self.inputs, self.outputs());
        let used = passed.used.clone();
        let mut panels = Panels::default();
        let mut how = how;
        if let Kind::Sage { own } = self.kind {
            panels.fill((own.of(values), n), m, n);
            let (of_targets, others) = dx.split_at_mut(g.len() / m * n);
            multiply((g, m), &panels, of_targets, how);
            if how == Out::Store {
                others.fill(0.0);
            }
            how = Out::Add;
        }
        panels.fill((self.weight.of(values), n), m, n);
        let dz = &passed.dz[used.start * m..used.end * m];
        multiply((dz, m), &panels, &mut dx[used.start * n..used.end * n], how);
    }

    /// The result for somebody new, of whom `x` is known and who is the target of edges from
    /// `sources`; the others are as they stand.
    pub fn of_visitor(
        &self,
        values: &[f32],
        passed: &Passed,
        x: &[f32],
        sources: &[u32],
    ) -> Vec<f32> {
        let own_z = product(self.weight.of(values), x);
        let mut out = self.bias.of(values).to_vec();
        if let Kind::Sage { own } = self.kind {
            add_scaled(&mut out, &product(own.of(values), x), 1.0);
        }
        let mut add = |columns: Columns, (weights, own): (Vec<f32>, f32)| {
            let out = columns.of_mut(&mut out, 0);
            add_scaled(out, columns.of(&own_z, 0), own);
            add_weighted_rows((sources, &weights), (&passed.z, columns), out);
        };
        match &passed.edges {
            EdgeWeights::Attended(heads) => {
                for (number, head) in heads.iter().enumerate() {
                    let columns = self.columns(number);
                    let z = columns.of(&own_z, 0);
                    let Looks { source, target } = self.looks(values, number);
                    let own = (dot(source, z), dot(target, z));
                    add(columns, head.of_visitor(sources, own));
                }
            }
            EdgeWeights::Known(weights) => add(self.columns(0), weights.of_visitor(sources)),
        }
        out
    }

    fn panels(&self, weight: Matrix, values: &[f32]) -> Panels {
        Panels::of_transposed(weight.of(values), self.outputs(), self.inputs)
    }

    /// What a head looks at; nothing where no head looks.
    fn looks<'a>(&self, values: &'a [f32], head: usize) -> Looks<'a> {
        let of_head = |matrix: Matrix| &matrix.of(values)[head * self.width..][..self.width];
        match self.kind {
            Kind::Gat { source, target } => Looks {
                source: of_head(source),
                target: of_head(target),
            },
            Kind::Gcn | Kind::Sage { .. } => Looks {
                source: &[],
                target: &[],
            },
        }
    }
}

/// `M·x`.
pub(crate) fn product(matrix: &[f32], x: &[f32]) -> Vec<f32> {
    let rows = matrix.chunks_exact(x.len());
    rows.map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum())
        .collect()
}
