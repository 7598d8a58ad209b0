//! Posters and plots as tables, with the columns of their files.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::{Table, table_of};
use crate::text::{FULL, Texts};
use crate::{Error, IdMap, Movies, Poster, Result, Summary};

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

    /// The posters of a table of `movieId` and `poster_path`, paths as they stand there.
    ///
    /// # Errors
    /// As [`read_posters`](crate::read_posters), by column and row, counted from 0.
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
        let ids = known_ids(&table, movies)?;
        let paths = table.texts(PATH)?;
        if let Some(row) = paths.iter().position(|it| it.is_none_or(str::is_empty)) {
            let problem = "is not a path; name the picture or remove the row";
            return Err(table.bad(PATH, Some(row), problem));
        }
        let rows = ids.values().iter().zip(paths.iter().flatten());
        let poster = |(&movie_id, path)| Self {
            movie_id,
            path: PathBuf::from(path),
        };
        Ok(rows.map(poster).collect())
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

    /// The plots of a table of `movieId` and `summary`.
    ///
    /// # Errors
    /// As [`read_summaries`](crate::read_summaries), by column and row, counted from 0.
    pub fn from_record_batch(batch: &RecordBatch, movies: Option<&Movies>) -> Result<Vec<Self>> {
        let table = Table::new(SUMMARIES, batch);
        let ids = known_ids(&table, movies)?;
        let texts = table.texts(SUMMARY)?;
        let rows = ids.values().iter().zip(texts.iter().flatten());
        let summary = |(&movie_id, text): (&u32, &str)| Self {
            movie_id,
            text: text.to_owned(),
        };
        Ok(rows.map(summary).collect())
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

/// Ids of movies that exist, where they are given, each once.
fn known_ids(table: &Table<'_>, movies: Option<&Movies>) -> Result<UInt32Array> {
    let ids = table.ids("movieId")?;
    let index = movies.map(Movies::index);
    let unknown = |id: u32| {
        index
            .as_ref()
            .is_some_and(|it: &IdMap| it.row(id).is_none())
    };
    let mut seen = HashSet::with_capacity(ids.len());
    for (row, &id) in ids.values().iter().enumerate() {
        let problem = if unknown(id) {
            "is not a movie of the table of movies; add the movie there or remove this row"
        } else if !seen.insert(id) {
            "stands in an earlier row too; keep one of them"
        } else {
            continue;
        };
        return Err(table.bad("movieId", Some(row), format!("'{id}' {problem}")));
    }
    Ok(ids)
}
