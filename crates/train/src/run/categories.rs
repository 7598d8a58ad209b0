//! What a run of clicks needs beside its model: which value has which row of a table.

use std::path::Path;

use mmdlrm_data::Error as DataError;
use mmdlrm_data::clicks::ClickEncoder;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use xxhash_rust::xxh3::xxh3_128;

use super::model_file::RUN_KEY;
use super::{RunFolder, model_file};
use crate::{Error, Result};

pub(super) const CATEGORIES: &str = "categories.safetensors";
const HASH_KEY: &str = "mmdlrm_xxh3";
/// Behind the name of a category whose values are hashed, into how many rows.
const ROWS: &str = ".rows";

impl RunFolder {
    /// Writes `categories.safetensors` of `run`: for each category, `C1` to `C26`, the values
    /// with rows of their own, `U32`, the first in row 2, or, as `C1.rows`, into how many rows all
    /// are hashed.
    ///
    /// # Errors
    /// A folder that can no longer be written.
    pub fn write_categories(&self, encoder: &ClickEncoder, run: &str) -> Result<()> {
        let parts = encoder.to_parts().into_iter().enumerate();
        let parts = parts.map(|(at, part)| match part {
            Ok(values) => (format!("C{}", at + 1), bytes_of(values)),
            Err(rows) => (format!("C{}{ROWS}", at + 1), bytes_of(&[rows])),
        });
        let parts: Vec<(String, Vec<u8>)> = parts.collect();
        let views = parts.iter().map(|(name, bytes)| {
            let view = TensorView::new(Dtype::U32, vec![bytes.len() / size_of::<u32>()], bytes)?;
            Ok((name, view))
        });
        let views = views.collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>();
        let file = views.and_then(|views| safetensors::serialize(views, None));
        let unwritable = |error: safetensors::SafeTensorError| Error::Mismatch(error.to_string());
        let file = file.map_err(unwritable)?;
        let hash = hash_of(&SafeTensors::deserialize(&file).map_err(unwritable)?);
        let entries = [(RUN_KEY, run), (HASH_KEY, hash.as_str())];
        match model_file::with(&file, &entries) {
            Some((head, tensors)) => self.write_all(CATEGORIES, &[&head, tensors]),
            None => Err(Error::Mismatch(
                "categories make no safetensors file".to_owned(),
            )),
        }
    }

    /// Reads what [`Self::write_categories`] wrote for `run` into `folder`.
    ///
    /// # Errors
    /// A file that cannot be read, that is damaged, or another run's.
    pub fn categories_of(folder: &Path, run: &str) -> Result<ClickEncoder> {
        let path = folder.join(CATEGORIES);
        let file = std::fs::read(&path).map_err(DataError::kept(&path))?;
        if !model_file::is_of(&file, run) {
            return Err(DataError::kept(&path)("it was written for another run").into());
        }
        let tensors = SafeTensors::deserialize(&file).map_err(DataError::kept(&path))?;
        if model_file::entry(&file, HASH_KEY) != Some(hash_of(&tensors)) {
            let problem = "its content does not have the hash that it was written with";
            return Err(DataError::kept(&path)(problem).into());
        }
        let parts = (1..=mmdlrm_data::clicks::CATEGORIES).map(|number| {
            let name = format!("C{number}");
            if let Ok(values) = tensors.tensor(&name) {
                return Ok(Ok(numbers_of(values.data())));
            }
            let rows = tensors.tensor(&format!("{name}{ROWS}"));
            let rows = rows.map(|rows| numbers_of(rows.data()));
            match rows.as_deref() {
                Ok(&[rows]) => Ok(Err(rows)),
                _ => Err(DataError::kept(&path)(format!("it has no category {name}"))),
            }
        });
        let parts = parts.collect::<std::result::Result<Vec<_>, DataError>>()?;
        let encoder = ClickEncoder::from_parts(parts);
        Ok(encoder.map_err(DataError::kept(&path))?)
    }
}

fn bytes_of(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|it| it.to_le_bytes()).collect()
}

fn numbers_of(bytes: &[u8]) -> Vec<u32> {
    let numbers = bytes.as_chunks().0.iter();
    numbers.map(|&number| u32::from_le_bytes(number)).collect()
}

/// Of names and numbers.
fn hash_of(tensors: &SafeTensors) -> String {
    let mut names = tensors.names();
    names.sort_unstable();
    let all = names.iter().flat_map(|name| {
        let data = tensors.tensor(name).map_or(&[][..], |tensor| tensor.data());
        [xxh3_128(name.as_bytes()), xxh3_128(data)]
    });
    let all: Vec<u8> = all.flat_map(u128::to_le_bytes).collect();
    format!("{:032x}", xxh3_128(&all))
}
