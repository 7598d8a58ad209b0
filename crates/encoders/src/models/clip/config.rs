//! CLIP's `config.json` in Hugging Face's layout.
//!
//! Published files leave out what equals transformers' defaults, so the
//! defaults here are those of `CLIPTextConfig` and `CLIPVisionConfig`.

use serde::Deserialize;

use crate::Result;
use crate::models::cpu::Activation;
use crate::models::json::{checked, parse};
use crate::models::limits::{
    MOST_PIXELS, MOST_TOKENS, MOST_WIDTH, TransformerSizes, sizes_problem,
};
use crate::models::model_type::model_type;
use crate::models::source::SmallFile;
use crate::models::tokens::LEAST_TOKENS;

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct ClipConfig {
    pub text_config: TextConfig,
    pub vision_config: VisionConfig,
    pub projection_dim: usize,
    /// What older files have in place of these, or beside them: then these do not count.
    pub text_config_dict: Option<TextConfig>,
    pub vision_config_dict: Option<VisionConfig>,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            text_config: TextConfig::default(),
            vision_config: VisionConfig::default(),
            projection_dim: 512,
            text_config_dict: None,
            vision_config_dict: None,
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
    pub hidden_act: Activation,
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
            hidden_act: Activation::QuickGelu,
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
    pub hidden_act: Activation,
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
            hidden_act: Activation::QuickGelu,
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

impl ClipConfig {
    /// Parses and checks `config.json`.
    pub fn read(file: &SmallFile) -> Result<Self> {
        model_type(file, "clip", &["clip"])?;
        let mut config: Self = parse(file)?;
        if let Some(text) = config.text_config_dict.take() {
            config.text_config = text;
        }
        if let Some(vision) = config.vision_config_dict.take() {
            config.vision_config = vision;
        }
        let problem = config.problem();
        checked(file, config, problem)
    }

    /// Side of the pictures that it takes, of a configuration that was checked.
    pub fn side(&self) -> u32 {
        self.vision_config.image_size as u32
    }

    /// What is wrong with it.
    pub fn problem(&self) -> Option<String> {
        let sizes = [("projection_dim", self.projection_dim, MOST_WIDTH)];
        sizes_problem(sizes)
            .or_else(|| self.text_config.problem())
            .or_else(|| self.vision_config.problem())
    }
}

impl TextConfig {
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
        let tokens = [("text_config.vocab_size", self.vocab_size, MOST_TOKENS)];
        sizes_problem(tokens).or_else(|| self.sizes().problem())
    }
}

impl VisionConfig {
    /// Those of the transformer.
    pub fn sizes(&self) -> TransformerSizes {
        TransformerSizes {
            section: "vision_config.",
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            rows: self.positions(),
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
        let (image, patch) = (self.image_size, self.patch_size);
        let sizes = [
            ("vision_config.image_size", image, MOST_PIXELS),
            ("vision_config.patch_size", patch, MOST_PIXELS),
        ];
        if let Some(problem) = sizes_problem(sizes) {
            return Some(problem);
        }
        if !image.is_multiple_of(patch) {
            return Some(format!(
                "vision_config: image_size, {image}, is not a multiple of patch_size, {patch}"
            ));
        }
        self.sizes().problem()
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

    #[test]
    fn what_stands_under_an_older_name_holds() {
        let config = ClipConfig::read(&SmallFile {
            path: "config.json".into(),
            bytes: br#"{"model_type": "clip", "text_config": {"hidden_size": 8},
                "text_config_dict": {"hidden_size": 96, "num_attention_heads": 16},
                "vision_config_dict": null}"#
                .to_vec(),
        });
        let config = config.unwrap();
        let text = &config.text_config;
        assert_eq!((text.hidden_size, text.num_attention_heads), (96, 16));
        assert_eq!(config.vision_config.hidden_size, 768);
    }

    #[test]
    fn sizes_that_no_model_has_are_named() {
        let text = |name: &str, value: &str| {
            (
                format!(r#"{{"text_config": {{"{name}": {value}}}}}"#),
                name.to_owned(),
            )
        };
        let vision = |name: &str, value: &str| {
            (
                format!(r#"{{"vision_config": {{"{name}": {value}}}}}"#),
                name.to_owned(),
            )
        };
        let top = |name: &str, value: &str| (format!(r#"{{"{name}": {value}}}"#), name.to_owned());
        for huge in [
            "0",
            "4294967396",
            "9223372036854775808",
            "18446744073709551615",
        ] {
            let cases = [
                text("vocab_size", huge),
                text("hidden_size", huge),
                text("intermediate_size", huge),
                text("num_hidden_layers", huge),
                text("num_attention_heads", huge),
                text("max_position_embeddings", huge),
                vision("hidden_size", huge),
                vision("intermediate_size", huge),
                vision("num_hidden_layers", huge),
                vision("num_attention_heads", huge),
                vision("image_size", huge),
                vision("patch_size", huge),
                vision("num_channels", huge),
                top("projection_dim", huge),
            ];
            for (json, word) in cases {
                let config: ClipConfig = serde_json::from_str(&json).unwrap();
                let problem = config.problem().unwrap_or_default();
                assert!(problem.contains(&word), "{json}: {problem}");
            }
        }
        for (json, word) in [
            (
                r#"{"text_config": {"max_position_embeddings": 2}}"#,
                "no room",
            ),
            (r#"{"vision_config": {"patch_size": 1}}"#, "patches"),
            (
                r#"{"text_config": {"max_position_embeddings": 8192, "hidden_size": 65536}}"#,
                "numbers a layer",
            ),
            (
                r#"{"text_config": {"layer_norm_eps": -1e-5}}"#,
                "layer_norm_eps",
            ),
            (
                r#"{"vision_config": {"layer_norm_eps": 1e300}}"#,
                "layer_norm_eps",
            ),
        ] {
            let config: ClipConfig = serde_json::from_str(json).unwrap();
            let problem = config.problem().unwrap_or_default();
            assert!(problem.contains(word), "{json}: {problem}");
        }
    }
}
