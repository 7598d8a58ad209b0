//! Named numbers, on their way into a checkpoint and out of one.

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Key of a file's metadata under which a model's settings stand, as JSON.
const SETTINGS_KEY: &str = "mmdlrm_settings";

/// What a model and its optimizer hand over to be kept: names and numbers, copied only
/// where they do not lie in memory as they are.
#[derive(Debug, Clone, Default)]
pub struct Tensors<'a>(Vec<(String, Cow<'a, [f32]>)>);

impl<'a> Tensors<'a> {
    /// Adds the numbers called `name`. Names are each used once.
    pub fn put(&mut self, name: impl Into<String>, values: impl Into<Cow<'a, [f32]>>) {
        self.0.push((name.into(), values.into()));
    }

    /// A safetensors file of them, for [`Persist::to_safetensors`](crate::Persist): flat
    /// tensors of `f32`, with `settings` in the metadata.
    ///
    /// # Errors
    /// Settings that cannot be written as JSON.
    pub fn to_safetensors(self, settings: &impl Serialize) -> Result<Vec<u8>> {
        let metadata = HashMap::from([(SETTINGS_KEY.to_owned(), serde_json::to_string(settings)?)]);
        let tensors = self.sorted()?.into_iter().map(|(name, values)| {
            let bytes = values.iter().flat_map(|x| x.to_le_bytes());
            (name, values.len(), bytes.collect::<Vec<u8>>())
        });
        let tensors: Vec<_> = tensors.collect();
        let views = tensors.iter().map(|(name, length, bytes)| {
            Ok((name, TensorView::new(Dtype::F32, vec![*length], bytes)?))
        });
        let views = views.collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()?;
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    /// By name, in order; each must be there once.
    pub(crate) fn sorted(mut self) -> Result<Vec<(String, Cow<'a, [f32]>)>> {
        self.0.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let twice = self.0.windows(2).find(|pair| pair[0].0 == pair[1].0);
        match twice {
            None => Ok(self.0),
            Some(pair) => Err(Error::Mismatch(format!(
                "the model has two tensors called {}",
                pair[0].0
            ))),
        }
    }
}

/// Named numbers that were kept.
///
/// ```
/// use mmdlrm_train::{Kept, Tensors};
///
/// let mut tensors = Tensors::default();
/// tensors.put("weight", vec![1.0, 2.0]);
/// let kept = Kept::from(tensors);
/// let mut weight = [0.0; 2];
/// kept.load("weight", &mut weight)?;
/// assert_eq!(weight, [1.0, 2.0]);
/// assert!(kept.load("bias", &mut weight).is_err());
/// # Ok::<(), mmdlrm_train::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept(HashMap<String, Vec<f32>>);

impl Kept {
    /// Copies the numbers called `name` into `out`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where there are none of that name, or not as many.
    pub fn load(&self, name: &str, out: &mut [f32]) -> Result<()> {
        match self.0.get(name) {
            Some(values) if values.len() == out.len() => {
                out.copy_from_slice(values);
                Ok(())
            }
            found => Err(Error::Mismatch(format!(
                "there are {} numbers of {name} where {} should be",
                found.map_or(0, Vec::len),
                out.len()
            ))),
        }
    }

    /// The numbers called `name`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where there are none of that name.
    pub fn get(&self, name: &str) -> Result<&[f32]> {
        let found = self.0.get(name).map(Vec::as_slice);
        found.ok_or_else(|| Error::Mismatch(format!("there are no numbers of {name}")))
    }

    /// The inverse of [`Tensors::to_safetensors`]: the settings and the numbers.
    ///
    /// ```
    /// use mmdlrm_train::{Kept, Tensors};
    ///
    /// let mut tensors = Tensors::default();
    /// tensors.put("weight", vec![1.0, 2.0]);
    /// let file = tensors.to_safetensors(&("nearest", 50))?;
    /// let (settings, kept) = Kept::from_safetensors::<(String, u32)>(&file)?;
    /// assert_eq!((settings.1, kept.get("weight")?), (50, &[1.0, 2.0][..]));
    /// # Ok::<(), mmdlrm_train::Error>(())
    /// ```
    ///
    /// # Errors
    /// Bytes of no such file, settings that are no `S`, numbers that are infinite or NaN.
    pub fn from_safetensors<S: DeserializeOwned>(file: &[u8]) -> Result<(S, Self)> {
        let (_, metadata) = SafeTensors::read_metadata(file)?;
        let entries = metadata.metadata().as_ref();
        let settings = entries.and_then(|entries| entries.get(SETTINGS_KEY));
        let settings = settings.ok_or_else(|| {
            Error::Mismatch(format!(
                "the model's file has no {SETTINGS_KEY} in its metadata"
            ))
        })?;
        let settings = serde_json::from_str(settings)?;
        let tensors = SafeTensors::deserialize(file)?;
        for (name, tensor) in tensors.iter() {
            let is_sound = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes).is_finite();
            let numbers = tensor.data().as_chunks().0;
            if tensor.dtype() != Dtype::F32 || !numbers.iter().all(is_sound) {
                return Err(Error::Mismatch(format!(
                    "{name} in the model's file is {:?} and should be finite numbers of F32",
                    tensor.dtype()
                )));
            }
        }
        Ok((settings, Self::of(&tensors)))
    }

    /// Of tensors of `f32`.
    pub(crate) fn of(tensors: &SafeTensors) -> Self {
        let numbers = |bytes: &[u8]| -> Vec<f32> {
            let numbers = bytes.as_chunks().0.iter();
            numbers.map(|&bytes| f32::from_le_bytes(bytes)).collect()
        };
        let tensors = tensors.iter();
        Self(
            tensors
                .map(|(name, tensor)| (name.to_owned(), numbers(tensor.data())))
                .collect(),
        )
    }
}

impl From<Tensors<'_>> for Kept {
    fn from(tensors: Tensors) -> Self {
        let owned = tensors.0.into_iter();
        Self(
            owned
                .map(|(name, values)| (name, values.into_owned()))
                .collect(),
        )
    }
}
