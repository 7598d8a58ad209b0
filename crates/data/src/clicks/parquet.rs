//! Rows of a Parquet file with the columns `label`, `I1` to `I13` and `C1` to `C26`.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use arrow_select::take::take;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::rows::MISSING;
use super::{CATEGORIES, COLUMNS, ClickRows, NUMBERS, column_error, column_name};
use crate::tables::{check_chunk, did_you_mean};
use crate::text::shorten;
use crate::{Error, Result};

/// Rows that are decoded at a time.
const ROWS: usize = 1 << 14;

/// Some rows of a file.
pub(super) struct Part {
    /// The columns in the order in which text has them.
    batch: RecordBatch,
    /// Rows before it.
    before: usize,
}

/// Whether the name says that a file is one of Parquet's.
pub(super) fn is_parquet(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "parquet")
}

/// Rows that a file says it has.
pub(super) fn count(path: &Path) -> Result<usize> {
    let file = File::open(path).map_err(Error::read(path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(Error::parquet(path))?;
    let rows = builder.metadata().file_metadata().num_rows();
    usize::try_from(rows).map_err(Error::parquet(path))
}

/// Hands out a file in parts, until `take` says that nobody wants more.
pub(super) fn parts(path: &Path, take: &mut dyn FnMut(Part) -> bool) -> Result<()> {
    let file = File::open(path).map_err(Error::read(path))?;
    let length = file.metadata().map_err(Error::read(path))?.len();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(Error::parquet(path))?;
    let places = places(builder.schema()).map_err(Error::in_file(path))?;
    let wanted = ProjectionMask::roots(builder.parquet_schema(), places.iter().copied());
    for group in builder.metadata().row_groups() {
        for (leaf, chunk) in group.columns().iter().enumerate() {
            if wanted.leaf_included(leaf) {
                check_chunk(path, length, chunk)?;
            }
        }
    }
    let reader = builder.with_projection(wanted).with_batch_size(ROWS);
    let reader = reader.build().map_err(Error::parquet(path))?;
    // What is read has the columns in the order of the file.
    let mut sorted = places.clone();
    sorted.sort_unstable();
    let order = places.iter().map(|place| sorted.binary_search(place));
    let order: Vec<usize> = order.map(|place| place.unwrap_or(0)).collect();
    let mut before = 0;
    for batch in reader {
        let batch = batch.map_err(Error::parquet(path))?;
        let batch = batch.project(&order).map_err(Error::arrow(path))?;
        let rows = batch.num_rows();
        if !take(Part { batch, before }) {
            break;
        }
        before += rows;
    }
    Ok(())
}

/// Where each column stands.
fn places(schema: &Schema) -> Result<Vec<usize>> {
    let find = |at| {
        let name = column_name(at);
        let mut found = schema.fields().iter().enumerate();
        let found = found.find(|(_, field)| *field.name() == name);
        found.map(|(place, _)| place).ok_or_else(|| {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let nearest = did_you_mean(&name, names);
            let problem = format!(
                "is missing{nearest}; a click log has the columns label, I1 to I13 and C1 to C26"
            );
            column_error(at, None, problem)
        })
    };
    (0..COLUMNS).map(find).collect()
}

/// A column's numbers, of any type that holds them.
enum Values {
    Whole(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Texts(Vec<Option<String>>),
}

impl Part {
    pub fn rows(&self, path: &Path) -> Result<ClickRows> {
        self.read().map_err(Error::in_file(path))
    }

    fn read(&self) -> Result<ClickRows> {
        let count = self.batch.num_rows();
        let values = |at: usize| values_of(self.batch.column(at), at);
        let mut labels = Vec::with_capacity(count);
        for (row, label) in whole(values(0)?, 0)?.enumerate() {
            match label
                .map_err(|value| self.bad(0, row, &value, "is neither 0 nor 1, as a label is"))?
            {
                Some(label @ (0 | 1)) => labels.push(label == 1),
                Some(other) => {
                    return Err(self.bad(
                        0,
                        row,
                        &other.to_string(),
                        "is neither 0 nor 1, as a label is",
                    ));
                }
                None => return Err(self.bad(0, row, "null", "is no label, which is 0 or 1")),
            }
        }
        let mut numbers = vec![[MISSING; NUMBERS]; count];
        for at in 1..=NUMBERS {
            const RULE: &str = "is no whole number of 32 bits";
            for (row, number) in whole(values(at)?, at)?.enumerate() {
                let number = number.map_err(|value| self.bad(at, row, &value, RULE))?;
                let Some(number) = number else { continue };
                let fits = i32::try_from(number).ok().filter(|&x| x != MISSING);
                numbers[row][at - 1] =
                    fits.ok_or_else(|| self.bad(at, row, &number.to_string(), RULE))?;
            }
        }
        let mut categories = vec![([0; CATEGORIES], 0u32); count];
        for at in 0..CATEGORIES {
            let column = 1 + NUMBERS + at;
            for (row, category) in self.categories(column)?.enumerate() {
                let (values, missing) = &mut categories[row];
                match category? {
                    Some(value) => values[at] = value,
                    None => *missing |= 1 << at,
                }
            }
        }
        let mut rows = ClickRows::with_capacity(count);
        for ((label, numbers), (categories, missing)) in
            labels.iter().zip(&numbers).zip(&categories)
        {
            rows.push(*label, numbers, categories, *missing);
        }
        Ok(rows)
    }

    /// Texts of hexadecimal digits, or the numbers that they stand for.
    fn categories(&self, at: usize) -> Result<impl Iterator<Item = Result<Option<u32>>> + '_> {
        const RULE: &str = "is no hexadecimal number of eight digits or fewer";
        let values = values_of(self.batch.column(at), at)?;
        // 32 bits are the same bits, with a sign and without.
        let is_signed = *self.batch.column(at).data_type() == DataType::Int32;
        let count = self.batch.num_rows();
        Ok((0..count).map(move |row| match &values {
            Values::Whole(values) => {
                let Some(value) = values[row] else {
                    return Ok(None);
                };
                let unsigned = match is_signed {
                    true => Some(value as i32 as u32),
                    false => u32::try_from(value).ok(),
                };
                let number = unsigned.ok_or_else(|| {
                    self.bad(at, row, &value.to_string(), "is no number of 32 bits")
                });
                number.map(Some)
            }
            Values::Texts(values) => {
                let Some(text) = values[row].as_deref().filter(|it| !it.is_empty()) else {
                    return Ok(None);
                };
                let plain = text.len() <= 8 && !text.starts_with('+');
                let number = plain.then(|| u32::from_str_radix(text, 16).ok()).flatten();
                number
                    .map(Some)
                    .ok_or_else(|| self.bad(at, row, text, RULE))
            }
            Values::Real(values) => {
                let Some(value) = values[row] else {
                    return Ok(None);
                };
                Err(self.bad(at, row, &value.to_string(), RULE))
            }
        }))
    }

    fn bad(&self, at: usize, row: usize, value: &str, rule: &str) -> Error {
        let problem = format!("'{}' {rule}; mend or remove the row", shorten(value));
        column_error(at, Some(self.before + row), problem)
    }
}

/// What a column holds as whole numbers; of what is none, the value.
fn whole(values: Values, at: usize) -> Result<impl Iterator<Item = Result<Option<i64>, String>>> {
    let whole: Vec<Result<Option<i64>, String>> = match values {
        Values::Whole(values) => values.into_iter().map(Ok).collect(),
        Values::Real(values) => {
            let exact = |value: f64| {
                let whole = value as i64;
                (whole as f64 == value)
                    .then_some(whole)
                    .ok_or_else(|| value.to_string())
            };
            values
                .into_iter()
                .map(|value| value.map(exact).transpose())
                .collect()
        }
        Values::Texts(_) => {
            let problem = "is of texts, and has to be of numbers".to_owned();
            return Err(column_error(at, None, problem));
        }
    };
    Ok(whole.into_iter())
}

fn values_of(array: &ArrayRef, at: usize) -> Result<Values> {
    macro_rules! whole {
        ($from:ty) => {{
            let values = array.as_primitive::<$from>().iter();
            Values::Whole(values.map(|value| value.map(i64::from)).collect())
        }};
    }
    macro_rules! real {
        ($from:ty) => {{
            let values = array.as_primitive::<$from>().iter();
            Values::Real(values.map(|value| value.map(f64::from)).collect())
        }};
    }
    fn texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Values {
        Values::Texts(texts.map(|text| text.map(str::to_owned)).collect())
    }
    Ok(match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean().iter();
            Values::Whole(values.map(|value| value.map(i64::from)).collect())
        }
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => {
            let values = array.as_primitive::<UInt64Type>().iter();
            let clamped = values.map(|value| value.map(|it| i64::try_from(it).unwrap_or(i64::MAX)));
            Values::Whole(clamped.collect())
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = take(dictionary.values(), dictionary.keys(), None);
            let values = values.map_err(Error::table("clicks"))?;
            return values_of(&values, at);
        }
        DataType::Float32 => real!(Float32Type),
        DataType::Float64 => real!(Float64Type),
        DataType::Utf8 => texts(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => texts(array.as_string::<i64>().iter()),
        DataType::Utf8View => texts(array.as_string_view().iter()),
        other => {
            let problem = format!(
                "is of the type {other}, and has to be of whole numbers, or of texts where it is a \
                 category"
            );
            return Err(column_error(at, None, problem));
        }
    })
}
