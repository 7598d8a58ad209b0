//! sentence-transformers' layer behind the pooling.

use candle_core::{DType, Device, Result as TensorResult};
use candle_nn::VarBuilder;
use serde::Deserialize;

use super::modules::MODULE_CONFIG;
use crate::models::cpu::Dense;
use crate::models::json::parse_config;
use crate::models::limits::{MOST_WIDTH, sizes_problem};
use crate::models::source::ModelFiles;
use crate::models::weights::{ModelHash, OF_HUGGING_FACE, weights_of};
use crate::{Error, LoadOptions, Result};

/// `activation(W·x + b)`.
pub(super) struct DenseStep {
    config: DenseConfig,
    layer: Dense,
}

#[derive(Deserialize)]
struct DenseConfig {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default, rename = "activation_function")]
    activation: DenseActivation,
    #[serde(default)]
    use_residual: bool,
    module_input_name: Option<String>,
    module_output_name: Option<String>,
}

fn yes() -> bool {
    true
}

/// By their names in PyTorch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
enum DenseActivation {
    #[default]
    #[serde(rename = "torch.nn.modules.activation.Tanh")]
    Tanh,
    #[serde(rename = "torch.nn.modules.linear.Identity")]
    Identity,
    #[serde(rename = "torch.nn.modules.activation.ReLU")]
    Relu,
    #[serde(rename = "torch.nn.modules.activation.Sigmoid")]
    Sigmoid,
}

impl DenseActivation {
    fn apply(self, values: &mut [f32]) {
        for x in values {
            *x = match self {
                Self::Tanh => x.tanh(),
                Self::Identity => *x,
                Self::Relu => x.max(0.0),
                Self::Sigmoid => 1.0 / (1.0 + (-*x).exp()),
            };
        }
    }
}

impl DenseConfig {
    fn problem(&self) -> Option<String> {
        let sizes = [
            ("in_features", self.in_features, MOST_WIDTH),
            ("out_features", self.out_features, MOST_WIDTH),
        ];
        if self.use_residual {
            return Some("use_residual is true, which is not supported".to_owned());
        }
        let names = self
            .module_input_name
            .iter()
            .chain(&self.module_output_name);
        if let Some(name) = names.into_iter().find(|it| *it != "sentence_embedding") {
            return Some(format!(
                "it is of '{name}'; only a layer of sentence_embedding is supported"
            ));
        }
        sizes_problem(sizes)
    }

    fn layer(&self, weights: &VarBuilder) -> TensorResult<Dense> {
        let weights = weights.pp("linear");
        let (inputs, outputs) = (self.in_features, self.out_features);
        let bias = self
            .bias
            .then(|| weights.get(outputs, "bias"))
            .transpose()?;
        Dense::new(&weights.get((outputs, inputs), "weight")?, bias.as_ref())
    }
}

impl DenseStep {
    pub fn read(
        files: &ModelFiles,
        folder: &str,
        options: &LoadOptions,
        hash: &mut ModelHash,
    ) -> Result<Self> {
        let file = files.read(&format!("{folder}{MODULE_CONFIG}"))?;
        let config = parse_config(&file, DenseConfig::problem)?;
        let weights = weights_of(files, folder, OF_HUGGING_FACE)?;
        hash.update(&file.bytes);
        // A vector a text: there is nothing to gain on a device.
        let options = LoadOptions {
            device: Device::Cpu,
            dtype: DType::F32,
            ..options.clone()
        };
        let name = format!("{}, {folder}", files.name());
        let layer = options.weights(&name, &weights, hash, |weights| config.layer(&weights))?;
        Ok(Self { config, layer })
    }
}

impl DenseStep {
    /// Width of what comes out.
    pub fn outputs(&self) -> usize {
        self.config.out_features
    }

    /// The same where `width` numbers go in.
    ///
    /// # Errors
    /// A layer that takes vectors of another.
    pub fn width_after(&self, width: usize) -> Result<usize> {
        let inputs = self.config.in_features;
        match width == inputs {
            true => Ok(self.outputs()),
            false => Err(Error::Weights {
                model: "Dense".to_owned(),
                problem: format!(
                    "it takes vectors of {inputs} numbers, and pooling leaves {width}; is the \
                     pooling that of its model?"
                )
                .into(),
            }),
        }
    }

    /// Replaces a vector by the layer's.
    pub fn apply(&self, vector: &mut Vec<f32>, scratch: &mut Vec<f32>) {
        let mut out = Vec::new();
        self.layer.apply(vector, None, &mut out, scratch);
        self.config.activation.apply(&mut out);
        *vector = out;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_that_cannot_be_are_named() {
        for (json, word) in [
            (r#"{"in_features": 0, "out_features": 2}"#, "in_features"),
            (
                r#"{"in_features": 4294967396, "out_features": 2}"#,
                "in_features",
            ),
            (
                r#"{"in_features": 2, "out_features": 2, "use_residual": true}"#,
                "use_residual",
            ),
            (
                r#"{"in_features": 2, "out_features": 2, "module_input_name": "token_embeddings"}"#,
                "token_embeddings",
            ),
        ] {
            let config: DenseConfig = serde_json::from_str(json).unwrap();
            let problem = config.problem().unwrap();
            assert!(problem.contains(word), "{problem}");
        }
        let odd = r#"{"in_features": 2, "out_features": 2, "activation_function": "my.own.Act"}"#;
        let error = serde_json::from_str::<DenseConfig>(odd).err().unwrap();
        assert!(error.to_string().contains("my.own.Act"), "{error}");
    }
}
