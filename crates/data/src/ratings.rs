use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type, UInt32Type};
use arrow_array::{Float32Array, Int64Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};

use crate::csv_file::CsvFile;
use crate::{Error, Movies, Result};

/// The lowest rating that MovieLens knows, in stars.
pub const LOWEST_RATING: f32 = 0.5;
/// The highest rating that MovieLens knows, in stars.
pub const HIGHEST_RATING: f32 = 5.0;

/// `ratings.csv` as one Arrow table, in the order of the file.
///
/// | column | Arrow type | |
/// | --- | --- | --- |
/// | `userId` | `UInt32` | raw id |
/// | `movieId` | `UInt32` | raw id |
/// | `rating` | `Float32` | stars, 0.5 to 5 |
/// | `timestamp` | `Int64` | seconds since 1970, UTC |
#[derive(Debug, Clone)]
pub struct Ratings {
    table: RecordBatch,
}

impl Ratings {
    /// Reads `path`; every rating must be of a movie in `movies`.
    ///
    /// # Errors
    /// What stands in the file and cannot be used, by line and column.
    pub fn read(path: &Path, movies: &Movies) -> Result<Self> {
        let file = CsvFile::open(path, &["userId", "movieId", "rating", "timestamp"])?;
        let index = movies.index();
        let (mut users, mut rated) = (Vec::new(), Vec::new());
        let (mut stars, mut timestamps) = (Vec::new(), Vec::new());
        file.for_each(|row| {
            users.push(row.id(0)?);
            let movie = row.id(1)?;
            if index.row(movie).is_none() {
                return Err(row.bad(
                    1,
                    "is not a movie of movies.csv; add the movie there or remove the rating",
                ));
            }
            rated.push(movie);
            let rating = row.number(2)?;
            if !(LOWEST_RATING..=HIGHEST_RATING).contains(&rating) {
                return Err(row.bad(
                    2,
                    "is outside the scale of 0.5 to 5 stars; mend or remove the row",
                ));
            }
            stars.push(rating);
            timestamps.push(row.timestamp(3)?);
            Ok(())
        })?;
        let schema = Schema::new(vec![
            Field::new("userId", DataType::UInt32, false),
            Field::new("movieId", DataType::UInt32, false),
            Field::new("rating", DataType::Float32, false),
            Field::new("timestamp", DataType::Int64, false),
        ]);
        let table = RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(UInt32Array::from(users)),
                Arc::new(UInt32Array::from(rated)),
                Arc::new(Float32Array::from(stars)),
                Arc::new(Int64Array::from(timestamps)),
            ],
        )
        .map_err(Error::arrow(path))?;
        Ok(Self { table })
    }

    /// Number of ratings.
    pub fn len(&self) -> usize {
        self.table.num_rows()
    }

    /// Whether there is no rating; a table that was read has at least one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The Arrow table.
    pub fn table(&self) -> &RecordBatch {
        &self.table
    }

    /// Raw user id of each rating.
    pub fn user_ids(&self) -> &[u32] {
        self.table.column(0).as_primitive::<UInt32Type>().values()
    }

    /// Raw movie id of each rating.
    pub fn movie_ids(&self) -> &[u32] {
        self.table.column(1).as_primitive::<UInt32Type>().values()
    }

    /// Stars of each rating.
    pub fn stars(&self) -> &[f32] {
        self.table.column(2).as_primitive::<Float32Type>().values()
    }

    /// Time of each rating, in seconds since 1970.
    pub fn timestamps(&self) -> &[i64] {
        self.table.column(3).as_primitive::<Int64Type>().values()
    }
}
