use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, ListArray, RecordBatch, UInt32Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema};

use crate::{Batch, Error, Modality, Result};

const NAME: &str = "samples";

/// A row a sample, for whatever takes Arrow; nothing but the offsets of genres is copied.
///
/// | column | Arrow type | |
/// | --- | --- | --- |
/// | `user`, `movie` | `UInt32` | dense rows |
/// | `timestamp` | `UInt32` | seconds since 1970, UTC |
/// | `genres` | `List<UInt32>` | genre ids of the movie |
/// | `dense` | `FixedSizeList<Float32>` | dense features |
/// | `modality0Row`, `modality1Row`, … | `UInt32`, nullable | row of the movie's vector in each modality; null where it has none |
/// | `stars` | `Float32` | the rating |
/// | `base` | `Float32` | what biases say, in stars |
///
/// What a batch does not have is no column: genres and dense features where it is of
/// [bare rows](Batch::of), stars where there is nothing to learn from, `base` without a
/// context. Histories and audiences are left out, since samples share them.
///
/// # Errors
/// Columns of different lengths, and offsets that do not ascend, which no batch has that
/// this library made.
impl TryFrom<Batch> for RecordBatch {
    type Error = Error;

    fn try_from(batch: Batch) -> Result<Self> {
        let samples = batch.len();
        let mut columns = Columns::default();
        columns.push("user", numbers(batch.users));
        columns.push("movie", numbers(batch.movies));
        columns.push("timestamp", numbers(batch.timestamps));
        if !batch.genre_offsets.is_empty() {
            let genres = lists(&batch.genre_offsets, batch.genre_ids)?;
            columns.push("genres", Arc::new(genres));
        }
        if let Some(width) = batch.dense.len().checked_div(samples).filter(|&it| it > 0) {
            columns.push("dense", Arc::new(vectors(batch.dense, width)?));
        }
        for (number, rows) in batch.modality_rows.into_iter().enumerate() {
            let present: NullBuffer = rows.iter().map(|&row| row != Modality::MISSING).collect();
            let present = (present.null_count() > 0).then_some(present);
            let rows = UInt32Array::new(rows.into(), present);
            let field = Field::new(format!("modality{number}Row"), DataType::UInt32, true);
            columns.fields.push(field);
            columns.arrays.push(Arc::new(rows));
        }
        for (name, stars) in [("stars", batch.stars), ("base", batch.base)] {
            if !stars.is_empty() {
                columns.push(name, Arc::new(Float32Array::from(stars)));
            }
        }
        let schema = Arc::new(Schema::new(columns.fields));
        Self::try_new(schema, columns.arrays).map_err(Error::table(NAME))
    }
}

/// As from an owned one, of a copy.
impl TryFrom<&Batch> for RecordBatch {
    type Error = Error;

    fn try_from(batch: &Batch) -> Result<Self> {
        // Those are not of the table, and are most of a batch.
        let bare = Batch {
            histories: Default::default(),
            audiences: Default::default(),
            users: batch.users.clone(),
            movies: batch.movies.clone(),
            timestamps: batch.timestamps.clone(),
            genre_offsets: batch.genre_offsets.clone(),
            genre_ids: batch.genre_ids.clone(),
            dense: batch.dense.clone(),
            modality_rows: batch.modality_rows.clone(),
            stars: batch.stars.clone(),
            base: batch.base.clone(),
        };
        Self::try_from(bare)
    }
}

#[derive(Default)]
struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    fn push(&mut self, name: &str, array: ArrayRef) {
        let field = Field::new(name, array.data_type().clone(), false);
        self.fields.push(field);
        self.arrays.push(array);
    }
}

fn numbers(values: Vec<u32>) -> ArrayRef {
    Arc::new(UInt32Array::from(values))
}

fn lists(offsets: &[u32], ids: Vec<u32>) -> Result<ListArray> {
    let bad = |row| Error::Column {
        table: NAME,
        column: "genres".to_owned(),
        row: Some(row),
        problem: "ends before it begins, or beyond 2³¹ genres".to_owned(),
    };
    let mut ends = Vec::with_capacity(offsets.len());
    for (row, &end) in offsets.iter().enumerate() {
        let end = i32::try_from(end).ok();
        let last = ends.last().copied().unwrap_or(0);
        let end = end.filter(|&end| end >= last);
        ends.push(end.ok_or_else(|| bad(row.saturating_sub(1)))?);
    }
    let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
    let item = Arc::new(Field::new_list_field(DataType::UInt32, false));
    ListArray::try_new(item, ends, numbers(ids), None).map_err(Error::table(NAME))
}

fn vectors(values: Vec<f32>, width: usize) -> Result<FixedSizeListArray> {
    let item = Arc::new(Field::new_list_field(DataType::Float32, false));
    let values = Arc::new(Float32Array::from(values));
    let width = i32::try_from(width).unwrap_or(i32::MAX);
    FixedSizeListArray::try_new(item, width, values, None).map_err(Error::table(NAME))
}
