//! The Parquet file that row groups are appended to.
//!
//! Parquet's footer, which lists the row groups, is a file's last part. A row
//! group is appended by writing it and a footer that lists it too after the old
//! footer, which stays where it is: a file whose last part was not written
//! completely ends, further up, with the footer before.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{
    FileMetaData, FooterTail, KeyValue, ParquetMetaData, ParquetMetaDataReader,
    ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::rows::{OwnedRow, Row, RowFormat};
use crate::error::first_line;
use crate::{Error, Result};

/// The metadata that names the encoders.
const ENCODERS_KEY: &str = "mmdlrm.encoders";
/// The metadata of a file that was written in one go.
const SORTED_KEY: &str = "mmdlrm.sorted";
/// What a Parquet file begins and ends with.
const MAGIC: &[u8; 4] = b"PAR1";
/// Magic and length of the footer.
const TAIL: usize = 8;
/// Rows of a group in a file that is written in one go.
const ROWS_OF_A_GROUP: usize = 4096;

#[derive(Debug)]
pub(super) struct StoreFile {
    path: PathBuf,
    /// Open and locked as long as the store is.
    file: File,
    metadata: ParquetMetaData,
    format: RowFormat,
    length: u64,
}

impl StoreFile {
    /// Opens and locks a file, or makes one of the encoders and columns of
    /// `new`; the rows that are in it.
    pub fn open(
        path: &Path,
        new: (String, RowFormat),
    ) -> Result<(Self, impl Iterator<Item = Result<OwnedRow>> + use<>)> {
        if !path.exists() {
            let rows: [Row<'_>; 0] = [];
            write_beside(path, new.1, rows.into_iter(), &new.0)?;
        }
        // Whoever only reads may lack the right to write.
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.or_else(|_| File::open(path));
        let file = file.map_err(Error::read(path))?;
        lock(&file, path)?;
        let length = recover(&file, path)?;
        let damaged = |problem: String| Error::Store {
            path: path.to_owned(),
            problem,
        };
        let metadata = ArrowReaderMetadata::load(&file, Default::default())
            .map_err(|error| damaged(first_line(error)))?;
        let format = RowFormat::of(metadata.schema())
            .ok_or_else(|| damaged("its columns are not those of a store".to_owned()))?;
        let own = metadata.metadata().as_ref().clone();
        if entry(&own, ENCODERS_KEY).is_none() {
            return Err(damaged("it does not say which model made it".to_owned()));
        }
        let reader = file.try_clone().map_err(Error::read(path))?;
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(reader, metadata)
            .build()
            .map_err(|error| damaged(first_line(error)))?;
        let store = Self {
            path: path.to_owned(),
            file,
            metadata: own,
            format,
            length,
        };
        let path = path.to_owned();
        let rows = batches.flat_map(move |batch| {
            let error = |problem: String| Error::Store {
                path: path.clone(),
                problem,
            };
            let rows = batch.map_err(|problem| error(first_line(problem)));
            let rows = rows.and_then(|batch| {
                format
                    .rows(&batch)
                    .ok_or_else(|| error("a row is not that of a store".to_owned()))
            });
            match rows {
                Ok(rows) => rows.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            }
        });
        Ok((store, rows))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn format(&self) -> RowFormat {
        self.format
    }

    /// JSON of the encoders, as it was written.
    pub fn encoders(&self) -> &str {
        entry(&self.metadata, ENCODERS_KEY).unwrap_or_default()
    }

    /// Whether the file was written in one go and nothing appended since.
    pub fn is_sorted(&self) -> bool {
        entry(&self.metadata, SORTED_KEY).is_some()
    }

    /// Appends rows as a group, and forces them to the disk.
    pub fn append(&mut self, rows: &[Row<'_>], encoders: &str) -> Result<()> {
        let store_error = |error: parquet::errors::ParquetError| Error::Store {
            path: self.path.clone(),
            problem: first_line(error),
        };
        let (mut bytes, metadata) = self.appended(rows, encoders).map_err(store_error)?;
        ParquetMetaDataWriter::new(&mut bytes, &metadata)
            .finish()
            .map_err(store_error)?;
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(&bytes))
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A full disk must not leave half a group behind; if this fails
            // too, the next to open the file does it.
            let _ = self.file.set_len(self.length);
            return Err(Error::write(&self.path)(error));
        }
        self.length += bytes.len() as u64;
        self.metadata = metadata;
        Ok(())
    }

    /// A row group as it stands at the file's end, and the metadata that lists
    /// it.
    fn appended(
        &self,
        rows: &[Row<'_>],
        encoders: &str,
    ) -> parquet::errors::Result<(Vec<u8>, ParquetMetaData)> {
        let mut alone = Vec::new();
        let batch = self.format.batch(rows)?;
        let mut writer =
            ArrowWriter::try_new(&mut alone, batch.schema(), Some(properties(Vec::new())))?;
        writer.write(&batch)?;
        let metadata = writer.close()?;
        let groups = metadata.row_groups().iter();
        let columns = groups.clone().flat_map(|group| group.columns());
        let ends = columns.map(|column| column.byte_range().0 + column.byte_range().1);
        alone.truncate(ends.max().unwrap_or(MAGIC.len() as u64) as usize);
        alone.drain(..MAGIC.len());
        let shift = self.length as i64 - MAGIC.len() as i64;
        let old = self.metadata.file_metadata();
        let mut all = self.metadata.row_groups().to_vec();
        for group in groups {
            all.push(moved(group, shift, all.len())?);
        }
        let keep = |entry: &&KeyValue| entry.key != ENCODERS_KEY && entry.key != SORTED_KEY;
        let entries = old.key_value_metadata().into_iter().flatten();
        let mut entries: Vec<KeyValue> = entries.filter(keep).cloned().collect();
        entries.push(KeyValue::new(ENCODERS_KEY.to_owned(), encoders.to_owned()));
        let file_metadata = FileMetaData::new(
            old.version(),
            old.num_rows() + rows.len() as i64,
            old.created_by().map(str::to_owned),
            Some(entries),
            old.schema_descr_ptr(),
            old.column_orders().cloned(),
        );
        Ok((alone, ParquetMetaData::new(file_metadata, all)))
    }

    /// Replaces the file by one of these rows.
    pub fn rewrite<'a>(
        &mut self,
        rows: impl Iterator<Item = Row<'a>>,
        encoders: &str,
    ) -> Result<()> {
        let (file, metadata) = write_beside(&self.path, self.format, rows, encoders)?;
        self.length = file.metadata().map_err(Error::read(&self.path))?.len();
        self.file = file;
        self.metadata = metadata;
        Ok(())
    }
}

/// Locks a file for this process.
fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::StoreInUse {
            path: path.to_owned(),
        }),
        // File systems without locks exist; one process still works there.
        Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Writes a whole file, locks it, and renames it to `path`.
fn write_beside<'a>(
    path: &Path,
    format: RowFormat,
    mut rows: impl Iterator<Item = Row<'a>>,
    encoders: &str,
) -> Result<(File, ParquetMetaData)> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.partial"));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&beside)
        .map_err(Error::write(&beside))?;
    lock(&file, path)?;
    let entries = vec![
        KeyValue::new(ENCODERS_KEY.to_owned(), encoders.to_owned()),
        KeyValue::new(SORTED_KEY.to_owned(), "true".to_owned()),
    ];
    let written = ArrowWriter::try_new(&file, format.schema(), Some(properties(entries)))
        .and_then(|mut writer| {
            loop {
                let group: Vec<Row<'_>> = rows.by_ref().take(ROWS_OF_A_GROUP).collect();
                if group.is_empty() {
                    return writer.close();
                }
                writer.write(&format.batch(&group)?)?;
                writer.flush()?;
            }
        })
        .map_err(std::io::Error::other)
        .and_then(|metadata| file.sync_all().map(|()| metadata))
        .and_then(|metadata| std::fs::rename(&beside, path).map(|()| metadata));
    match written {
        Ok(metadata) => Ok((file, metadata)),
        Err(error) => {
            let _ = std::fs::remove_file(&beside);
            Err(Error::write(path)(error))
        }
    }
}

fn properties(entries: Vec<KeyValue>) -> WriterProperties {
    WriterProperties::builder()
        // Embeddings repeat nothing.
        .set_dictionary_enabled(false)
        // So that a group is its columns and nothing after them.
        .set_offset_index_disabled(true)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(Some(entries))
        .build()
}

fn entry<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let entries = metadata.file_metadata().key_value_metadata();
    let entry = entries?.iter().find(|entry| entry.key == key)?;
    entry.value.as_deref()
}

/// A row group that lies `shift` bytes further on, as number `ordinal`.
fn moved(
    group: &RowGroupMetaData,
    shift: i64,
    ordinal: usize,
) -> parquet::errors::Result<RowGroupMetaData> {
    let columns = group
        .columns()
        .iter()
        .map(|column| {
            let dictionary = column.dictionary_page_offset();
            column
                .clone()
                .into_builder()
                .set_data_page_offset(column.data_page_offset() + shift)
                .set_dictionary_page_offset(dictionary.map(|offset| offset + shift))
                .build()
        })
        .collect::<parquet::errors::Result<_>>()?;
    let offset = group.file_offset().unwrap_or(MAGIC.len() as i64);
    group
        .clone()
        .into_builder()
        .set_column_metadata(columns)
        .set_file_offset(offset + shift)
        .set_ordinal(ordinal as i32)
        .build()
}

/// The length of a file that ends with a footer; what follows the last is cut
/// off.
fn recover(file: &File, path: &Path) -> Result<u64> {
    let length = file.metadata().map_err(Error::read(path))?.len();
    if ParquetMetaDataReader::new().parse_and_finish(file).is_ok() {
        return Ok(length);
    }
    let bytes = std::fs::read(path).map_err(Error::read(path))?;
    let Some(whole) = last_footer(&bytes) else {
        return Err(Error::Store {
            path: path.to_owned(),
            problem: match bytes.is_empty() {
                true => "it is empty".to_owned(),
                false => "it is no Parquet file, or cut off".to_owned(),
            },
        });
    };
    tracing::warn!(
        path = %path.display(),
        bytes = length - whole as u64,
        "cut off what was not written completely"
    );
    file.set_len(whole as u64).map_err(Error::write(path))?;
    Ok(whole as u64)
}

/// Where the last footer of a store ends.
fn last_footer(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(MAGIC) {
        return None;
    }
    (MAGIC.len() + TAIL..=bytes.len())
        .rev()
        .filter(|&end| bytes[..end].ends_with(MAGIC))
        .find(|&end| {
            let (before, tail) = bytes[..end].split_at(end - TAIL);
            let footer = tail
                .try_into()
                .ok()
                .and_then(|tail| FooterTail::try_new(tail).ok())
                .and_then(|tail| before.len().checked_sub(tail.metadata_length()))
                .map(|start| &before[start..]);
            footer
                .and_then(|footer| ParquetMetaDataReader::decode_metadata(footer).ok())
                .is_some_and(|metadata| entry(&metadata, ENCODERS_KEY).is_some())
        })
}
