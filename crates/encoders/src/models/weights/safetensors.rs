//! Weights of a safetensors file, read by position.
//!
//! ```text
//! file   = length: u64 (little-endian), header: [u8; length] (JSON), numbers
//! header = { name: { dtype, shape, data_offsets: [begin, end] }, … }
//! ```
//!
//! The header is capped and held against the file's length before anything else is read,
//! and a tensor's shape against the one that the configuration asks for before room is made
//! for it. A tensor goes straight into numbers of its own type, so that a model is in memory
//! once.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use candle_core::{Device, Error as TensorError, Result as TensorResult, Shape, Tensor};
use candle_core::{WithDType, bail};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::ModelHash;
use crate::error::first_line;

/// Bytes that say how long the header is.
const LENGTH_BYTES: u64 = 8;
/// Bytes of the largest header that is read; those of published encoders have 100 kB.
const LARGEST_HEADER: u64 = 4 << 20;
/// Bytes of the largest file that is read; published CLIPs have 10 GB.
const LARGEST_FILE: u64 = 32 << 30;
/// Bytes of a file that are read at a time: they stay in the second-level cache.
const READ_AT_A_TIME: usize = 1 << 18;

/// One way in which a file is not one of weights.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WeightsProblem {
    #[error("the file cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("the file has {0} bytes, too few for safetensors")]
    TooShort(u64),
    #[error("the file has {0} bytes; at most {LARGEST_FILE} are read")]
    TooLong(u64),
    #[error("its header has {0} bytes; at most {LARGEST_HEADER} are read")]
    LongHeader(u64),
    #[error("its header ends beyond the file's {0} bytes")]
    HeaderCutOff(u64),
    #[error("its header cannot be read: {}", first_line(.0))]
    Header(#[from] serde_json::Error),
    #[error("the file has {found} bytes of numbers, its header speaks of {expected}")]
    Length { found: u64, expected: u64 },
    #[error("the file changed while it was read")]
    Changed,
    #[error(transparent)]
    PyTorch(#[from] mmdlrm_checkpoints::Error),
}

/// A safetensors file whose header fits it.
pub(crate) struct SafetensorsFile {
    file: Mutex<File>,
    header: Metadata,
    /// Where the numbers begin.
    start: u64,
    stamp: Stamp,
}

/// What changes when a file does.
#[derive(PartialEq)]
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

impl SafetensorsFile {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> Result<Self, WeightsProblem> {
        let mut file = File::open(path)?;
        let stamp = Stamp::of(&file)?;
        let (header, start) = read_header(&mut file, stamp.length)?;
        Ok(Self {
            file: Mutex::new(file),
            header,
            start,
            stamp,
        })
    }

    /// Goes on hashing with the whole file, which has to be what it was when it was
    /// opened: the tensors that were read are those that are hashed.
    pub fn hash(&self, hash: &mut ModelHash) -> Result<(), WeightsProblem> {
        let file = &mut *self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(0))?;
        let mut buffer = vec![0; READ_AT_A_TIME];
        loop {
            match file.read(&mut buffer) {
                Ok(0) if Stamp::of(file)? == self.stamp => return Ok(()),
                Ok(0) => return Err(WeightsProblem::Changed),
                Ok(read) => hash.update(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A tensor of numbers that are `N` bytes in the file.
    fn read<const N: usize, T: WithDType>(
        &self,
        info: &TensorInfo,
        device: &Device,
        number: fn([u8; N]) -> T,
    ) -> TensorResult<Tensor> {
        let (begin, end) = info.data_offsets;
        let mut left = end - begin;
        let mut numbers = Vec::new();
        if numbers.try_reserve_exact(left / N).is_err() {
            bail!("there is no memory for {left} bytes");
        }
        let file = &mut *self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.start + begin as u64))?;
        let mut buffer = vec![0; READ_AT_A_TIME.min(left)];
        while left > 0 {
            let buffer = &mut buffer[..READ_AT_A_TIME.min(left)];
            file.read_exact(buffer)?;
            numbers.extend(buffer.as_chunks().0.iter().map(|&bytes| number(bytes)));
            left -= buffer.len();
        }
        Tensor::from_vec(numbers, info.shape.as_slice(), device)
    }
}

/// The header of a file of `length` bytes, and where it ends.
fn read_header(file: &mut File, length: u64) -> Result<(Metadata, u64), WeightsProblem> {
    if length > LARGEST_FILE {
        return Err(WeightsProblem::TooLong(length));
    }
    if length < LENGTH_BYTES {
        return Err(WeightsProblem::TooShort(length));
    }
    let mut size = [0; LENGTH_BYTES as usize];
    file.read_exact(&mut size)?;
    let size = u64::from_le_bytes(size);
    if size > LARGEST_HEADER {
        return Err(WeightsProblem::LongHeader(size));
    }
    let start = LENGTH_BYTES + size;
    let Some(found) = length.checked_sub(start) else {
        return Err(WeightsProblem::HeaderCutOff(length));
    };
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header)?;
    // This checks that tensors lie one after another, each as long as its shape says.
    let header: Metadata = serde_json::from_slice(&header)?;
    let expected = header.data_len() as u64;
    match expected == found {
        true => Ok((header, start)),
        false => Err(WeightsProblem::Length { found, expected }),
    }
}

impl SafetensorsFile {
    /// The shape of a tensor, where there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.header.info(name)?.shape)
    }

    /// The tensor of a name, in the numbers that it is stored as.
    pub fn tensor(&self, shape: Shape, name: &str, device: &Device) -> TensorResult<Tensor> {
        let Some(info) = self.header.info(name) else {
            return Err(TensorError::CannotFindTensor {
                path: name.to_owned(),
            });
        };
        if info.shape != shape.dims() {
            return Err(TensorError::UnexpectedShape {
                msg: format!("shape mismatch for {name}"),
                expected: shape,
                got: info.shape.clone().into(),
            });
        }
        match info.dtype {
            Dtype::F32 => self.read(info, device, f32::from_le_bytes),
            Dtype::F16 => self.read(info, device, f16::from_le_bytes),
            Dtype::BF16 => self.read(info, device, bf16::from_le_bytes),
            Dtype::F64 => self.read(info, device, f64::from_le_bytes),
            other => bail!("{name} is of type {other}, not F16, BF16, F32 or F64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use candle_core::DType;

    use super::super::hash::METHOD;
    use super::*;

    /// A file of a header and as many zeros.
    fn file(header: &str, zeros: usize) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let length = (header.len() as u64).to_le_bytes();
        file.write_all(&[&length, header.as_bytes(), &vec![0; zeros]].concat())
            .unwrap();
        file
    }

    fn refused(file: &tempfile::NamedTempFile) -> String {
        let opened = SafetensorsFile::open(file.path());
        opened.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_header_that_does_not_fit_its_file_is_refused() {
        let tensor = |dtype: &str, shape: &str, offsets: &str| {
            format!(
                r#"{{"a": {{"dtype": "{dtype}", "shape": {shape}, "data_offsets": {offsets}}}}}"#
            )
        };
        for (header, zeros, part) in [
            (tensor("F32", "[2]", "[0, 8]"), 7, "7 bytes of numbers"),
            (tensor("F32", "[2]", "[0, 8]"), 9, "9 bytes of numbers"),
            (tensor("F32", "[2]", "[4, 12]"), 12, "offset"),
            (tensor("F32", "[2]", "[8, 0]"), 8, "offset"),
            (tensor("F32", "[3]", "[0, 8]"), 8, "shape"),
            (
                tensor("F64", "[34359738368]", "[0, 274877906944]"),
                8,
                "8 bytes of numbers",
            ),
            (
                tensor("F32", "[4294967296, 4294967296]", "[0, 8]"),
                8,
                "overflow",
            ),
            (tensor("F99", "[2]", "[0, 8]"), 8, "F99"),
            ("{".to_owned(), 8, "header cannot be read"),
            ("".to_owned(), 8, "header cannot be read"),
            ("[[[[".to_owned(), 8, "header cannot be read"),
        ] {
            let problem = refused(&file(&header, zeros));
            assert!(problem.contains(part), "{header}: {problem}");
            assert_eq!(problem.lines().count(), 1, "{problem}");
        }
        let long = file(&" ".repeat(LARGEST_HEADER as usize + 1), 0);
        assert!(refused(&long).contains("at most"));
        let cut = tempfile::NamedTempFile::new().unwrap();
        assert!(refused(&cut).contains("too few"));
        cut.as_file().write_all(&100u64.to_le_bytes()).unwrap();
        assert!(refused(&cut).contains("beyond"));
        cut.as_file().set_len(LARGEST_FILE + 1).unwrap();
        assert!(refused(&cut).contains("at most"));
    }

    /// 16 GiB that are nowhere: whoever made room for them before looking at the shape
    /// would be told so by the test's machine.
    #[test]
    fn a_tensor_of_another_shape_is_refused_before_it_is_read() {
        let huge = 16u64 << 30;
        let header = format!(
            r#"{{"a": {{"dtype": "F32", "shape": [{}], "data_offsets": [0, {huge}]}}}}"#,
            huge / 4
        );
        let sparse = file(&header, 0);
        let length = 8 + header.len() as u64 + huge;
        sparse.as_file().set_len(length).unwrap();
        let weights = SafetensorsFile::open(sparse.path()).unwrap();
        let error = |name| first_line(weights.tensor(3.into(), name, &Device::Cpu).unwrap_err());
        assert!(
            error("a").contains("shape mismatch for a"),
            "{}",
            error("a")
        );
        let error = error("b");
        assert!(error.contains("b"), "{error}");
    }

    #[test]
    fn numbers_of_every_type_are_read_as_they_are() {
        let numbers = [0.5f32, -2.0, 1024.0, 0.0];
        let each = |name: &str, bytes: Vec<u8>| (name.to_owned(), bytes);
        for (dtype, bytes) in [
            each(
                "F32",
                numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
            ),
            each(
                "F64",
                numbers
                    .iter()
                    .flat_map(|&x| f64::from(x).to_le_bytes())
                    .collect(),
            ),
            each(
                "F16",
                numbers
                    .iter()
                    .flat_map(|&x| f16::from_f32(x).to_le_bytes())
                    .collect(),
            ),
            each(
                "BF16",
                numbers
                    .iter()
                    .flat_map(|&x| bf16::from_f32(x).to_le_bytes())
                    .collect(),
            ),
        ] {
            // Behind another, and more than are read at a time.
            let times = READ_AT_A_TIME / bytes.len() + 3;
            let (count, length) = (4 * times, bytes.len() * times);
            let header = format!(
                r#"{{"z": {{"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}},
                    "a": {{"dtype": "{dtype}", "shape": [{count}, 1], "data_offsets": [3, {}]}}}}"#,
                length + 3
            );
            let mut file = file(&header, 3);
            file.write_all(&bytes.repeat(times)).unwrap();
            let weights = SafetensorsFile::open(file.path()).unwrap();
            let found = weights.tensor((count, 1).into(), "a", &Device::Cpu);
            let found = found.unwrap().to_dtype(DType::F32).unwrap();
            let found: Vec<f32> = found.flatten_all().unwrap().to_vec1().unwrap();
            assert_eq!(found, numbers.repeat(times), "{dtype}");
            let error = first_line(weights.tensor(3.into(), "z", &Device::Cpu).unwrap_err());
            assert!(error.contains("U8"), "{error}");
        }
    }

    #[test]
    fn a_hash_is_of_all_bytes_and_of_a_file_that_stayed_as_it_was() {
        let file = file("{}", 0);
        let weights = SafetensorsFile::open(file.path()).unwrap();
        let mut hash = ModelHash::new();
        hash.update(b"config");
        weights.hash(&mut hash).unwrap();
        hash.update(b"tokenizer");
        let bytes = std::fs::read(file.path()).unwrap();
        let all = [METHOD, b"config", &bytes, b"tokenizer"].concat();
        let expected = xxhash_rust::xxh3::xxh3_128(&all);
        assert_eq!(hash.digest(), format!("{expected:032x}"));

        file.as_file().set_len(bytes.len() as u64 + 1).unwrap();
        let changed = weights.hash(&mut ModelHash::new()).unwrap_err();
        assert!(matches!(changed, WeightsProblem::Changed), "{changed}");
    }
}
