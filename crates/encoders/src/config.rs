//! `config.json` and `preprocessor_config.json` in Hugging Face's layout.
//!
//! Published files leave out what equals transformers' defaults, so the
//! defaults here are those of `CLIPTextConfig`, `CLIPVisionConfig` and
//! `CLIPImageProcessor`.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// The one Pillow filter that CLIP resizes with, `PIL.Image.BICUBIC`.
const BICUBIC: u32 = 3;

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

/// Activations that published CLIP models use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HiddenActivation {
    /// `x · sigmoid(1.702 x)`.
    QuickGelu,
    /// `x · Φ(x)`.
    Gelu,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct PreprocessorConfig {
    pub image_mean: [f32; 3],
    pub image_std: [f32; 3],
    resample: u32,
    size: Side,
    crop_size: Side,
}

/// Older files write a number where newer ones write an object.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Side {
    Number(usize),
    Shortest { shortest_edge: usize },
    Box { height: usize, width: usize },
}

impl Default for PreprocessorConfig {
    fn default() -> Self {
        Self {
            image_mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            image_std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
            resample: BICUBIC,
            size: Side::Number(224),
            crop_size: Side::Number(224),
        }
    }
}

impl ClipConfig {
    /// Reads and checks `config.json`.
    pub fn read(path: &Path) -> Result<Self> {
        let config: Self = read_json(path)?;
        match config.problem() {
            None => Ok(config),
            Some(problem) => Err(Error::Config {
                path: path.to_owned(),
                problem,
            }),
        }
    }

    fn problem(&self) -> Option<String> {
        let (text, vision) = (&self.text_config, &self.vision_config);
        let sizes = [
            ("projection_dim", self.projection_dim),
            ("text_config.vocab_size", text.vocab_size),
            ("text_config.hidden_size", text.hidden_size),
            ("text_config.intermediate_size", text.intermediate_size),
            ("text_config.num_attention_heads", text.num_attention_heads),
            ("vision_config.hidden_size", vision.hidden_size),
            ("vision_config.intermediate_size", vision.intermediate_size),
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

impl PreprocessorConfig {
    /// Reads and checks `preprocessor_config.json`; where there is none, CLIP's
    /// own numbers hold for pictures of `image_size`.
    pub fn read(path: Option<&Path>, image_size: usize) -> Result<Self> {
        let Some(path) = path else {
            let side = Side::Number(image_size);
            return Ok(Self {
                size: side,
                crop_size: side,
                ..Self::default()
            });
        };
        let config: Self = read_json(path)?;
        let error = |problem: String| {
            Err(Error::Config {
                path: path.to_owned(),
                problem,
            })
        };
        if config.resample != BICUBIC {
            return error(format!(
                "resample is {}; only 3 (bicubic) is supported",
                config.resample
            ));
        }
        let (size, crop) = (config.size.pixels(), config.crop_size.pixels());
        if crop != Some(image_size) {
            return error(format!(
                "crop_size is {crop:?}, but config.json has image_size {image_size}"
            ));
        }
        if size < crop {
            return error(format!("size {size:?} is smaller than crop_size {crop:?}"));
        }
        Ok(config)
    }

    /// Pixels of the shorter side after resizing.
    pub fn shortest_edge(&self) -> usize {
        self.size.pixels().unwrap_or(224)
    }
}

impl Side {
    /// `None` for a box that is not square.
    fn pixels(self) -> Option<usize> {
        match self {
            Self::Number(pixels)
            | Self::Shortest {
                shortest_edge: pixels,
            } => Some(pixels),
            Self::Box { height, width } => (height == width).then_some(height),
        }
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(Error::read(path))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Config {
        path: path.to_owned(),
        problem: error.to_string(),
    })
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

    #[test]
    fn sizes_come_as_numbers_and_as_objects() {
        for json in [
            r#"{"size": 224, "crop_size": 224}"#,
            r#"{"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}"#,
        ] {
            let config: PreprocessorConfig = serde_json::from_str(json).unwrap();
            assert_eq!(config.shortest_edge(), 224);
            assert_eq!(config.crop_size.pixels(), Some(224));
        }
    }
}
