use std::path::PathBuf;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use mmdlrm_kernels::InstructionSet;

use crate::error::Cause;
use crate::models::weights::{ModelHash, Weights};
use crate::{Error, LongTexts, Pooling, Result};

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
    /// How the vectors of a text's tokens become one, of models of texts alone: as the model's
    /// own files say by default.
    pub pooling: Option<Pooling>,
    /// Pictures are resized to a square of so many pixels, of models of pictures alone: as the
    /// model's own files say by default.
    pub image_size: Option<usize>,
    /// What stands before every text, as `"passage: "` for e5: what the model's own files say
    /// by default. Models of texts alone have one.
    pub prompt: Option<String>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            dtype: DType::F32,
            long_texts: LongTexts::default(),
            pooling: None,
            image_size: None,
            prompt: None,
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

    /// With a [`Self::pooling`].
    pub fn with_pooling(self, pooling: Pooling) -> Self {
        let pooling = Some(pooling);
        Self { pooling, ..self }
    }

    /// With an [`Self::image_size`].
    pub fn with_image_size(self, pixels: usize) -> Self {
        let image_size = Some(pixels);
        Self { image_size, ..self }
    }

    /// With a [`Self::prompt`].
    pub fn with_prompt(self, prompt: impl Into<String>) -> Self {
        let prompt = Some(prompt.into());
        Self { prompt, ..self }
    }

    /// Refuses what says how texts are encoded, for a model that has no use for it.
    pub(crate) fn refuse_of_texts(&self, model: &'static str) -> Result<()> {
        let prompt = self.prompt.as_ref().map(|_| "a prompt");
        let option = prompt.or_else(|| self.pooling.map(|_| "a pooling"));
        option.map_or(Ok(()), |option| Err(Error::NoUse { option, model }))
    }

    /// … and how pictures are.
    pub(crate) fn refuse_of_pictures(&self, model: &'static str) -> Result<()> {
        let option = self.image_size.map(|_| "an image size");
        option.map_or(Ok(()), |option| Err(Error::NoUse { option, model }))
    }

    /// Opens the files of weights, of which `build` makes the model, and hashes it after
    /// what `hash` has: what does not fit is found before all of it is read.
    pub(crate) fn weights<T>(
        &self,
        model: &str,
        paths: &[PathBuf],
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
        let files = Weights::open(paths).map_err(|problem| unusable(problem.into()))?;
        let weights = VarBuilder::from_backend(Box::new(&files), self.dtype, self.device.clone());
        let built = build(weights).map_err(|problem| unusable(problem.into()))?;
        files
            .hash(hash)
            .map_err(|problem| unusable(problem.into()))?;
        Ok(built)
    }
}
