//! CLIP's `config.json` in Hugging Face's layout.
//!
//! Published files leave out what equals transformers' defaults, so the
//! defaults here are those of `CLIPTextConfig` and `CLIPVisionConfig`.

use std::path::Path;

use serde::Deserialize;

use crate::Result;
use crate::cpu::Activation;
use crate::json::read_config;

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct ClipConfig {
    pub text_config: TextConfig,
    pub vision_config: VisionConfig,
    pub projection_dim: usize,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            text_config: TextConfig::default(),
            vision_config: VisionConfig::default(),
            projection_dim: 512,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct TextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub max_position_embeddings: usize,
    pub hidden_act: HiddenActivation,
    pub layer_norm_eps: f64,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49_408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: HiddenActivation::QuickGelu,
            layer_norm_eps: 1e-5,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct VisionConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_channels: usize,
    pub image_size: usize,
    pub patch_size: usize,
    pub hidden_act: HiddenActivation,
    pub layer_norm_eps: f64,
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
            patch_size: 32,
            hidden_act: HiddenActivation::QuickGelu,
            layer_norm_eps: 1e-5,
        }
    }
}

impl VisionConfig {
    /// Rows of a picture: its patches and the class token.
    pub fn positions(&self) -> usize {
        (self.image_size / self.patch_size).pow(2) + 1
    }
}

/// Activations that published CLIP models use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HiddenActivation {
    /// `x · sigmoid(1.702 x)`.
    QuickGelu,
    /// `x · Φ(x)`.
    Gelu,
}

impl From<HiddenActivation> for Activation {
    fn from(activation: HiddenActivation) -> Self {
        match activation {
            HiddenActivation::QuickGelu => Self::QuickGelu,
            HiddenActivation::Gelu => Self::Gelu,
        }
    }
}

impl ClipConfig {
    /// Reads and checks `config.json`.
    pub fn read(path: &Path) -> Result<Self> {
        read_config(path, Self::problem)
    }

    fn problem(&self) -> Option<String> {
        let (text, vision) = (&self.text_config, &self.vision_config);
        let sizes = [
            ("projection_dim", self.projection_dim),
            ("text_config.vocab_size", text.vocab_size),
            ("text_config.hidden_size", text.hidden_size),
            ("text_config.intermediate_size", text.intermediate_size),
            ("text_config.num_hidden_layers", text.num_hidden_layers),
            ("text_config.num_attention_heads", text.num_attention_heads),
            ("vision_config.hidden_size", vision.hidden_size),
            ("vision_config.intermediate_size", vision.intermediate_size),
            ("vision_config.num_hidden_layers", vision.num_hidden_layers),
            (
                "vision_config.num_attention_heads",
                vision.num_attention_heads,
            ),
            ("vision_config.patch_size", vision.patch_size),
            ("vision_config.image_size", vision.image_size),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Some(format!("{name} is 0"));
        }
        if text.max_position_embeddings < 2 {
            return Some(
                "text_config.max_position_embeddings leaves no room for a text".to_owned(),
            );
        }
        if vision.num_channels != 3 {
            return Some(format!(
                "vision_config.num_channels is {}; pictures have 3",
                vision.num_channels
            ));
        }
        let divides = [
            (
                "text_config",
                text.hidden_size,
                "num_attention_heads",
                text.num_attention_heads,
            ),
            (
                "vision_config",
                vision.hidden_size,
                "num_attention_heads",
                vision.num_attention_heads,
            ),
            (
                "vision_config",
                vision.image_size,
                "patch_size",
                vision.patch_size,
            ),
        ];
        divides
            .iter()
            .find(|(_, whole, _, part)| whole % part != 0)
            .map(|(section, whole, name, part)| {
                format!("{section}: {whole} is not a multiple of {name}, {part}")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_config_leaves_out_is_vit_b_32() {
        let config: ClipConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(config.vision_config.hidden_size, 768);
        assert_eq!(config.text_config.hidden_size, 512);
        assert_eq!(config.problem(), None);
    }
}
