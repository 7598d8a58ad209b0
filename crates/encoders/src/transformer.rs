//! The pre-norm transformer that both of CLIP's towers are made of (Radford et
//! al., 2021), over `[batch, length, width]`.

use candle_core::{D, Result, Tensor};
use candle_nn::ops::{sigmoid, softmax_last_dim};
use candle_nn::{LayerNorm, Linear, Module, VarBuilder, layer_norm, linear};

use crate::config::HiddenActivation;

/// Sizes of a transformer.
pub(crate) struct TransformerConfig {
    pub width: usize,
    pub mlp_width: usize,
    pub layers: usize,
    pub heads: usize,
    pub activation: HiddenActivation,
    pub epsilon: f64,
}

pub(crate) struct Transformer {
    layers: Vec<Block>,
}

impl Transformer {
    pub fn new(config: &TransformerConfig, weights: VarBuilder) -> Result<Self> {
        let layers = (0..config.layers)
            .map(|layer| Block::new(config, weights.pp("layers").pp(layer)))
            .collect::<Result<_>>()?;
        Ok(Self { layers })
    }

    /// `mask` is added to the attention scores, `[length, length]`.
    pub fn forward(&self, mut x: Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        for layer in &self.layers {
            x = layer.forward(&x, mask)?;
        }
        Ok(x)
    }
}

struct Block {
    attention_norm: LayerNorm,
    attention: Attention,
    mlp_norm: LayerNorm,
    up: Linear,
    down: Linear,
    activation: HiddenActivation,
}

impl Block {
    fn new(config: &TransformerConfig, weights: VarBuilder) -> Result<Self> {
        let mlp = weights.pp("mlp");
        Ok(Self {
            attention_norm: layer_norm(config.width, config.epsilon, weights.pp("layer_norm1"))?,
            attention: Attention::new(config, weights.pp("self_attn"))?,
            mlp_norm: layer_norm(config.width, config.epsilon, weights.pp("layer_norm2"))?,
            up: linear(config.width, config.mlp_width, mlp.pp("fc1"))?,
            down: linear(config.mlp_width, config.width, mlp.pp("fc2"))?,
            activation: config.activation,
        })
    }

    fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let attended = self
            .attention
            .forward(&self.attention_norm.forward(x)?, mask)?;
        let x = (x + attended)?;
        let hidden = self.up.forward(&self.mlp_norm.forward(&x)?)?;
        let hidden = match self.activation {
            HiddenActivation::QuickGelu => (&hidden * sigmoid(&(&hidden * 1.702)?)?)?,
            HiddenActivation::Gelu => hidden.gelu_erf()?,
        };
        x + self.down.forward(&hidden)?
    }
}

struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

impl Attention {
    fn new(config: &TransformerConfig, weights: VarBuilder) -> Result<Self> {
        let projection = |name| linear(config.width, config.width, weights.pp(name));
        Ok(Self {
            query: projection("q_proj")?,
            key: projection("k_proj")?,
            value: projection("v_proj")?,
            out: projection("out_proj")?,
            heads: config.heads,
        })
    }

    fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let (batch, length, width) = x.dims3()?;
        let head_width = width / self.heads;
        let split = |projection: &Linear| -> Result<Tensor> {
            projection
                .forward(x)?
                .reshape((batch, length, self.heads, head_width))?
                .transpose(1, 2)?
                .contiguous()
        };
        let query = (split(&self.query)? * (head_width as f64).powf(-0.5))?;
        let scores = query.matmul(&split(&self.key)?.transpose(D::Minus2, D::Minus1)?)?;
        let scores = match mask {
            Some(mask) => scores.broadcast_add(mask)?,
            None => scores,
        };
        let attended = softmax_last_dim(&scores)?.matmul(&split(&self.value)?)?;
        self.out
            .forward(&attended.transpose(1, 2)?.reshape((batch, length, width))?)
    }
}
