//! Multi-layer perceptron, with its gradients.
//!
//! For `x` of `[rows, inputs]`, `W` of `[outputs, inputs]` and `b` of `[outputs]`, a layer is
//!
//! ```text
//! forward    y = act(x·Wᵀ + b)
//! backward   g = ∂L/∂y · act'       the upstream gradient, [rows, outputs]
//!            ∂L/∂W = gᵀ·x   ∂L/∂b = Σ_rows g   ∂L/∂x = g·W
//! ```
//!
//! Parameters live in one flat list with those of every other MLP; a layer knows where its own
//! begin. That makes optimizers, reductions over threads and files one loop each. Products read
//! copies of the weights, [`PackedMlp`], made anew after each step.

use std::ops::Range;

use mmdlrm_kernels::{
    Finish, Panels, Rows, add_scaled, add_transposed, copy_rows, dot, store, vectorize,
};

use rayon::prelude::*;

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
        input: impl Rows,
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
        input: impl Rows,
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
        upstream: impl Rows,
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
    /// `Wᵀ`, for `x·Wᵀ`.
    forward: Panels,
    /// `W`, for `g·W`.
    backward: Panels,
}

impl PackedLayer {
    /// Copies the weight; for backward products too where the gradient of the
    /// input is wanted.
    pub fn pack(&mut self, layer: &Layer, parameters: &[f32], backward: bool) {
        let weight = layer.weight(parameters);
        let (outputs, inputs) = (layer.outputs, layer.inputs);
        let (forward, of_input) = (&mut self.forward, &mut self.backward);
        rayon::join(
            || forward.fill_transposed((weight, inputs), outputs, inputs),
            || {
                if backward {
                    of_input.fill((weight, inputs), outputs, inputs);
                }
            },
        );
    }

    /// `out = input · Wᵀ`, without bias and activation.
    pub fn multiply(
        &self,
        input: impl Rows,
        rows: usize,
        out: (&mut [f32], usize),
        scratch: &mut Vec<f32>,
    ) {
        self.forward.multiply(input, rows, out, store(), scratch);
    }
}

/// The weights of an MLP as the products read them.
pub(crate) type PackedMlp = Vec<PackedLayer>;

/// The layers of an MLP, the first first.
#[derive(Debug, Clone)]
pub(crate) struct Mlp {
    pub layers: Vec<Layer>,
}

/// An MLP with its parameters, to take rows through.
#[derive(Clone, Copy)]
pub(crate) struct MlpPass<'a> {
    pub mlp: &'a Mlp,
    pub packed: &'a PackedMlp,
    /// All parameters of the model, [`Parameters::dense`](crate::Parameters::dense).
    pub parameters: &'a [f32],
    /// Of the outputs of hidden layers.
    pub dropout: Option<Dropout>,
}

/// What a pass over some rows leaves behind.
#[derive(Debug, Clone, Default)]
pub(crate) struct MlpBuffers {
    /// Outputs of each layer, `[rows, outputs]`.
    pub outputs: Vec<Vec<f32>>,
    /// Upstream gradient of each layer, `[rows, outputs]`.
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
        let layers = self.layers.par_iter().zip(packed).enumerate();
        layers.for_each(|(number, (layer, packed))| {
            packed.pack(layer, parameters, of_input || number > 0);
        });
    }
}

impl MlpPass<'_> {
    /// Fills `buffers.outputs`, the last of which is the answer.
    pub fn forward(self, input: impl Rows, rows: usize, buffers: &mut MlpBuffers) {
        self.forward_layers(self.mlp.layers.len(), input, rows, buffers);
    }

    /// Fills the outputs of the first `count` layers.
    pub fn forward_layers(
        self,
        count: usize,
        input: impl Rows,
        rows: usize,
        buffers: &mut MlpBuffers,
    ) {
        let layers = &self.mlp.layers;
        let MlpBuffers {
            outputs, scratch, ..
        } = buffers;
        outputs.resize_with(layers.len(), Vec::new);
        for (number, layer) in layers[..count].iter().enumerate() {
            let (before, rest) = outputs.split_at_mut(number);
            let out = &mut rest[0];
            out.resize(rows * layer.outputs, 0.0);
            let packed = &self.packed[number];
            match before.last() {
                None => {
                    let out = (out.as_mut_slice(), layer.outputs);
                    layer.forward(packed, self.parameters, input, rows, out, scratch);
                }
                Some(before) if layer.outputs == 1 => {
                    layer.forward_to_one(self.parameters, before, out);
                }
                Some(before) => {
                    let out = (out.as_mut_slice(), layer.outputs);
                    let input = copy_rows(before, layer.inputs);
                    layer.forward(packed, self.parameters, input, rows, out, scratch);
                }
            }
            if let Some(dropout) = self.dropout.filter(|_| number + 1 < layers.len()) {
                dropout.apply(out, layer.outputs, layer.start);
            }
        }
    }

    /// Adds to `gradient` what the rows of the last [`forward`](Self::forward)
    /// contribute. The gradient of the answer stands in
    /// [`MlpBuffers::last_gradient`]; that of the input is written to
    /// `input_gradient` where it is wanted.
    pub fn backward(
        self,
        input: impl Rows,
        rows: usize,
        buffers: &mut MlpBuffers,
        gradient: &mut Sums,
        input_gradient: Option<&mut [f32]>,
    ) {
        let layers = &self.mlp.layers;
        let MlpBuffers {
            outputs,
            gradients,
            scratch,
        } = buffers;
        let (Some(first), Some(last), Some(output)) =
            (layers.first(), layers.last(), outputs.last())
        else {
            return;
        };
        if let Some(upstream) = gradients.last_mut() {
            mask(upstream, output, last.activation, 1.0);
        }
        for number in (1..layers.len()).rev() {
            let layer = &layers[number];
            let (below, upstream) = gradients.split_at_mut(number);
            let (below, upstream) = (&mut below[number - 1], &upstream[0]);
            below.resize(rows * layer.inputs, 0.0);
            let (input, below) = (&outputs[number - 1], below.as_mut_slice());
            if layer.outputs == 1 {
                layer.backward_from_one(self.parameters, upstream, input, gradient, below);
                mask(below, input, layers[number - 1].activation, self.scale());
            } else {
                let rows_of_input = copy_rows(input, layer.inputs);
                layer.backward_parameters(upstream, rows_of_input, gradient, scratch);
                self.backward_hidden(number, upstream, input, below, scratch);
            }
        }
        let upstream = &gradients[0];
        first.backward_parameters(upstream, input, gradient, scratch);
        if let Some(below) = input_gradient {
            let (upstream, out) = (copy_rows(upstream, first.outputs), (below, first.inputs));
            first.backward_input(&self.packed[0], upstream, rows, out, store(), scratch);
        }
    }

    /// From the upstream gradient of a layer to that of the layer below, whose outputs are
    /// `input`.
    fn backward_hidden(
        self,
        number: usize,
        upstream: &[f32],
        input: &[f32],
        below: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        let layer = &self.mlp.layers[number];
        let (activation, scale) = (self.mlp.layers[number - 1].activation, self.scale());
        let masked = Finish::new(
            None,
            false,
            #[inline(always)]
            |row: usize, column: usize, x: &mut [f32]| {
                let start = row * layer.inputs + column;
                mask_values(x, &input[start..start + x.len()], activation, scale);
            },
        );
        let (rows, out) = (below.len() / layer.inputs, (below, layer.inputs));
        let upstream = copy_rows(upstream, layer.outputs);
        layer.backward_input(&self.packed[number], upstream, rows, out, masked, scratch);
    }

    /// What dropout multiplies the numbers by that it keeps.
    fn scale(&self) -> f32 {
        self.dropout.map_or(1.0, |dropout| dropout.scale)
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
