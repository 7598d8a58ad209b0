use std::path::Path;
use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};

use crate::text::{Dialect, Row, TableFile, Texts};
use crate::{Error, Result};

/// Reads `links.csv`: `movieId` (`UInt32`), `imdbId` and `tmdbId` (`Utf8`,
/// since IMDb's leading zeros count; null where the file has none).
pub(crate) fn read_links(path: &Path) -> Result<RecordBatch> {
    let file = TableFile::open(path, &Dialect::Csv, &["movieId", "imdbId", "tmdbId"])?;
    let mut movies = Vec::new();
    let [mut imdb, mut tmdb] = [Texts::default(), Texts::default()];
    let [mut has_imdb, mut has_tmdb] = [Vec::new(), Vec::new()];
    file.for_each(|row| {
        movies.push(row.id(0)?);
        push_id(row, 1, &mut imdb, &mut has_imdb)?;
        push_id(row, 2, &mut tmdb, &mut has_tmdb)
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
            Arc::new(imdb.nullable(Some(has_imdb)).map_err(Error::arrow(path))?),
            Arc::new(tmdb.nullable(Some(has_tmdb)).map_err(Error::arrow(path))?),
        ],
    )
    .map_err(Error::arrow(path))
}

/// An id of others, without the `.0` that data frames give whole numbers beside missing ones.
fn push_id(row: &Row, column: usize, ids: &mut Texts, present: &mut Vec<bool>) -> Result<()> {
    let text = row.text(column)?;
    let whole = text.strip_suffix(".0").unwrap_or(&text);
    present.push(!whole.is_empty());
    row.push(column, whole, ids)
}
