//! A metapath: two layers, one after the other.

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::dense::{Out, ROWS};
use super::edges::Step;
use super::layer::{Layer, Passed};
use super::{PeaConfig, PeaLayer};
use crate::parameters::{Matrix, Parameters};

/// `H = layer₂(relu(layer₁(x, first step)), second step)`, `[targets, repr]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channel {
    layers: [Layer; 2],
}

/// What a metapath came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walked {
    first: Passed,
    second: Passed,
    /// Gradients of what the first layer gives before it is cut off at 0.
    of_first: Vec<f32>,
}

impl Channel {
    /// With parameters of its own; `number` is the metapath's.
    pub fn new(parameters: &mut Parameters, number: usize, config: &PeaConfig) -> Self {
        let heads = match config.layer {
            PeaLayer::Gat => config.heads,
            PeaLayer::Gcn | PeaLayer::Sage => 1,
        };
        let mut layer = |place: usize, shape| {
            let name = format!("pea_channels.{number}.gnn_layers.{place}");
            Layer::new(parameters, &name, config.layer, shape)
        };
        let first = layer(0, (config.dim, heads, config.hidden));
        let second = layer(1, (first.outputs(), 1, config.repr));
        Self {
            layers: [first, second],
        }
    }

    /// Draws what the parameters begin with.
    pub fn begin(&self, values: &mut [f32], random: &mut ChaCha8Rng) {
        self.layers.iter().for_each(|it| it.begin(values, random));
    }

    /// Room for what comes of `targets` nodes.
    pub fn walked(&self, steps: [Step; 2], targets: usize) -> Walked {
        let [first, second] = &self.layers;
        let between = targets.max(steps[1].out_of.span().end);
        Walked {
            first: first.passed(steps[0], between),
            second: second.passed(steps[1], targets),
            of_first: vec![0.0; between * first.outputs()],
        }
    }

    /// Of `x`, the table of all nodes.
    pub fn forth(&self, values: &[f32], steps: [Step; 2], x: &[f32], walked: &mut Walked) {
        let [first, second] = &self.layers;
        first.forth(values, steps[0], x, true, &mut walked.first);
        let hidden = &walked.first.out;
        second.forth(values, steps[1], hidden, false, &mut walked.second);
    }

    /// Gradients of its parameters by `g`, those of `H`, and which they are of.
    pub fn back(
        &self,
        values: &[f32],
        steps: [Step; 2],
        (x, g): (&[f32], &[f32]),
        walked: &mut Walked,
    ) -> Vec<(Matrix, Vec<f32>)> {
        let [first, second] = &self.layers;
        let hidden = &walked.first.out;
        let mut found = second.back(values, steps[1], (hidden, g), &mut walked.second);
        let of_first = &mut walked.of_first;
        second.back_to_inputs(values, &walked.second, g, of_first, Out::Store);
        let pieces = of_first.par_chunks_mut(ROWS * first.outputs());
        let pieces = pieces.zip(hidden.par_chunks(ROWS * first.outputs()));
        pieces.for_each(|(of_first, hidden)| {
            let both = of_first.iter_mut().zip(hidden);
            both.for_each(|(g, x)| *g = if *x > 0.0 { *g } else { 0.0 });
        });
        found.extend(first.back(values, steps[0], (x, of_first), &mut walked.first));
        found
    }

    /// Adds the gradients of the table after [`back`](Self::back).
    pub fn add_to_table(&self, values: &[f32], walked: &Walked, of_table: &mut [f32]) {
        let (passed, g) = (&walked.first, &walked.of_first);
        self.layers[0].back_to_inputs(values, passed, g, of_table, Out::Add);
    }

    /// `H` of somebody new who is not in the table, and who is the target of edges from the
    /// sources of each step; all else is as it stands.
    pub fn of_visitor(&self, values: &[f32], walked: &Walked, sources: [&[u32]; 2]) -> Vec<f32> {
        let [first, second] = &self.layers;
        let x = vec![0.0; first.inputs()];
        let mut hidden = first.of_visitor(values, &walked.first, &x, sources[0]);
        hidden.iter_mut().for_each(|x| *x = x.max(0.0));
        second.of_visitor(values, &walked.second, &hidden, sources[1])
    }
}

impl Walked {
    /// `H`.
    pub fn out(&self) -> &[f32] {
        &self.second.out
    }

    /// What the first layer came to, and the second.
    #[cfg(test)]
    pub fn layers(&self) -> [&Passed; 2] {
        [&self.first, &self.second]
    }
}
