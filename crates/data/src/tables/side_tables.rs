//! Posters and plots as tables, with the columns of their files.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::{Table, table_of};
use crate::movielens::{Sieve, path_of};
use crate::text::{FULL, Texts, shorten};
use crate::{Error, LeftOutBecause, Movies, Poster, Result, Summary};

const POSTERS: &str = "posters";
const PATH: &str = "poster_path";
const SUMMARIES: &str = "summaries";
const SUMMARY: &str = "summary";

impl Poster {
    /// A table of posters: `movieId` (`UInt32`) and `poster_path` (`Utf8`).
    ///
    /// # Errors
    /// A path that is not UTF-8, by its row; paths of more than 2 GiB in all.
    pub fn to_record_batch(posters: &[Self]) -> Result<RecordBatch> {
        let paths = posters.iter().map(|poster| {
            let path = poster.path.to_str();
            path.ok_or("is not UTF-8; rename the file")
        });
        let ids = posters.iter().map(|poster| poster.movie_id);
        table((POSTERS, PATH), ids, paths)
    }

    /// The posters of a table of `movieId` and `poster_path`, relative paths as they stand there.
    /// What [`Poster::read_all`] leaves out is left out with a warning, and so are nulls.
    ///
    /// # Errors
    /// A column that cannot be used; a table of which no row can be used, by column and row,
    /// counted from 0.
    ///
    /// ```
    /// use mmdlrm_data::Poster;
    ///
    /// let posters = [Poster {
    ///     movie_id: 1,
    ///     path: "posters/1.jpg".into(),
    /// }];
    /// let table = Poster::to_record_batch(&posters)?;
    /// assert_eq!(Poster::from_record_batch(&table, None)?, posters);
    /// # Ok::<(), mmdlrm_data::Error>(())
    /// ```
    pub fn from_record_batch(batch: &RecordBatch, movies: Option<&Movies>) -> Result<Vec<Self>> {
        let table = Table::new(POSTERS, batch);
        rows_of(&table, PATH, movies, |movie_id, text| {
            let path = path_of(text, Path::new(""))?;
            Ok(Self { movie_id, path })
        })
    }
}

impl Summary {
    /// A table of plots: `movieId` (`UInt32`) and `summary` (`Utf8`).
    ///
    /// # Errors
    /// Plots of more than 2 GiB in all.
    pub fn to_record_batch(summaries: &[Self]) -> Result<RecordBatch> {
        let ids = summaries.iter().map(|summary| summary.movie_id);
        let texts = summaries.iter().map(|summary| Ok(summary.text.as_str()));
        table((SUMMARIES, SUMMARY), ids, texts)
    }

    /// The plots of a table of `movieId` and `summary`; a null is a blank plot. What
    /// [`Summary::read_all`] leaves out is left out with a warning.
    ///
    /// # Errors
    /// As [`Poster::from_record_batch`].
    pub fn from_record_batch(batch: &RecordBatch, movies: Option<&Movies>) -> Result<Vec<Self>> {
        let table = Table::new(SUMMARIES, batch);
        rows_of(&table, SUMMARY, movies, |movie_id, text| {
            let text = text.to_owned();
            Ok(Self { movie_id, text })
        })
    }
}

/// A table of movies and one text for each.
fn table<'a>(
    (name, column): (&'static str, &str),
    ids: impl Iterator<Item = u32>,
    texts: impl Iterator<Item = Result<&'a str, &'static str>>,
) -> Result<RecordBatch> {
    let mut written = Texts::default();
    for (row, text) in texts.enumerate() {
        let kept = text.and_then(|text| written.push(text).ok_or(FULL));
        kept.map_err(|problem| Error::Column {
            table: name,
            column: column.to_owned(),
            row: Some(row),
            problem: problem.to_owned(),
        })?;
    }
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("movieId", DataType::UInt32, false),
        Field::new(column, DataType::Utf8, false),
    ]));
    let texts = written.array().map_err(Error::table(name))?;
    let columns: [ArrayRef; 2] = [
        Arc::new(UInt32Array::from_iter_values(ids)),
        Arc::new(texts),
    ];
    table_of(name, schema, columns)
}

/// The rows of a table of movies and one text for each that can be used; of the others a warning
/// is logged.
fn rows_of<T>(
    table: &Table<'_>,
    column: &'static str,
    movies: Option<&Movies>,
    value: impl Fn(u32, &str) -> Result<T, (LeftOutBecause, String)>,
) -> Result<Vec<T>> {
    const MOVIE: &str = "movieId";
    let ids = table.ids(MOVIE)?;
    let texts = table.strings(column, table.column(column)?)?;
    let mut sieve = Sieve::new(movies, "the table of movies");
    for (row, (&movie_id, text)) in ids.values().iter().zip(&texts).enumerate() {
        let text = text.unwrap_or_default();
        sieve.take(movie_id, value(movie_id, text), |number, problem| {
            let shown = [&*movie_id.to_string(), text][number].to_owned();
            let problem = format!("'{}' {problem}", shorten(&shown));
            table.bad([MOVIE, column][number], Some(row), problem)
        });
    }
    Ok(sieve.finish()?.or_warn())
}
