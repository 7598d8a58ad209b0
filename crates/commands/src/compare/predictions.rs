//! What a run predicted of its held-out ratings, from its `predictions.parquet`.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int64Type};
use arrow_array::{Array, PrimitiveArray, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{Error, Result};

/// A held-out rating, and what a run made of it, in stars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    pub user_id: i64,
    pub movie_id: i64,
    pub rating: f64,
    pub prediction: f64,
}

impl Predicted {
    /// Which rating it is; two of the same user and movie go by their stars.
    pub fn row(&self) -> (i64, i64, u64) {
        (self.user_id, self.movie_id, self.rating.to_bits())
    }
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
    rows.sort_unstable_by_key(Predicted::row);
    Ok(Some(rows))
}

/// Adds the rows of a batch.
///
/// # Errors
/// The name of a column that is not there, or of another type, or that has gaps.
fn append(batch: &RecordBatch, rows: &mut Vec<Predicted>) -> Result<(), &'static str> {
    let user_ids = column::<Int64Type>(batch, "userId")?;
    let movie_ids = column::<Int64Type>(batch, "movieId")?;
    let ratings = column::<Float64Type>(batch, "rating")?;
    let predictions = column::<Float64Type>(batch, "prediction")?;
    rows.extend((0..batch.num_rows()).map(|row| Predicted {
        user_id: user_ids.value(row),
        movie_id: movie_ids.value(row),
        rating: ratings.value(row),
        prediction: predictions.value(row),
    }));
    Ok(())
}

fn column<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &'static str,
) -> Result<&'a PrimitiveArray<T>, &'static str> {
    let column = batch.column_by_name(name);
    let column = column.and_then(|column| column.as_primitive_opt());
    column.filter(|column| column.null_count() == 0).ok_or(name)
}
