//! Multi-layer perceptron `x ← act(x·Wᵀ + b)` over `[rows, width]` slices.
//!
//! Weights live in one flat list with every other MLP parameter; a layer knows
//! where its own begin. That makes optimisers, reductions over threads and
//! files one loop each. Products read copies of the weights, [`PackedMlp`],
//! made anew after each step.

use std::ops::Range;

use mmdlrm_kernels::{
    Finish, Panels, add_scaled, add_transposed, copy_rows, dot, store, vectorize,
};

use crate::Activation;
use crate::dropout::Dropout;

/// One layer, `[inputs]` → `[outputs]`.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub inputs: usize,
    pub outputs: usize,
    /// Start of the weight, `[outputs, inputs]`; the bias `[outputs]` follows.
    pub start: usize,
    pub has_bias: bool,
    pub activation: Activation,
}

impl Layer {
    pub fn bias_start(&self) -> usize {
        self.start + self.inputs * self.outputs
    }

    /// Where its parameters end.
    pub fn end(&self) -> usize {
        self.bias_start() + if self.has_bias { self.outputs } else { 0 }
    }

    fn weight<'a>(&self, parameters: &'a [f32]) -> &'a [f32] {
        &parameters[self.start..self.bias_start()]
    }

    fn bias<'a>(&self, parameters: &'a [f32]) -> Option<&'a [f32]> {
        self.has_bias
            .then(|| &parameters[self.bias_start()..self.end()])
    }

    /// `out = act(input · Wᵀ + b)`; `out` is a slice and the distance of its
    /// rows.
    pub fn forward(
        &self,
        packed: &PackedLayer,
        parameters: &[f32],
        input: impl Fn(usize, usize, &mut [f32]) + Copy,
        rows: usize,
        out: (&mut [f32], usize),
        scratch: &mut Vec<f32>,
    ) {
        let relu = self.activation == Activation::Relu;
        let finish = Finish::new(
            self.bias(parameters),
            false,
            #[inline(always)]
            |_, _, x: &mut [f32]| {
                if relu {
                    // Written so that NaN stays NaN: `max` would hide it.
                    x.iter_mut()
                        .for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x });
                }
            },
        );
        packed.forward.multiply(input, rows, out, finish, scratch);
    }

    /// Adds to `gradient` those of weight and bias; `upstream`,
    /// `[rows, outputs]`, is the gradient before the activation.
    pub fn backward_parameters(
        &self,
        upstream: &[f32],
        input: impl Fn(usize, usize, &mut [f32]) + Copy,
        gradient: &mut Sums,
        scratch: &mut Vec<f32>,
    ) {
        let gradient = gradient.of(self.start..self.end());
        let (weight, bias) = gradient.split_at_mut(self.inputs * self.outputs);
        let sizes = (self.outputs, self.inputs);
        add_transposed(weight, upstream, input, sizes, scratch);
        vectorize(
            #[inline(always)]
            || {
                for row in upstream.chunks_exact(self.outputs) {
                    bias.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
                }
            },
        );
    }

    /// `out = finish(upstream · W)`.
    pub fn backward_input(
        &self,
        packed: &PackedLayer,
        upstream: impl Fn(usize, usize, &mut [f32]),
        rows: usize,
        out: (&mut [f32], usize),
        finish: Finish<impl Fn(usize, usize, &mut [f32])>,
        scratch: &mut Vec<f32>,
    ) {
        packed
            .backward
            .multiply(upstream, rows, out, finish, scratch);
    }
}

/// Sums of the gradients of some parameters, the first of which is parameter
/// number `first`.
pub(crate) struct Sums<'a> {
    pub values: &'a mut [f32],
    pub first: usize,
}

impl Sums<'_> {
    pub fn of(&mut self, range: Range<usize>) -> &mut [f32] {
        &mut self.values[range.start - self.first..range.end - self.first]
    }
}

/// A layer's weight as the products read it.
#[derive(Debug, Clone, Default)]
pub(crate) struct PackedLayer {
    forward: Panels,
    backward: Panels,
}

impl PackedLayer {
    /// Copies the weight; for backward products too where the gradient of the
    /// input is wanted.
    pub fn pack(&mut self, layer: &Layer, parameters: &[f32], backward: bool) {
        let weight = layer.weight(parameters);
        let (outputs, inputs) = (layer.outputs, layer.inputs);
        self.forward
            .fill_transposed((weight, inputs), outputs, inputs);
        if backward {
            self.backward.fill((weight, inputs), outputs, inputs);
        }
    }
}

impl PackedLayer {
    /// `out = input · Wᵀ`, without bias and activation.
    pub fn multiply(
        &self,
        input: impl Fn(usize, usize, &mut [f32]) + Copy,
        rows: usize,
        out: (&mut [f32], usize),
        scratch: &mut Vec<f32>,
    ) {
        self.forward.multiply(input, rows, out, store(), scratch);
    }
}

/// The weights of an MLP as the products read them.
pub(crate) type PackedMlp = Vec<PackedLayer>;

#[derive(Debug, Clone)]
pub(crate) struct Mlp {
    pub layers: Vec<Layer>,
}

/// What a pass over some rows leaves behind: one buffer a layer for outputs
/// and one for the gradients before their activations.
#[derive(Debug, Clone, Default)]
pub(crate) struct MlpBuffers {
    pub outputs: Vec<Vec<f32>>,
    pub gradients: Vec<Vec<f32>>,
    scratch: Vec<f32>,
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
        let mut layers: Vec<Layer> = Vec::with_capacity(widths.len());
        for (number, &outputs) in widths.iter().enumerate() {
            let is_last = number + 1 == widths.len();
            layers.push(Layer {
                inputs: layers.last().map_or(inputs, |layer| layer.outputs),
                outputs,
                start: layers.last().map_or(start, Layer::end),
                has_bias: true,
                activation: if is_last { last } else { hidden },
            });
        }
        Self { layers }
    }

    /// Where the parameters end that began at `start`.
    pub fn end(&self, start: usize) -> usize {
        self.layers.last().map_or(start, Layer::end)
    }

    /// Copies the weights for the products. The gradient of the first layer's
    /// input is wanted where `of_input` says so.
    pub fn pack(&self, parameters: &[f32], of_input: bool, packed: &mut PackedMlp) {
        packed.resize_with(self.layers.len(), PackedLayer::default);
        for (number, (layer, packed)) in self.layers.iter().zip(packed).enumerate() {
            packed.pack(layer, parameters, of_input || number > 0);
        }
    }

    /// Fills `buffers.outputs`, the last of which is the answer.
    pub fn forward(
        &self,
        packed: &PackedMlp,
        parameters: &[f32],
        input: impl Fn(usize, usize, &mut [f32]) + Copy,
        rows: usize,
        buffers: &mut MlpBuffers,
        dropout: Option<Dropout>,
    ) {
        let all = self.layers.len();
        self.forward_layers(all, packed, parameters, input, rows, buffers, dropout);
    }

    /// Fills the outputs of the first `count` layers.
    #[expect(clippy::too_many_arguments, reason = "one of them is scratch")]
    pub fn forward_layers(
        &self,
        count: usize,
        packed: &PackedMlp,
        parameters: &[f32],
        input: impl Fn(usize, usize, &mut [f32]) + Copy,
        rows: usize,
        buffers: &mut MlpBuffers,
        dropout: Option<Dropout>,
    ) {
        let MlpBuffers {
            outputs, scratch, ..
        } = buffers;
        outputs.resize_with(self.layers.len(), Vec::new);
        for (number, layer) in self.layers[..count].iter().enumerate() {
            let (before, rest) = outputs.split_at_mut(number);
            let out = &mut rest[0];
            out.resize(rows * layer.outputs, 0.0);
            let packed = &packed[number];
            match before.last() {
                None => {
                    let out = (out.as_mut_slice(), layer.outputs);
                    layer.forward(packed, parameters, input, rows, out, scratch);
                }
                Some(before) if layer.outputs == 1 => {
                    layer.forward_to_one(parameters, before, out);
                }
                Some(before) => {
                    let out = (out.as_mut_slice(), layer.outputs);
                    let input = copy_rows(before, layer.inputs);
                    layer.forward(packed, parameters, input, rows, out, scratch);
                }
            }
            if let Some(dropout) = dropout.filter(|_| number + 1 < self.layers.len()) {
                dropout.apply(out, layer.outputs, layer.start);
            }
        }
    }

    /// Adds to `gradient` what the rows of the last [`forward`](Self::forward)
    /// contribute. The gradient of the answer stands in
    /// [`MlpBuffers::last_gradient`]; that of the input is written to
    /// `input_gradient` where it is wanted.
    #[expect(clippy::too_many_arguments, reason = "one of them is scratch")]
    pub fn backward(
        &self,
        packed: &PackedMlp,
        parameters: &[f32],
        input: impl Fn(usize, usize, &mut [f32]) + Copy,
        rows: usize,
        buffers: &mut MlpBuffers,
        gradient: &mut Sums,
        mut input_gradient: Option<&mut [f32]>,
        dropout: Option<Dropout>,
    ) {
        let MlpBuffers {
            outputs,
            gradients,
            scratch,
        } = buffers;
        if let (Some(last), Some(output), Some(layer)) =
            (gradients.last_mut(), outputs.last(), self.layers.last())
        {
            mask(last, output, layer.activation, 1.0);
        }
        for (number, layer) in self.layers.iter().enumerate().rev() {
            let (before, after) = gradients.split_at_mut(number);
            let upstream = &after[0];
            let packed = &packed[number];
            let Some(below) = before.last_mut() else {
                layer.backward_parameters(upstream, input, gradient, scratch);
                if let Some(below) = input_gradient.take() {
                    let (out, upstream) =
                        ((below, layer.inputs), copy_rows(upstream, layer.outputs));
                    layer.backward_input(packed, upstream, rows, out, store(), scratch);
                }
                break;
            };
            below.resize(rows * layer.inputs, 0.0);
            let (output, activation) = (&outputs[number - 1], self.layers[number - 1].activation);
            let scale = dropout.map_or(1.0, |dropout| dropout.scale);
            if layer.outputs == 1 {
                layer.backward_from_one(parameters, upstream, output, gradient, below);
                mask(below, output, activation, scale);
            } else {
                let input = copy_rows(output, layer.inputs);
                layer.backward_parameters(upstream, input, gradient, scratch);
                let masked = Finish::new(
                    None,
                    false,
                    #[inline(always)]
                    |row: usize, column: usize, x: &mut [f32]| {
                        let start = row * layer.inputs + column;
                        mask_values(x, &output[start..start + x.len()], activation, scale);
                    },
                );
                let upstream = copy_rows(upstream, layer.outputs);
                let out = (below.as_mut_slice(), layer.inputs);
                layer.backward_input(packed, upstream, rows, out, masked, scratch);
            }
        }
    }
}

/// The last layer often has one output; products would be mostly padding.
impl Layer {
    fn forward_to_one(&self, parameters: &[f32], input: &[f32], out: &mut [f32]) {
        let weight = self.weight(parameters);
        let bias = self.bias(parameters).map_or(0.0, |bias| bias[0]);
        let relu = self.activation == Activation::Relu;
        vectorize(
            #[inline(always)]
            || {
                for (out, row) in out.iter_mut().zip(input.chunks_exact(self.inputs)) {
                    let sum = dot(row, weight) + bias;
                    *out = if relu && sum < 0.0 { 0.0 } else { sum };
                }
            },
        );
    }

    fn backward_from_one(
        &self,
        parameters: &[f32],
        upstream: &[f32],
        input: &[f32],
        gradient: &mut Sums,
        below: &mut [f32],
    ) {
        let weight = self.weight(parameters);
        let gradient = gradient.of(self.start..self.end());
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(self.inputs);
        vectorize(
            #[inline(always)]
            || {
                let rows = input.chunks_exact(self.inputs);
                let rows = rows.zip(below.chunks_exact_mut(self.inputs));
                for ((row, below), &g) in rows.zip(upstream) {
                    add_scaled(weight_gradient, row, g);
                    below.iter_mut().zip(weight).for_each(|(x, w)| *x = g * w);
                    bias_gradient.iter_mut().for_each(|sum| *sum += g);
                }
            },
        );
    }
}

/// A layer of one output, without bias, whose answer is added to another's.
impl Layer {
    /// `out += input · wᵀ`.
    pub fn add_to_one(&self, parameters: &[f32], input: &[f32], out: &mut [f32]) {
        let weight = self.weight(parameters);
        vectorize(
            #[inline(always)]
            || {
                for (out, row) in out.iter_mut().zip(input.chunks_exact(self.inputs)) {
                    *out += dot(row, weight);
                }
            },
        );
    }

    /// Adds to `gradient` that of the weight, and to `below` that of the input.
    pub fn add_from_one(
        &self,
        parameters: &[f32],
        upstream: &[f32],
        input: &[f32],
        gradient: &mut Sums,
        below: &mut [f32],
    ) {
        let weight = self.weight(parameters);
        let gradient = gradient.of(self.start..self.end());
        vectorize(
            #[inline(always)]
            || {
                let rows = input.chunks_exact(self.inputs);
                let rows = rows.zip(below.chunks_exact_mut(self.inputs));
                for ((row, below), &g) in rows.zip(upstream) {
                    add_scaled(gradient, row, g);
                    add_scaled(below, weight, g);
                }
            },
        );
    }
}

/// From the gradient of an output to that before its activation.
fn mask(gradient: &mut [f32], output: &[f32], activation: Activation, scale: f32) {
    vectorize(
        #[inline(always)]
        || mask_values(gradient, output, activation, scale),
    );
}

/// `scale` is what dropout multiplied by; what it dropped is 0, as is what a
/// ReLU cut off. Both choices are computed: of a product in a branch the compiler makes a jump
/// for each number.
#[inline(always)]
fn mask_values(gradient: &mut [f32], output: &[f32], activation: Activation, scale: f32) {
    let pairs = gradient.iter_mut().zip(output);
    match activation {
        Activation::Relu => {
            pairs.for_each(|(g, &y)| {
                let scaled = *g * scale;
                *g = if y > 0.0 { scaled } else { 0.0 };
            });
        }
        Activation::Identity if scale != 1.0 => {
            pairs.for_each(|(g, &y)| {
                let scaled = *g * scale;
                *g = if y == 0.0 { 0.0 } else { scaled };
            });
        }
        Activation::Identity => {}
    }
}

impl MlpBuffers {
    /// The answer of the last layer, for something to be added.
    pub fn last_output_mut(&mut self) -> &mut [f32] {
        self.outputs.last_mut().map_or(&mut [], Vec::as_mut_slice)
    }

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
