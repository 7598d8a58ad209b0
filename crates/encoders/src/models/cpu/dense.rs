use candle_core::{Result, Tensor};
use mmdlrm_kernels::{Finish, Panels, copy_rows};

use super::elementwise::{Activation, layer_norm};

/// A linear layer, `x · Wᵀ + b`.
pub(crate) struct Dense {
    weight: Panels,
    bias: Option<Vec<f32>>,
    inputs: usize,
}

impl Dense {
    /// `weight` is `[outputs, inputs]`, `bias` `[outputs]`.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let (outputs, inputs) = weight.dims2()?;
        let weight = weight.flatten_all()?.to_vec1()?;
        Ok(Self {
            weight: Panels::of_transposed(&weight, outputs, inputs),
            bias: bias.map(Tensor::to_vec1).transpose()?,
            inputs,
        })
    }

    /// Numbers of a row of outputs.
    pub fn outputs(&self) -> usize {
        self.weight.width()
    }

    /// Replaces `out` by the layer's outputs.
    pub fn apply(
        &self,
        x: &[f32],
        activation: Option<Activation>,
        out: &mut Vec<f32>,
        scratch: &mut Vec<f32>,
    ) {
        out.resize(x.len() / self.inputs * self.outputs(), 0.0);
        let add = false;
        self.run(x, out, activation, add, scratch);
    }

    /// Adds the layer's outputs to `out`.
    pub fn add(&self, x: &[f32], out: &mut [f32], scratch: &mut Vec<f32>) {
        let add = true;
        self.run(x, out, None, add, scratch);
    }

    /// Writes the layer's outputs to `out`, or adds them to it.
    pub fn run(
        &self,
        x: &[f32],
        out: &mut [f32],
        activation: Option<Activation>,
        add: bool,
        scratch: &mut Vec<f32>,
    ) {
        let finish = Finish::new(
            self.bias.as_deref(),
            add,
            #[inline(always)]
            |_, _, values: &mut [f32]| {
                if let Some(activation) = activation {
                    activation.apply(values);
                }
            },
        );
        let (rows, out) = (x.len() / self.inputs, (out, self.outputs()));
        self.weight
            .multiply(copy_rows(x, self.inputs), rows, out, finish, scratch);
    }
}

/// Layer norm (Ba et al., 2016).
pub(crate) struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    /// `weight` and `bias` are `[width]`.
    pub fn new(weight: &Tensor, bias: &Tensor, epsilon: f32) -> Result<Self> {
        Ok(Self {
            weight: weight.to_vec1()?,
            bias: bias.to_vec1()?,
            epsilon,
        })
    }

    /// Replaces `out` by the normed rows of `x`.
    pub fn apply(&self, x: &[f32], out: &mut Vec<f32>) {
        out.resize(x.len(), 0.0);
        layer_norm(x, &self.weight, &self.bias, self.epsilon, out);
    }
}
