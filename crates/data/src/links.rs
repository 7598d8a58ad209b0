use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema};

use crate::text::{Dialect, TableFile};
use crate::{Error, Result};

/// Reads `links.csv`: `movieId` (`UInt32`), `imdbId` and `tmdbId` (`Utf8`,
/// since IMDb's leading zeros count; null where the file has none).
pub(crate) fn read_links(path: &Path) -> Result<RecordBatch> {
    let file = TableFile::open(path, &Dialect::Csv, &["movieId", "imdbId", "tmdbId"])?;
    let (mut movies, mut imdb, mut tmdb) = (Vec::new(), Vec::new(), Vec::new());
    let present = |text: Cow<str>| (!text.is_empty()).then(|| text.into_owned());
    file.for_each(|row| {
        movies.push(row.id(0)?);
        imdb.push(present(row.text(1)?));
        tmdb.push(present(row.text(2)?));
        Ok(())
    })?;
    let schema = Schema::new(vec![
        Field::new("movieId", DataType::UInt32, false),
        Field::new("imdbId", DataType::Utf8, true),
        Field::new("tmdbId", DataType::Utf8, true),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(UInt32Array::from(movies)),
            Arc::new(StringArray::from(imdb)),
            Arc::new(StringArray::from(tmdb)),
        ],
    )
    .map_err(Error::arrow(path))
}
