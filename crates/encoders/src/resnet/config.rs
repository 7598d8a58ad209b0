//! ResNet's `config.json`.

use std::path::Path;

use serde::Deserialize;

use crate::Result;
use crate::json::read_config;

/// What is left out is as in transformers' `ResNetConfig`: ResNet-50. Files of
/// torchvision's and timm's models leave it all out.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct ResNetConfig {
    pub model_type: String,
    pub num_channels: usize,
    pub embedding_size: usize,
    pub hidden_sizes: Vec<usize>,
    pub depths: Vec<usize>,
    pub layer_type: LayerType,
    pub hidden_act: String,
    pub downsample_in_first_stage: bool,
    pub downsample_in_bottleneck: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LayerType {
    /// Two convolutions of 3 × 3.
    Basic,
    /// 1 × 1 to a quarter, 3 × 3, 1 × 1 back.
    Bottleneck,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self {
            model_type: "resnet".to_owned(),
            num_channels: 3,
            embedding_size: 64,
            hidden_sizes: vec![256, 512, 1024, 2048],
            depths: vec![3, 4, 6, 3],
            layer_type: LayerType::Bottleneck,
            hidden_act: "relu".to_owned(),
            downsample_in_first_stage: false,
            downsample_in_bottleneck: false,
        }
    }
}

impl ResNetConfig {
    /// Reads and checks `config.json`.
    pub fn read(path: &Path) -> Result<Self> {
        read_config(path, Self::problem)
    }

    fn problem(&self) -> Option<String> {
        let (sizes, depths) = (&self.hidden_sizes, &self.depths);
        if self.model_type != "resnet" {
            return Some(format!("model_type is '{}', not 'resnet'", self.model_type));
        }
        if self.hidden_act != "relu" {
            return Some(format!(
                "hidden_act is '{}'; only 'relu' is supported",
                self.hidden_act
            ));
        }
        if self.num_channels != 3 {
            return Some(format!(
                "num_channels is {}; pictures have 3",
                self.num_channels
            ));
        }
        if sizes.is_empty() || sizes.len() != depths.len() {
            return Some(format!(
                "hidden_sizes {sizes:?} and depths {depths:?} do not name the same stages"
            ));
        }
        if self.embedding_size == 0 || sizes.contains(&0) || depths.contains(&0) {
            return Some("a size or depth is 0".to_owned());
        }
        if self.layer_type == LayerType::Bottleneck && sizes.iter().any(|size| size % 4 != 0) {
            return Some(format!("hidden_sizes {sizes:?} are not multiples of 4"));
        }
        None
    }

    /// Length of the pooled vector.
    pub fn width(&self) -> usize {
        self.hidden_sizes.last().copied().unwrap_or(0)
    }
}
