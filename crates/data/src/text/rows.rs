//! Reading a text table row by row, with errors that name file, line and
//! column.

use std::borrow::{Borrow, Cow};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::limits::{Excess, LONGEST_ROW, RowEnd, RowLimit};
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
    },
    Plain {
        reader: Box<dyn BufRead>,
        separator: &'static str,
        width: usize,
        wide: Option<usize>,
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
    names: Vec<String>,
    /// Where each of `names` stands in a record.
    positions: Vec<usize>,
    latin1: bool,
}

impl TableFile {
    /// Opens `path`. In CSV the columns `names` are found in the header, in any
    /// order and among any others; elsewhere they are the first ones.
    pub(crate) fn open(path: &Path, dialect: &Dialect, names: &[&str]) -> Result<Self> {
        Self::open_with(path, dialect, Some(names))
    }

    /// Opens the file at `path`, which has a header, with all the columns that it names.
    pub(crate) fn open_all(path: &Path, dialect: &Dialect) -> Result<Self> {
        Self::open_with(path, dialect, None)
    }

    fn open_with(path: &Path, dialect: &Dialect, wanted: Option<&[&str]>) -> Result<Self> {
        let names = wanted.unwrap_or_default();
        let mut bytes = BufReader::new(open(path)?);
        let start = bytes
            .fill_buf()
            .map_err(|error| broken(path, names, 0, error))?;
        if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
            return Err(Error::Row {
                path: path.to_owned(),
                line: 1,
                column: names.join(","),
                problem: "the file is UTF-16; save it as UTF-8".to_owned(),
            });
        }
        match *dialect {
            Dialect::Csv => Self::open_csv(path, bytes, b',', wanted),
            Dialect::Tsv => Self::open_csv(path, bytes, b'\t', wanted),
            Dialect::Plain {
                separator,
                width,
                wide,
            } => Ok(Self {
                context: Context {
                    path: path.to_owned(),
                    names: names.iter().map(|&name| name.to_owned()).collect(),
                    positions: (0..names.len()).collect(),
                    latin1: true,
                },
                width,
                rows: Rows::Plain {
                    reader: Box::new(bytes),
                    separator,
                    width,
                    wide,
                },
            }),
        }
    }

    fn open_csv(
        path: &Path,
        bytes: impl Read + 'static,
        delimiter: u8,
        wanted: Option<&[&str]>,
    ) -> Result<Self> {
        let names = wanted.unwrap_or_default();
        let end = std::io::Cursor::new(format!("\n{END}\n"));
        let (bytes, end) = RowLimit::new(bytes.chain(end));
        let bytes: Box<dyn Read> = Box::new(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .delimiter(delimiter)
            // By default a record ends between \r and \n, and the next one
            // then seems to begin a line too early.
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(bytes);
        let header = reader
            .byte_headers()
            .map_err(|error| broken(path, names, 0, io_error(error)))?;
        end.reached();
        let mut header: Vec<String> = header
            .iter()
            .map(|field| String::from_utf8_lossy(field).trim().to_owned())
            .collect();
        let expected = || match wanted {
            Some(names) => names.join(","),
            None => "names of columns, as user_id,item_id".to_owned(),
        };
        if header.first().is_some_and(|first| first == END) {
            header.clear();
        }
        if header.iter().all(String::is_empty) {
            return Err(Error::Empty {
                path: path.to_owned(),
                expected: expected(),
            });
        }
        let mut seen = HashSet::with_capacity(header.len());
        if let Some(column) = header.iter().find(|column| !seen.insert(*column)) {
            return Err(Error::DuplicateColumn {
                path: path.to_owned(),
                column: shorten(column),
            });
        }
        let names = match wanted {
            Some(names) => names.iter().map(|&name| name.to_owned()).collect(),
            None => header.clone(),
        };
        let positions = names
            .iter()
            .map(|name| {
                header
                    .iter()
                    .position(|column| column == name)
                    .ok_or_else(|| Error::MissingColumn {
                        path: path.to_owned(),
                        column: name.clone(),
                        found: shorten(&header.join(",")),
                        expected: expected(),
                    })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            context: Context {
                path: path.to_owned(),
                names,
                positions,
                latin1: false,
            },
            width: header.len(),
            rows: Rows::Csv {
                reader: Box::new(reader),
                end,
            },
        })
    }

    /// The columns that it was opened with.
    pub(crate) fn names(&self) -> &[String] {
        &self.context.names
    }

    /// Calls `take` with each row; a file without one is an error. Blank lines
    /// are passed over.
    pub(crate) fn for_each(mut self, mut take: impl FnMut(&Row) -> Result<()>) -> Result<()> {
        let mut record = ByteRecord::new();
        let (mut line, mut next_line, mut rows) = (0, self.rows.first_line(), 0u64);
        while self
            .rows
            .next(&mut record, &mut line, &mut next_line)
            .map_err(|error| broken(&self.context.path, &self.context.names, next_line, error))?
        {
            if record.len() == 1 && record[0].trim_ascii().is_empty() {
                continue;
            }
            let is_csv = matches!(self.rows, Rows::Csv { .. });
            if is_csv && record.len() == 1 && &record[0] == END.as_bytes() {
                continue;
            }
            let row = Row {
                file: &self.context,
                record: &record,
                line,
            };
            if is_csv && contains(record.as_slice(), END.as_bytes()) {
                return Err(row.bad_row("a quote is left open from here to the end of the file"));
            }
            if record.len() != self.width {
                return Err(row.bad_row(&format!(
                    "the row has {} fields where the {} has {}; mend or remove it (is a quote left open?)",
                    record.len(),
                    if is_csv { "header" } else { "format" },
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
    /// The line behind the header, if there is one.
    fn first_line(&self) -> u64 {
        match self {
            Self::Csv { reader, .. } => reader.position().line(),
            Self::Plain { .. } => 1,
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
            Self::Csv { reader, end } => {
                let more = reader.read_byte_record(record).map_err(io_error)?;
                end.reached();
                *line = record.position().map_or(0, csv::Position::line);
                *next_line = reader.position().line();
                Ok(more)
            }
            Self::Plain {
                reader,
                separator,
                width,
                wide,
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
        self.parse(column, "is not an id (a whole number from 0 to 4294967295)")
    }

    /// A whole number of seconds.
    pub(crate) fn timestamp(&self, column: usize) -> Result<u32> {
        self.parse(
            column,
            "is not a timestamp (whole seconds since 1970, below 2^32)",
        )
    }

    /// A number that is neither NaN nor infinite.
    pub(crate) fn number(&self, column: usize) -> Result<f32> {
        let value: f32 = self.parse(column, "is not a number")?;
        if !value.is_finite() {
            return Err(self.bad(column, "is not a finite number"));
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
        texts.push(&text).ok_or_else(|| self.bad(column, FULL))
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

    /// An error about the whole row.
    fn bad_row(&self, problem: &str) -> Error {
        let text = String::from_utf8_lossy(self.record.as_slice());
        Error::Row {
            path: self.file.path.clone(),
            line: self.line,
            column: self.file.names.join(","),
            problem: format!("'{}': {problem}", shorten(&text)),
        }
    }

    /// The field that stands `number` fields after those with names, as it is;
    /// empty where there is none.
    pub(crate) fn beyond(&self, number: usize) -> &[u8] {
        let position = self.file.names.len() + number;
        self.record.get(position).map_or(b"", |_| self.at(position))
    }

    /// The fields that stand after those with names, where those come first.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &[u8]> {
        (self.file.names.len()..self.record.len()).map(|position| self.at(position))
    }

    fn field(&self, column: usize) -> &[u8] {
        self.at(self.file.positions[column])
    }

    fn at(&self, position: usize) -> &[u8] {
        let field = &self.record[position];
        match field.strip_suffix(b"\r") {
            Some(field) if position + 1 == self.record.len() => field,
            _ => field,
        }
    }

    fn parse<T: std::str::FromStr>(&self, column: usize, problem: &str) -> Result<T> {
        std::str::from_utf8(self.field(column))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| self.bad(column, problem))
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// What a reader says in the middle of a file, after `line`: the file cannot be read,
/// what it is compressed into ends early, or there is too much of it.
pub(crate) fn broken(
    path: &Path,
    names: &[impl Borrow<str>],
    line: u64,
    source: std::io::Error,
) -> Error {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let excess = source.get_ref().and_then(|it| it.downcast_ref::<Excess>());
    if let Some(excess) = excess {
        return Error::Row {
            path: path.to_owned(),
            line: line.max(1),
            column: names.join(","),
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
