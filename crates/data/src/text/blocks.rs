//! Plain tables of numbers, read in blocks on all threads.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use super::Dialect;
use super::columns::Columns;
use super::shape::{Shape, head_of};

/// Bytes that a thread reads at a time: they stay in its second-level cache
/// from the disk to the columns.
const BLOCK_BYTES: u64 = 512 << 10;
/// A row that is longer is not one of numbers.
const LONGEST_ROW: usize = 512;

/// A file of lines, cut into blocks whose numbers of rows are known.
///
/// A row belongs to the block in which it starts. Nothing is mapped into
/// memory: mapped pages would count as the reader's, and a file that another
/// program cuts short would end it.
pub(crate) struct Blocks {
    file: File,
    /// First byte of the first row.
    start: u64,
    length: u64,
    separator: &'static str,
    columns: usize,
    /// Rows of each block.
    rows: Vec<usize>,
}

impl Blocks {
    /// Counts the rows of the file at `path`, which has these columns in their order and no
    /// others. `None` where it does not, or cannot be read: a more careful reader can say why.
    pub(crate) fn open(path: &Path, dialect: &Dialect, columns: &Columns) -> Option<Self> {
        if super::is_compressed(path) {
            return None;
        }
        let mut file = File::open(path).ok()?;
        let length = file.metadata().ok().filter(|it| it.is_file())?.len();
        let head = head_of(&mut file).ok()?;
        let shape = Shape::of(path, &head, dialect, Some(columns)).ok()?;
        if shape.has_returns || shape.is_guessed {
            return None;
        }
        let (start, columns) = (shape.start as u64, shape.in_order()?);
        let blocks = length.checked_sub(start)?.div_ceil(BLOCK_BYTES);
        let mut table = Self {
            file,
            start,
            length,
            separator: shape.separator,
            columns,
            rows: Vec::new(),
        };
        table.rows = (0..blocks)
            .into_par_iter()
            .map_init(Vec::new, |buffer, block| table.count(block, buffer))
            .collect::<Option<_>>()?;
        // A row has a byte a column, its separators and its end: columns are not made
        // long by what holds no rows.
        let rows: usize = table.rows.iter().sum();
        let bytes = rows.checked_mul(columns)? as u64;
        (bytes <= length - start + 1).then_some(table)
    }

    /// What stands between fields.
    pub(crate) fn separator(&self) -> &'static [u8] {
        self.separator.as_bytes()
    }

    /// How many of the columns the file has.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Rows of each block, in the order of the file.
    pub(crate) fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// Calls `take` with the text of the rows of `block`, each with its line
    /// end but perhaps the last. `None` where the file has changed or a row is
    /// too long to be one of numbers.
    pub(crate) fn read<T>(
        &self,
        block: usize,
        buffer: &mut Vec<u8>,
        take: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let bytes = self.bytes(block as u64);
        // The last row may end in the next block, and the first one may have
        // begun in the one before.
        let before = if block == 0 { 0 } else { 1 };
        let end = (bytes.end + LONGEST_ROW as u64).min(self.length);
        self.fill(bytes.start - before..end, buffer)?;
        let first = match memchr::memchr(b'\n', buffer) {
            _ if block == 0 => 0,
            Some(line_end) => line_end + 1,
            None => return take(&[]),
        };
        let body = (bytes.end - bytes.start + before) as usize;
        if first >= body {
            return take(&[]);
        }
        let last = match memchr::memchr(b'\n', &buffer[body - 1..]) {
            Some(line_end) => body + line_end,
            None if end == self.length => buffer.len(),
            None => return None,
        };
        take(&buffer[first..last])
    }

    /// As long a column of zeros as there are rows; pages that are not written
    /// take no memory.
    pub(crate) fn column<T: Clone + Default>(&self) -> Vec<T> {
        vec![T::default(); self.rows.iter().sum()]
    }

    /// A column cut into the rows of each block.
    pub(crate) fn cut<'a, T>(&self, column: &'a mut [T]) -> Vec<&'a mut [T]> {
        let mut rest = column;
        let mut parts = Vec::with_capacity(self.rows.len());
        for &rows in &self.rows {
            let (part, after) = rest.split_at_mut(rows);
            parts.push(part);
            rest = after;
        }
        parts
    }

    /// What `parse` makes of the text of each block, in order, on all threads.
    /// `None` where it makes nothing of one.
    pub(crate) fn parse<T: Send>(
        &self,
        parse: impl Fn(&[u8]) -> Option<T> + Sync,
    ) -> Option<Vec<T>> {
        (0..self.rows.len())
            .into_par_iter()
            .map_init(Vec::new, |buffer, block| self.read(block, buffer, &parse))
            .collect()
    }

    fn bytes(&self, block: u64) -> Range<u64> {
        let start = self.start + block * BLOCK_BYTES;
        start..(start + BLOCK_BYTES).min(self.length)
    }

    /// Rows that start in `block`: one for each line end that comes right
    /// before one of its bytes. `None` where it lies within a row that is too long
    /// to be one of numbers.
    fn count(&self, block: u64, buffer: &mut Vec<u8>) -> Option<usize> {
        let bytes = self.bytes(block);
        let before = u64::from(block > 0);
        self.fill(bytes.start - before..bytes.end - 1, buffer)?;
        let line_ends = memchr::memchr_iter(b'\n', buffer).count();
        if line_ends == 0 && buffer.len() > LONGEST_ROW {
            return None;
        }
        Some(line_ends + usize::from(block == 0))
    }

    fn fill(&self, range: Range<u64>, buffer: &mut Vec<u8>) -> Option<()> {
        buffer.resize((range.end - range.start) as usize, 0);
        read_exact_at(&self.file, buffer, range.start).ok()
    }
}

/// Reads from a place in a file, without a cursor that others might move.
///
/// # Errors
/// What the operating system says, and a file that ends before the buffer is full.
#[cfg(unix)]
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Reads from a place in a file, without a cursor that others might move.
///
/// # Errors
/// What the operating system says, and a file that ends before the buffer is full.
#[cfg(windows)]
pub fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Writes to a place in a file, without a cursor that others might move.
///
/// # Errors
/// What the operating system says.
#[cfg(unix)]
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Writes to a place in a file, without a cursor that others might move.
///
/// # Errors
/// What the operating system says.
#[cfg(windows)]
pub fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, offset)? {
            0 => return Err(std::io::ErrorKind::WriteZero.into()),
            written => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
        }
    }
    Ok(())
}

/// Takes a whole number off the front of `text`.
#[inline]
pub(crate) fn digits(text: &mut &[u8]) -> Option<u32> {
    let mut value = 0u64;
    let mut length = 0;
    while let Some(digit) = text.get(length).map(|byte| byte.wrapping_sub(b'0')) {
        if digit > 9 {
            break;
        }
        value = value * 10 + u64::from(digit);
        length += 1;
        if length > 10 {
            return None;
        }
    }
    if length == 0 {
        return None;
    }
    *text = &text[length..];
    u32::try_from(value).ok()
}

/// Takes the end of a line, or of the file, off the front of `text`.
#[inline]
pub(crate) fn line_end(text: &mut &[u8]) -> Option<()> {
    let rest = text.strip_prefix(b"\r").unwrap_or(text);
    *text = match rest.strip_prefix(b"\n") {
        None if rest.is_empty() => rest,
        rest => rest?,
    };
    Some(())
}

/// Takes a number with a decimal point off the front of `text`.
#[inline]
pub(crate) fn decimal(text: &mut &[u8]) -> Option<f32> {
    let length = text
        .iter()
        .position(|byte| !(byte.is_ascii_digit() || *byte == b'.'))
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(length);
    *text = rest;
    std::str::from_utf8(number).ok()?.parse().ok()
}
