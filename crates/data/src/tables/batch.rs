use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, ListArray, RecordBatch, UInt32Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema};

use crate::{Batch, Column, ColumnField, ColumnKind, Error, Modality, Result};

const TABLE: &str = "samples";

/// Key of the metadata of dense features: their names, by commas.
const NAMES: &str = "names";

/// A row a sample, for whatever takes Arrow; nothing but the offsets of bags is copied.
///
/// | column | Arrow type | |
/// | --- | --- | --- |
/// | `user`, `movie` | `UInt32` | dense rows |
/// | `timestamp` | `UInt32` | seconds since 1970, UTC |
/// | each of the [schema](Batch::schema), under its own name: | | |
/// | … [ids](Column::Ids) | `UInt32` | |
/// | … [bags](Column::Bags) | `List<UInt32>` | |
/// | … [dense features](Column::Dense) | `FixedSizeList<Float32>` | the field's metadata, `names`, have their names, by commas |
/// | … [vectors](Column::Vectors), its name and `Row` | `UInt32`, nullable | which vector the sample has; null where it has none |
/// | `stars` | `Float32` | the rating |
/// | `base` | `Float32` | what is said beforehand, in stars |
///
/// What a batch does not have is no column: stars where there is nothing to learn from, `base`
/// where nothing is said, and of [bare rows](Batch::of) all that is not of the row. Bags that
/// samples [share](Column::Shared) are left out: no row has them.
///
/// # Errors
/// Columns of different lengths, offsets that do not ascend, and columns that are not those
/// of the schema, which no batch has that this library made.
impl TryFrom<Batch> for RecordBatch {
    type Error = Error;

    fn try_from(batch: Batch) -> Result<Self> {
        let samples = batch.len();
        let fields = batch.schema.columns();
        if fields.len() != batch.columns.len() {
            let rule = "a batch has one for each of its schema";
            return Err(Error::setting(
                "number of columns",
                batch.columns.len(),
                rule,
            ));
        }
        let mut columns = Columns::default();
        let of_rows = [
            (Batch::USER, batch.users),
            (Batch::MOVIE, batch.movies),
            ("timestamp", batch.timestamps),
        ];
        for (name, values) in of_rows {
            if samples == 0 || !values.is_empty() {
                columns.push(name, numbers(values));
            }
        }
        for (field, column) in fields.iter().zip(batch.columns) {
            columns.add(field, column, samples)?;
        }
        for (name, stars) in [("stars", batch.stars), ("base", batch.base)] {
            if !stars.is_empty() {
                columns.push(name, Arc::new(Float32Array::from(stars)));
            }
        }
        let schema = Arc::new(Schema::new(columns.fields));
        Self::try_new(schema, columns.arrays).map_err(Error::table(TABLE))
    }
}

/// As from an owned one, of a copy.
impl TryFrom<&Batch> for RecordBatch {
    type Error = Error;

    fn try_from(batch: &Batch) -> Result<Self> {
        // Bags that are shared are not of the table, and are most of a batch.
        let of_table = |column: &Column| match column {
            Column::Shared(_) => Column::Shared(Default::default()),
            other => other.clone(),
        };
        Self::try_from(Batch {
            users: batch.users.clone(),
            movies: batch.movies.clone(),
            timestamps: batch.timestamps.clone(),
            stars: batch.stars.clone(),
            base: batch.base.clone(),
            schema: batch.schema.clone(),
            columns: batch.columns.iter().map(of_table).collect(),
        })
    }
}

#[derive(Default)]
struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    fn push(&mut self, name: &str, array: ArrayRef) {
        self.push_field(Field::new(name, array.data_type().clone(), false), array);
    }

    fn push_field(&mut self, field: Field, array: ArrayRef) {
        self.fields.push(field);
        self.arrays.push(array);
    }

    fn add(&mut self, field: &ColumnField, column: Column, samples: usize) -> Result<()> {
        let name = field.name.as_str();
        match (&field.kind, column) {
            (ColumnKind::Ids { .. }, Column::Ids(ids)) => self.push(name, numbers(ids)),
            (ColumnKind::Bags { .. }, Column::Bags { offsets, ids }) => {
                self.push(name, Arc::new(lists(name, &offsets, ids)?));
            }
            (ColumnKind::Shared { .. }, Column::Shared(_)) => {}
            (ColumnKind::Dense { names }, Column::Dense { width, values })
                if width == names.len() =>
            {
                if values.len() != samples * width {
                    let problem = "has another number of features than samples times its width";
                    return Err(bad(name, None, problem));
                }
                let dense = vectors(values, width)?;
                let metadata = HashMap::from([(NAMES.to_owned(), names.join(","))]);
                let field = Field::new(name, dense.data_type().clone(), false);
                self.push_field(field.with_metadata(metadata), Arc::new(dense));
            }
            (ColumnKind::Vectors { .. }, Column::Vectors(rows)) => {
                let present: NullBuffer =
                    rows.iter().map(|&row| row != Modality::MISSING).collect();
                let present = (present.null_count() > 0).then_some(present);
                let rows = UInt32Array::new(rows.into(), present);
                let field = Field::new(field.name_in_table(), DataType::UInt32, true);
                self.push_field(field, Arc::new(rows));
            }
            _ => {
                let problem = "holds something else than the schema of the batch says";
                return Err(bad(name, None, problem));
            }
        }
        Ok(())
    }
}

fn bad(column: &str, row: Option<usize>, problem: &str) -> Error {
    Error::Column {
        table: TABLE,
        column: column.to_owned(),
        row,
        problem: problem.to_owned(),
    }
}

fn numbers(values: Vec<u32>) -> ArrayRef {
    Arc::new(UInt32Array::from(values))
}

fn lists(column: &str, offsets: &[u32], ids: Vec<u32>) -> Result<ListArray> {
    if offsets.is_empty() {
        return Err(bad(column, None, "has no offsets, not even the first, 0"));
    }
    let mut ends = Vec::with_capacity(offsets.len());
    for (row, &end) in offsets.iter().enumerate() {
        let end = i32::try_from(end).ok();
        let last = ends.last().copied().unwrap_or(0);
        let end = end.filter(|&end| end >= last).ok_or_else(|| {
            let problem = "ends before it begins, or beyond 2³¹ ids";
            bad(column, Some(row.saturating_sub(1)), problem)
        })?;
        ends.push(end);
    }
    let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
    let item = Arc::new(Field::new_list_field(DataType::UInt32, false));
    ListArray::try_new(item, ends, numbers(ids), None).map_err(Error::table(TABLE))
}

fn vectors(values: Vec<f32>, width: usize) -> Result<FixedSizeListArray> {
    let item = Arc::new(Field::new_list_field(DataType::Float32, false));
    let values = Arc::new(Float32Array::from(values));
    let width = i32::try_from(width).unwrap_or(i32::MAX);
    FixedSizeListArray::try_new(item, width, values, None).map_err(Error::table(TABLE))
}
