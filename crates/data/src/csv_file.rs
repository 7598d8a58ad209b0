//! Reading a CSV file by named columns, with errors that name file, line and
//! column.

use std::fs::File;
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use crate::{Error, Result};

/// The longest piece of offending text that an error repeats.
const SHOWN_CHARACTERS: usize = 40;

/// A CSV file whose header has been checked.
pub(crate) struct CsvFile {
    path: PathBuf,
    names: &'static [&'static str],
    /// Where each of `names` stands in a record.
    positions: Vec<usize>,
    width: usize,
    reader: csv::Reader<File>,
}

/// One record, its fields numbered as the `names` that the file was opened
/// with.
pub(crate) struct Row<'a> {
    file: &'a RowContext<'a>,
    record: &'a ByteRecord,
    line: u64,
}

struct RowContext<'a> {
    path: &'a Path,
    names: &'static [&'static str],
    positions: &'a [usize],
}

impl CsvFile {
    /// Opens `path` and finds the columns `names` in its header, in any order
    /// and among any others.
    pub(crate) fn open(path: &Path, names: &'static [&'static str]) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(Error::read(path))?;
        if metadata.is_dir() {
            let source = std::io::Error::from(std::io::ErrorKind::IsADirectory);
            return Err(Error::read(path)(source));
        }
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            // By default a record ends between \r and \n, and the next one
            // then seems to begin a line too early.
            .terminator(csv::Terminator::Any(b'\n'))
            .from_path(path)
            .map_err(|error| csv_error(path, error))?;
        let header = reader
            .byte_headers()
            .map_err(|error| csv_error(path, error))?;
        let header: Vec<String> = header
            .iter()
            .map(|field| String::from_utf8_lossy(field).trim().to_owned())
            .collect();
        let expected = || names.join(",");
        if header.iter().all(String::is_empty) {
            return Err(Error::Empty {
                path: path.to_owned(),
                expected: expected(),
            });
        }
        for (position, column) in header.iter().enumerate() {
            if header[..position].contains(column) {
                return Err(Error::DuplicateColumn {
                    path: path.to_owned(),
                    column: shorten(column),
                });
            }
        }
        let positions = names
            .iter()
            .map(|&name| {
                header
                    .iter()
                    .position(|column| column == name)
                    .ok_or_else(|| Error::MissingColumn {
                        path: path.to_owned(),
                        column: name,
                        found: shorten(&header.join(",")),
                        expected: expected(),
                    })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            path: path.to_owned(),
            names,
            positions,
            width: header.len(),
            reader,
        })
    }

    /// Calls `take` with each row; a file without one is an error.
    pub(crate) fn for_each(mut self, mut take: impl FnMut(&Row) -> Result<()>) -> Result<()> {
        let context = RowContext {
            path: &self.path,
            names: self.names,
            positions: &self.positions,
        };
        let mut record = ByteRecord::new();
        let mut rows = 0u64;
        while self
            .reader
            .read_byte_record(&mut record)
            .map_err(|error| csv_error(&self.path, error))?
        {
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() == 1 && record[0].trim_ascii().is_empty() {
                continue;
            }
            if record.len() != self.width {
                return Err(Error::Row {
                    path: self.path.clone(),
                    line,
                    column: self.names.join(","),
                    problem: format!(
                        "the row has {} fields where the header has {}; mend or remove it (is a quote left open?)",
                        record.len(),
                        self.width
                    ),
                });
            }
            take(&Row {
                file: &context,
                record: &record,
                line,
            })?;
            rows += 1;
        }
        if rows == 0 {
            return Err(Error::Empty {
                path: self.path,
                expected: self.names.join(","),
            });
        }
        Ok(())
    }
}

impl Row<'_> {
    /// A whole number of 0 to 2³² − 1, as MovieLens numbers users and movies.
    pub(crate) fn id(&self, column: usize) -> Result<u32> {
        self.parse(column, "is not an id (a whole number from 0 to 4294967295)")
    }

    /// A whole number of seconds.
    pub(crate) fn timestamp(&self, column: usize) -> Result<i64> {
        self.parse(column, "is not a timestamp (whole seconds since 1970)")
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

    /// UTF-8 text, as it stands.
    pub(crate) fn text(&self, column: usize) -> Result<&str> {
        std::str::from_utf8(self.field(column))
            .map_err(|_| self.bad(column, "is not UTF-8; save the file as UTF-8"))
    }

    /// An error at this row that opens with the text of `column`.
    pub(crate) fn bad(&self, column: usize, problem: &str) -> Error {
        let text = String::from_utf8_lossy(self.field(column));
        Error::Row {
            path: self.file.path.to_owned(),
            line: self.line,
            column: self.file.names[column].to_owned(),
            problem: format!("'{}' {problem}", shorten(&text)),
        }
    }

    fn field(&self, column: usize) -> &[u8] {
        let position = self.file.positions[column];
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

fn csv_error(path: &Path, error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => Error::Read {
            path: path.to_owned(),
            source,
        },
        other => Error::Read {
            path: path.to_owned(),
            source: std::io::Error::other(format!("{other:?}")),
        },
    }
}

/// Cuts text to a length that fits a one-line message, control characters
/// escaped.
fn shorten(text: &str) -> String {
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
        CsvFile::open(&path, &["movieId", "title"])?.for_each(|row| {
            rows.push((row.id(0)?, row.text(1)?.to_owned()));
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
