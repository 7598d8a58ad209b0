//! CLIP's two towers with the weight names of Hugging Face.

use candle_core::{Device, Result, Tensor};
use candle_nn::{
    Embedding, LayerNorm, Linear, Module, VarBuilder, embedding, layer_norm, linear_no_bias,
};

use crate::config::{ClipConfig, TextConfig, VisionConfig};
use crate::transformer::{Transformer, TransformerConfig};

pub(crate) struct VisionTower {
    /// `[width, 3·patch·patch]`: the patch convolution as a matrix, since its
    /// stride is its size.
    patch: Linear,
    class: Tensor,
    positions: Tensor,
    first_norm: LayerNorm,
    transformer: Transformer,
    last_norm: LayerNorm,
    projection: Linear,
    patch_size: usize,
}

impl VisionTower {
    pub fn new(config: &ClipConfig, weights: &VarBuilder) -> Result<Self> {
        let VisionConfig {
            hidden_size,
            patch_size,
            image_size,
            layer_norm_eps,
            ..
        } = config.vision_config;
        let tower = weights.pp("vision_model");
        let embeddings = tower.pp("embeddings");
        let patch = embeddings
            .get(
                (hidden_size, 3, patch_size, patch_size),
                "patch_embedding.weight",
            )?
            .reshape((hidden_size, 3 * patch_size * patch_size))?;
        let positions = (image_size / patch_size).pow(2) + 1;
        Ok(Self {
            patch: Linear::new(patch, None),
            class: embeddings.get(hidden_size, "class_embedding")?,
            positions: embeddings.get((positions, hidden_size), "position_embedding.weight")?,
            // The misspelling is in every published file.
            first_norm: layer_norm(hidden_size, layer_norm_eps, tower.pp("pre_layrnorm"))?,
            transformer: Transformer::new(
                &TransformerConfig {
                    width: hidden_size,
                    mlp_width: config.vision_config.intermediate_size,
                    layers: config.vision_config.num_hidden_layers,
                    heads: config.vision_config.num_attention_heads,
                    activation: config.vision_config.hidden_act,
                    epsilon: layer_norm_eps,
                },
                tower.pp("encoder"),
            )?,
            last_norm: layer_norm(hidden_size, layer_norm_eps, tower.pp("post_layernorm"))?,
            projection: linear_no_bias(
                hidden_size,
                config.projection_dim,
                weights.pp("visual_projection"),
            )?,
            patch_size,
        })
    }

    /// `[batch, 3, size, size]` → `[batch, projection]`.
    pub fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let (batch, channels, size, _) = pixels.dims4()?;
        let (grid, patch) = (size / self.patch_size, self.patch_size);
        let patches = pixels
            .reshape((batch, channels, grid, patch, grid, patch))?
            .permute([0, 2, 4, 1, 3, 5])?
            .reshape((batch, grid * grid, channels * patch * patch))?;
        let patches = self.patch.forward(&patches)?;
        let width = self.class.dim(0)?;
        let class = self.class.expand((batch, 1, width))?;
        let x = Tensor::cat(&[&class, &patches], 1)?.broadcast_add(&self.positions)?;
        let x = self
            .transformer
            .forward(self.first_norm.forward(&x)?, None)?;
        let class = x.narrow(1, 0, 1)?.squeeze(1)?;
        self.projection.forward(&self.last_norm.forward(&class)?)
    }
}

pub(crate) struct TextTower {
    tokens: Embedding,
    positions: Tensor,
    transformer: Transformer,
    last_norm: LayerNorm,
    projection: Linear,
}

impl TextTower {
    pub fn new(config: &ClipConfig, weights: &VarBuilder) -> Result<Self> {
        let TextConfig {
            hidden_size,
            vocab_size,
            max_position_embeddings,
            layer_norm_eps,
            ..
        } = config.text_config;
        let tower = weights.pp("text_model");
        let embeddings = tower.pp("embeddings");
        Ok(Self {
            tokens: embedding(vocab_size, hidden_size, embeddings.pp("token_embedding"))?,
            positions: embeddings.get(
                (max_position_embeddings, hidden_size),
                "position_embedding.weight",
            )?,
            transformer: Transformer::new(
                &TransformerConfig {
                    width: hidden_size,
                    mlp_width: config.text_config.intermediate_size,
                    layers: config.text_config.num_hidden_layers,
                    heads: config.text_config.num_attention_heads,
                    activation: config.text_config.hidden_act,
                    epsilon: layer_norm_eps,
                },
                tower.pp("encoder"),
            )?,
            last_norm: layer_norm(hidden_size, layer_norm_eps, tower.pp("final_layer_norm"))?,
            projection: linear_no_bias(
                hidden_size,
                config.projection_dim,
                weights.pp("text_projection"),
            )?,
        })
    }

    /// Texts of token ids, each ending with the end token, → `[texts,
    /// projection]`, read at the end tokens.
    ///
    /// Texts are padded to the longest of the batch only: attention looks
    /// back, so what follows an end token cannot change it.
    pub fn forward(&self, texts: &[Vec<u32>], device: &Device) -> Result<Tensor> {
        let length = texts.iter().map(Vec::len).max().unwrap_or(0);
        let padded: Vec<u32> = texts
            .iter()
            .flat_map(|text| {
                text.iter()
                    .copied()
                    .chain(std::iter::repeat(0))
                    .take(length)
            })
            .collect();
        let ids = Tensor::from_vec(padded, (texts.len(), length), device)?;
        let x = self
            .tokens
            .forward(&ids)?
            .broadcast_add(&self.positions.narrow(0, 0, length)?)?;
        let x = self
            .transformer
            .forward(x, Some(&causal_mask(length, device)?))?;
        let ends: Vec<u32> = texts
            .iter()
            .enumerate()
            .map(|(number, text)| (number * length + text.len().saturating_sub(1)) as u32)
            .collect();
        let ends = Tensor::new(ends, device)?;
        let x = x.flatten(0, 1)?.index_select(&ends, 0)?;
        self.projection.forward(&self.last_norm.forward(&x)?)
    }
}

fn causal_mask(length: usize, device: &Device) -> Result<Tensor> {
    let mask: Vec<f32> = (0..length * length)
        .map(|i| {
            if i % length > i / length {
                f32::NEG_INFINITY
            } else {
                0.0
            }
        })
        .collect();
    Tensor::from_vec(mask, (length, length), device)
}
