//! A model of what comes next in a safetensors file, with what finds its data again.
//!
//! The tensors of [`NextItem::to_safetensors`], and what is known of the catalogue's items:
//!
//! | tensor | shape | holds |
//! | --- | --- | --- |
//! | `catalogue.movies`, `U32` | `[items]` | raw ids, ascending |
//! | `catalogue.offsets`, `U32` | `[items + 1]` | where the features of each begin in the next |
//! | `catalogue.features`, `U32` | `[entries]` | rows of the table of features |
//! | `catalogue.years`, `F32` | `[items]` | years of release, the mean where there is none |

use mmdlrm_data::{Bags, IdMap};
use mmdlrm_features::ItemFeatures;
use mmdlrm_model::NextItem;
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::NextItemData;
use crate::{Error, Result};

const MOVIES: &str = "catalogue.movies";
const OFFSETS: &str = "catalogue.offsets";
const FEATURES: &str = "catalogue.features";
const YEARS: &str = "catalogue.years";

/// Numbers of four bytes.
type Words = Vec<[u8; 4]>;

pub(super) fn write(model: &NextItem, data: &NextItemData) -> Result<Vec<u8>> {
    let file = model.to_safetensors()?;
    let (_, metadata) = SafeTensors::read_metadata(&file)?;
    let inputs = data.inputs();
    let years = data.features().years.iter();
    let catalogue = [
        (
            MOVIES,
            Dtype::U32,
            words(data.sequences().catalogue().ids()),
        ),
        (OFFSETS, Dtype::U32, words(inputs.offsets)),
        (FEATURES, Dtype::U32, words(inputs.features)),
        (YEARS, Dtype::F32, years.map(|x| x.to_le_bytes()).collect()),
    ];
    let catalogue = catalogue.iter().map(|(name, dtype, words)| {
        let view = TensorView::new(*dtype, vec![words.len()], words.as_flattened())?;
        Ok(((*name).to_owned(), view))
    });
    let catalogue = catalogue.collect::<std::result::Result<Vec<_>, SafeTensorError>>()?;
    let tensors = SafeTensors::deserialize(&file)?.tensors().into_iter();
    let metadata = metadata.metadata().clone();
    Ok(safetensors::serialize(tensors.chain(catalogue), metadata)?)
}

/// The model, the catalogue, and the features of its items.
///
/// # Errors
/// Bytes of another model; a catalogue of another size than the model's, features that it does
/// not have, years that are no numbers.
pub(super) fn read(file: &[u8]) -> Result<(NextItem, IdMap, ItemFeatures)> {
    let model = NextItem::from_safetensors(file)?;
    let config = model.config();
    let tensors = SafeTensors::deserialize(file)?;
    let integers = |name| {
        let words = tensor(&tensors, name, Dtype::U32)?.into_iter();
        Ok::<Vec<u32>, Error>(words.map(u32::from_le_bytes).collect())
    };
    let movies = integers(MOVIES)?;
    check_length(MOVIES, movies.len(), config.items)?;
    if !movies.is_sorted_by(|a, b| a < b) {
        return Err(damaged(MOVIES, "is not in order"));
    }
    let bags = bags(&integers(OFFSETS)?, &integers(FEATURES)?, config.features)?;
    check_length(OFFSETS, bags.len() + 1, config.items + 1)?;
    let years = tensor(&tensors, YEARS, Dtype::F32)?.into_iter();
    let years: Vec<f32> = years.map(f32::from_le_bytes).collect();
    check_length(YEARS, years.len(), config.items)?;
    if !years.iter().all(|year| year.is_finite()) {
        return Err(damaged(YEARS, "has a year that is infinite or NaN"));
    }
    let features = ItemFeatures {
        rows: config.features,
        bags,
        years,
    };
    Ok((model, IdMap::from_ids(movies), features))
}

fn words(numbers: &[u32]) -> Words {
    numbers.iter().map(|x| x.to_le_bytes()).collect()
}

fn tensor(tensors: &SafeTensors, name: &str, dtype: Dtype) -> Result<Words> {
    let tensor = tensors.tensor(name)?;
    match tensor.dtype() == dtype {
        true => Ok(tensor.data().as_chunks().0.to_vec()),
        false => Err(damaged(name, &format!("should be {dtype:?}"))),
    }
}

/// Rows of a table of `rows`, those of each item from one of `offsets` to the next.
fn bags(offsets: &[u32], features: &[u32], rows: usize) -> Result<Bags> {
    let ends = (offsets.first(), offsets.last().map(|&last| last as usize));
    if ends != (Some(&0), Some(features.len())) || !offsets.is_sorted() {
        return Err(damaged(OFFSETS, "does not go through the features"));
    }
    if let Some(row) = features.iter().find(|&&row| row as usize >= rows) {
        let problem = format!("has row {row} of a table of {rows}");
        return Err(damaged(FEATURES, &problem));
    }
    let mut bags = Bags::from_pairs(0, []);
    for bounds in offsets.windows(2) {
        bags.push(&features[bounds[0] as usize..bounds[1] as usize]);
    }
    Ok(bags)
}

fn check_length(name: &str, found: usize, expected: usize) -> Result<()> {
    match found == expected {
        true => Ok(()),
        false => {
            let problem = format!("has {found} numbers where {expected} should be");
            Err(damaged(name, &problem))
        }
    }
}

fn damaged(name: &str, problem: &str) -> Error {
    Error::Mismatch(format!("{name} in the model's file {problem}"))
}
