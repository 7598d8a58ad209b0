//! The layers around a transformer: on a CPU in f32 this crate's own, whose rows
//! do not depend on each other, elsewhere candle's.

use candle_core::{DType, Result, Tensor};
use candle_nn::{Module, VarBuilder};

use crate::models::cpu::{Dense, Norm};

/// Whether this crate's own code computes with these weights.
pub(crate) fn on_cpu(weights: &VarBuilder) -> bool {
    weights.device().is_cpu() && weights.dtype() == DType::F32
}

/// `x · Wᵀ`, and `+ b` where there is one.
pub(crate) enum Linear {
    Cpu(Dense),
    Device(candle_nn::Linear),
}

impl Linear {
    /// `weight` is `[outputs, inputs]`, `bias` `[outputs]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>, weights: &VarBuilder) -> Result<Self> {
        Ok(match on_cpu(weights) {
            true => Self::Cpu(Dense::new(&weight, bias.as_ref())?),
            false => Self::Device(candle_nn::Linear::new(weight, bias)),
        })
    }

    /// Reads `weight`.
    pub fn read(inputs: usize, outputs: usize, weights: &VarBuilder) -> Result<Self> {
        Self::new(weights.get((outputs, inputs), "weight")?, None, weights)
    }

    /// Reads `weight` and `bias`.
    pub fn read_with_bias(inputs: usize, outputs: usize, weights: &VarBuilder) -> Result<Self> {
        let bias = weights.get(outputs, "bias")?;
        Self::new(
            weights.get((outputs, inputs), "weight")?,
            Some(bias),
            weights,
        )
    }

    /// `[…, inputs]` → `[…, outputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Device(layer) => layer.forward(x),
            Self::Cpu(layer) => {
                let mut shape = x.dims().to_vec();
                let (mut out, mut scratch) = (Vec::new(), Vec::new());
                let rows: Vec<f32> = x.flatten_all()?.to_vec1()?;
                layer.apply(&rows, None, &mut out, &mut scratch);
                if let Some(last) = shape.last_mut() {
                    *last = layer.outputs();
                }
                Tensor::from_vec(out, shape, x.device())
            }
        }
    }
}

/// Layer norm of the last dimension.
pub(crate) enum LayerNorm {
    Cpu(Norm),
    Device(candle_nn::LayerNorm),
}

impl LayerNorm {
    /// Reads `weight` and `bias`, or `gamma` and `beta` as checkpoints have
    /// them that began in TensorFlow, `[width]`.
    pub fn read(width: usize, epsilon: f64, weights: &VarBuilder) -> Result<Self> {
        let weight = NormWeights::read(width, weights)?;
        Ok(match on_cpu(weights) {
            true => Self::Cpu(Norm::new(&weight.weight, &weight.bias, epsilon as f32)?),
            false => Self::Device(candle_nn::LayerNorm::new(
                weight.weight,
                weight.bias,
                epsilon,
            )),
        })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Device(norm) => norm.forward(x),
            Self::Cpu(norm) => {
                let mut out = Vec::new();
                let rows: Vec<f32> = x.flatten_all()?.to_vec1()?;
                norm.apply(&rows, &mut out);
                Tensor::from_vec(out, x.shape(), x.device())
            }
        }
    }
}

/// A norm's weights, `[width]` both.
pub(crate) struct NormWeights {
    pub weight: Tensor,
    pub bias: Tensor,
}

impl NormWeights {
    /// As [`LayerNorm::read`].
    pub fn read(width: usize, weights: &VarBuilder) -> Result<Self> {
        let (weight, bias) = match weights.contains_tensor("weight") {
            true => ("weight", "bias"),
            false => ("gamma", "beta"),
        };
        Ok(Self {
            weight: weights.get(width, weight)?,
            bias: weights.get(width, bias)?,
        })
    }
}
