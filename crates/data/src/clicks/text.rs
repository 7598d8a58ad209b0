//! Rows of tab-separated text.
//!
//! A label, 13 whole numbers and 26 hexadecimal categories, any of which but the label may be
//! empty, `\n` or `\r\n` behind them. Rows that are written so are read in one pass; whatever
//! is not goes to [`explain`], which says what is wrong with it.

use std::path::Path;

use super::rows::MISSING;
use super::{CATEGORIES, COLUMNS, ClickRows, NUMBERS, column_name};
use crate::text::{digits, line_end, shorten};
use crate::{Error, Result};

/// Bytes of a row of Criteo's, or less: room is made by them.
const USUAL_ROW: usize = 160;

/// Reads whole rows of the file at `path`; the first is said to be on line 1.
pub(super) fn parse(text: &[u8], path: &Path) -> Result<ClickRows> {
    let mut rows = ClickRows::with_capacity(text.len() / USUAL_ROW + 1);
    let mut rest = text;
    while !rest.is_empty() {
        if parse_row(&mut rest, &mut rows).is_none() {
            return Err(explain(rest, path, 1 + rows.len() as u64));
        }
    }
    Ok(rows)
}

/// Takes a row off the front of `text`; where it is not written as it should be, `text` is left
/// as it was.
#[inline]
fn parse_row(text: &mut &[u8], rows: &mut ClickRows) -> Option<()> {
    let mut rest = *text;
    let label = match rest {
        [b'0', b'\t', after @ ..] => {
            rest = after;
            false
        }
        [b'1', b'\t', after @ ..] => {
            rest = after;
            true
        }
        _ => return None,
    };
    let mut numbers = [MISSING; NUMBERS];
    for number in &mut numbers {
        *number = whole_number(&mut rest)?;
    }
    let mut categories = [0; CATEGORIES];
    let mut missing = 0u32;
    for (at, category) in categories[..CATEGORIES - 1].iter_mut().enumerate() {
        let (value, length) = hexadecimal(rest)?;
        *category = value;
        missing |= u32::from(length == 0) << at;
        rest = rest.get(length..)?.strip_prefix(b"\t")?;
    }
    let (value, length) = hexadecimal(rest)?;
    categories[CATEGORIES - 1] = value;
    missing |= u32::from(length == 0) << (CATEGORIES - 1);
    rest = &rest[length..];
    line_end(&mut rest)?;
    rows.push(label, &numbers, &categories, missing);
    *text = rest;
    Some(())
}

/// Takes a whole number, or nothing, and the tab behind it off the front of `text`.
#[inline(always)]
fn whole_number(text: &mut &[u8]) -> Option<i32> {
    let (sign, mut rest) = match **text {
        [b'\t', ref rest @ ..] => {
            *text = rest;
            return Some(MISSING);
        }
        [b'-', ref rest @ ..] => (-1, rest),
        ref rest => (1, rest),
    };
    // The least number of all, which says that there is none, has no positive one.
    let value = sign * i32::try_from(digits(&mut rest)?).ok()?;
    *text = rest.strip_prefix(b"\t")?;
    Some(value)
}

/// A number of eight hexadecimal digits or fewer at the front of `text`, and how many there are.
#[inline(always)]
fn hexadecimal(text: &[u8]) -> Option<(u32, usize)> {
    // Nearly all have eight digits: taken at once.
    if let Some(eight) = text.first_chunk::<8>()
        && let Some(value) = eight_digits(u64::from_le_bytes(*eight))
    {
        return Some((value, 8));
    }
    let (mut value, mut length) = (0u32, 0);
    while let Some(digit) = text.get(length).and_then(|&byte| hexadecimal_digit(byte)) {
        if length == 8 {
            return None;
        }
        value = value << 4 | digit;
        length += 1;
    }
    Some((value, length))
}

#[inline]
fn hexadecimal_digit(byte: u8) -> Option<u32> {
    match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'a'..=b'f' => Some(u32::from(byte - b'a' + 10)),
        b'A'..=b'F' => Some(u32::from(byte - b'A' + 10)),
        _ => None,
    }
}

/// Eight digits side by side, the first in the lowest byte; `None` where one of the bytes is no
/// digit.
#[inline(always)]
fn eight_digits(bytes: u64) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    if bytes & HIGH != 0 {
        return None;
    }
    // The high bit of each byte says whether it lies in a range, all bytes being below 128.
    let at_least = |from: u8, bytes: u64| (bytes + (0x80 - u64::from(from)) * ONES) & HIGH;
    let decimal = at_least(b'0', bytes) & !at_least(b'9' + 1, bytes);
    let lower = bytes | (0x20 * ONES);
    let letter = at_least(b'a', lower) & !at_least(b'f' + 1, lower);
    if decimal | letter != HIGH {
        return None;
    }
    // A letter's low four bits are nine less than its value.
    let nibbles = (bytes & (0x0f * ONES)) + 9 * (letter >> 7);
    // Pairs, fours and eights of nibbles close up, the first the highest.
    let pairs = (nibbles << 4 | nibbles >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs << 8 | pairs >> 16) & 0x0000_ffff_0000_ffff;
    let eight = fours << 16 | fours >> 32;
    Some(eight as u32)
}

/// What is wrong with the row at the front of `text`.
fn explain(text: &[u8], path: &Path, line: u64) -> Error {
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let row = &text[..end];
    let row = row.strip_suffix(b"\r").unwrap_or(row);
    let bad = |column: &str, problem: String| Error::Row {
        path: path.to_owned(),
        line,
        column: column.to_owned(),
        problem,
    };
    let fields: Vec<&[u8]> = row.split(|&byte| byte == b'\t').collect();
    if fields.len() != COLUMNS {
        let what = match fields.len() {
            1 if row.is_empty() => "the line is empty; remove it".to_owned(),
            found if found == COLUMNS - 1 => format!(
                "the row has {found} fields, and a label and {} more are expected; rows of Criteo's \
                 test file have no label and cannot be learned from",
                COLUMNS - 1
            ),
            found => format!(
                "the row has {found} fields, and a label, {NUMBERS} numbers and {CATEGORIES} \
                 categories are expected, with a tab between two of them; mend or remove it"
            ),
        };
        return bad("label", what);
    }
    for (at, field) in fields.iter().enumerate() {
        let shown = || shorten(&String::from_utf8_lossy(field));
        let name = column_name(at);
        let problem = match at {
            0 if !matches!(field, [b'0' | b'1']) => "is neither 0 nor 1, as a label is",
            1..=NUMBERS => {
                let number = std::str::from_utf8(field).ok();
                let number = number.filter(|it| !it.is_empty());
                match number.map(str::parse::<i32>) {
                    None if field.is_empty() => continue,
                    Some(Ok(number)) if number != MISSING && !field.starts_with(b"+") => continue,
                    _ => "is no whole number of 32 bits",
                }
            }
            _ if at > NUMBERS
                && (field.len() > 8 || field.iter().any(|&it| hexadecimal_digit(it).is_none())) =>
            {
                "is no hexadecimal number of eight digits or fewer"
            }
            _ => continue,
        };
        return bad(
            &name,
            format!("'{}' {problem}; mend or remove the row", shown()),
        );
    }
    bad(
        "label",
        "the row cannot be read; mend or remove it".to_owned(),
    )
}
