//! Tables that come and go as Arrow's [`RecordBatch`]es.
//!
//! What goes out has the types that this crate keeps: ids and times are `UInt32`, numbers
//! `Float32`, texts `Utf8`. What comes in may have any type that says the same, as pandas,
//! polars and SQL engines write them, and is checked once, here.

mod batch;
mod did_you_mean;
mod movielens;
mod movies;
mod parquet_chunk;
mod ratings;
mod side_tables;
mod tags;
mod vectors;
mod vectors_file;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal32Type, Decimal64Type, Decimal128Type, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrayRef, Float32Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, SchemaRef, TimeUnit};

use crate::text::{FULL, Texts};
use crate::{Error, Result};

pub(crate) use did_you_mean::did_you_mean;
pub(crate) use parquet_chunk::check_chunk;

/// A table that somebody hands over, to be read by the names of its columns. Their order
/// does not matter, and further columns are not looked at.
pub(crate) struct Table<'a> {
    /// For messages: `ratings`.
    name: &'static str,
    batch: &'a RecordBatch,
}

impl<'a> Table<'a> {
    pub(crate) fn new(name: &'static str, batch: &'a RecordBatch) -> Self {
        Self { name, batch }
    }

    /// Number of rows.
    fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// A column; `None` where there is none of that name.
    fn find(&self, column: &str) -> Result<Option<&'a ArrayRef>> {
        let schema = self.batch.schema_ref();
        let fields = schema.fields().iter().enumerate();
        let mut found = fields.filter(|(_, field)| field.name() == column);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some((place, _)), None) => Ok(Some(self.batch.column(place))),
            (Some(_), Some(_)) => Err(self.bad(column, None, "stands twice; keep one of them")),
        }
    }

    /// A column that has to be there.
    fn column(&self, column: &str) -> Result<&'a ArrayRef> {
        self.find(column)?.ok_or_else(|| {
            let fields = self.batch.schema_ref().fields().iter();
            let names: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
            let problem = format!("is missing; the columns are: {}", names.join(", "));
            self.bad(column, None, problem)
        })
    }

    /// Ids, which are whole numbers from 0 to 2³² − 1; `UInt32` is not copied.
    pub(crate) fn ids(&self, column: &'static str) -> Result<UInt32Array> {
        let array = self.column(column)?;
        self.refuse_nulls(column, array)?;
        self.whole_numbers(column, array, "an id, which is a whole number")
    }

    /// Seconds since 1970: whole numbers, or Arrow's timestamps, whose fractions are cut
    /// off; `UInt32` is not copied.
    pub(crate) fn seconds(&self, column: &'static str) -> Result<UInt32Array> {
        const WHAT: &str = "a time in whole seconds since 1970";
        let array = self.column(column)?;
        self.refuse_nulls(column, array)?;
        let DataType::Timestamp(unit, _) = array.data_type() else {
            return self.whole_numbers(column, array, WHAT);
        };
        let of_a_second = match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        // Arrow keeps all timestamps in 64 bits, whatever their unit.
        let ticks = array.to_data().into_builder().data_type(DataType::Int64);
        let ticks = arrow_array::make_array(ticks.build().map_err(self.failed())?);
        let ticks = ticks.as_primitive::<Int64Type>();
        let seconds = ticks.unary::<_, Int64Type>(|ticks| ticks.div_euclid(of_a_second));
        self.narrowed::<Int64Type>(column, &seconds, WHAT)
    }

    fn whole_numbers(&self, column: &str, array: &ArrayRef, what: &str) -> Result<UInt32Array> {
        match array.data_type() {
            DataType::UInt32 => Ok(array.as_primitive::<UInt32Type>().clone()),
            DataType::Int8 => self.narrowed::<Int8Type>(column, array, what),
            DataType::Int16 => self.narrowed::<Int16Type>(column, array, what),
            DataType::Int32 => self.narrowed::<Int32Type>(column, array, what),
            DataType::Int64 => self.narrowed::<Int64Type>(column, array, what),
            DataType::UInt8 => self.narrowed::<UInt8Type>(column, array, what),
            DataType::UInt16 => self.narrowed::<UInt16Type>(column, array, what),
            DataType::UInt64 => self.narrowed::<UInt64Type>(column, array, what),
            other => Err(self.of_type(column, other, "an integer type, as UInt32 or Int64")),
        }
    }

    fn narrowed<T>(&self, column: &str, array: &dyn Array, what: &str) -> Result<UInt32Array>
    where
        T: ArrowPrimitiveType<Native: TryInto<u32> + std::fmt::Display>,
    {
        let values = array.as_primitive::<T>().values().iter().enumerate();
        let narrow = |(row, &value): (usize, &T::Native)| {
            value.try_into().map_err(|_| {
                let problem = format!("'{value}' is not {what} from 0 to {}", u32::MAX);
                self.bad(column, Some(row), problem)
            })
        };
        Ok(values.map(narrow).collect::<Result<Vec<u32>>>()?.into())
    }

    /// Numbers, rounded to 32 bits; `Float32` is not copied.
    fn numbers(&self, column: &'static str) -> Result<Float32Array> {
        let array = self.column(column)?;
        self.refuse_nulls(column, array)?;
        to_f32(array).ok_or_else(|| {
            let expected = "a type of numbers, as Float32, Float64 or Int64";
            self.of_type(column, array.data_type(), expected)
        })
    }

    /// Texts; `Utf8` is not copied.
    pub(crate) fn texts(&self, column: &'static str) -> Result<StringArray> {
        let array = self.column(column)?;
        self.refuse_nulls(column, array)?;
        self.strings(column, array)
    }

    fn strings(&self, column: &str, array: &ArrayRef) -> Result<StringArray> {
        if let Some(texts) = array.as_string_opt::<i32>() {
            return Ok(texts.clone());
        }
        let Some(texts) = texts_of(array) else {
            return Err(self.of_type(column, array.data_type(), TEXT_TYPES));
        };
        self.column_of_texts(column, texts.into_iter())
    }

    /// A new column of texts.
    fn column_of_texts<'t>(
        &self,
        column: &str,
        texts: impl Iterator<Item = &'t str>,
    ) -> Result<StringArray> {
        let mut all = Texts::default();
        for (row, text) in texts.enumerate() {
            let written = all.push(text);
            written.ok_or_else(|| self.bad(column, Some(row), FULL))?;
        }
        all.array().map_err(self.failed())
    }

    fn refuse_nulls(&self, column: &str, array: &ArrayRef) -> Result<()> {
        if array.null_count() == 0 {
            return Ok(());
        }
        let row = (0..array.len()).find(|&row| array.is_null(row));
        Err(self.bad(
            column,
            row,
            "is null; give it a value, or leave the row out",
        ))
    }

    fn of_type(&self, column: &str, found: &DataType, expected: &str) -> Error {
        let problem = format!("is of the type {found}, and has to be of {expected}");
        self.bad(column, None, problem)
    }

    /// An error at a column, and a row counted from 0.
    fn bad(&self, column: &str, row: Option<usize>, problem: impl Into<String>) -> Error {
        Error::Column {
            table: self.name,
            column: column.to_owned(),
            row,
            problem: problem.into(),
        }
    }

    /// For `map_err` where Arrow builds a table of this one.
    fn failed(&self) -> impl FnOnce(arrow_schema::ArrowError) -> Error + use<> {
        Error::table(self.name)
    }
}

const TEXT_TYPES: &str = "a type of texts, as Utf8, LargeUtf8 or Utf8View";

/// The texts of a column of any of Arrow's types of texts; a null is an empty text.
fn texts_of(array: &ArrayRef) -> Option<Vec<&str>> {
    fn all<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Option<Vec<&'a str>> {
        Some(texts.map(Option::unwrap_or_default).collect())
    }
    match array.data_type() {
        DataType::Utf8 => all(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => all(array.as_string::<i64>().iter()),
        DataType::Utf8View => all(array.as_string_view().iter()),
        _ => None,
    }
}

/// Whether [`to_f32`] makes numbers of it.
pub(crate) fn is_number(found: &DataType) -> bool {
    found.is_numeric() && !matches!(found, DataType::Decimal256(..))
}

/// Numbers of any type as those of 32 bits; `None` of what is [no number](is_number).
#[allow(
    clippy::cast_precision_loss,
    reason = "who hands over wider numbers has them rounded"
)]
pub(crate) fn to_f32(array: &ArrayRef) -> Option<Float32Array> {
    macro_rules! rounded {
        ($from:ty, $to_f32:expr) => {
            array.as_primitive::<$from>().unary($to_f32)
        };
    }
    let unscaled = |scale: &i8| 10f64.powi(-i32::from(*scale));
    Some(match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().clone(),
        DataType::Float16 => rounded!(Float16Type, |x| x.to_f32()),
        DataType::Float64 => rounded!(Float64Type, |x| x as f32),
        DataType::Int8 => rounded!(Int8Type, f32::from),
        DataType::Int16 => rounded!(Int16Type, f32::from),
        DataType::Int32 => rounded!(Int32Type, |x| x as f32),
        DataType::Int64 => rounded!(Int64Type, |x| x as f32),
        DataType::UInt8 => rounded!(UInt8Type, f32::from),
        DataType::UInt16 => rounded!(UInt16Type, f32::from),
        DataType::UInt32 => rounded!(UInt32Type, |x| x as f32),
        DataType::UInt64 => rounded!(UInt64Type, |x| x as f32),
        DataType::Decimal32(_, scale) => {
            let one = unscaled(scale);
            rounded!(Decimal32Type, |x| (f64::from(x) * one) as f32)
        }
        DataType::Decimal64(_, scale) => {
            let one = unscaled(scale);
            rounded!(Decimal64Type, |x| (x as f64 * one) as f32)
        }
        DataType::Decimal128(_, scale) => {
            let one = unscaled(scale);
            rounded!(Decimal128Type, |x| (x as f64 * one) as f32)
        }
        _ => return None,
    })
}

/// A table of columns that fit the schema, or else an error that says what the table was
/// to be.
fn table_of(
    name: &'static str,
    schema: SchemaRef,
    columns: impl IntoIterator<Item = Arc<dyn Array>>,
) -> Result<RecordBatch> {
    let columns = columns.into_iter().collect();
    RecordBatch::try_new(schema, columns).map_err(Error::table(name))
}
