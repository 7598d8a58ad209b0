//! What a run knows of users and movies, in its folder: whoever opens it needs neither the
//! ratings, nor posters and plots, nor what encoded them.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use arrow_select::concat::concat_batches;
use mmdlrm_data::{Error as DataError, Movies};
use mmdlrm_features::{Features, Histories, Known, TrainingData};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;

use super::files::write_whole;
use super::folder::read;
use super::{RunFolder, model_file};
use crate::{Error, Result};

pub(super) const MOVIES: &str = "movies.parquet";
pub(super) const FEATURES: &str = "features.safetensors";
pub(super) const HISTORIES: &str = "histories.safetensors";
/// Column of the movies' table that the release does not have.
const POSTER: &str = "poster";
const RUN_KEY: &str = "mmdlrm_run";

/// Where the poster of a movie lies, by its raw id.
pub type Posters = HashMap<u32, PathBuf>;

impl RunFolder {
    /// Writes what `run` will need where its model is asked: the table of movies and where
    /// their posters lie (`movies.parquet`), what was computed of ratings and contents
    /// (`features.safetensors`), and what each user rated (`histories.safetensors`, 12 bytes a
    /// rating).
    ///
    /// # Errors
    /// As [`TrainingData::users`]; a folder that can no longer be written.
    pub fn write_known(
        &self,
        data: &dyn TrainingData,
        movies: &Movies,
        posters: &Posters,
        run: &str,
    ) -> Result<()> {
        self.write_movies(movies, posters, run)?;
        let features = data.features().to_safetensors()?;
        self.write_tensors(FEATURES, &features, run)?;
        Ok(Histories::write(data, run, &self.path().join(HISTORIES))?)
    }

    /// Whether [`Self::write_known`] came to its end.
    pub fn has_known(&self) -> bool {
        // The last that it writes.
        self.path().join(HISTORIES).exists()
    }

    /// Reads what [`Self::write_known`] wrote for `run` into `folder`: movies, posters, and
    /// what a model needs. Histories are not read before somebody asks for them, unless
    /// features have a context, which holds them.
    ///
    /// # Errors
    /// Files that cannot be read, that are damaged, or another run's.
    pub fn known_of(folder: &Path, run: &str) -> Result<(Movies, Posters, Known)> {
        let (movies, posters) = read_movies(&folder.join(MOVIES), run)?;
        let histories = Histories::open(&folder.join(HISTORIES), run, movies.len())?;
        let path = folder.join(FEATURES);
        let file = read(&path)?;
        if !model_file::is_of(&file, run) {
            return Err(DataError::kept(&path)("it was written for another run").into());
        }
        let features = Features::from_safetensors(&file, &movies, &histories);
        let features = features.map_err(|error| match error {
            DataError::External(source) => DataError::kept(&path)(source),
            other => other,
        })?;
        Ok((movies, posters, Known::new(features, histories)))
    }

    /// `movieId`, `title`, `year`, `genres` as [`Movies`] have them, and `poster` (`Utf8`, a
    /// path; null where there is none).
    fn write_movies(&self, movies: &Movies, posters: &Posters, run: &str) -> Result<()> {
        let path = self.path().join(MOVIES);
        let parquet_error = |source| Error::Parquet {
            path: path.clone(),
            source,
        };
        let table = with_posters(movies, posters);
        write_whole(&path, |file| {
            let table = table.map_err(|error| parquet_error(error.into()))?;
            let mut writer =
                ArrowWriter::try_new(file, table.schema(), None).map_err(parquet_error)?;
            writer.append_key_value_metadata(KeyValue::new(RUN_KEY.to_owned(), run.to_owned()));
            writer.write(&table).map_err(parquet_error)?;
            writer.close().map_err(parquet_error)?;
            Ok(())
        })
    }
}

/// Paths hold wherever the run is opened from.
fn with_posters(
    movies: &Movies,
    posters: &Posters,
) -> std::result::Result<RecordBatch, arrow_schema::ArrowError> {
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let paths = movies.ids().iter().map(|id| posters.get(id).map(absolute));
    let paths = paths.map(|path| path.and_then(|path| path.into_os_string().into_string().ok()));
    let paths: ArrayRef = Arc::new(paths.collect::<StringArray>());
    let table = movies.table();
    let mut fields: Vec<Arc<Field>> = table.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(
        POSTER,
        paths.data_type().clone(),
        true,
    )));
    let columns = [table.columns(), &[paths]].concat();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn read_movies(path: &Path, run: &str) -> Result<(Movies, Posters)> {
    let file = File::open(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(DataError::kept(path))?;
    let metadata = builder.metadata().file_metadata().key_value_metadata();
    let own = metadata.and_then(|all| all.iter().find(|it| it.key == RUN_KEY));
    if own.and_then(|own| own.value.as_deref()) != Some(run) {
        return Err(DataError::kept(path)("it was written for another run").into());
    }
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
