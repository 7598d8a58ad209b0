//! Ratings as Parquet: zstd, with dictionaries where values repeat.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{ArrayRef, Float32Array, RecordBatch, UInt32Array};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;

use crate::ratings::{RatingColumns, RatingSlices};
use crate::{Error, Ratings, Result};

/// Rows of a row group: what one thread decodes at a time.
const ROW_GROUP: usize = 1 << 20;
/// Rows that are decoded before they are copied out: they stay in the cache.
const DECODED_AT_A_TIME: usize = 16 << 10;

/// Writes ratings as Parquet, a row group a call.
pub(crate) struct RatingsWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    factory: ArrowRowGroupWriterFactory,
    path: PathBuf,
    groups: usize,
    rows: usize,
}

impl<W: Write + Send> RatingsWriter<W> {
    /// `path` is for messages.
    pub(crate) fn new(out: W, path: &Path) -> Result<Self> {
        let failed = |error| Error::write(path)(parquet_error(error));
        let level = ZstdLevel::try_new(1).map_err(failed)?;
        let timestamp = ColumnPath::from("timestamp");
        // Users, movies and stars repeat, times do not: they differ by little.
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_column_dictionary_enabled(timestamp.clone(), false)
            .set_column_encoding(timestamp, Encoding::DELTA_BINARY_PACKED)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build();
        let schema = Ratings::schema();
        let root = ArrowSchemaConverter::new()
            .convert(&schema)
            .map_err(failed)?
            .root_schema_ptr();
        let writer = SerializedFileWriter::new(out, root, Arc::new(properties)).map_err(failed)?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, schema);
        Ok(Self {
            writer,
            factory,
            path: path.to_owned(),
            groups: 0,
            rows: 0,
        })
    }

    /// Writes all rows, in groups of [`ROW_GROUP`].
    pub(crate) fn write_all(&mut self, columns: &RatingColumns) -> Result<()> {
        for start in (0..columns.users.len()).step_by(ROW_GROUP) {
            let rows = start..(start + ROW_GROUP).min(columns.users.len());
            let group: [ArrayRef; 4] = [
                Arc::new(UInt32Array::from(columns.users[rows.clone()].to_vec())),
                Arc::new(UInt32Array::from(columns.movies[rows.clone()].to_vec())),
                Arc::new(Float32Array::from(columns.stars[rows.clone()].to_vec())),
                Arc::new(UInt32Array::from(columns.timestamps[rows.clone()].to_vec())),
            ];
            self.write_group(&group)
                .map_err(|error| Error::write(&self.path)(parquet_error(error)))?;
            self.rows += rows.len();
        }
        Ok(())
    }

    fn write_group(&mut self, columns: &[ArrayRef; 4]) -> parquet::errors::Result<()> {
        let writers = self.factory.create_column_writers(self.groups)?;
        let schema = Ratings::schema();
        let chunks: Vec<_> = writers
            .into_par_iter()
            .zip(columns)
            .zip(schema.fields().as_ref())
            .map(|((mut writer, column), field)| {
                for leaf in compute_leaves(field, column)? {
                    writer.write(&leaf)?;
                }
                writer.close()
            })
            .collect::<parquet::errors::Result<_>>()?;
        let mut group = self.writer.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.groups += 1;
        Ok(())
    }

    /// Number of rows, and what they were written to.
    pub(crate) fn close(self) -> Result<(usize, W)> {
        let rows = self.rows;
        let out = self
            .writer
            .into_inner()
            .map_err(|error| Error::write(&self.path)(parquet_error(error)))?;
        Ok((rows, out))
    }
}

/// The error of the system within an error of Parquet's.
fn parquet_error(error: ParquetError) -> std::io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(inner) => *inner,
            Err(inner) => std::io::Error::other(inner),
        },
        error => std::io::Error::other(error),
    }
}

/// A Parquet file of ratings, its row groups read in any order.
pub(crate) struct RatingsReader {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// Rows of each row group.
    lengths: Vec<usize>,
}

impl RatingsReader {
    /// `None` where the file is not of ratings.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let metadata = ArrowReaderMetadata::load(&file, Default::default()).ok()?;
        if metadata.schema().fields() != Ratings::schema().fields() {
            return None;
        }
        let groups = metadata.metadata().row_groups().iter();
        let lengths: Vec<usize> = groups
            .map(|group| Some(u32::try_from(group.num_rows()).ok()? as usize))
            .collect::<Option<_>>()?;
        Some(Self {
            path: path.to_owned(),
            metadata,
            lengths,
        })
    }

    /// Rows of each row group.
    pub(crate) fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Reads row group `group` into `out`, which has as many rows.
    pub(crate) fn read(&self, group: usize, out: RatingSlices) -> Option<()> {
        let file = File::open(&self.path).ok()?;
        let batches =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![group])
                .with_batch_size(DECODED_AT_A_TIME)
                .build()
                .ok()?;
        let mut rest = out;
        for batch in batches {
            rest = copy(&batch.ok()?, rest)?;
        }
        rest.users.is_empty().then_some(())
    }

    /// Reads all row groups, on all threads.
    pub(crate) fn read_all(&self) -> Option<RatingColumns> {
        let mut columns = RatingColumns::zeroed(self.lengths.iter().sum());
        columns
            .parts(self.lengths.iter().copied())
            .into_par_iter()
            .enumerate()
            .map(|(group, part)| self.read(group, part))
            .collect::<Option<()>>()?;
        Some(columns)
    }
}

/// Copies a batch to the front of `out`, and returns what comes after.
fn copy<'a>(batch: &RecordBatch, out: RatingSlices<'a>) -> Option<RatingSlices<'a>> {
    if batch.num_rows() > out.users.len() {
        return None;
    }
    let ids = |column: usize| batch.column(column).as_primitive_opt::<UInt32Type>();
    let (front, rest) = out.split_at(batch.num_rows());
    front.users.copy_from_slice(ids(0)?.values());
    front.movies.copy_from_slice(ids(1)?.values());
    let stars = batch.column(2).as_primitive_opt::<Float32Type>()?;
    front.stars.copy_from_slice(stars.values());
    front.timestamps.copy_from_slice(ids(3)?.values());
    Some(rest)
}
