//! What the beginning of a text table tells of the rest: what stands between fields, which column
//! is which, how lines end.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use super::Dialect;
use super::columns::{Columns, Found};
use super::limits::{Excess, LONGEST_ROW};
use super::moments::{moment_of, ticks_of};
use super::numbers::{decimal_of, id_of};
use super::rows::{broken, shorten};
use crate::{Error, Result};

/// Bytes that are looked at, but where no line ends within them.
const HEAD: u64 = 64 << 10;

/// What may stand between fields of a file with a header, the most usual first.
const SEPARATORS: [&str; 5] = [",", ";", "\t", "|", "::"];

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Beginnings of files that are no text, and what they are.
const NO_TEXTS: [(&[u8], &str); 6] = [
    (b"\xff\xfe\0\0", "UTF-32; save it as UTF-8"),
    (b"\0\0\xfe\xff", "UTF-32; save it as UTF-8"),
    (b"\xff\xfe", "UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "UTF-16; save it as UTF-8"),
    (
        b"PK\x03\x04",
        "a zip archive, as Excel's .xlsx is; unpack it, or save the sheet as CSV",
    ),
    (b"\x1f\x8b", "compressed by gzip; put .gz behind its name"),
];

/// How a table of text is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// What stands between fields.
    pub separator: &'static str,
    /// The names of all columns, where the first line has them.
    pub header: Option<Vec<String>>,
    /// Fields of a row.
    pub width: usize,
    /// Where each of the columns that are looked for stands in a row; those of the header, where
    /// none is.
    pub positions: Vec<Option<usize>>,
    /// Bytes before the first row.
    pub start: usize,
    /// Lines before the first row.
    pub lines: u64,
    /// Whether lines end with a carriage return and no line feed.
    pub has_returns: bool,
    /// Whether a header was looked for, and its columns are taken for the usual ones.
    pub is_guessed: bool,
}

/// The first bytes of a table: a line of it, or all.
pub(super) fn head_of(bytes: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    bytes.take(HEAD).read_to_end(&mut head)?;
    // A return that is the last byte may have its line feed behind it.
    let has_end = |head: &[u8]| memchr::memchr2(b'\n', b'\r', &head[..head.len() - 1]).is_some();
    if head.len() as u64 == HEAD && !has_end(&head) {
        bytes.take(LONGEST_ROW + 1 - HEAD).read_to_end(&mut head)?;
    }
    Ok(head)
}

/// The first line of a table that is not blank.
struct FirstLine<'a> {
    path: &'a Path,
    /// Without its end.
    text: Cow<'a, str>,
    /// Where it begins and where the next one does.
    bytes: Range<usize>,
    /// Lines before it and lines before the next one.
    lines: Range<u64>,
    has_returns: bool,
}

impl Shape {
    /// Of a table that begins with `head`; all columns, where `columns` are `None`.
    ///
    /// # Errors
    /// What is no text, or no table of these columns.
    pub fn of(
        path: &Path,
        head: &[u8],
        dialect: &Dialect,
        columns: Option<&Columns>,
    ) -> Result<Self> {
        let line = FirstLine::of(path, head, *dialect)?;
        match (*dialect, columns) {
            (Dialect::Plain { width, .. }, Some(columns)) => {
                Ok(line.plain(dialect.separator(), width, columns))
            }
            (_, Some(columns)) => line.csv(columns),
            (_, None) => {
                let separator = line.separator(*dialect);
                let header = fields(&line.text, separator);
                if header.iter().all(String::is_empty) {
                    return Err(line.empty("names of columns, as user_id,item_id".to_owned()));
                }
                line.check_twice(&header, |_| true)?;
                let positions = (0..header.len()).map(Some).collect();
                Ok(line.header(separator, header, positions))
            }
        }
    }

    /// Number of columns, where they are the ones that are looked for, in order, and no others.
    pub fn in_order(&self) -> Option<usize> {
        let places = (0..self.positions.len()).map(|place| (place < self.width).then_some(place));
        let is_so = self.width <= self.positions.len() && places.eq(self.positions.iter().copied());
        is_so.then_some(self.width)
    }
}

impl<'a> FirstLine<'a> {
    fn of(path: &'a Path, head: &'a [u8], dialect: Dialect) -> Result<Self> {
        let whole = |problem: String| Error::Row {
            path: path.to_owned(),
            line: 1,
            column: String::new(),
            problem,
        };
        if let Some(what) = no_text(head) {
            return Err(whole(format!("the file is {what}")));
        }
        let has_returns = !head.contains(&b'\n') && head.contains(&b'\r');
        let end = if has_returns { b'\r' } else { b'\n' };
        let (start, before) = start_of(head, end);
        let line = line_from(head, start, end, dialect);
        if line.len() as u64 > LONGEST_ROW {
            return Err(broken(path, 0, Excess::Row.into_error()));
        }
        let text = line.trim_ascii_end();
        if text.contains(&b'\r') && !has_returns && !text.contains(&b'"') {
            return Err(whole(
                "the first line holds a carriage return, as if some lines ended with one and some \
                 with a line feed; save the file with line ends of one kind"
                    .to_owned(),
            ));
        }
        let ends = memchr::memchr_iter(end, line).count() as u64;
        Ok(Self {
            path,
            text: String::from_utf8_lossy(text),
            bytes: start..start + line.len(),
            lines: before..before + ends.max(1),
            has_returns,
        })
    }

    /// What stands between the columns of a header of which no name is known: a comma, unless
    /// there is none but another separator.
    fn separator(&self, dialect: Dialect) -> &'static str {
        let usual = dialect.separator();
        let parts = |separator: &&str| fields(&self.text, separator).len() > 1;
        let others = SEPARATORS.iter().copied();
        match dialect {
            Dialect::Csv if !parts(&usual) => others.into_iter().find(parts).unwrap_or(usual),
            _ => usual,
        }
    }

    fn empty(&self, expected: String) -> Error {
        Error::Empty {
            path: self.path.to_owned(),
            expected,
        }
    }

    /// Refuses a header that names a column twice, of those that are `told` apart.
    fn check_twice(&self, header: &[String], told: impl Fn(&str) -> bool) -> Result<()> {
        let mut seen = HashSet::with_capacity(header.len());
        let mut told = header.iter().filter(|column| told(column));
        match told.find(|column| !seen.insert(*column)) {
            None => Ok(()),
            Some(column) => Err(Error::DuplicateColumn {
                path: self.path.to_owned(),
                column: shorten(column),
            }),
        }
    }

    /// It is the header.
    fn header(
        &self,
        separator: &'static str,
        header: Vec<String>,
        positions: Vec<Option<usize>>,
    ) -> Shape {
        Shape {
            separator,
            width: header.len(),
            positions,
            header: Some(header),
            start: self.bytes.end,
            lines: self.lines.end,
            has_returns: self.has_returns,
            is_guessed: false,
        }
    }

    /// It is a row.
    fn row(&self, separator: &'static str, width: usize, positions: Vec<Option<usize>>) -> Shape {
        Shape {
            separator,
            header: None,
            width,
            positions,
            start: self.bytes.start,
            lines: self.lines.start,
            has_returns: self.has_returns,
            is_guessed: false,
        }
    }

    /// Of a table with a header, as a rule.
    fn csv(&self, columns: &Columns) -> Result<Shape> {
        let empty = || self.empty(columns.expected());
        let mut best: Option<(usize, Error)> = None;
        for separator in SEPARATORS {
            let header = fields(&self.text, separator);
            if header.iter().all(String::is_empty) {
                return Err(empty());
            }
            match columns.find(self.path, &header) {
                Found::All(positions) => {
                    // Of an index, nothing is written.
                    self.check_twice(&header, |column| !column.is_empty())?;
                    return Ok(self.header(separator, header, positions));
                }
                Found::Some(count, error) => {
                    if best.as_ref().is_none_or(|(most, _)| *most < count) {
                        best = Some((count, error));
                    }
                }
            }
        }
        for separator in SEPARATORS {
            let row = fields(&self.text, separator);
            if let Some(positions) = row_of(&row, columns) {
                return Ok(Shape {
                    is_guessed: true,
                    ..self.row(separator, row.len(), positions)
                });
            }
        }
        if is_row(&self.text) {
            return Err(Error::Row {
                path: self.path.to_owned(),
                line: self.lines.start + 1,
                column: String::new(),
                problem: format!(
                    "'{}' is a row where a header is expected; write the names of its columns in \
                     a line above it: {}",
                    shorten(&self.text),
                    columns.expected()
                ),
            });
        }
        Err(best.map_or_else(empty, |(_, error)| error))
    }

    /// Of a table that has no header and `usual` between its `width` fields, as a rule.
    fn plain(&self, usual: &'static str, width: usize, columns: &Columns) -> Shape {
        let named = columns.names.len();
        let as_usual = || self.row(usual, width, columns.in_order(named));
        if named != width {
            return as_usual();
        }
        let fields = |separator: &str| self.text.split(separator).map(trimmed).collect::<Vec<_>>();
        let others = || SEPARATORS.into_iter().filter(|it| *it != usual);
        for separator in [usual].into_iter().chain(others()) {
            let header = fields(separator);
            if let Found::All(positions) = columns.find(self.path, &header) {
                return self.header(separator, header, positions);
            }
        }
        let found = fields(usual).len();
        if found < width && found == columns.required() {
            return self.row(usual, found, columns.in_order(found));
        }
        if found > 1 {
            return as_usual();
        }
        let row = others().find_map(|separator| {
            let row = fields(separator);
            let positions = row_of(&row, columns)?;
            Some(self.row(separator, row.len(), positions))
        });
        row.unwrap_or_else(as_usual)
    }
}

/// What a file is, if it is no text.
fn no_text(head: &[u8]) -> Option<&'static str> {
    let mut known = NO_TEXTS.iter();
    if let Some((_, what)) = known.find(|(start, _)| head.starts_with(start)) {
        return Some(what);
    }
    match head {
        [b'P', b'A', b'R', b'1', rest @ ..] if rest.contains(&0) => {
            Some("Parquet; name it by --interactions, or save it as CSV")
        }
        [0, 1..=127, 0, 1..=127, ..] | [1..=127, 0, 1..=127, 0, ..] => {
            Some("UTF-16 without a byte order mark; save it as UTF-8")
        }
        _ => None,
    }
}

/// Where the first line that is not blank begins, and how many lines are before it. Excel's own
/// line, `sep=;`, is passed over.
fn start_of(head: &[u8], end: u8) -> (usize, u64) {
    let mut start = match head.starts_with(BYTE_ORDER_MARK) {
        true => BYTE_ORDER_MARK.len(),
        false => 0,
    };
    let mut before = 0;
    while let Some(length) = memchr::memchr(end, &head[start..]) {
        let line = head[start..start + length].trim_ascii_end();
        let is_excels = line.len() == 5 && line.starts_with(b"sep=");
        if !line.is_empty() && !is_excels {
            break;
        }
        start += length + 1;
        before += 1;
    }
    (start, before)
}

/// The line that begins at `start`, with its end; of CSV with the ends of lines that are quoted.
fn line_from(head: &[u8], start: usize, end: u8, dialect: Dialect) -> &[u8] {
    let bytes = &head[start..];
    let mut is_quoted = false;
    for at in memchr::memchr2_iter(end, b'"', bytes) {
        match bytes[at] {
            b'"' => is_quoted ^= !matches!(dialect, Dialect::Plain { .. }),
            _ if is_quoted => {}
            _ => return &bytes[..=at],
        }
    }
    match memchr::memchr(end, bytes) {
        // A quote is left open.
        Some(at) if is_quoted => &bytes[..=at],
        _ => bytes,
    }
}

/// Fields of a line, blanks around them left out.
fn fields(line: &str, separator: &str) -> Vec<String> {
    let &[delimiter] = separator.as_bytes() else {
        return line.split(separator).map(trimmed).collect();
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(line.as_bytes());
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(_) => record.iter().map(trimmed).collect(),
        Err(_) => Vec::new(),
    }
}

fn trimmed(field: &str) -> String {
    field.trim().to_owned()
}

/// Where the columns are if they are in the usual order, and the fields what these hold.
fn row_of(row: &[String], columns: &Columns) -> Option<Vec<Option<usize>>> {
    let fits = [columns.names.len(), columns.required()].contains(&row.len());
    let has_ids = columns.names.iter().any(|name| is_id(name));
    let mut cells = columns.names.iter().zip(row);
    let is_row = cells.all(|(name, field)| match *name {
        name if is_id(name) => id_of(field, false).is_some(),
        "rating" | "relevance" => decimal_of(field).is_some(),
        "timestamp" => ticks_of(field).is_some() || moment_of(field).is_some(),
        _ => true,
    });
    (fits && has_ids && is_row).then(|| columns.in_order(row.len()))
}

fn is_id(name: &str) -> bool {
    matches!(name, "userId" | "movieId" | "tagId")
}

/// Whether most of a line's fields are numbers, as no header's are.
fn is_row(line: &str) -> bool {
    SEPARATORS.iter().any(|separator| {
        let fields = fields(line, separator);
        let numbers = fields.iter().filter(|it| decimal_of(it).is_some()).count();
        fields.len() > 1 && numbers * 2 > fields.len()
    })
}

/// Line feeds in place of carriage returns.
pub(super) struct LineFeeds<R>(pub R);

impl<R: Read> Read for LineFeeds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer)?;
        let returns = buffer[..read].iter_mut().filter(|byte| **byte == b'\r');
        returns.for_each(|byte| *byte = b'\n');
        Ok(read)
    }
}
