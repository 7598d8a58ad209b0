//! What a run predicted of its held-out ratings, from its `predictions.parquet`.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, PrimitiveArray, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{Error, Result};

/// A held-out rating, and what a run made of it, in stars.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    pub user_id: Id,
    pub movie_id: Id,
    pub rating: f64,
    pub prediction: f64,
}

impl Predicted {
    /// Which rating it is; two of the same user and movie go by their stars.
    pub fn row(&self) -> (&Id, &Id, u64) {
        (&self.user_id, &self.movie_id, self.rating.to_bits())
    }
}

/// A user or an item, as the data call them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    Number(i64),
    Text(Arc<str>),
}

/// All of them, in the order of their rows; `None` where a run left none.
pub fn read(run: &Path) -> Result<Option<Vec<Predicted>>> {
    let path = run.join("predictions.parquet");
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::File { path, source }),
        Ok(file) => file,
    };
    let unusable = |why: String| Error::Predictions {
        path: path.clone(),
        why,
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file);
    let reader = builder.and_then(ParquetRecordBatchReaderBuilder::build);
    let mut rows = Vec::new();
    for batch in reader.map_err(|error| unusable(error.to_string()))? {
        let batch = batch.map_err(|error| unusable(error.to_string()))?;
        let missing = |column| unusable(format!("it has no column {column} as a run writes it"));
        append(&batch, &mut rows).map_err(missing)?;
    }
    rows.sort_unstable_by(|a, b| a.row().cmp(&b.row()));
    Ok(Some(rows))
}

/// Adds the rows of a batch.
///
/// # Errors
/// The name of a column that is not there, or of another type, or that has gaps.
fn append(batch: &RecordBatch, rows: &mut Vec<Predicted>) -> Result<(), &'static str> {
    let user_ids = ids(batch, "userId")?;
    let movie_ids = ids(batch, "movieId")?;
    let ratings = column::<Float64Type>(batch, "rating")?;
    let predictions = column::<Float64Type>(batch, "prediction")?;
    let ids = user_ids.into_iter().zip(movie_ids).enumerate();
    rows.extend(ids.map(|(row, (user_id, movie_id))| Predicted {
        user_id,
        movie_id,
        rating: ratings.value(row),
        prediction: predictions.value(row),
    }));
    Ok(())
}

/// Whole numbers, or texts.
fn ids(batch: &RecordBatch, name: &'static str) -> Result<Vec<Id>, &'static str> {
    let column = batch.column_by_name(name).ok_or(name)?;
    if column.null_count() > 0 {
        return Err(name);
    }
    if let Some(texts) = column.as_string_opt::<i32>() {
        return Ok(texts
            .iter()
            .flatten()
            .map(|it| Id::Text(it.into()))
            .collect());
    }
    if let Some(numbers) = column.as_primitive_opt::<UInt64Type>() {
        let numbers = numbers.values().iter();
        // The same bits for the same number, which is all that is asked of them.
        return Ok(numbers.map(|it| Id::Number(it.cast_signed())).collect());
    }
    let numbers = column.as_primitive_opt::<Int64Type>().ok_or(name)?;
    Ok(numbers.values().iter().map(|&it| Id::Number(it)).collect())
}

fn column<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &'static str,
) -> Result<&'a PrimitiveArray<T>, &'static str> {
    let column = batch.column_by_name(name);
    let column = column.and_then(|column| column.as_primitive_opt());
    column.filter(|column| column.null_count() == 0).ok_or(name)
}
