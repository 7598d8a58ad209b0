//! Reading a text table row by row, with errors that name file, line and
//! column.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::columns::Columns;
use super::limits::{Excess, LONGEST_ROW, RowEnd, RowLimit};
use super::numbers::{decimal_of, id_of};
use super::shape::{LineFeeds, Shape, head_of};
use super::{Dialect, FULL, Texts, open};
use crate::{Error, Result};

/// The longest piece of offending text that an error repeats.
const SHOWN_CHARACTERS: usize = 40;

/// A row put after the last one of a CSV file: a quote that is left open
/// swallows it, and so is found.
const END: &str = "\u{4}end of file\u{4}";

/// A table of text whose header, where it has one, has been checked.
pub(crate) struct TableFile {
    context: Context,
    /// How many fields a row has.
    width: usize,
    rows: Rows,
}

enum Rows {
    Csv {
        reader: Box<csv::Reader<Box<dyn Read>>>,
        end: RowEnd,
        /// Lines before the first row.
        before: u64,
    },
    Plain {
        reader: Box<dyn BufRead>,
        separator: &'static str,
        width: usize,
        wide: Option<usize>,
        before: u64,
    },
}

/// One row, its fields numbered as the `names` that the file was opened with.
pub(crate) struct Row<'a> {
    file: &'a Context,
    record: &'a ByteRecord,
    line: u64,
}

struct Context {
    path: PathBuf,
    /// As the file has them, or as they are looked for where it has none.
    names: Vec<String>,
    /// Where each of `names` stands in a record, if it does.
    positions: Vec<Option<usize>>,
    separator: &'static str,
    /// Whether the first line has the names of columns.
    has_header: bool,
    latin1: bool,
}

impl TableFile {
    /// Opens `path`. In CSV the columns `names` are found in the header, in any
    /// order and among any others, by their own or another usual name; elsewhere they are the
    /// first ones. What stands between fields is found out.
    pub(crate) fn open(path: &Path, dialect: &Dialect, names: &[&str]) -> Result<Self> {
        Self::open_with(path, dialect, Some(&Columns::all(names)))
    }

    /// The same of columns some of which may be missing.
    pub(crate) fn open_columns(path: &Path, dialect: &Dialect, columns: &Columns) -> Result<Self> {
        Self::open_with(path, dialect, Some(columns))
    }

    /// Opens the file at `path`, which has a header, with all the columns that it names.
    pub(crate) fn open_all(path: &Path, dialect: &Dialect) -> Result<Self> {
        Self::open_with(path, dialect, None)
    }

    fn open_with(path: &Path, dialect: &Dialect, wanted: Option<&Columns>) -> Result<Self> {
        let mut bytes = open(path)?;
        let head = head_of(&mut bytes).map_err(|error| broken(path, 0, error))?;
        let shape = Shape::of(path, &head, dialect, wanted)?;
        let wanted = wanted.map_or(&[][..], |columns| columns.names);
        if shape.is_guessed {
            tracing::warn!(
                "{} has no header: its columns are taken for {}; if they are others, write their \
                 names in a line above them",
                path.display(),
                wanted[..shape.width].join(",")
            );
        }
        let mut head = Cursor::new(head);
        head.set_position(shape.start as u64);
        let mut bytes: Box<dyn Read> = Box::new(head.chain(bytes));
        if shape.has_returns {
            bytes = Box::new(LineFeeds(bytes));
        }
        let Shape {
            separator,
            width,
            positions,
            lines: before,
            ..
        } = shape;
        let header = shape.header.as_deref();
        let name = |(place, &at): (usize, &Option<usize>)| {
            let of_header = header.and_then(|header| header.get(at?));
            of_header
                .cloned()
                .unwrap_or_else(|| wanted[place].to_owned())
        };
        let (is_plain, wide) = match *dialect {
            Dialect::Plain { wide, .. } => (true, wide),
            Dialect::Csv | Dialect::Tsv => (false, None),
        };
        let rows = match separator.as_bytes() {
            &[delimiter] if !is_plain => Rows::csv(bytes, delimiter, before),
            _ => Rows::Plain {
                reader: Box::new(BufReader::new(bytes)),
                separator,
                width,
                wide,
                before,
            },
        };
        Ok(Self {
            context: Context {
                path: path.to_owned(),
                names: positions.iter().enumerate().map(name).collect(),
                positions,
                separator,
                has_header: header.is_some(),
                latin1: is_plain,
            },
            width,
            rows,
        })
    }

    /// The columns that it was opened with.
    pub(crate) fn names(&self) -> &[String] {
        &self.context.names
    }

    /// Whether the file has a column of those that it was opened with.
    pub(crate) fn has(&self, column: usize) -> bool {
        self.context.positions[column].is_some()
    }

    /// Calls `take` with each row; a file without one is an error. Blank lines
    /// are passed over.
    pub(crate) fn for_each(mut self, mut take: impl FnMut(&Row) -> Result<()>) -> Result<()> {
        let mut record = ByteRecord::new();
        let (mut line, mut next_line, mut rows) = (0, self.rows.first_line(), 0u64);
        while self
            .rows
            .next(&mut record, &mut line, &mut next_line)
            .map_err(|error| broken(&self.context.path, next_line, error))?
        {
            let is_csv = matches!(self.rows, Rows::Csv { .. });
            // A spreadsheet writes rows of nothing but separators.
            let is_blank = record.iter().all(|field| field.trim_ascii().is_empty());
            if is_blank && (is_csv || record.len() == 1) {
                continue;
            }
            if is_csv && record.len() == 1 && &record[0] == END.as_bytes() {
                continue;
            }
            let row = Row {
                file: &self.context,
                record: &record,
                line,
            };
            if is_csv && contains(record.as_slice(), END.as_bytes()) {
                return Err(row.bad_row(
                    "opens a quote that is not closed in all of the file; close or remove it",
                ));
            }
            if record.len() != self.width {
                let of = match self.context.has_header {
                    true => "header",
                    false => "format",
                };
                return Err(row.bad_row(&format!(
                    "has {} fields where the {of} has {}; mend or remove it (is a quote left open?)",
                    record.len(),
                    self.width
                )));
            }
            take(&row)?;
            rows += 1;
        }
        if rows == 0 {
            return Err(Error::Empty {
                path: self.context.path,
                expected: self.context.names.join(","),
            });
        }
        Ok(())
    }
}

impl Rows {
    fn csv(bytes: Box<dyn Read>, delimiter: u8, before: u64) -> Self {
        let end = Cursor::new(format!("\n{END}\n"));
        let (bytes, end) = RowLimit::new(bytes.chain(end));
        let bytes: Box<dyn Read> = Box::new(bytes);
        let reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .delimiter(delimiter)
            // By default a record ends between \r and \n, and the next one
            // then seems to begin a line too early.
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(bytes);
        Self::Csv {
            reader: Box::new(reader),
            end,
            before,
        }
    }

    /// The line behind the header, if there is one.
    fn first_line(&self) -> u64 {
        match self {
            Self::Csv { before, .. } | Self::Plain { before, .. } => before + 1,
        }
    }

    /// Reads the next row; false at the end.
    fn next(
        &mut self,
        record: &mut ByteRecord,
        line: &mut u64,
        next_line: &mut u64,
    ) -> std::io::Result<bool> {
        match self {
            Self::Csv {
                reader,
                end,
                before,
            } => {
                let more = reader.read_byte_record(record).map_err(io_error)?;
                end.reached();
                *line = *before + record.position().map_or(0, csv::Position::line);
                *next_line = *before + reader.position().line();
                Ok(more)
            }
            Self::Plain {
                reader,
                separator,
                width,
                wide,
                ..
            } => {
                let mut text = Vec::new();
                let read = reader
                    .by_ref()
                    .take(LONGEST_ROW + 1)
                    .read_until(b'\n', &mut text)?;
                if read as u64 > LONGEST_ROW {
                    return Err(Excess::Row.into_error());
                }
                *line = *next_line;
                *next_line += 1;
                record.clear();
                if text.ends_with(b"\n") {
                    text.pop();
                }
                split(&text, separator.as_bytes(), *width, *wide, record);
                Ok(read > 0)
            }
        }
    }
}

/// Splits a line into fields; separators beyond those of `width` fields belong
/// to the field `wide`.
fn split(
    line: &[u8],
    separator: &[u8],
    width: usize,
    wide: Option<usize>,
    record: &mut ByteRecord,
) {
    let cuts: Vec<usize> = memchr::memmem::find_iter(line, separator).collect();
    let extra = (cuts.len() + 1).saturating_sub(width);
    let mut start = 0;
    for (number, &cut) in cuts.iter().enumerate() {
        if wide.is_some_and(|wide| (wide..wide + extra).contains(&number)) {
            continue;
        }
        record.push_field(&line[start..cut]);
        start = cut + separator.len();
    }
    record.push_field(&line[start..]);
}

impl Row<'_> {
    /// A whole number of 0 to 2³² − 1, as MovieLens numbers users and movies.
    pub(crate) fn id(&self, column: usize) -> Result<u32> {
        // Where a comma is not what stands between fields, a point may be one of thousands.
        let has_thousands = matches!(self.file.separator, ";" | "\t");
        let text = std::str::from_utf8(self.field(column)).ok();
        let id = text.and_then(|text| id_of(text, has_thousands));
        id.ok_or_else(|| {
            let problem =
                "is not an id (a whole number from 0 to 4294967295); mend or remove the row";
            self.bad(column, problem)
        })
    }

    /// A number that is neither NaN nor infinite.
    pub(crate) fn number(&self, column: usize) -> Result<f32> {
        let text = std::str::from_utf8(self.field(column)).ok();
        let value = text.and_then(decimal_of);
        let value =
            value.ok_or_else(|| self.bad(column, "is not a number; mend or remove the row"))?;
        if !value.is_finite() {
            return Err(self.bad(column, "is not a finite number; mend or remove the row"));
        }
        Ok(value)
    }

    /// One-based line on which the row starts.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Text, as it stands.
    pub(crate) fn text(&self, column: usize) -> Result<Cow<'_, str>> {
        let field = self.field(column);
        if field.contains(&0) {
            return Err(self.bad(column, "holds a NUL byte; mend or remove the row"));
        }
        match std::str::from_utf8(field) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            // Latin-1 bytes are the first 256 code points. No title of a
            // release that is written so happens to be valid UTF-8.
            Err(_) if self.file.latin1 => Ok(field.iter().map(|&byte| char::from(byte)).collect()),
            Err(_) => Err(self.bad(column, "is not UTF-8; save the file as UTF-8")),
        }
    }

    /// Adds the text of `column` to a column of a table.
    pub(crate) fn push_text(&self, column: usize, texts: &mut Texts) -> Result<()> {
        let text = self.text(column)?;
        self.push(column, &text, texts)
    }

    /// Appends what is made of the text of `column`.
    pub(crate) fn push(&self, column: usize, text: &str, texts: &mut Texts) -> Result<()> {
        texts.push(text).ok_or_else(|| self.bad(column, FULL))
    }

    /// An error at this row that opens with the text of `column`.
    pub(crate) fn bad(&self, column: usize, problem: &str) -> Error {
        let text = String::from_utf8_lossy(self.field(column));
        Error::Row {
            path: self.file.path.clone(),
            line: self.line,
            column: self.file.names[column].clone(),
            problem: format!("'{}' {problem}", shorten(&text)),
        }
    }

    /// An error about the whole row, which stands in quotes before `problem`.
    fn bad_row(&self, problem: &str) -> Error {
        // No more of a long row than is shown.
        let fields = self.record.iter().take(SHOWN_CHARACTERS);
        let fields: Vec<_> = fields.map(String::from_utf8_lossy).collect();
        let text = fields.join(self.file.separator);
        Error::Row {
            path: self.file.path.clone(),
            line: self.line,
            column: String::new(),
            problem: format!("the row '{}' {problem}", shorten(text.trim_end())),
        }
    }

    /// The field that stands `number` fields after those with names, as it is;
    /// empty where there is none.
    pub(crate) fn beyond(&self, number: usize) -> &[u8] {
        let position = self.file.names.len() + number;
        self.record.get(position).map_or(b"", |_| self.at(position))
    }

    /// The fields that stand after all of those with names.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &[u8]> {
        let last = self.file.positions.iter().flatten().max();
        let first = last.map_or(0, |last| last + 1);
        (first..self.record.len()).map(|position| self.at(position))
    }

    /// What stands in a column; nothing, where the file does not have it.
    pub(super) fn field(&self, column: usize) -> &[u8] {
        self.file.positions[column].map_or(b"", |position| self.at(position))
    }

    fn at(&self, position: usize) -> &[u8] {
        let field = &self.record[position];
        match field.strip_suffix(b"\r") {
            Some(field) if position + 1 == self.record.len() => field,
            _ => field,
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// What a reader says in the middle of a file, after `line`: the file cannot be read,
/// what it is compressed into ends early, or there is too much of it.
pub(crate) fn broken(path: &Path, line: u64, source: std::io::Error) -> Error {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let excess = source.get_ref().and_then(|it| it.downcast_ref::<Excess>());
    if let Some(excess) = excess {
        return Error::Row {
            path: path.to_owned(),
            line: line.max(1),
            column: String::new(),
            problem: excess.to_string(),
        };
    }
    match source.kind() {
        UnexpectedEof | InvalidData | InvalidInput => Error::Damaged {
            path: path.to_owned(),
            line,
            source,
        },
        _ => Error::read(path)(source),
    }
}

fn io_error(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => source,
        other => std::io::Error::other(format!("{other:?}")),
    }
}

/// Cuts text to a length that fits a one-line message, control characters
/// escaped.
pub(crate) fn shorten(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(SHOWN_CHARACTERS)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN_CHARACTERS).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(u32, String)>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        let mut rows = Vec::new();
        TableFile::open(&path, &Dialect::Csv, &["movieId", "title"])?.for_each(|row| {
            rows.push((row.id(0)?, row.text(1)?.into_owned()));
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn odd_but_whole_files_are_read() {
        let expected = vec![(1, "Heat".to_owned()), (2, "Cat, \"The\"".to_owned())];
        for text in [
            "movieId,title\n1,Heat\n2,\"Cat, \"\"The\"\"\"\n",
            "\u{feff}movieId,title\n1,Heat\n2,\"Cat, \"\"The\"\"\"\n",
            "movieId,title\r\n1,Heat\r\n2,\"Cat, \"\"The\"\"\"\r\n",
            "movieId,title\n1,Heat\n2,\"Cat, \"\"The\"\"\"\n\n",
            "movieId,title\r\n1,Heat\r\n2,\"Cat, \"\"The\"\"\"\r\n\r\n",
            "movieId,title\n1,Heat\n2,\"Cat, \"\"The\"\"\"",
            "genres,title,movieId\nx,Heat,1\ny,\"Cat, \"\"The\"\"\",2\n",
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_counted_through_quoted_line_breaks_and_windows_line_ends() {
        for text in [
            "movieId,title\n1,\"two\nlines\"\nx,Heat\n",
            "movieId,title\r\n1,\"two\r\nlines\"\r\nx,Heat\r\n",
            "movieId,title\r\n1,Heat\r\n2,Big\r\nx,Heat\r\n",
            "movieId,title\r\n1,Heat\r\n2,Big\r\nx\r\n",
        ] {
            let error = read(text).unwrap_err();
            assert!(matches!(error, Error::Row { line: 4, .. }), "{error}");
        }
    }

    #[test]
    fn long_and_strange_text_is_cut_and_escaped() {
        let error = read(&format!("movieId,title\n{}\u{7},x\n", "9".repeat(500))).unwrap_err();
        let message = error.to_string();
        assert!(message.contains('…') && message.len() < 300, "{message}");
        let error = read("movieId,title\n1\u{0}\u{1b}[31m,x\n").unwrap_err();
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
}
