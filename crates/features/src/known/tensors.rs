//! Named numbers of several types in a safetensors file, and its metadata.

use std::collections::{BTreeMap, HashMap};

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use super::problem;

/// Of the metadata.
const KEY: &str = "mmdlrm_features";

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

number!(u8, U8; f16, F16; f32, F32; f64, F64; u32, U32; u64, U64; i64, I64);

/// Adds the bytes of some numbers.
pub(crate) fn put<T: Number>(out: &mut Vec<u8>, numbers: &[T]) {
    numbers.iter().for_each(|number| number.write(out));
}

/// Tensors on their way into a file.
#[derive(Default)]
pub(crate) struct Columns {
    settings: Settings,
    tensors: Vec<(String, Dtype, usize, Vec<u8>)>,
}

impl Columns {
    /// Adds the numbers called `name`. Names are each used once.
    pub fn put<T: Number>(&mut self, name: impl Into<String>, numbers: &[T]) {
        let mut bytes = Vec::with_capacity(size_of_val(numbers));
        put(&mut bytes, numbers);
        self.tensors
            .push((name.into(), T::DTYPE, numbers.len(), bytes));
    }

    /// Adds a setting.
    pub fn set(&mut self, name: &str, value: &impl Serialize) -> Result<(), Source> {
        let value = serde_json::to_value(value)?;
        self.settings.insert(name.to_owned(), value);
        Ok(())
    }

    /// The file. Its metadata have a hash of all else.
    pub fn into_safetensors(self) -> Result<Vec<u8>, Source> {
        let tensors = self.tensors.iter();
        let tensors = tensors.map(|(name, .., bytes)| (name.as_str(), bytes.as_slice()));
        let head = Head {
            xxh3: hash(&self.settings, tensors)?,
            settings: self.settings,
        };
        let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(&head)?)]);
        let views = self.tensors.iter().map(|(name, dtype, length, bytes)| {
            Ok((name, TensorView::new(*dtype, vec![*length], bytes)?))
        });
        let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
        Ok(safetensors::serialize(views, Some(metadata))?)
    }
}

/// By name.
type Settings = BTreeMap<String, Value>;

/// What stands in the file's metadata.
#[derive(Serialize, Deserialize)]
struct Head {
    /// Of the settings and the tensors.
    xxh3: String,
    settings: Settings,
}

/// Of the settings and of all tensors, in the order of their names.
fn hash<'a>(
    settings: &Settings,
    tensors: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Result<String, Source> {
    let mut hasher = Xxh3::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(&serde_json::to_vec(settings)?);
    for (name, bytes) in tensors.collect::<BTreeMap<_, _>>() {
        add(name.as_bytes());
        add(bytes);
    }
    Ok(format!("{:032x}", hasher.digest128()))
}

/// Tensors of a file.
pub(crate) struct Stored<'a> {
    settings: Settings,
    tensors: SafeTensors<'a>,
}

impl<'a> Stored<'a> {
    pub fn new(file: &'a [u8]) -> Result<Self, Source> {
        let (_, metadata) = SafeTensors::read_metadata(file)?;
        let head = metadata.metadata().as_ref().and_then(|all| all.get(KEY));
        let head = head.ok_or_else(|| problem(format!("its metadata have no {KEY}")))?;
        let Head { xxh3, settings } = serde_json::from_str(head)?;
        let tensors = SafeTensors::deserialize(file)?;
        let all = tensors.iter().map(|(name, tensor)| (name, tensor.data()));
        match hash(&settings, all)? == xxh3 {
            true => Ok(Self { settings, tensors }),
            false => Err(problem(
                "it does not have the hash that it was written with",
            )),
        }
    }

    /// A setting.
    pub fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<T, Source> {
        let value = self.settings.get(name);
        let value = value.ok_or_else(|| problem(format!("it has no setting {name}")))?;
        Ok(serde_json::from_value(value.clone())?)
    }

    /// Whether there are numbers called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
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
