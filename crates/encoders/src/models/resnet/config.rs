//! ResNet's `config.json`.

use serde::Deserialize;

use crate::Result;
use crate::models::json::parse_config;
use crate::models::limits::{MOST_CHANNELS, MOST_LAYERS, map_problem, sizes_problem};
use crate::models::model_type::model_type;
use crate::models::source::SmallFile;

/// What is left out is as in transformers' `ResNetConfig`: ResNet-50. Files of
/// torchvision's and timm's models leave it all out.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct ResNetConfig {
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
    /// Parses and checks `config.json`.
    pub fn read(file: &SmallFile) -> Result<Self> {
        model_type(file, "resnet", &["resnet"])?;
        parse_config(file, Self::problem)
    }

    fn problem(&self) -> Option<String> {
        let (sizes, depths) = (&self.hidden_sizes, &self.depths);
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
        let channels = sizes
            .iter()
            .map(|&size| ("a hidden size", size, MOST_CHANNELS));
        let layers = depths.iter().map(|&depth| ("a depth", depth, MOST_LAYERS));
        let stem = ("embedding_size", self.embedding_size, MOST_CHANNELS);
        if let Some(problem) = sizes_problem(channels.chain(layers).chain([stem])) {
            return Some(problem);
        }
        if self.layer_type == LayerType::Bottleneck && sizes.iter().any(|size| size % 4 != 0) {
            return Some(format!("hidden_sizes {sizes:?} are not multiples of 4"));
        }
        None
    }

    /// What is wrong with it for pictures of `side` pixels.
    pub fn problem_of_pictures(&self, side: u32) -> Option<String> {
        let numbers = |channels: usize, side: u64| channels as u64 * side * side;
        // The stem and the pooling after it halve a side each, every stage but the
        // first another time.
        let mut side = u64::from(side).div_ceil(2);
        let mut most = numbers(self.embedding_size, side);
        side = side.div_ceil(2);
        for (stage, &size) in self.hidden_sizes.iter().enumerate() {
            most = most.max(numbers(size, side));
            if stage > 0 {
                side = side.div_ceil(2);
            }
        }
        map_problem(most)
    }

    /// Length of the pooled vector.
    pub fn width(&self) -> usize {
        self.hidden_sizes.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_no_model_has_are_named() {
        for (json, word) in [
            (r#"{"embedding_size": 0}"#, "embedding_size"),
            (
                r#"{"embedding_size": 9223372036854775808}"#,
                "embedding_size",
            ),
            (
                r#"{"hidden_sizes": [64, 4294967396, 64, 64]}"#,
                "hidden size",
            ),
            (r#"{"depths": [1, 1, 1, 4294967396]}"#, "depth"),
            (r#"{"depths": [1]}"#, "same stages"),
            (r#"{"num_channels": 4294967299}"#, "num_channels"),
        ] {
            let config: ResNetConfig = serde_json::from_str(json).unwrap();
            let problem = config.problem().unwrap_or_default();
            assert!(problem.contains(word), "{json}: {problem}");
        }
        let config: ResNetConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(config.problem(), None);
        assert_eq!(config.problem_of_pictures(1024), None);
        let wide: ResNetConfig = serde_json::from_str(r#"{"embedding_size": 65536}"#).unwrap();
        assert!(wide.problem_of_pictures(1024).is_some());
    }
}
