//! CLIPs as OpenCLIP describes them, `open_clip_config.json`, and as OpenAI's own files are, by
//! the shapes of their weights.

use serde::Deserialize;

use super::config::{ClipConfig, TextConfig, VisionConfig};
use crate::Result;
use crate::models::cpu::Activation;
use crate::models::json::{parse, unusable};
use crate::models::recipe::{PictureRecipe, Resample, Resize};
use crate::models::source::SmallFile;
use crate::models::weights::Weights;

/// Width of a head wherever nobody says it.
const HEAD_WIDTH: usize = 64;

/// `open_clip_config.json`.
#[derive(Deserialize)]
struct OpenClipFile {
    model_cfg: Model,
    #[serde(default)]
    preprocess_cfg: Preprocess,
}

#[derive(Deserialize)]
struct Model {
    embed_dim: usize,
    #[serde(default)]
    quick_gelu: bool,
    vision_cfg: Vision,
    #[serde(default)]
    text_cfg: Text,
}

/// What is not named here makes another tower, and is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vision {
    image_size: usize,
    patch_size: usize,
    width: usize,
    layers: usize,
    #[serde(default = "head_width")]
    head_width: usize,
    #[serde(default = "mlp_ratio")]
    mlp_ratio: f64,
    /// Of training alone.
    #[serde(default, rename = "patch_dropout")]
    _patch_dropout: f64,
}

fn head_width() -> usize {
    HEAD_WIDTH
}

fn mlp_ratio() -> f64 {
    4.0
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Text {
    context_length: usize,
    vocab_size: usize,
    width: usize,
    heads: usize,
    layers: usize,
    mlp_ratio: f64,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            context_length: 77,
            vocab_size: 49_408,
            width: 512,
            heads: 8,
            layers: 12,
            mlp_ratio: 4.0,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Preprocess {
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
    interpolation: Option<String>,
    resize_mode: Option<String>,
}

/// Parses and checks `open_clip_config.json`.
pub(super) fn read(file: &SmallFile) -> Result<(ClipConfig, PictureRecipe)> {
    let OpenClipFile {
        model_cfg: model,
        preprocess_cfg: preprocess,
    } = parse(file)?;
    let config = model.config();
    if let Some(problem) = config.problem() {
        return Err(unusable(file, problem));
    }
    let recipe = preprocess
        .recipe(config.side())
        .and_then(PictureRecipe::checked);
    match recipe {
        Ok(recipe) => Ok((config, recipe)),
        Err(problem) => Err(unusable(file, problem)),
    }
}

impl Model {
    fn config(&self) -> ClipConfig {
        let (vision, text) = (&self.vision_cfg, &self.text_cfg);
        let hidden_act = match self.quick_gelu {
            true => Activation::QuickGelu,
            false => Activation::Gelu,
        };
        let times = |width: usize, ratio: f64| (width as f64 * ratio) as usize;
        ClipConfig {
            projection_dim: self.embed_dim,
            text_config: TextConfig {
                vocab_size: text.vocab_size,
                hidden_size: text.width,
                intermediate_size: times(text.width, text.mlp_ratio),
                num_hidden_layers: text.layers,
                num_attention_heads: text.heads,
                max_position_embeddings: text.context_length,
                hidden_act,
                ..TextConfig::default()
            },
            vision_config: VisionConfig {
                hidden_size: vision.width,
                intermediate_size: times(vision.width, vision.mlp_ratio),
                num_hidden_layers: vision.layers,
                num_attention_heads: vision.width.checked_div(vision.head_width).unwrap_or(0),
                image_size: vision.image_size,
                patch_size: vision.patch_size,
                hidden_act,
                ..VisionConfig::default()
            },
            ..ClipConfig::default()
        }
    }
}

impl Preprocess {
    fn recipe(&self, side: u32) -> std::result::Result<PictureRecipe, String> {
        let usual = PictureRecipe::clip(side).cut_as_torchvision();
        Ok(PictureRecipe {
            resize: match self.resize_mode.as_deref() {
                None | Some("shortest") => usual.resize,
                Some("squash") => Resize::Square(side),
                Some(other) => {
                    return Err(format!(
                        "resize_mode is '{other}'; only shortest and squash are supported"
                    ));
                }
            },
            resample: match self.interpolation.as_deref() {
                None | Some("bicubic") => Resample::Bicubic,
                Some("bilinear") => Resample::Bilinear,
                Some(other) => {
                    return Err(format!(
                        "interpolation is '{other}'; only bicubic and bilinear are supported"
                    ));
                }
            },
            mean: self.mean.unwrap_or(usual.mean),
            deviation: self.std.unwrap_or(usual.deviation),
            ..usual
        })
    }
}

/// The configuration that has weights of these shapes, as OpenAI's `build_model` finds it.
///
/// # Errors
/// In words, what the file is instead.
pub(super) fn of_shapes(weights: &Weights) -> std::result::Result<ClipConfig, String> {
    if weights.shape("visual.layer1.0.conv1.weight").is_some() {
        return Err("it is a CLIP whose picture tower is a ResNet; supported are ViTs".to_owned());
    }
    if !weights.is_openai() {
        return Err("its tensors are not those of a CLIP of OpenAI's".to_owned());
    }
    let shape = |name: &str| {
        let missing = || format!("it is a CLIP of OpenAI's without {name}");
        weights.shape(name).ok_or_else(missing)
    };
    let size = |name: &str, dimension: usize| {
        let found = shape(name)?.get(dimension).copied();
        found.ok_or_else(|| format!("{name} has no dimension {dimension}"))
    };
    let layers = |tower: &str| {
        let has = |layer: &usize| {
            let name = format!("{tower}transformer.resblocks.{layer}.ln_1.weight");
            weights.shape(&name).is_some()
        };
        (0..).take_while(has).count()
    };
    let width = size("visual.conv1.weight", 0)?;
    let patch_size = size("visual.conv1.weight", 3)?;
    let grid = (size("visual.positional_embedding", 0)?.saturating_sub(1)).isqrt();
    let text_width = size("ln_final.weight", 0)?;
    let config = ClipConfig {
        projection_dim: size("text_projection", 1)?,
        text_config: TextConfig {
            vocab_size: size("token_embedding.weight", 0)?,
            hidden_size: text_width,
            intermediate_size: size("transformer.resblocks.0.mlp.c_fc.weight", 0)?,
            num_hidden_layers: layers(""),
            num_attention_heads: text_width / HEAD_WIDTH,
            max_position_embeddings: size("positional_embedding", 0)?,
            ..TextConfig::default()
        },
        vision_config: VisionConfig {
            hidden_size: width,
            intermediate_size: size("visual.transformer.resblocks.0.mlp.c_fc.weight", 0)?,
            num_hidden_layers: layers("visual."),
            num_attention_heads: width / HEAD_WIDTH,
            image_size: patch_size.saturating_mul(grid),
            patch_size,
            ..VisionConfig::default()
        },
        ..ClipConfig::default()
    };
    config.problem().map_or(Ok(config), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(json: &str) -> SmallFile {
        SmallFile {
            path: "open_clip_config.json".into(),
            bytes: json.into(),
        }
    }

    #[test]
    fn what_makes_another_tower_is_named() {
        let model = |vision: &str, text: &str, rest: &str| {
            format!(
                r#"{{"model_cfg": {{"embed_dim": 512, "vision_cfg": {{"image_size": 224,
                    "patch_size": 32, "width": 768, "layers": 12{vision}}},
                    "text_cfg": {{"width": 512{text}}}}}{rest}}}"#
            )
        };
        let (config, recipe) = read(&file(&model("", "", ""))).unwrap();
        assert_eq!(recipe, PictureRecipe::clip(224).cut_as_torchvision());
        assert_eq!(config.vision_config.hidden_act, Activation::Gelu);
        assert_eq!(config.vision_config.num_attention_heads, 12);
        let squashed = r#", "preprocess_cfg": {"resize_mode": "squash"}"#;
        let (_, recipe) = read(&file(&model("", "", squashed))).unwrap();
        assert_eq!(recipe.resize, Resize::Square(224));
        for (json, word) in [
            (
                model(r#", "timm_model_name": "x""#, "", ""),
                "timm_model_name",
            ),
            (model(r#", "head_width": 0"#, "", ""), "num_attention_heads"),
            (model("", r#", "hf_model_name": "x""#, ""), "hf_model_name"),
            (model("", r#", "layers": 4294967396"#, ""), "layers"),
            (
                model("", "", r#", "preprocess_cfg": {"resize_mode": "longest"}"#),
                "longest",
            ),
            (
                model("", "", r#", "preprocess_cfg": {"interpolation": "random"}"#),
                "random",
            ),
            (
                model("", "", r#", "preprocess_cfg": {"std": [0, 1, 1]}"#),
                "image_std",
            ),
        ] {
            let error = read(&file(&json)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
