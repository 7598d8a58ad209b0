//! Tables of anybody's, read in parts: record batches, Parquet, CSV.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::place::Place;
use crate::tables::check_chunk;
use crate::text::{Dialect, FULL, Row, TableFile, Texts, read_exact_at, shorten};
use crate::{Error, Result};

/// Rows that are handed over at a time.
const ROWS: usize = 1 << 16;

/// A table, and how it is read.
pub(super) struct Source<'a> {
    /// What the table is of, for messages.
    pub table: &'static str,
    schema: SchemaRef,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Batches(&'a [RecordBatch]),
    Parquet(Parquet),
    Text { path: PathBuf, dialect: Dialect },
}

struct Parquet {
    path: PathBuf,
    file: SharedFile,
    metadata: ArrowReaderMetadata,
    /// The same with texts as views of what is read, which are not copied.
    views: ArrowReaderMetadata,
}

/// Some rows of a table, and how many come before them.
pub(super) struct Rows {
    pub batch: RecordBatch,
    pub before: usize,
}

impl<'a> Source<'a> {
    /// Of record batches of one schema.
    ///
    /// # Errors
    /// None, or some of several schemas.
    pub fn of_batches(table: &'static str, batches: &'a [RecordBatch]) -> Result<Self> {
        let Some(first) = batches.first() else {
            let rule = "a table has one record batch or more";
            return Err(Error::setting("number of record batches", 0, rule));
        };
        let schema = first.schema();
        if batches
            .iter()
            .any(|batch| !same_columns(batch.schema_ref(), &schema))
        {
            let rule = "record batches of one table have the same columns of the same types";
            return Err(Error::setting("record batches", table, rule));
        }
        Ok(Self {
            table,
            schema,
            kind: Kind::Batches(batches),
        })
    }

    /// Of the file at `path`: Parquet by its name or its first and last bytes, text with a header otherwise,
    /// which may be compressed by gzip; tabs between fields where it is called `.tsv`.
    ///
    /// # Errors
    /// A file that cannot be read, is no regular one, or is not what its name says.
    pub fn open(table: &'static str, path: &Path) -> Result<Self> {
        if is_parquet(path)? {
            let parquet = Parquet::open(path)?;
            return Ok(Self {
                table,
                schema: Arc::clone(parquet.metadata.schema()),
                kind: Kind::Parquet(parquet),
            });
        }
        let name = path.to_string_lossy();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let dialect = match name.ends_with(".tsv") {
            true => Dialect::Tsv,
            false => Dialect::Csv,
        };
        let file = TableFile::open_all(path, &dialect)?;
        let text = |name: &String| Field::new(name, DataType::Utf8, true);
        let fields: Vec<Field> = file.names().iter().map(text).collect();
        Ok(Self {
            table,
            schema: Arc::new(ArrowSchema::new(fields)),
            kind: Kind::Text {
                path: path.to_owned(),
                dialect,
            },
        })
    }

    /// A column of it, for messages, with so many rows before those at hand.
    pub fn place<'b>(&self, column: &'b str, before: usize) -> Place<'b> {
        Place {
            before,
            ..Place::of(self.table, column)
        }
    }

    pub fn schema(&self) -> &ArrowSchema {
        &self.schema
    }

    /// Whether all columns are texts, whatever is in them; an empty one is null.
    pub fn is_untyped(&self) -> bool {
        matches!(self.kind, Kind::Text { .. })
    }

    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Batches(_) => None,
            Kind::Parquet(Parquet { path, .. }) | Kind::Text { path, .. } => Some(path),
        }
    }

    /// How many parts can be read side by side.
    pub fn parts(&self) -> usize {
        match &self.kind {
            Kind::Batches(batches) => batches.len(),
            Kind::Parquet(parquet) => parquet.metadata.metadata().num_row_groups(),
            Kind::Text { .. } => 1,
        }
    }

    /// Hands out the rows of a part with some columns, in the order in which they are named.
    ///
    /// # Errors
    /// What cannot be read, and what `take` returns, with the file where there is one.
    pub fn read(
        &self,
        part: usize,
        columns: &[&str],
        take: &mut dyn FnMut(Rows) -> Result<()>,
    ) -> Result<()> {
        match &self.kind {
            Kind::Batches(batches) => {
                let before = batches[..part].iter().map(RecordBatch::num_rows).sum();
                let batch = self.project(&batches[part], columns)?;
                take(Rows { batch, before })
            }
            Kind::Parquet(parquet) => {
                let project = |batch: &RecordBatch| self.project(batch, columns);
                parquet.read(part, columns, &project, take)
            }
            Kind::Text { path, dialect } => read_text(self.table, path, dialect, columns, take),
        }
        .map_err(|error| self.in_file(error))
    }

    /// Hands out a column in parts, as [`Self::read`] does, with the place of each.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_column(
        &self,
        column: &str,
        mut take: impl FnMut(&ArrayRef, &Place) -> Result<()>,
    ) -> Result<()> {
        (0..self.parts()).try_for_each(|part| {
            self.read(part, &[column], &mut |Rows { batch, before }| {
                take(batch.column(0), &self.place(column, before))
            })
        })
    }

    /// All rows of some columns.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_all(&self, columns: &[&str]) -> Result<RecordBatch> {
        let mut batches = Vec::new();
        for part in 0..self.parts() {
            self.read(part, columns, &mut |rows| {
                batches.push(rows.batch);
                Ok(())
            })?;
        }
        let schema = match batches.first() {
            // Texts may be views.
            Some(first) => first.schema(),
            None => self.schema_of(columns),
        };
        let all = arrow_select::concat::concat_batches(&schema, &batches);
        all.map_err(Error::table(self.table))
    }

    /// An error at a row of the table, said with its file and, of text, its line.
    pub fn in_file(&self, error: Error) -> Error {
        match (&self.kind, error) {
            (
                Kind::Text { path, dialect },
                Error::Column {
                    table,
                    column,
                    row: Some(row),
                    problem,
                },
            ) => match line_of(path, dialect, row) {
                Some(line) => Error::Row {
                    path: path.clone(),
                    line,
                    column,
                    problem,
                },
                None => Error::in_file(path)(Error::Column {
                    table,
                    column,
                    row: Some(row),
                    problem,
                }),
            },
            (
                Kind::Parquet(Parquet { path, .. }) | Kind::Text { path, .. },
                error @ Error::Column { .. },
            ) => Error::in_file(path)(error),
            (_, error) => error,
        }
    }

    fn schema_of(&self, columns: &[&str]) -> SchemaRef {
        let fields = columns
            .iter()
            .filter_map(|name| self.schema.field_with_name(name).ok());
        Arc::new(ArrowSchema::new(fields.cloned().collect::<Vec<_>>()))
    }

    fn project(&self, batch: &RecordBatch, columns: &[&str]) -> Result<RecordBatch> {
        let places = columns.iter().map(|name| batch.schema_ref().index_of(name));
        let places: Vec<usize> = places
            .collect::<Result<_, _>>()
            .map_err(Error::table(self.table))?;
        batch.project(&places).map_err(Error::table(self.table))
    }
}

/// Whether a file is one of Parquet. What is no regular file is refused: it is read more than once,
/// and in several places.
fn is_parquet(path: &Path) -> Result<bool> {
    let metadata = std::fs::metadata(path).map_err(Error::read(path))?;
    if !metadata.is_file() {
        let rule = match metadata.is_dir() {
            true => "a table is a file: name one of the folder, or make one of several",
            false => "a table is a regular file, which can be read twice: write it to one",
        };
        return Err(Error::setting("file", path.display(), rule));
    }
    if path
        .extension()
        .is_some_and(|it| it.eq_ignore_ascii_case("parquet"))
    {
        return Ok(true);
    }
    let Some(end) = metadata.len().checked_sub(4).filter(|&end| end >= 4) else {
        return Ok(false);
    };
    let file = File::open(path).map_err(Error::read(path))?;
    let is_magic = |at| {
        let mut bytes = [0; 4];
        let found = read_exact_at(&file, &mut bytes, at).map(|()| bytes == *b"PAR1");
        found.map_err(Error::read(path))
    };
    Ok(is_magic(0)? && is_magic(end)?)
}

fn same_columns(a: &ArrowSchema, b: &ArrowSchema) -> bool {
    let columns = |schema: &ArrowSchema| -> Vec<(String, DataType)> {
        let fields = schema.fields().iter();
        fields
            .map(|it| (it.name().clone(), it.data_type().clone()))
            .collect()
    };
    columns(a) == columns(b)
}

impl Parquet {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::read(path))?;
        let file = SharedFile {
            length: file.metadata().map_err(Error::read(path))?.len(),
            file: Arc::new(file),
        };
        let metadata =
            ArrowReaderMetadata::load(&file, Default::default()).map_err(Error::parquet(path))?;
        let fields = metadata
            .schema()
            .fields()
            .iter()
            .map(|field| match field.data_type() {
                DataType::Utf8 | DataType::LargeUtf8 => {
                    Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View))
                }
                _ => Arc::clone(field),
            });
        let schema = ArrowSchema::new(fields.collect::<Vec<_>>());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        let views = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options);
        Ok(Self {
            path: path.to_owned(),
            file,
            views: views.unwrap_or_else(|_| metadata.clone()),
            metadata,
        })
    }

    fn read(
        &self,
        group: usize,
        columns: &[&str],
        project: &dyn Fn(&RecordBatch) -> Result<RecordBatch>,
        take: &mut dyn FnMut(Rows) -> Result<()>,
    ) -> Result<()> {
        let path = &self.path;
        let groups = self.metadata.metadata().row_groups();
        let fields = self.metadata.schema().fields().iter().enumerate();
        let wanted = fields.filter(|(_, field)| columns.contains(&field.name().as_str()));
        let wanted = ProjectionMask::roots(
            self.metadata.parquet_schema(),
            wanted.map(|(place, _)| place),
        );
        for (leaf, chunk) in groups[group].columns().iter().enumerate() {
            if wanted.leaf_included(leaf) {
                check_chunk(path, self.file.length, chunk)?;
            }
        }
        let rows = |group: usize| usize::try_from(groups[group].num_rows()).unwrap_or(0);
        let mut before: usize = (0..group).map(rows).sum();
        let end = before + rows(group);
        let file = self.file.clone();
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.views.clone())
            .with_projection(wanted)
            .with_row_groups(vec![group])
            .with_batch_size(ROWS)
            .build()
            .map_err(Error::parquet(path))?;
        for batch in reader {
            let batch = batch.map_err(Error::parquet(path))?;
            let rows = batch.num_rows();
            let batch = project(&batch)?;
            take(Rows { batch, before })?;
            before += rows;
        }
        match before == end {
            true => Ok(()),
            false => Err(Error::parquet(path)(
                "a group has not the rows that the footer speaks of",
            )),
        }
    }
}

/// A file that several readers read side by side, each where it is: the place in a [`File`] is one
/// for all that share it.
#[derive(Clone)]
struct SharedFile {
    file: Arc<File>,
    length: u64,
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for SharedFile {
    type T = BufReader<Behind>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(Behind {
            file: self.clone(),
            at: start,
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let is_there = start
            .checked_add(length as u64)
            .is_some_and(|end| end <= self.length);
        if !is_there {
            return Err(ParquetError::EOF(
                "it ends before its columns do".to_owned(),
            ));
        }
        let mut bytes = vec![0; length];
        read_exact_at(&self.file, &mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// What lies behind a place.
struct Behind {
    file: SharedFile,
    at: u64,
}

impl Read for Behind {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.file.length.saturating_sub(self.at);
        let length = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        read_exact_at(&self.file.file, &mut buffer[..length], self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

/// Rows of a file of text, as columns of texts.
fn read_text(
    table: &'static str,
    path: &Path,
    dialect: &Dialect,
    columns: &[&str],
    take: &mut dyn FnMut(Rows) -> Result<()>,
) -> Result<()> {
    let file = TableFile::open(path, dialect, columns)?;
    let mut texts = TextColumns::new(table, columns);
    file.for_each(|row| {
        texts.push(row)?;
        match texts.rows() {
            ROWS => take(texts.hand_over()?),
            _ => Ok(()),
        }
    })?;
    match texts.rows() {
        0 => Ok(()),
        _ => take(texts.hand_over()?),
    }
}

struct TextColumns<'a> {
    table: &'static str,
    names: &'a [&'a str],
    columns: Vec<(Texts, Vec<bool>)>,
    before: usize,
}

impl<'a> TextColumns<'a> {
    fn new(table: &'static str, names: &'a [&'a str]) -> Self {
        Self {
            table,
            names,
            columns: names.iter().map(|_| Default::default()).collect(),
            before: 0,
        }
    }

    fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, present)| present.len())
    }

    fn push(&mut self, row: &Row) -> Result<()> {
        for (place, (texts, present)) in self.columns.iter_mut().enumerate() {
            let text = row.text(place)?;
            let text = text.trim();
            texts.push(text).ok_or_else(|| row.bad(place, FULL))?;
            present.push(!text.is_empty());
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<Rows> {
        let rows = self.rows();
        let arrays = self.columns.iter_mut().map(|column| {
            let (texts, present) = std::mem::take(column);
            let array: ArrayRef = Arc::new(texts.nullable(Some(present))?);
            Ok(array)
        });
        let arrays: Vec<ArrayRef> = arrays
            .collect::<Result<_, _>>()
            .map_err(Error::table(self.table))?;
        let fields = self.names.iter().zip(&arrays);
        let fields = fields.map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
        let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
        let batch = RecordBatch::try_new(schema, arrays).map_err(Error::table(self.table))?;
        let before = self.before;
        self.before += rows;
        Ok(Rows { batch, before })
    }
}

/// The line on which a row of a file of text begins: the file is read again up to there.
fn line_of(path: &Path, dialect: &Dialect, wanted: usize) -> Option<u64> {
    let (mut number, mut line) = (0, None);
    let file = TableFile::open_all(path, dialect).ok()?;
    let _ends_at_the_row = file.for_each(|row| {
        if number == wanted {
            line = Some(row.line());
            return Err(row.bad(0, "is the row that was looked for"));
        }
        number += 1;
        Ok(())
    });
    line
}

/// A value of a column, for a message.
pub(super) fn shown(array: &ArrayRef, row: usize) -> String {
    use arrow_array::cast::AsArray;
    let text = match array.data_type() {
        _ if array.is_null(row) => "null".to_owned(),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).to_owned(),
        DataType::Utf8View => array.as_string_view().value(row).to_owned(),
        _ => format!("{:?}", array.slice(row, 1)),
    };
    shorten(&text)
}
