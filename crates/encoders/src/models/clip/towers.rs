//! CLIP's two towers with the weight names of Hugging Face.

use candle_core::{Result, Tensor};
use candle_nn::{Embedding, Module, VarBuilder, embedding};

use super::config::{ClipConfig, TextConfig, VisionConfig};
use crate::models::layers::{LayerNorm, Linear};
use crate::models::patches::Patches;
use crate::models::transformer::{Keep, Names, Transformer, TransformerConfig};

pub(super) struct VisionTower {
    patches: Patches,
    class: Tensor,
    positions: Tensor,
    first_norm: LayerNorm,
    transformer: Transformer,
    last_norm: LayerNorm,
    projection: Linear,
}

impl VisionTower {
    pub fn new(config: &ClipConfig, weights: &VarBuilder) -> Result<Self> {
        let VisionConfig {
            hidden_size,
            patch_size,
            layer_norm_eps,
            ..
        } = config.vision_config;
        let tower = weights.pp("vision_model");
        let embeddings = tower.pp("embeddings");
        let has_bias = false;
        let patches = embeddings.pp("patch_embedding");
        let positions = config.vision_config.positions();
        let vision = &config.vision_config;
        let transformer = TransformerConfig {
            keep: Keep::First,
            ..TransformerConfig::of(&vision.sizes(), vision.hidden_act)
        };
        Ok(Self {
            patches: Patches::read(hidden_size, patch_size, has_bias, &patches)?,
            class: embeddings.get(hidden_size, "class_embedding")?,
            positions: embeddings.get((positions, hidden_size), "position_embedding.weight")?,
            // The misspelling is in every published file.
            first_norm: LayerNorm::read(hidden_size, layer_norm_eps, &tower.pp("pre_layrnorm"))?,
            transformer: Transformer::new(
                transformer,
                &Names::OF_CLIP,
                tower.pp("encoder.layers"),
            )?,
            last_norm: LayerNorm::read(hidden_size, layer_norm_eps, &tower.pp("post_layernorm"))?,
            projection: Linear::read(
                hidden_size,
                config.projection_dim,
                &weights.pp("visual_projection"),
            )?,
        })
    }

    /// `[batch, 3, size, size]` → `[batch, projection]`.
    pub fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let patches = self.patches.forward(pixels)?;
        let (batch, count, _) = patches.dims3()?;
        let width = self.class.dim(0)?;
        let class = self.class.expand((batch, 1, width))?;
        let x = Tensor::cat(&[&class, &patches], 1)?.broadcast_add(&self.positions)?;
        let x = self.first_norm.forward(&x)?.flatten(0, 1)?;
        let lengths = vec![count + 1; batch];
        let class = self.transformer.forward(x, &lengths)?;
        self.projection.forward(&self.last_norm.forward(&class)?)
    }
}

pub(super) struct TextTower {
    tokens: Embedding,
    positions: Embedding,
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
        let text = &config.text_config;
        let transformer = TransformerConfig {
            causal: true,
            keep: Keep::Last,
            ..TransformerConfig::of(&text.sizes(), text.hidden_act)
        };
        Ok(Self {
            tokens: embedding(vocab_size, hidden_size, embeddings.pp("token_embedding"))?,
            positions: embedding(
                max_position_embeddings,
                hidden_size,
                embeddings.pp("position_embedding"),
            )?,
            transformer: Transformer::new(
                transformer,
                &Names::OF_CLIP,
                tower.pp("encoder.layers"),
            )?,
            last_norm: LayerNorm::read(hidden_size, layer_norm_eps, &tower.pp("final_layer_norm"))?,
            projection: Linear::read(
                hidden_size,
                config.projection_dim,
                &weights.pp("text_projection"),
            )?,
        })
    }

    /// Texts of token ids, each ending with the end token, → `[texts,
    /// projection]`, read at the end tokens: attention looks back, so what
    /// would follow them cannot matter.
    pub fn forward(&self, texts: &[Vec<u32>]) -> Result<Tensor> {
        let device = self.tokens.embeddings().device();
        let positions = texts.iter().flat_map(|text| 0..text.len() as u32);
        let positions = Tensor::from_iter(positions, device)?;
        let ids = Tensor::new(texts.concat(), device)?;
        let x = (self.tokens.forward(&ids)? + self.positions.forward(&positions)?)?;
        let lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
        let ends = self.transformer.forward(x, &lengths)?;
        self.projection.forward(&self.last_norm.forward(&ends)?)
    }
}
