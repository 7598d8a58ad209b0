//! DINOv2's `config.json`.

use serde::Deserialize;

use crate::Result;
use crate::models::cpu::Activation;
use crate::models::json::parse_config;
use crate::models::limits::{MOST_PIXELS, MOST_WIDTH, TransformerSizes, sizes_problem};
use crate::models::model_type::model_type;
use crate::models::source::SmallFile;

/// What is left out is as in transformers' `Dinov2Config`: ViT-B/14.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct Dinov2Config {
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub mlp_ratio: f64,
    pub hidden_act: Activation,
    pub layer_norm_eps: f64,
    pub image_size: usize,
    pub patch_size: usize,
    pub num_channels: usize,
    pub qkv_bias: bool,
    pub use_swiglu_ffn: bool,
    pub num_register_tokens: usize,
    /// Whether it is one `with_registers`.
    #[serde(skip)]
    pub has_registers: bool,
}

impl Default for Dinov2Config {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            mlp_ratio: 4.0,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-6,
            image_size: 224,
            patch_size: 14,
            num_channels: 3,
            qkv_bias: true,
            use_swiglu_ffn: false,
            num_register_tokens: 4,
            has_registers: false,
        }
    }
}

/// The most registers; published models have four.
const MOST_REGISTERS: usize = 1 << 10;

impl Dinov2Config {
    /// What `model_type` may be.
    pub const MODELS: [&str; 2] = ["dinov2", WITH_REGISTERS];

    /// Parses and checks `config.json`.
    pub fn read(file: &SmallFile) -> Result<Self> {
        let name = model_type(file, "dinov2", &Self::MODELS)?;
        let has_registers = name == WITH_REGISTERS;
        let config = parse_config(file, Self::problem)?;
        Ok(Self {
            has_registers,
            ..config
        })
    }

    /// Tokens that stand for nothing in the picture.
    pub fn registers(&self) -> usize {
        match self.has_registers {
            true => self.num_register_tokens,
            false => 0,
        }
    }

    /// Patches across the pictures that it was trained on.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Width of the layer within the MLP.
    pub fn mlp_width(&self) -> usize {
        let width = (self.hidden_size as f64 * self.mlp_ratio) as usize;
        match self.use_swiglu_ffn {
            // Two thirds, up to a multiple of eight.
            true => (width * 2 / 3).next_multiple_of(8),
            false => width,
        }
    }

    fn problem(&self) -> Option<String> {
        if self.num_channels != 3 {
            return Some(format!(
                "num_channels is {}; pictures have 3",
                self.num_channels
            ));
        }
        if !self.qkv_bias {
            return Some("qkv_bias is false, which is not supported".to_owned());
        }
        let sizes = [
            ("image_size", self.image_size, MOST_PIXELS),
            ("patch_size", self.patch_size, MOST_PIXELS),
            ("hidden_size", self.hidden_size, MOST_WIDTH),
        ];
        if let Some(problem) = sizes_problem(sizes) {
            return Some(problem);
        }
        if self.num_register_tokens > MOST_REGISTERS {
            return Some(format!(
                "num_register_tokens is {}; at most {MOST_REGISTERS} are supported",
                self.num_register_tokens
            ));
        }
        if self.grid() == 0 {
            return Some(format!(
                "image_size, {}, is less than patch_size, {}",
                self.image_size, self.patch_size
            ));
        }
        if !(self.mlp_ratio > 0.0 && self.mlp_ratio <= MOST_WIDTH as f64) {
            return Some(format!("mlp_ratio is {}", self.mlp_ratio));
        }
        self.problem_of_rows(self.grid())
    }

    /// Those of the transformer, for pictures of `grid` patches across.
    pub fn sizes(&self, grid: usize) -> TransformerSizes {
        TransformerSizes {
            section: "",
            hidden_size: self.hidden_size,
            intermediate_size: self.mlp_width(),
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            rows: grid * grid + 1 + self.num_register_tokens,
            rows_name: "patches",
            layer_norm_eps: self.layer_norm_eps,
        }
    }

    /// What is wrong with it for pictures of `grid` patches across.
    pub fn problem_of_rows(&self, grid: usize) -> Option<String> {
        self.sizes(grid).problem()
    }
}

const WITH_REGISTERS: &str = "dinov2_with_registers";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Dinov2Config> {
        Dinov2Config::read(&SmallFile {
            path: "config.json".into(),
            bytes: json.into(),
        })
    }

    #[test]
    fn what_a_config_leaves_out_is_vit_b_14() {
        let config = read(r#"{"model_type": "dinov2"}"#).unwrap();
        assert_eq!((config.hidden_size, config.registers()), (768, 0));
        let config = read(r#"{"model_type": "dinov2_with_registers"}"#).unwrap();
        assert_eq!(config.registers(), 4);
        let giant = r#"{"hidden_size": 1536, "num_attention_heads": 24, "use_swiglu_ffn": true}"#;
        assert_eq!(read(giant).unwrap().mlp_width(), 4096);
    }

    #[test]
    fn sizes_that_no_model_has_are_named() {
        for (json, word) in [
            (r#"{"model_type": "dinov3_vit"}"#, "dinov3_vit"),
            (r#"{"hidden_size": 0}"#, "hidden_size"),
            (r#"{"hidden_size": 9223372036854775808}"#, "hidden_size"),
            (r#"{"image_size": 4294967396}"#, "image_size"),
            (r#"{"image_size": 7}"#, "less than patch_size"),
            (r#"{"patch_size": 0}"#, "patch_size"),
            (r#"{"patch_size": 1}"#, "patches"),
            (r#"{"mlp_ratio": -1}"#, "mlp_ratio"),
            (r#"{"mlp_ratio": 1e300}"#, "mlp_ratio"),
            (
                r#"{"num_register_tokens": 4294967296}"#,
                "num_register_tokens",
            ),
            (r#"{"num_channels": 1}"#, "num_channels"),
            (r#"{"qkv_bias": false}"#, "qkv_bias"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(word), "{json}: {error}");
        }
    }
}
