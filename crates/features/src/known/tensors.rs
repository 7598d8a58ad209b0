//! Named numbers of several types in a safetensors file, and its metadata.

use std::collections::HashMap;

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem;

/// What is wrong with a file.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// A type of number that a tensor can be of.
pub(crate) trait Number: Copy {
    const DTYPE: Dtype;

    fn write(self, out: &mut Vec<u8>);

    /// All numbers of a tensor of this type.
    fn read(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! number {
    ($($type:ty, $dtype:ident);*) => {$(
        impl Number for $type {
            const DTYPE: Dtype = Dtype::$dtype;

            fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn read(bytes: &[u8]) -> Vec<Self> {
                let numbers = bytes.as_chunks().0.iter();
                numbers.map(|&bytes| Self::from_le_bytes(bytes)).collect()
            }
        }
    )*};
}

number!(f16, F16; f32, F32; f64, F64; u32, U32; u64, U64);

/// Tensors on their way into a file.
#[derive(Default)]
pub(crate) struct Columns {
    metadata: HashMap<String, String>,
    tensors: Vec<(String, Dtype, usize, Vec<u8>)>,
}

impl Columns {
    /// Adds the numbers called `name`. Names are each used once.
    pub fn put<T: Number>(&mut self, name: impl Into<String>, numbers: &[T]) {
        let mut bytes = Vec::with_capacity(size_of_val(numbers));
        numbers.iter().for_each(|number| number.write(&mut bytes));
        self.tensors
            .push((name.into(), T::DTYPE, numbers.len(), bytes));
    }

    /// Adds a setting.
    pub fn set(&mut self, name: &str, value: &impl Serialize) -> Result<(), Source> {
        let json = serde_json::to_string(value)?;
        self.metadata.insert(name.to_owned(), json);
        Ok(())
    }

    /// The file.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, Source> {
        let views = self.tensors.iter().map(|(name, dtype, length, bytes)| {
            Ok((name, TensorView::new(*dtype, vec![*length], bytes)?))
        });
        let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
        Ok(safetensors::serialize(views, Some(self.metadata.clone()))?)
    }
}

/// Tensors of a file.
pub(crate) struct Stored<'a> {
    metadata: HashMap<String, String>,
    tensors: SafeTensors<'a>,
}

impl<'a> Stored<'a> {
    pub fn new(file: &'a [u8]) -> Result<Self, Source> {
        let (_, metadata) = SafeTensors::read_metadata(file)?;
        Ok(Self {
            metadata: metadata.metadata().clone().unwrap_or_default(),
            tensors: SafeTensors::deserialize(file)?,
        })
    }

    /// A setting.
    pub fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<T, Source> {
        let json = self.metadata.get(name);
        let json = json.ok_or_else(|| problem(format!("its metadata have no {name}")))?;
        Ok(serde_json::from_str(json)?)
    }

    /// The numbers called `name`, however many they are.
    pub fn all<T: Number>(&self, name: &str) -> Result<Vec<T>, Source> {
        let tensor = self.tensors.tensor(name)?;
        match tensor.dtype() == T::DTYPE {
            true => Ok(T::read(tensor.data())),
            false => Err(problem(format!(
                "{name} is {:?} and should be {:?}",
                tensor.dtype(),
                T::DTYPE
            ))),
        }
    }

    /// The numbers called `name`, of which there must be `length`.
    pub fn get<T: Number>(&self, name: &str, length: usize) -> Result<Vec<T>, Source> {
        let numbers = self.all(name)?;
        match numbers.len() == length {
            true => Ok(numbers),
            false => Err(problem(format!(
                "there are {} numbers of {name} where {length} should be",
                numbers.len()
            ))),
        }
    }
}
