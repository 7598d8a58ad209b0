use std::path::Path;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use mmdlrm_kernels::InstructionSet;

use crate::error::Cause;
use crate::models::weights::{ModelHash, WeightsFile};
use crate::{Error, LongTexts, Result};

/// Where and how a model is loaded.
///
/// ```
/// use mmdlrm_encoders::{LoadOptions, LongTexts};
///
/// let options = LoadOptions::default().with_long_texts(LongTexts::Chunk);
/// assert!(options.device.is_cpu());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Where it computes; [`Device::Cpu`] by default.
    pub device: Device,
    /// What it computes with, whatever the weights are stored as: `F32` by
    /// default, `F16` or `BF16`.
    pub dtype: DType,
    /// What becomes of texts that are too long; cut by default.
    pub long_texts: LongTexts,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            dtype: DType::F32,
            long_texts: LongTexts::default(),
        }
    }
}

impl LoadOptions {
    /// With another [`Self::device`].
    pub fn with_device(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// With another [`Self::dtype`].
    pub fn with_dtype(self, dtype: DType) -> Self {
        Self { dtype, ..self }
    }

    /// With another [`Self::long_texts`].
    pub fn with_long_texts(self, long_texts: LongTexts) -> Self {
        Self { long_texts, ..self }
    }

    /// Opens a safetensors file, of which `build` makes the model, and hashes it after
    /// what `hash` has: what does not fit is found before all of it is read.
    pub(crate) fn weights<T>(
        &self,
        model: &str,
        path: &Path,
        hash: &mut ModelHash,
        build: impl FnOnce(VarBuilder) -> candle_core::Result<T>,
    ) -> Result<T> {
        InstructionSet::in_use()?;
        if !matches!(self.dtype, DType::F32 | DType::F16 | DType::BF16) {
            return Err(Error::Compute(
                format!(
                    "{} is no type to compute with; choose f32, f16 or bf16",
                    self.dtype.as_str()
                )
                .into(),
            ));
        }
        let unusable = |problem: Cause| Error::Weights {
            model: model.to_owned(),
            problem,
        };
        let file = WeightsFile::open(path).map_err(|problem| unusable(problem.into()))?;
        let weights = VarBuilder::from_backend(Box::new(&file), self.dtype, self.device.clone());
        let built = build(weights).map_err(|problem| unusable(problem.into()))?;
        file.hash(hash)
            .map_err(|problem| unusable(problem.into()))?;
        Ok(built)
    }
}
