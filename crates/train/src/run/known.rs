//! What a run knows of users and movies, in its folder: whoever opens it needs neither the
//! ratings, nor posters and plots, nor what encoded them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use mmdlrm_data::{Error as DataError, Movies};
use mmdlrm_features::{Features, Histories, Known, TrainingData};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use xxhash_rust::xxh3::xxh3_128;

use super::RunFolder;
use super::files::write_whole;
use super::model_file::{self, RUN_KEY};
use crate::{Error, Result};

pub(super) const MOVIES: &str = "movies.parquet";
pub(super) const FEATURES: &str = "features.safetensors";
pub(super) const HISTORIES: &str = "histories.safetensors";
/// Column of the movies' table that the release does not have.
const POSTER: &str = "poster";
/// Under which the features keep a hash of the movies' file.
const MOVIES_KEY: &str = "mmdlrm_movies";

/// Where the poster of a movie lies, by its raw id.
pub type Posters = HashMap<u32, PathBuf>;

impl RunFolder {
    /// Writes what `run` will need where its model is asked: the table of movies and where
    /// their posters lie (`movies.parquet`), what was computed of ratings and contents
    /// (`features.safetensors`), and what each user rated (`histories.safetensors`, 12 bytes a
    /// rating).
    ///
    /// # Errors
    /// As [`TrainingData::users`]; a poster's path that is no UTF-8; a folder that can no longer
    /// be written.
    pub fn write_known(
        &self,
        data: &dyn TrainingData,
        movies: &Movies,
        posters: &Posters,
        run: &str,
    ) -> Result<()> {
        let table = with_posters(movies, posters)?;
        let table = parquet_of(&table, run).map_err(|source| Error::Parquet {
            path: self.path().join(MOVIES),
            source,
        })?;
        let features = data.features().to_safetensors()?;
        let hash = hash_of(&table);
        let entries = [(RUN_KEY, run), (MOVIES_KEY, hash.as_str())];
        let Some((head, tensors)) = model_file::with(&features, &entries) else {
            return Err(Error::Mismatch(
                "features make no safetensors file".to_owned(),
            ));
        };
        self.write(MOVIES, &table)?;
        self.write_all(FEATURES, &[&head, tensors])?;
        let path = self.path().join(HISTORIES);
        write_whole(&path, |file| Ok(Histories::write(data, run, file, &path)?))
    }

    /// Reads what [`Self::write_known`] wrote for `run` into `folder`: movies, posters, and
    /// what a model needs. Histories are not read before somebody asks for them, unless
    /// features have a context, which holds them.
    ///
    /// # Errors
    /// Files that cannot be read, that are damaged, or another run's.
    pub fn known_of(folder: &Path, run: &str) -> Result<(Movies, Posters, Known)> {
        let path = folder.join(FEATURES);
        let features = std::fs::read(&path).map_err(DataError::kept(&path))?;
        if !model_file::is_of(&features, run) {
            return Err(DataError::kept(&path)("it was written for another run").into());
        }
        let of_movies = model_file::entry(&features, MOVIES_KEY);
        let of_movies = of_movies.ok_or_else(|| DataError::kept(&path)("its header is damaged"))?;
        let (movies, posters) = read_movies(&folder.join(MOVIES), &of_movies)?;
        let histories = Histories::open(&folder.join(HISTORIES), run, movies.len())?;
        let features = Features::from_safetensors(&features, &movies, &histories);
        let features = features.map_err(|error| match error {
            DataError::External(source) => DataError::kept(&path)(source),
            other => other,
        })?;
        Ok((movies, posters, Known::new(features, histories)))
    }
}

/// `movieId`, `title`, `year`, `genres` as [`Movies`] have them, and `poster` (`Utf8`, a path;
/// null where there is none), as those of `run`.
fn parquet_of(table: &RecordBatch, run: &str) -> parquet::errors::Result<Vec<u8>> {
    let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), None)?;
    writer.append_key_value_metadata(KeyValue::new(RUN_KEY.to_owned(), run.to_owned()));
    writer.write(table)?;
    writer.into_inner()
}

fn hash_of(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

/// Paths hold wherever the run is opened from.
fn with_posters(movies: &Movies, posters: &Posters) -> Result<RecordBatch> {
    let paths = movies.ids().iter().map(|id| {
        let Some(path) = posters.get(id) else {
            return Ok(None);
        };
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        match path.to_str() {
            Some(path) => Ok(Some(path.to_owned())),
            None => {
                let rule = "a run keeps paths as UTF-8; rename what is not";
                Err(DataError::setting("poster", path.display(), rule))
            }
        }
    });
    let paths: Vec<Option<String>> = paths.collect::<std::result::Result<_, _>>()?;
    let paths: ArrayRef = Arc::new(StringArray::from(paths));
    let table = movies.table();
    let mut fields: Vec<Arc<Field>> = table.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(
        POSTER,
        paths.data_type().clone(),
        true,
    )));
    let columns = [table.columns(), &[paths]].concat();
    let table = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
    Ok(table.map_err(|source| DataError::Table {
        table: "movies",
        source,
    })?)
}

/// The hash is looked at first: what decodes Parquet panics on some files.
fn read_movies(path: &Path, hash: &str) -> Result<(Movies, Posters)> {
    let bytes = Bytes::from(std::fs::read(path).map_err(DataError::kept(path))?);
    if hash_of(&bytes) != hash {
        let problem = "it is damaged, or was written for another run";
        return Err(DataError::kept(path)(problem).into());
    }
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(DataError::kept(path))?;
    let schema = builder.schema().clone();
    let reader = builder.build().map_err(DataError::kept(path))?;
    let batches: Vec<RecordBatch> = reader
        .collect::<std::result::Result<_, _>>()
        .map_err(DataError::kept(path))?;
    let table = concat_batches(&schema, &batches).map_err(DataError::kept(path))?;
    let movies = Movies::try_from(&table).map_err(DataError::kept(path))?;
    let paths = table.column_by_name(POSTER);
    let paths = paths.and_then(|paths| paths.as_string_opt::<i32>());
    let paths = paths.ok_or_else(|| DataError::kept(path)("it has no column 'poster' of texts"))?;
    let posters = movies.ids().iter().zip(paths.iter());
    let posters = posters.filter_map(|(&id, path)| Some((id, PathBuf::from(path?))));
    let posters = posters.collect();
    Ok((movies, posters))
}
