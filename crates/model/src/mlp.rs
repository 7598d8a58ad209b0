//! Multi-layer perceptron `x ← act(x·Wᵀ + b)` over `[rows, width]` slices.
//!
//! Weights live in one flat list with every other MLP parameter; a layer knows
//! where its own begin. That makes optimisers, reductions over threads and
//! files one loop each.

use crate::Activation;
use crate::matmul::{add_a_b, add_a_bt, add_at_b};

/// One layer, `[inputs]` → `[outputs]`.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub inputs: usize,
    pub outputs: usize,
    /// Start of the weight, `[outputs, inputs]`; the bias `[outputs]` follows.
    pub start: usize,
    pub activation: Activation,
}

#[derive(Debug, Clone)]
pub(crate) struct Mlp {
    pub layers: Vec<Layer>,
}

/// What a pass over some rows leaves behind: one buffer a layer for outputs
/// and one for their gradients.
#[derive(Debug, Clone, Default)]
pub(crate) struct MlpBuffers {
    pub outputs: Vec<Vec<f32>>,
    pub gradients: Vec<Vec<f32>>,
}

impl Layer {
    fn weight<'a>(&self, parameters: &'a [f32]) -> &'a [f32] {
        &parameters[self.start..self.start + self.inputs * self.outputs]
    }

    pub(crate) fn bias_start(&self) -> usize {
        self.start + self.inputs * self.outputs
    }

    fn forward(&self, parameters: &[f32], input: &[f32], output: &mut [f32], rows: usize) {
        let bias = &parameters[self.bias_start()..self.bias_start() + self.outputs];
        for row in output.chunks_exact_mut(self.outputs) {
            row.copy_from_slice(bias);
        }
        add_a_bt(
            output,
            input,
            self.weight(parameters),
            rows,
            self.outputs,
            self.inputs,
        );
        if self.activation == Activation::Relu {
            // Written so that NaN stays NaN: `max` would hide it.
            output
                .iter_mut()
                .for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x });
        }
    }

    /// Adds to the parameters' gradients; `upstream` holds the gradient of the
    /// output and is masked by the activation in place.
    fn backward_parameters(
        &self,
        input: &[f32],
        output: &[f32],
        upstream: &mut [f32],
        gradient: &mut [f32],
        rows: usize,
    ) {
        if self.activation == Activation::Relu {
            for (g, &y) in upstream.iter_mut().zip(output) {
                *g = if y > 0.0 { *g } else { 0.0 };
            }
        }
        let (weight, rest) = gradient[self.start..].split_at_mut(self.inputs * self.outputs);
        add_at_b(weight, upstream, input, self.outputs, self.inputs, rows);
        let bias = &mut rest[..self.outputs];
        for row in upstream.chunks_exact(self.outputs) {
            bias.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
        }
    }
}

impl Mlp {
    /// Layers of the given widths, their parameters from `start` on.
    pub fn new(
        inputs: usize,
        widths: &[usize],
        start: usize,
        hidden: Activation,
        last: Activation,
    ) -> Self {
        let mut layers = Vec::with_capacity(widths.len());
        let (mut inputs, mut start) = (inputs, start);
        for (number, &outputs) in widths.iter().enumerate() {
            let activation = if number + 1 == widths.len() {
                last
            } else {
                hidden
            };
            let layer = Layer {
                inputs,
                outputs,
                start,
                activation,
            };
            start = layer.bias_start() + outputs;
            inputs = outputs;
            layers.push(layer);
        }
        Self { layers }
    }

    /// Where the parameters end that began at `start`.
    pub fn end(&self, start: usize) -> usize {
        self.layers
            .last()
            .map_or(start, |layer| layer.bias_start() + layer.outputs)
    }

    /// Fills `buffers.outputs`, the last of which is the answer.
    pub fn forward(
        &self,
        parameters: &[f32],
        input: &[f32],
        rows: usize,
        buffers: &mut MlpBuffers,
    ) {
        self.forward_layers(self.layers.len(), parameters, input, rows, buffers);
    }

    /// Fills the outputs of all layers but the last.
    pub fn forward_hidden(
        &self,
        parameters: &[f32],
        input: &[f32],
        rows: usize,
        buffers: &mut MlpBuffers,
    ) {
        self.forward_layers(
            self.layers.len().saturating_sub(1),
            parameters,
            input,
            rows,
            buffers,
        );
    }

    fn forward_layers(
        &self,
        layers: usize,
        parameters: &[f32],
        input: &[f32],
        rows: usize,
        buffers: &mut MlpBuffers,
    ) {
        buffers.outputs.resize_with(self.layers.len(), Vec::new);
        for (number, layer) in self.layers[..layers].iter().enumerate() {
            let (before, rest) = buffers.outputs.split_at_mut(number);
            let input = before.last().map_or(input, |output| output.as_slice());
            rest[0].resize(rows * layer.outputs, 0.0);
            layer.forward(parameters, input, &mut rest[0], rows);
        }
    }

    /// Adds to `gradient` what the rows of the last [`forward`](Self::forward)
    /// contribute. The gradient of the answer stands in
    /// [`MlpBuffers::last_gradient`]; that of the input is written to
    /// `input_gradient` where it is wanted.
    pub fn backward(
        &self,
        parameters: &[f32],
        input: &[f32],
        rows: usize,
        buffers: &mut MlpBuffers,
        gradient: &mut [f32],
        mut input_gradient: Option<&mut [f32]>,
    ) {
        for (number, layer) in self.layers.iter().enumerate().rev() {
            let (before, after) = buffers.gradients.split_at_mut(number);
            let upstream = &mut after[0];
            let layer_input = match number {
                0 => input,
                _ => &buffers.outputs[number - 1],
            };
            let output = &buffers.outputs[number];
            layer.backward_parameters(layer_input, output, upstream, gradient, rows);
            let below = match before.last_mut() {
                Some(below) => {
                    below.resize(rows * layer.inputs, 0.0);
                    Some(below.as_mut_slice())
                }
                None => input_gradient.as_deref_mut(),
            };
            if let Some(below) = below {
                below.fill(0.0);
                let weight = layer.weight(parameters);
                add_a_b(below, upstream, weight, rows, layer.inputs, layer.outputs);
            }
        }
    }
}

impl MlpBuffers {
    /// The answer of the last layer; empty before any forward pass.
    pub fn last_output(&self) -> &[f32] {
        self.outputs.last().map_or(&[], Vec::as_slice)
    }

    /// Room for the gradient of the answer, `[rows, outputs]` of the last
    /// layer; whatever it held is still there and must be overwritten.
    pub fn last_gradient(&mut self, mlp: &Mlp, rows: usize) -> &mut [f32] {
        self.gradients.resize_with(mlp.layers.len(), Vec::new);
        match (self.gradients.last_mut(), mlp.layers.last()) {
            (Some(gradient), Some(layer)) => {
                gradient.resize(rows * layer.outputs, 0.0);
                gradient
            }
            _ => &mut [],
        }
    }
}
