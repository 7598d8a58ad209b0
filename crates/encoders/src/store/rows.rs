//! Embeddings as Arrow rows.

use std::fmt;
use std::sync::Arc;

use arrow_array::builder::{Float16Builder, Float32Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use half::f16;

use super::{Kind, StoreProblem};

/// What the numbers of a store are kept as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As they are computed.
    #[default]
    F32,
    /// Half the size; rounded to eleven bits, one part in two thousand.
    F16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

/// One embedding.
pub(super) struct Row<'a> {
    pub movie_id: u32,
    pub kind: Kind,
    pub source: u64,
    /// All of it finite, and as wide as its kind's others.
    pub vector: &'a [f32],
}

/// One embedding, as read: nothing is known of its vector.
pub(super) struct OwnedRow {
    pub movie_id: u32,
    pub kind: Kind,
    pub source: u64,
    pub vector: Vec<f32>,
}

/// What can differ between two stores' columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RowFormat {
    pub precision: Precision,
}

impl RowFormat {
    /// Whose schema this is.
    pub fn of(schema: &Schema) -> Option<Self> {
        [Precision::F32, Precision::F16]
            .map(|precision| Self { precision })
            .into_iter()
            .find(|format| format.schema().fields() == schema.fields())
    }

    pub fn schema(self) -> SchemaRef {
        let number = match self.precision {
            Precision::F32 => DataType::Float32,
            Precision::F16 => DataType::Float16,
        };
        let item = Field::new_list_field(number, false);
        Arc::new(Schema::new(vec![
            Field::new("movieId", DataType::Int64, false),
            Field::new("kind", DataType::Utf8, false),
            Field::new("source", DataType::UInt64, false),
            Field::new("vector", DataType::List(Arc::new(item)), false),
        ]))
    }

    pub fn batch(self, rows: &[Row<'_>]) -> Result<RecordBatch, ArrowError> {
        let ids = rows.iter().map(|row| i64::from(row.movie_id));
        let kinds = rows.iter().map(|row| row.kind.name());
        let sources = rows.iter().map(|row| row.source);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(ids)),
            Arc::new(StringArray::from_iter_values(kinds)),
            Arc::new(UInt64Array::from_iter_values(sources)),
            self.vectors(rows),
        ];
        RecordBatch::try_new(self.schema(), columns)
    }

    fn vectors(self, rows: &[Row<'_>]) -> ArrayRef {
        let field = |number| Field::new_list_field(number, false);
        match self.precision {
            Precision::F32 => {
                let numbers = Float32Builder::new();
                let mut lists = ListBuilder::new(numbers).with_field(field(DataType::Float32));
                for row in rows {
                    lists.values().append_slice(row.vector);
                    lists.append(true);
                }
                Arc::new(lists.finish())
            }
            Precision::F16 => {
                let numbers = Float16Builder::new();
                let mut lists = ListBuilder::new(numbers).with_field(field(DataType::Float16));
                for row in rows {
                    let halves = row.vector.iter().map(|&x| f16::from_f32(x));
                    lists.values().extend(halves.map(Some));
                    lists.append(true);
                }
                Arc::new(lists.finish())
            }
        }
    }

    /// The rows of a batch.
    pub fn rows(self, batch: &RecordBatch) -> Result<Vec<OwnedRow>, StoreProblem> {
        let columns = Columns::of(batch).ok_or(StoreProblem::Columns)?;
        let row = |row| {
            let id = columns.movie_ids.value(row);
            let kind = columns.kinds.value(row);
            let known = Kind::ALL.into_iter().find(|known| known.name() == kind);
            Ok(OwnedRow {
                movie_id: u32::try_from(id).map_err(|_| StoreProblem::MovieId(id))?,
                kind: known.ok_or_else(|| StoreProblem::Kind(kind.to_owned()))?,
                source: columns.sources.value(row),
                vector: self
                    .numbers(&columns.vectors.value(row))
                    .ok_or(StoreProblem::Columns)?,
            })
        };
        (0..batch.num_rows()).map(row).collect()
    }

    /// `None` for other numbers.
    fn numbers(self, vector: &dyn Array) -> Option<Vec<f32>> {
        Some(match self.precision {
            Precision::F32 => vector.as_primitive_opt::<Float32Type>()?.values().to_vec(),
            Precision::F16 => {
                let halves = vector.as_primitive_opt::<Float16Type>()?.values();
                halves.iter().map(|x| x.to_f32()).collect()
            }
        })
    }
}

/// The columns of a batch.
struct Columns<'a> {
    movie_ids: &'a Int64Array,
    kinds: &'a StringArray,
    sources: &'a UInt64Array,
    vectors: &'a ListArray,
}

impl<'a> Columns<'a> {
    /// `None` for a batch of others.
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let column = |name| batch.column_by_name(name);
        Some(Self {
            movie_ids: column("movieId")?.as_primitive_opt::<Int64Type>()?,
            kinds: column("kind")?.as_string_opt::<i32>()?,
            sources: column("source")?.as_primitive_opt::<UInt64Type>()?,
            vectors: column("vector")?.as_list_opt::<i32>()?,
        })
    }
}
