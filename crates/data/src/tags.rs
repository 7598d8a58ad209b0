use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};

use crate::text::{Dialect, TableFile};
use crate::{Error, Result};

/// Reads `tags.csv` or `tags.dat`: `userId` and `movieId` (`UInt32`), `tag` (`Utf8`),
/// `timestamp` (`UInt32`, seconds since 1970).
pub(crate) fn read_tags(path: &Path, dialect: &Dialect) -> Result<RecordBatch> {
    let file = TableFile::open(path, dialect, &["userId", "movieId", "tag", "timestamp"])?;
    let (mut users, mut movies, mut timestamps) = (Vec::new(), Vec::new(), Vec::new());
    let mut tags = StringBuilder::new();
    file.for_each(|row| {
        users.push(row.id(0)?);
        movies.push(row.id(1)?);
        tags.append_value(row.text(2)?);
        timestamps.push(row.timestamp(3)?);
        Ok(())
    })?;
    let schema = Schema::new(vec![
        Field::new("userId", DataType::UInt32, false),
        Field::new("movieId", DataType::UInt32, false),
        Field::new("tag", DataType::Utf8, false),
        Field::new("timestamp", DataType::UInt32, false),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(UInt32Array::from(users)),
            Arc::new(UInt32Array::from(movies)),
            Arc::new(tags.finish()),
            Arc::new(UInt32Array::from(timestamps)),
        ],
    )
    .map_err(Error::arrow(path))
}
