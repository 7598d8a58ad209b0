//! The numbers of a model, in one file or several, under the names that the model's code gives
//! them.

mod find;
mod hash;
mod openai;
mod pytorch;
mod safetensors;

use candle_core::{DType, Device, Error as TensorError, Result as TensorResult, Shape, Tensor};
use candle_nn::Init;
use candle_nn::var_builder::SimpleBackend;
use mmdlrm_checkpoints::{Checkpoint, Format};
use std::path::{Path, PathBuf};

pub(crate) use find::{OF_HUGGING_FACE, OF_OPEN_CLIP, weights_of};
pub(crate) use hash::ModelHash;
use openai::{Part, source};
use safetensors::{SafetensorsFile, WeightsProblem};

/// What stands before the names of models that were saved as they were trained: within
/// `DataParallel` and `DistributedDataParallel`, or by `torch.compile`.
const WRAPPERS: [&str; 3] = ["", "module.", "_orig_mod."];

/// A model's files of weights.
pub(crate) struct Weights {
    files: Vec<WeightsFile>,
    /// Whether they are called as OpenAI and OpenCLIP call CLIP's.
    is_openai: bool,
}

/// A file of weights, of either format.
enum WeightsFile {
    Safetensors(SafetensorsFile),
    PyTorch(Checkpoint),
}

impl WeightsFile {
    /// What is called safetensors is read as that; all else is PyTorch's.
    fn open(path: &Path) -> Result<Self, WeightsProblem> {
        match path.extension().is_some_and(|end| end == "safetensors") {
            true => Ok(Self::Safetensors(SafetensorsFile::open(path)?)),
            false => Ok(Self::PyTorch(pytorch::open(path)?)),
        }
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match self {
            Self::Safetensors(file) => file.shape(name).map(<[usize]>::to_vec),
            Self::PyTorch(file) => Some(file.tensor(name)?.shape().to_vec()),
        }
    }

    fn tensor(&self, shape: Shape, name: &str, device: &Device) -> TensorResult<Tensor> {
        match self {
            Self::Safetensors(file) => file.tensor(shape, name, device),
            Self::PyTorch(file) => pytorch::tensor(file, shape, name, device),
        }
    }

    fn hash(&self, hash: &mut ModelHash) -> Result<(), WeightsProblem> {
        match self {
            Self::Safetensors(file) => file.hash(hash),
            Self::PyTorch(file) => {
                file.check()?;
                Ok(file.read_file(|bytes| hash.update(bytes))?)
            }
        }
    }
}

impl Weights {
    /// Opens the files and reads their headers.
    pub fn open(paths: &[PathBuf]) -> Result<Self, WeightsProblem> {
        let files = paths.iter().map(|path| WeightsFile::open(path));
        let mut weights = Self {
            files: files.collect::<Result<_, _>>()?,
            is_openai: false,
        };
        weights.is_openai = weights.find(openai::HALLMARK).is_some();
        Ok(weights)
    }

    /// Whether the tensors are called as OpenAI and OpenCLIP call CLIP's.
    pub fn is_openai(&self) -> bool {
        self.is_openai
    }

    /// Whether they lie in an archive of TorchScript's, as OpenAI's own do.
    pub fn is_torch_script(&self) -> bool {
        let is_script = |file: &WeightsFile| match file {
            WeightsFile::PyTorch(file) => file.format() == Format::TorchScript,
            WeightsFile::Safetensors(_) => false,
        };
        self.files.iter().any(is_script)
    }

    /// The shape of a tensor, where there is one of this name.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let (file, stored) = self.find(name)?;
        file.shape(&stored)
    }

    /// Goes on hashing with all files, each of which has to be what it was when it was opened:
    /// the tensors that were read are those that are hashed.
    pub fn hash(&self, hash: &mut ModelHash) -> Result<(), WeightsProblem> {
        self.files.iter().try_for_each(|file| file.hash(hash))
    }

    /// The file that has a tensor, and what it calls it.
    fn find(&self, name: &str) -> Option<(&WeightsFile, String)> {
        let names = WRAPPERS.iter().map(|wrapper| format!("{wrapper}{name}"));
        names.into_iter().find_map(|name| {
            let file = self.files.iter().find(|file| file.shape(&name).is_some())?;
            Some((file, name))
        })
    }

    /// The same of a name of Hugging Face's, and which part of the tensor it is.
    fn find_part(&self, name: &str) -> Option<(&WeightsFile, String, Part)> {
        if !self.is_openai {
            let (file, stored) = self.find(name)?;
            return Some((file, stored, Part::Whole));
        }
        let (names, part) = source(name)?;
        let (file, stored) = names.iter().find_map(|name| self.find(name))?;
        Some((file, stored, part))
    }
}

impl SimpleBackend for &Weights {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> TensorResult<Tensor> {
        let found = self.find_part(name);
        let (file, stored, part) = found.ok_or_else(|| TensorError::CannotFindTensor {
            path: name.to_owned(),
        })?;
        let whole = file.tensor(part.whole(shape.dims()).into(), &stored, device)?;
        part.of(whole)?.to_dtype(dtype)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> TensorResult<Tensor> {
        candle_core::bail!("nobody says which shape {name} should have")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.find_part(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_nn::VarBuilder;

    use super::*;
    use crate::error::first_line;

    /// A file of one tensor of two numbers.
    fn shard(folder: &Path, name: &str, numbers: [f32; 2]) -> PathBuf {
        let header =
            format!(r#"{{"{name}": {{"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}}}"#);
        let length = (header.len() as u64).to_le_bytes();
        let numbers = numbers.map(f32::to_le_bytes).concat();
        let path = folder.join(format!("{name}.safetensors"));
        std::fs::write(&path, [&length, header.as_bytes(), &numbers].concat()).unwrap();
        path
    }

    #[test]
    fn tensors_are_found_in_any_file_and_behind_what_training_puts_before_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for wrapper in WRAPPERS {
            let paths = [("a.weight", [1.0, 2.0]), ("b.weight", [3.0, 4.0])]
                .map(|(name, numbers)| shard(folder.path(), &format!("{wrapper}{name}"), numbers));
            let weights = Weights::open(&paths).unwrap();
            let weights = VarBuilder::from_backend(Box::new(&weights), DType::F32, Device::Cpu);
            let found = weights.pp("b").get(2, "weight").unwrap();
            assert_eq!(found.to_vec1::<f32>().unwrap(), [3.0, 4.0]);
            assert!(weights.contains_tensor("a.weight"));
            let error = first_line(weights.get(2, "c.weight").unwrap_err());
            assert!(error.contains("c.weight"), "{error}");
        }
    }
}
