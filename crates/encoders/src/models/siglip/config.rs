//! SigLIP's `config.json`. What is left out is as in transformers' `SiglipConfig`: base,
//! patch 16.

use serde::Deserialize;

use crate::Result;
use crate::models::cpu::Activation;
use crate::models::json::parse_config;
use crate::models::limits::{
    MOST_PIXELS, MOST_TOKENS, MOST_WIDTH, TransformerSizes, sizes_problem,
};
use crate::models::model_type::model_type;
use crate::models::source::SmallFile;
use crate::models::tokens::LEAST_TOKENS;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct SiglipConfig {
    pub text_config: TextConfig,
    pub vision_config: VisionConfig,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct TextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub max_position_embeddings: usize,
    pub hidden_act: Activation,
    pub layer_norm_eps: f64,
    pub pad_token_id: Option<u32>,
    pub projection_size: Option<usize>,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 32_000,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            max_position_embeddings: 64,
            hidden_act: Activation::GeluTanh,
            layer_norm_eps: 1e-6,
            pad_token_id: Some(1),
            projection_size: None,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct VisionConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_channels: usize,
    pub image_size: usize,
    pub patch_size: usize,
    pub hidden_act: Activation,
    pub layer_norm_eps: f64,
    pub vision_use_head: bool,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 16,
            hidden_act: Activation::GeluTanh,
            layer_norm_eps: 1e-6,
            vision_use_head: true,
        }
    }
}

impl SiglipConfig {
    /// Parses and checks `config.json`.
    pub fn read(file: &SmallFile) -> Result<Self> {
        model_type(file, "siglip", &["siglip"])?;
        parse_config(file, |config: &Self| {
            let text = config.text_config.problem();
            text.or_else(|| config.vision_config.problem())
        })
    }
}

impl TextConfig {
    /// Length of a text's vector.
    pub fn width(&self) -> usize {
        self.projection_size.unwrap_or(self.hidden_size)
    }

    /// Those of the transformer.
    pub fn sizes(&self) -> TransformerSizes {
        TransformerSizes {
            section: "text_config.",
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            rows: self.max_position_embeddings,
            rows_name: "max_position_embeddings",
            layer_norm_eps: self.layer_norm_eps,
        }
    }

    fn problem(&self) -> Option<String> {
        if self.max_position_embeddings < LEAST_TOKENS {
            return Some(
                "text_config.max_position_embeddings leaves no room for a text".to_owned(),
            );
        }
        let sizes = [
            ("text_config.vocab_size", self.vocab_size, MOST_TOKENS),
            ("text_config.projection_size", self.width(), MOST_WIDTH),
        ];
        sizes_problem(sizes).or_else(|| self.sizes().problem())
    }
}

impl VisionConfig {
    /// Patches of a picture, which are its rows.
    pub fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// Those of the transformer.
    pub fn sizes(&self) -> TransformerSizes {
        TransformerSizes {
            section: "vision_config.",
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            rows: self.patches(),
            rows_name: "patches",
            layer_norm_eps: self.layer_norm_eps,
        }
    }

    fn problem(&self) -> Option<String> {
        if self.num_channels != 3 {
            return Some(format!(
                "vision_config.num_channels is {}; pictures have 3",
                self.num_channels
            ));
        }
        if !self.vision_use_head {
            return Some(
                "vision_config.vision_use_head is false: without it a picture has no vector"
                    .to_owned(),
            );
        }
        let (image, patch) = (self.image_size, self.patch_size);
        let sizes = [
            ("vision_config.image_size", image, MOST_PIXELS),
            ("vision_config.patch_size", patch, MOST_PIXELS),
        ];
        if let Some(problem) = sizes_problem(sizes) {
            return Some(problem);
        }
        if self.patches() == 0 {
            return Some(format!(
                "vision_config: image_size, {image}, is less than patch_size, {patch}"
            ));
        }
        self.sizes().problem()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<SiglipConfig> {
        SiglipConfig::read(&SmallFile {
            path: "config.json".into(),
            bytes: json.into(),
        })
    }

    #[test]
    fn what_a_config_leaves_out_is_base_16() {
        let config = read(r#"{"model_type": "siglip"}"#).unwrap();
        assert_eq!(config.vision_config.patches(), 196);
        assert_eq!(config.text_config.width(), 768);
    }

    #[test]
    fn sizes_that_no_model_has_are_named() {
        for (json, word) in [
            (r#"{"model_type": "siglip2"}"#, "siglip2"),
            (r#"{"text_config": {"vocab_size": 0}}"#, "vocab_size"),
            (
                r#"{"text_config": {"max_position_embeddings": 2}}"#,
                "no room",
            ),
            (
                r#"{"text_config": {"projection_size": 4294967396}}"#,
                "projection_size",
            ),
            (r#"{"vision_config": {"patch_size": 0}}"#, "patch_size"),
            (r#"{"vision_config": {"image_size": 8}}"#, "less than"),
            (
                r#"{"vision_config": {"vision_use_head": false}}"#,
                "vision_use_head",
            ),
            (r#"{"vision_config": {"num_channels": 1}}"#, "num_channels"),
            (r#"{"vision_config": {"hidden_act": "mish"}}"#, "mish"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(word), "{json}: {error}");
        }
    }
}
