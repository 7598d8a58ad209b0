//! The Parquet file: always whole, written in one go by one plain writer.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::problem::StoreProblem;
use super::rows::{OwnedRow, Row, RowFormat};
use super::store_error;
use crate::files::write_whole;
use crate::{Error, Result};

/// The metadata that names the encoders.
const ENCODERS_KEY: &str = "mmdlrm.encoders";
/// The metadata of a file whose rows are sorted by kind and movie.
const SORTED_KEY: &str = "mmdlrm.sorted";
/// Rows of a group.
const ROWS_OF_A_GROUP: usize = 4096;

/// A store's file, of which the metadata have been read.
pub(super) struct StoreFile {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
    format: RowFormat,
}

impl StoreFile {
    /// Reads the metadata of the file at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let problem = |problem| store_error(path, problem);
        let file = File::open(path).map_err(Error::read(path))?;
        if file.metadata().map_err(Error::read(path))?.len() == 0 {
            return Err(problem(StoreProblem::Empty));
        }
        let metadata = ArrowReaderMetadata::load(&file, Default::default())
            .map_err(|error| problem(StoreProblem::Parquet(error.into())))?;
        let format =
            RowFormat::of(metadata.schema()).ok_or_else(|| problem(StoreProblem::Columns))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            metadata,
            format,
        })
    }

    pub fn format(&self) -> RowFormat {
        self.format
    }

    /// JSON of the encoders, as it was written.
    pub fn encoders(&self) -> Result<&str> {
        self.entry(ENCODERS_KEY)
            .ok_or_else(|| store_error(&self.path, StoreProblem::NoEncoders))
    }

    /// Whether its rows are in the order that [`write`] is given.
    pub fn is_sorted(&self) -> bool {
        self.entry(SORTED_KEY).is_some()
    }

    fn entry(&self, key: &str) -> Option<&str> {
        let entries = self.metadata.metadata().file_metadata();
        let entries = entries.key_value_metadata()?;
        let entry = entries.iter().find(|entry| entry.key == key)?;
        entry.value.as_deref()
    }

    /// Reads the rows.
    pub fn read(self, mut on_row: impl FnMut(OwnedRow) -> Result<()>) -> Result<()> {
        let problem = |problem| store_error(&self.path, problem);
        let parquet =
            |error: Box<dyn std::error::Error + Send + Sync>| problem(StoreProblem::Parquet(error));
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file, self.metadata)
            .build()
            .map_err(|error| parquet(error.into()))?;
        for batch in batches {
            let batch = batch.map_err(|error| parquet(error.into()))?;
            let rows = self.format.rows(&batch).map_err(problem)?;
            rows.into_iter().try_for_each(&mut on_row)?;
        }
        Ok(())
    }
}

/// Writes a whole file in place of what is at `path`.
pub(super) fn write<'a>(
    path: &Path,
    format: RowFormat,
    mut rows: impl Iterator<Item = Row<'a>>,
    encoders: &str,
) -> Result<()> {
    let entries = vec![
        KeyValue::new(ENCODERS_KEY.to_owned(), encoders.to_owned()),
        KeyValue::new(SORTED_KEY.to_owned(), "true".to_owned()),
    ];
    let properties = WriterProperties::builder()
        // Embeddings repeat nothing, and nobody looks for one by its numbers.
        .set_dictionary_enabled(false)
        .set_offset_index_disabled(true)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(Some(entries))
        .build();
    let fill = |file: &File| {
        let mut writer = ArrowWriter::try_new(file, format.schema(), Some(properties))?;
        loop {
            let group: Vec<Row<'_>> = rows.by_ref().take(ROWS_OF_A_GROUP).collect();
            if group.is_empty() {
                writer.close()?;
                return Ok(());
            }
            writer.write(&format.batch(&group)?)?;
            writer.flush()?;
        }
    };
    write_whole(path, |file| fill(file).map_err(io_error)).map_err(Error::write(path))
}

/// What the disk said, where it was the disk.
fn io_error(error: ParquetError) -> std::io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(error) => *error,
            Err(source) => std::io::Error::other(source),
        },
        error => std::io::Error::other(error),
    }
}
