use mmdlrm_features::Known;
use mmdlrm_model::Dlrm;

use crate::Result;

/// A model that a run's folder keeps: named tensors in `model.safetensors`, and a kind in
/// `config.json` that says who reads them. [`Tensors`](crate::Tensors) makes
/// such a file and [`Kept`](crate::Kept) reads it.
pub trait Persist {
    /// What models of this kind are called: `dlrm`, ….
    fn kind() -> &'static str
    where
        Self: Sized;

    /// Everything that the model learned, and its shape, as a safetensors file.
    ///
    /// # Errors
    /// A shape that cannot be written as JSON, or a device that fails.
    fn to_safetensors(&self) -> Result<Vec<u8>>;

    /// The inverse of [`Self::to_safetensors`]; `known` is what is known of the
    /// data that the model was trained on.
    ///
    /// # Errors
    /// Bytes of another model, or data that do not fit it, or cannot be read.
    fn load(file: &[u8], known: &Known) -> Result<Self>
    where
        Self: Sized;
}

impl Persist for Dlrm {
    fn kind() -> &'static str {
        "dlrm"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        Ok(Self::to_safetensors(self)?)
    }

    fn load(file: &[u8], _known: &Known) -> Result<Self> {
        Ok(Self::from_safetensors(file)?)
    }
}
