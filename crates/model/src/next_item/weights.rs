use std::collections::HashMap;

use mmdlrm_kernels::InstructionSet;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{NextItem, NextItemConfig, NextItemLayout};
use crate::weights::numbers;
use crate::{Error, Result};

/// Key of the file's metadata under which the configuration stands as JSON.
const CONFIG_KEY: &str = "mmdlrm_next_item";

impl NextItem {
    /// The configuration and all parameters as a safetensors file, in `f32`:
    /// `items.weight`, `history_items.weight`, `user.weight` and so on.
    ///
    /// # Errors
    /// Only where the configuration cannot be written as JSON.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let config = serde_json::to_string(&self.config)?;
        let tensors = self.layout.tensors(&self.config).into_iter();
        let bytes: Vec<(&str, Vec<usize>, Vec<u8>)> = tensors
            .map(|(name, span, shape)| {
                let values = self.parameters[span].iter();
                (name, shape, values.flat_map(|x| x.to_le_bytes()).collect())
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
            })
            .collect::<Result<Vec<_>>>()?;
        let metadata = HashMap::from([(CONFIG_KEY.to_owned(), config)]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    /// The inverse of [`Self::to_safetensors`].
    ///
    /// # Errors
    /// Bytes that are not a whole safetensors file, or not of such a model; parameters
    /// that are infinite or NaN.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let config = metadata.metadata().as_ref();
        let config = config.and_then(|entries| entries.get(CONFIG_KEY));
        let config = config.ok_or_else(|| {
            Error::Weights(format!("the file has no {CONFIG_KEY} in its metadata"))
        })?;
        let config: NextItemConfig = serde_json::from_str(config)?;
        config.validate()?;
        InstructionSet::in_use()?;
        let tensors = SafeTensors::deserialize(bytes)?;
        let layout = NextItemLayout::new(&config);
        if layout.len > bytes.len() / size_of::<f32>() {
            let problem = format!("the configuration asks for {} numbers", layout.len);
            return Err(Error::Weights(format!(
                "{problem}, and the file is shorter"
            )));
        }
        let mut parameters = vec![0.0; layout.len];
        for (name, span, shape) in layout.tensors(&config) {
            let tensor = tensors.tensor(name)?;
            if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
                return Err(Error::Weights(format!(
                    "{name} is {:?} {:?} and should be F32 {shape:?}",
                    tensor.dtype(),
                    tensor.shape()
                )));
            }
            if let Some(place) = numbers(tensor.data()).position(|x| !x.is_finite()) {
                return Err(Error::Weights(format!(
                    "{name} has a number at {place} that is infinite or NaN"
                )));
            }
            let numbers = numbers(tensor.data());
            parameters[span]
                .iter_mut()
                .zip(numbers)
                .for_each(|(x, y)| *x = y);
        }
        Ok(Self {
            config,
            layout,
            parameters,
        })
    }
}
