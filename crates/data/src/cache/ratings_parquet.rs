//! Ratings as Parquet: zstd, with dictionaries where values repeat.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{ArrayRef, Float32Array, RecordBatch, UInt32Array};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;

use super::digest::Digest;
use super::verified_file::{Stretch, VerifiedFile};
use crate::movielens::{RatingColumns, RatingSlices};
use crate::{Error, Ratings, Result};

/// Rows of a row group: what one thread decodes at a time.
pub(super) const ROW_GROUP: usize = 1 << 20;
/// Bytes at the end of a Parquet file that say how long its footer is.
const FOOTER_TAIL: u64 = 8;
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

/// A Parquet file of ratings that is what it was written as, its row groups read
/// in any order.
pub(crate) struct RatingsReader {
    file: VerifiedFile,
    metadata: ArrowReaderMetadata,
    groups: Vec<RowGroup>,
}

/// Where a row group lies, and how many rows are in it.
struct RowGroup {
    rows: usize,
    bytes: Range<u64>,
}

/// The columns of a batch.
pub(crate) struct RatingsBatch<'a> {
    pub users: &'a [u32],
    pub movies: &'a [u32],
    pub stars: &'a [f32],
    pub timestamps: &'a [u32],
}

impl RatingsReader {
    /// Verifies `file`; `path` is for messages.
    ///
    /// # Errors
    /// A file that does not have the digest and the number of rows that are
    /// `expected`, or is not of ratings.
    pub(crate) fn open(file: File, path: &Path, expected: (usize, &Digest)) -> Result<Self> {
        let (rows, digest) = expected;
        let file = VerifiedFile::new(file, path, digest)?;
        let metadata = ArrowReaderMetadata::load(&footer(&file)?, Default::default())
            .map_err(Error::cache(path))?;
        if metadata.schema().fields() != Ratings::schema().fields() {
            return Err(file.problem("its columns are not those of ratings"));
        }
        let groups = metadata.metadata().row_groups().iter().map(RowGroup::of);
        let groups: Option<Vec<RowGroup>> = groups.collect();
        let reader = Self {
            groups: groups.ok_or_else(|| file.problem("its footer makes no sense"))?,
            file,
            metadata,
        };
        if reader.rows() != rows {
            let problem = "it does not have as many rows as were written";
            return Err(reader.file.problem(problem));
        }
        Ok(reader)
    }

    /// The name it was opened by; another file may have it by now.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.lengths().sum()
    }

    /// Rows of each row group.
    pub(crate) fn lengths(&self) -> impl ExactSizeIterator<Item = usize> {
        self.groups.iter().map(|group| group.rows)
    }

    /// The batches of row group `group`.
    ///
    /// # Errors
    /// A file that can no longer be read, or that was changed.
    pub(crate) fn batches(&self, group: usize) -> Result<GroupBatches> {
        let RowGroup { rows, bytes } = &self.groups[group];
        let piece = self.file.stretch(bytes.clone())?;
        let batches =
            ParquetRecordBatchReaderBuilder::new_with_metadata(piece, self.metadata.clone())
                .with_row_groups(vec![group])
                .with_batch_size(DECODED_AT_A_TIME)
                .build()
                .map_err(Error::cache(self.path()))?;
        Ok(GroupBatches {
            batches: Some(batches),
            rows_left: *rows,
            path: self.path().to_owned(),
        })
    }

    /// Reads row group `group`.
    ///
    /// # Errors
    /// As [`Self::batches`].
    pub(crate) fn columns(&self, group: usize) -> Result<RatingColumns> {
        let rows = self.groups[group].rows;
        let mut columns = RatingColumns::zeroed(rows);
        let mut parts = columns.parts([rows]).into_iter();
        parts.try_for_each(|part| self.fill(group, part))?;
        Ok(columns)
    }

    /// Reads all row groups, on all threads.
    ///
    /// # Errors
    /// As [`Self::batches`].
    pub(crate) fn all_columns(&self) -> Result<RatingColumns> {
        let mut columns = RatingColumns::zeroed(self.rows());
        let parts = columns.parts(self.lengths()).into_par_iter();
        parts
            .enumerate()
            .try_for_each(|(group, part)| self.fill(group, part))?;
        Ok(columns)
    }

    /// Reads row group `group` into `out`, which has as many rows.
    fn fill(&self, group: usize, out: RatingSlices) -> Result<()> {
        let mut rest = out;
        for batch in self.batches(group)? {
            let batch = batch?;
            let columns = RatingsBatch::of(&batch);
            let (front, after) = rest.split_at(columns.users.len());
            front.users.copy_from_slice(columns.users);
            front.movies.copy_from_slice(columns.movies);
            front.stars.copy_from_slice(columns.stars);
            front.timestamps.copy_from_slice(columns.timestamps);
            rest = after;
        }
        Ok(())
    }
}

/// The footer, read as anything else of the file.
fn footer(file: &VerifiedFile) -> Result<Stretch> {
    let tail = file.stretch(file.len().saturating_sub(FOOTER_TAIL)..file.len())?;
    let tail = tail.bytes().first_chunk().copied();
    let tail = tail.ok_or_else(|| file.problem("it is too short"))?;
    let length = FooterTail::try_from(tail)
        .map_err(Error::cache(file.path()))?
        .metadata_length() as u64;
    file.stretch(file.len().saturating_sub(FOOTER_TAIL + length)..file.len())
}

impl RowGroup {
    /// What the footer says; `None` where that makes no sense.
    fn of(metadata: &RowGroupMetaData) -> Option<Self> {
        let (mut start, mut end) = (u64::MAX, 0);
        for column in metadata.columns() {
            let first = column.dictionary_page_offset();
            let first = u64::try_from(first.unwrap_or(column.data_page_offset())).ok()?;
            let length = u64::try_from(column.compressed_size()).ok()?;
            start = start.min(first);
            end = end.max(first.checked_add(length)?);
        }
        Some(Self {
            rows: usize::try_from(metadata.num_rows()).ok()?,
            bytes: start..end,
        })
    }
}

/// The batches of a row group: as many rows as the footer says, or an error, which is
/// the last item.
pub(crate) struct GroupBatches {
    batches: Option<ParquetRecordBatchReader>,
    rows_left: usize,
    path: PathBuf,
}

impl Iterator for GroupBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let problem = match self.batches.as_mut()?.next() {
            None if self.rows_left == 0 => return None,
            Some(Ok(batch)) if batch.num_rows() <= self.rows_left => {
                self.rows_left -= batch.num_rows();
                return Some(Ok(batch));
            }
            Some(Err(error)) => Error::cache(&self.path)(error),
            Some(Ok(_)) | None => {
                Error::cache(&self.path)("a row group has not the rows that its footer speaks of")
            }
        };
        self.batches = None;
        Some(Err(problem))
    }
}

impl<'a> RatingsBatch<'a> {
    /// The columns of a batch, whose types were compared when the file was opened.
    pub(crate) fn of(batch: &'a RecordBatch) -> Self {
        let ids = |column: usize| batch.column(column).as_primitive::<UInt32Type>().values();
        Self {
            users: ids(0),
            movies: ids(1),
            stars: batch.column(2).as_primitive::<Float32Type>().values(),
            timestamps: ids(3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::digest::Hashed;

    #[test]
    fn row_groups_have_the_rows_that_their_footer_speaks_of() {
        let columns = RatingColumns {
            users: vec![1, 2, 3],
            movies: vec![7; 3],
            stars: vec![3.5; 3],
            timestamps: vec![9; 3],
        };
        let path = Path::new("ratings.parquet");
        let file = tempfile::tempfile().unwrap();
        let mut writer = RatingsWriter::new(Hashed::new(file.try_clone().unwrap()), path).unwrap();
        writer.write_all(&columns).unwrap();
        let (rows, hashed) = writer.close().unwrap();
        let digest = hashed.finish().1;
        let open = |rows| RatingsReader::open(file.try_clone().unwrap(), path, (rows, &digest));
        let error = open(rows + 1).err().unwrap().to_string();
        assert!(error.contains("as many rows as were written"), "{error}");
        let mut reader = open(rows).unwrap();
        assert_eq!(reader.all_columns().unwrap(), columns);
        for said in [2, 4] {
            reader.groups[0].rows = said;
            let error = reader.all_columns().unwrap_err().to_string();
            assert!(error.contains("has not the rows"), "{error}");
        }
    }
}
