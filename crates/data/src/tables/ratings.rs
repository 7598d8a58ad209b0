use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};

use super::{Table, table_of};
use crate::movielens::OUT_OF_SCALE;
use crate::split::row_numbers;
use crate::{Error, HIGHEST_RATING, LOWEST_RATING, Ratings};

/// Nothing is copied. Ratings that [have no times](Ratings::has_times) come without their column.
impl From<&Ratings> for RecordBatch {
    fn from(ratings: &Ratings) -> Self {
        let mut table = ratings.table().clone();
        let times = table.schema_ref().index_of("timestamp");
        if let (Ok(times), false) = (times, ratings.has_times()) {
            table.remove_column(times);
        }
        table
    }
}

/// Nothing is copied.
impl From<Ratings> for RecordBatch {
    fn from(ratings: Ratings) -> Self {
        Self::from(&ratings)
    }
}

/// From columns of the names of [`Ratings`], in any order and beside any others. Columns of
/// the same types are not copied. Ids and times may be of any integer type, times also
/// Arrow's timestamps, stars of any type of numbers. A table without the column of times makes
/// ratings that [have none](Ratings::has_times).
///
/// A table that came in several batches is made one by `arrow::compute::concat_batches`.
///
/// # Errors
/// A column that is missing, stands twice, or is of another type; a null, an id or a time
/// that 32 bits do not hold, and a rating outside 0.5 to 5, by column and row, counted from
/// 0; 2³² rows or more.
impl TryFrom<&RecordBatch> for Ratings {
    type Error = Error;

    fn try_from(batch: &RecordBatch) -> Result<Self, Error> {
        let table = Table::new("ratings", batch);
        row_numbers(table.rows())?;
        let users = table.ids("userId")?;
        let movies = table.ids("movieId")?;
        let stars = table.numbers("rating")?;
        let scale = LOWEST_RATING..=HIGHEST_RATING;
        if let Some(row) = stars.values().iter().position(|it| !scale.contains(it)) {
            let problem = format!("'{}' {OUT_OF_SCALE}", stars.value(row));
            return Err(table.bad("rating", Some(row), problem));
        }
        let has_times = batch.column_by_name("timestamp").is_some();
        let timestamps = match has_times {
            true => table.seconds("timestamp")?,
            false => UInt32Array::from(vec![0; table.rows()]),
        };
        let columns: [ArrayRef; 4] = [
            Arc::new(users),
            Arc::new(movies),
            Arc::new(stars),
            Arc::new(timestamps),
        ];
        let table = table_of("ratings", Self::schema(), columns)?;
        Ok(Self::from_table(table).with_times(has_times))
    }
}

/// As from a borrowed one.
impl TryFrom<RecordBatch> for Ratings {
    type Error = Error;

    fn try_from(batch: RecordBatch) -> Result<Self, Error> {
        Self::try_from(&batch)
    }
}
