use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use half::{bf16, f16};

use crate::archive::{self, Archive};
use crate::legacy::Legacy;
use crate::sniff::{Beginning, beginning};
use crate::tensor::{Place, TensorInfo};
use crate::tree::{Model, Tree};
use crate::{Dtype, Error, Number, Problem, Result, names};

/// Bytes of the largest file that is read.
const LARGEST_FILE: u64 = 1 << 40;
/// Bytes that are read at a time: they stay in the second-level cache, and hold whole
/// numbers of every type.
const READ_AT_A_TIME: usize = 1 << 18;
/// What is put before all names by what a model was wrapped in: `DataParallel`,
/// `torch.compile`, Lightning.
const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// Which of PyTorch's formats a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// The archive that `torch.save` writes since version 1.6.
    Zip,
    /// The pickles that it wrote before.
    Legacy,
    /// An archive that `torch.jit.save` wrote.
    TorchScript,
}

/// An open checkpoint: its tensors are known, their numbers are read when they are asked for.
///
/// It can be read from several threads at once.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    file: Mutex<File>,
    stamp: Stamp,
    format: Format,
    /// In the file's order.
    tensors: Vec<(String, TensorInfo)>,
    /// Numbers of the tensors, by name.
    by_name: Vec<usize>,
    model: Model,
    root: String,
}

/// What changes when a file does.
#[derive(Debug, PartialEq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            length: metadata.len(),
            // Not every system knows.
            modified: metadata.modified().ok(),
        })
    }
}

impl Checkpoint {
    /// Opens a file, follows its pickle, and checks that each tensor lies within it.
    ///
    /// All tensors are there, each under the keys that lead to it, `state_dict.bot_l.0.weight`;
    /// [`Self::into_model`] keeps those of the model alone.
    ///
    /// # Errors
    /// A file that cannot be read, is no checkpoint, is damaged, or has no tensors: the error
    /// says what the file is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::read_tree(path).map_err(|problem| Error::new(path, problem))
    }

    fn read_tree(path: &Path) -> Result<Self, Problem> {
        // To open a pipe would wait for someone to write.
        let kind = std::fs::metadata(path)?.file_type();
        if !kind.is_file() {
            let what = if kind.is_dir() {
                "a folder"
            } else {
                "no file but a device or pipe"
            };
            return Err(Problem::OtherFile(what.to_owned()));
        }
        let mut file = File::open(path)?;
        let stamp = Stamp::of(&file)?;
        let length = stamp.length;
        if length > LARGEST_FILE {
            return Err(Problem::TooLarge {
                what: format!("the file has {length} bytes"),
                most: LARGEST_FILE,
            });
        }
        let (format, tree) = match beginning(&mut file)? {
            Beginning::Zip => {
                let archive = Archive::read(&mut file, length)?;
                let locate = |key: &str| archive.storage(key);
                let format = match archive.has_code {
                    true => Format::TorchScript,
                    false => Format::Zip,
                };
                (format, Tree::of(&archive.pickle, &locate)?)
            }
            Beginning::Pickle => {
                let legacy = Legacy::read(&mut file, length)?;
                let locate = |key: &str| Ok(legacy.storages.get(key).cloned());
                (Format::Legacy, Tree::of(&legacy.pickle, &locate)?)
            }
        };
        let mut checkpoint = Self {
            path: path.to_owned(),
            file: Mutex::new(file),
            stamp,
            format,
            tensors: tree.tensors,
            by_name: Vec::new(),
            model: tree.model,
            root: tree.root,
        };
        checkpoint.sort();
        Ok(checkpoint)
    }

    /// Keeps the tensors of the model, named as the model names them: without the keys that
    /// lead to it in the file (`state_dict`, `model_state_dict`, `model` and the like, or a
    /// key that alone holds tensors), and without what a wrapper puts before all names
    /// (`module.`, `_orig_mod.`, `model.`).
    ///
    /// # Errors
    /// Several keys that hold tensors, none of which, or more than one, is known to lead to
    /// a model: the error names them.
    pub fn into_model(mut self) -> Result<Self> {
        match self.model.clone() {
            Model::Several(keys) => return Err(self.error(Problem::SeveralModels(keys))),
            Model::One { tensors, cut } => {
                self.tensors.truncate(tensors.end);
                self.tensors.drain(..tensors.start);
                for (name, _) in &mut self.tensors {
                    name.drain(..cut);
                }
            }
        }
        names::take_off(&mut self.tensors, &WRAPPERS);
        self.model = Model::One {
            tensors: 0..self.tensors.len(),
            cut: 0,
        };
        self.sort();
        Ok(self)
    }

    fn sort(&mut self) {
        self.by_name = (0..self.tensors.len()).collect();
        let tensors = &self.tensors;
        self.by_name
            .sort_by(|&a, &b| tensors[a].0.cmp(&tensors[b].0));
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes.
    pub fn length(&self) -> u64 {
        self.stamp.length
    }

    /// Its format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Names of the tensors, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.by_name
            .iter()
            .map(|&number| self.tensors[number].0.as_str())
    }

    /// The tensors in the order of the file, which is that of the model's definition.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &TensorInfo)> + Clone {
        self.tensors
            .iter()
            .map(|(name, info)| (name.as_str(), info))
    }

    /// Type and shape of a tensor, where there is one of this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        let tensors = &self.tensors;
        let place = self
            .by_name
            .binary_search_by(|&number| tensors[number].0.as_str().cmp(name));
        Some(&tensors[self.by_name[place.ok()?]].1)
    }

    /// The names that end most like `name`, the likest first: the same parameter of another
    /// model, say. None where no more than the last part is the same.
    pub fn nearest(&self, name: &str) -> Vec<&str> {
        names::nearest(name, self.names())
    }

    /// What the file holds, in words: its format, its keys, and the first of its tensors.
    pub fn describe(&self) -> String {
        names::describe(self.format, &self.root, &self.tensors)
    }

    /// Calls `each` with the numbers of a tensor as they are in the file, little-endian, row by
    /// row, a part of whole numbers at a time. A tensor that is laid out in another order, a
    /// transposed one say, is put in this one.
    ///
    /// # Errors
    /// No such tensor, or one of a kind that is not read; a file that cannot be read.
    pub fn read_bytes(&self, name: &str, mut each: impl FnMut(&[u8])) -> Result<()> {
        let read = self.readable(name).and_then(|(info, place)| {
            let size = info.dtype.size() as u64;
            match place.is_contiguous(&info.shape) {
                true => self.read_range(place.start, place.span * size, &mut each),
                false => self.read_strided(name, info, place, &mut each),
            }
        });
        read.map_err(|problem| self.error(problem))
    }

    /// The numbers of a tensor of the type `T`, row by row.
    ///
    /// # Errors
    /// As [`Self::read_bytes`]; a tensor of another type.
    pub fn read<T: Number>(&self, name: &str) -> Result<Vec<T>> {
        let mut numbers = self.room(name)?;
        let dtype = self.tensor(name).map_or(T::DTYPE, TensorInfo::dtype);
        if dtype != T::DTYPE {
            return Err(self.error(Problem::Tensor {
                name: name.to_owned(),
                what: format!("of the type {dtype}, not {}", T::DTYPE),
            }));
        }
        self.read_bytes(name, |bytes| T::extend(&mut numbers, bytes))?;
        Ok(numbers)
    }

    /// The numbers of a tensor of fractions of any precision, in single precision.
    ///
    /// # Errors
    /// As [`Self::read_bytes`]; a tensor of another type.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let mut numbers = self.room(name)?;
        match self.tensor(name).map(TensorInfo::dtype) {
            None | Some(Dtype::F32) => {
                self.read_bytes(name, |bytes| f32::extend(&mut numbers, bytes))?;
            }
            Some(Dtype::F16) => self.convert(name, f16::to_f32, &mut numbers)?,
            Some(Dtype::Bf16) => self.convert(name, bf16::to_f32, &mut numbers)?,
            Some(Dtype::F64) => self.convert(name, |number: f64| number as f32, &mut numbers)?,
            Some(dtype) => {
                return Err(self.error(Problem::Tensor {
                    name: name.to_owned(),
                    what: format!("of the type {dtype}, not float16, bfloat16, float32 or float64"),
                }));
            }
        }
        Ok(numbers)
    }

    fn convert<T: Number>(
        &self,
        name: &str,
        number: impl Fn(T) -> f32,
        numbers: &mut Vec<f32>,
    ) -> Result<()> {
        let mut part = Vec::new();
        self.read_bytes(name, |bytes| {
            part.clear();
            T::extend(&mut part, bytes);
            numbers.extend(part.iter().map(|&it| number(it)));
        })
    }

    /// Calls `each` with all bytes of the file, a part at a time: for a hash.
    ///
    /// # Errors
    /// A file that cannot be read, or is not what it was when it was opened, so that what is
    /// hashed are the tensors that were read.
    pub fn read_file(&self, mut each: impl FnMut(&[u8])) -> Result<()> {
        let read = self.read_range(0, self.stamp.length, &mut each);
        read.and_then(|()| self.is_unchanged())
            .map_err(|problem| self.error(problem))
    }

    /// Reads the whole file against the checksums of its parts; the format before PyTorch
    /// 1.6 has none.
    ///
    /// # Errors
    /// As [`Self::read_file`]; a part that is not what was written.
    pub fn check(&self) -> Result<()> {
        let check = || match self.format {
            Format::Legacy => self.is_unchanged(),
            Format::Zip | Format::TorchScript => {
                let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
                let checked = archive::check(&file);
                drop(file);
                self.is_unchanged()?;
                checked
            }
        };
        check().map_err(|problem| self.error(problem))
    }

    fn is_unchanged(&self) -> Result<(), Problem> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match Stamp::of(&file)? == self.stamp {
            true => Ok(()),
            false => Err(Problem::Changed),
        }
    }

    fn error(&self, problem: Problem) -> Error {
        Error::new(&self.path, problem)
    }

    /// A tensor that can be read.
    fn readable(&self, name: &str) -> Result<(&TensorInfo, &Place), Problem> {
        let Some(info) = self.tensor(name) else {
            return Err(Problem::NoSuchTensor {
                name: name.to_owned(),
                nearest: self.nearest(name).into_iter().map(str::to_owned).collect(),
                holds: self.describe(),
            });
        };
        match &info.place {
            Ok(place) => Ok((info, place)),
            Err(what) => Err(Problem::Tensor {
                name: name.to_owned(),
                what: what.clone(),
            }),
        }
    }

    /// Room for the numbers of a tensor.
    fn room<T>(&self, name: &str) -> Result<Vec<T>> {
        let room = self.readable(name).and_then(|(info, _)| {
            let mut numbers = Vec::new();
            reserve(&mut numbers, name, info.count())?;
            Ok(numbers)
        });
        room.map_err(|problem| self.error(problem))
    }

    fn read_range(
        &self,
        start: u64,
        mut left: u64,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Problem> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        let mut buffer = vec![0; READ_AT_A_TIME.min(usize::try_from(left).unwrap_or(usize::MAX))];
        while left > 0 {
            let length = (buffer.len() as u64).min(left);
            let part = &mut buffer[..length as usize];
            file.read_exact(part)
                .map_err(|source| match source.kind() {
                    ErrorKind::UnexpectedEof => Problem::Changed,
                    _ => source.into(),
                })?;
            each(part);
            left -= length;
        }
        Ok(())
    }

    fn read_strided(
        &self,
        name: &str,
        info: &TensorInfo,
        place: &Place,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Problem> {
        let size = info.dtype.size();
        let length = place.span * size as u64;
        let mut span = Vec::new();
        reserve(&mut span, name, length)?;
        self.read_range(place.start, length, &mut |bytes| {
            span.extend_from_slice(bytes)
        })?;
        let mut part = Vec::with_capacity(READ_AT_A_TIME);
        // Which number of each dimension is next.
        let mut at = vec![0; info.shape.len()];
        for _ in 0..info.count() {
            let number: u64 = at
                .iter()
                .zip(&place.strides)
                .map(|(at, stride)| at * stride)
                .sum();
            let number = number as usize * size;
            part.extend_from_slice(&span[number..number + size]);
            if part.len() == READ_AT_A_TIME {
                each(&part);
                part.clear();
            }
            for (at, &size) in at.iter_mut().zip(&info.shape).rev() {
                *at += 1;
                if *at < size as u64 {
                    break;
                }
                *at = 0;
            }
        }
        each(&part);
        Ok(())
    }
}

fn reserve<T>(numbers: &mut Vec<T>, name: &str, count: u64) -> Result<(), Problem> {
    let reserved = usize::try_from(count).map(|count| numbers.try_reserve_exact(count));
    match reserved {
        Ok(Ok(())) => Ok(()),
        _ => Err(Problem::Memory {
            name: name.to_owned(),
            bytes: count.saturating_mul(size_of::<T>() as u64),
        }),
    }
}
