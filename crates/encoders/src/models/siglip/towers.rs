//! SigLIP's two towers with the weight names of Hugging Face.

use candle_core::{D, Result, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::{Embedding, Module, VarBuilder, embedding};

use super::config::{TextConfig, VisionConfig};
use crate::models::cpu::Activation;
use crate::models::layers::{LayerNorm, Linear};
use crate::models::patches::Patches;
use crate::models::transformer::{Keep, Names, Transformer, TransformerConfig, activated};

pub(super) struct VisionTower {
    patches: Patches,
    /// `[patches, width]`.
    positions: Tensor,
    transformer: Transformer,
    last_norm: LayerNorm,
    head: PoolingHead,
}

impl VisionTower {
    pub fn new(config: &VisionConfig, weights: &VarBuilder) -> Result<Self> {
        let (width, epsilon) = (config.hidden_size, config.layer_norm_eps);
        let tower = weights.pp("vision_model");
        let embeddings = tower.pp("embeddings");
        let transformer = TransformerConfig::of(&config.sizes(), config.hidden_act);
        let has_bias = true;
        let patches = embeddings.pp("patch_embedding");
        Ok(Self {
            patches: Patches::read(width, config.patch_size, has_bias, &patches)?,
            positions: embeddings.get((config.patches(), width), "position_embedding.weight")?,
            transformer: Transformer::new(
                transformer,
                &Names::OF_CLIP,
                tower.pp("encoder.layers"),
            )?,
            last_norm: LayerNorm::read(width, epsilon, &tower.pp("post_layernorm"))?,
            head: PoolingHead::new(config, &tower.pp("head"))?,
        })
    }

    /// `[batch, 3, size, size]` → `[batch, width]`.
    pub fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let x = self
            .patches
            .forward(pixels)?
            .broadcast_add(&self.positions)?;
        let (batch, rows, width) = x.dims3()?;
        let x = self
            .transformer
            .forward(x.flatten(0, 1)?, &vec![rows; batch])?;
        let x = self.last_norm.forward(&x)?;
        self.head.forward(&x.reshape((batch, rows, width))?)
    }
}

/// Attention of one learned query to all rows, and an MLP (Lee et al., 2019).
struct PoolingHead {
    /// The projected query of each head, scaled: `[heads, 1, head width]`.
    query: Tensor,
    key: Linear,
    value: Linear,
    out: Linear,
    norm: LayerNorm,
    up: Linear,
    activation: Activation,
    down: Linear,
}

impl PoolingHead {
    fn new(config: &VisionConfig, weights: &VarBuilder) -> Result<Self> {
        let (width, heads) = (config.hidden_size, config.num_attention_heads);
        let attention = weights.pp("attention");
        let packed = attention.get((3 * width, width), "in_proj_weight")?;
        let packed_bias = attention.get(3 * width, "in_proj_bias")?;
        let part = |number: usize| -> Result<(Tensor, Tensor)> {
            let (weight, bias) = (
                packed.narrow(0, number * width, width)?,
                packed_bias.narrow(0, number * width, width)?,
            );
            Ok((weight.contiguous()?, bias.contiguous()?))
        };
        let linear = |(weight, bias): (Tensor, Tensor)| Linear::new(weight, Some(bias), weights);
        let probe = weights.get((1, 1, width), "probe")?.flatten_to(1)?;
        let query = linear(part(0)?)?.forward(&probe)?;
        let query = (query * ((width / heads) as f64).powf(-0.5))?;
        let mlp = weights.pp("mlp");
        let mlp_width = config.intermediate_size;
        Ok(Self {
            query: query.reshape((heads, 1, width / heads))?,
            key: linear(part(1)?)?,
            value: linear(part(2)?)?,
            out: Linear::read_with_bias(width, width, &attention.pp("out_proj"))?,
            norm: LayerNorm::read(width, config.layer_norm_eps, &weights.pp("layernorm"))?,
            up: Linear::read_with_bias(width, mlp_width, &mlp.pp("fc1"))?,
            activation: config.hidden_act,
            down: Linear::read_with_bias(mlp_width, width, &mlp.pp("fc2"))?,
        })
    }

    /// `[batch, rows, width]` → `[batch, width]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, rows, width) = x.dims3()?;
        let (heads, _, head_width) = self.query.dims3()?;
        let split = |projected: Tensor| -> Result<Tensor> {
            projected
                .reshape((batch, rows, heads, head_width))?
                .transpose(1, 2)?
                .contiguous()
        };
        let (keys, values) = (split(self.key.forward(x)?)?, split(self.value.forward(x)?)?);
        let query = self.query.unsqueeze(0)?;
        // One query: products of rows, rather than of matrices.
        let scores = keys.broadcast_mul(&query)?.sum(D::Minus1)?;
        let scores = softmax_last_dim(&scores)?.unsqueeze(D::Minus1)?;
        let attended = values.broadcast_mul(&scores)?.sum(2)?;
        let attended = self.out.forward(&attended.reshape((batch, width))?)?;
        let hidden = self.up.forward(&self.norm.forward(&attended)?)?;
        attended + self.down.forward(&activated(hidden, self.activation)?)?
    }
}

pub(super) struct TextTower {
    tokens: Embedding,
    /// `[longest, width]`.
    positions: Tensor,
    transformer: Transformer,
    last_norm: LayerNorm,
    head: Linear,
}

impl TextTower {
    pub fn new(config: &TextConfig, weights: &VarBuilder) -> Result<Self> {
        let (width, epsilon) = (config.hidden_size, config.layer_norm_eps);
        let tower = weights.pp("text_model");
        let embeddings = tower.pp("embeddings");
        let transformer = TransformerConfig {
            keep: Keep::Last,
            ..TransformerConfig::of(&config.sizes(), config.hidden_act)
        };
        let positions = (config.max_position_embeddings, width);
        Ok(Self {
            tokens: embedding(config.vocab_size, width, embeddings.pp("token_embedding"))?,
            positions: embeddings.get(positions, "position_embedding.weight")?,
            transformer: Transformer::new(
                transformer,
                &Names::OF_CLIP,
                tower.pp("encoder.layers"),
            )?,
            last_norm: LayerNorm::read(width, epsilon, &tower.pp("final_layer_norm"))?,
            head: Linear::read_with_bias(width, config.width(), &tower.pp("head"))?,
        })
    }

    /// Texts of token ids, each as long as the model takes, → `[texts, projection]`, read at the
    /// last.
    pub fn forward(&self, texts: &[Vec<u32>]) -> Result<Tensor> {
        let (longest, width) = self.positions.dims2()?;
        let ids = Tensor::new(texts.concat(), self.positions.device())?;
        let x = self
            .tokens
            .forward(&ids)?
            .reshape((texts.len(), longest, width))?;
        let x = x.broadcast_add(&self.positions)?.flatten(0, 1)?;
        let last = self.transformer.forward(x, &vec![longest; texts.len()])?;
        self.head.forward(&self.last_norm.forward(&last)?)
    }
}
