//! Bounds on what a file can make its reader hold, whatever is in it.

use std::cell::Cell;
use std::io::{Error, Read, Result};
use std::rc::Rc;

/// Bytes of the longest row of a table: 30 times the longest plot of Wikipedia's, and
/// room for 500,000 candidates. While a row of only separators is read, the places of
/// its fields take some 16 times as much.
pub(super) const LONGEST_ROW: u64 = 4 << 20;
/// What any compressed file may unpack to.
const FREELY_UNPACKED: u64 = 256 << 20;
/// Times its own length that a longer one may unpack to: releases come to 5, gzip can
/// reach 1,032.
const MOST_UNPACKED: u64 = 200;

/// A file that is refused for its size; [`Error::get_ref`] of an error of reading.
#[derive(Debug, thiserror::Error)]
pub(super) enum Excess {
    /// Of one row.
    #[error(
        "a row begins here that has no end within 4 MiB; mend or remove it (is a quote left open?)"
    )]
    Row,
    /// Of what is compressed.
    #[error(
        "the file unpacks to more than 256 MiB and 200 times its length, as no table does; unpack \
         it, look at it, and read it unpacked if it is right"
    )]
    Unpacked,
}

impl Excess {
    /// As readers give it.
    pub(super) fn into_error(self) -> Error {
        Error::other(self)
    }
}

/// Hands bytes on, but no more than [`LONGEST_ROW`], and what a buffer holds, from one
/// row's end to the next.
pub(super) struct RowLimit<R> {
    bytes: R,
    spent: Rc<Cell<u64>>,
}

/// Tells a [`RowLimit`] that a row has ended.
pub(super) struct RowEnd {
    spent: Rc<Cell<u64>>,
}

impl<R: Read> RowLimit<R> {
    pub(super) fn new(bytes: R) -> (Self, RowEnd) {
        let spent = Rc::new(Cell::new(0));
        let end = RowEnd {
            spent: Rc::clone(&spent),
        };
        (Self { bytes, spent }, end)
    }
}

impl RowEnd {
    pub(super) fn reached(&self) {
        self.spent.set(0);
    }
}

impl<R: Read> Read for RowLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.spent.get() > LONGEST_ROW {
            return Err(Excess::Row.into_error());
        }
        let read = self.bytes.read(buffer)?;
        self.spent.set(self.spent.get() + read as u64);
        Ok(read)
    }
}

/// Bytes that what is packed into `packed` may unpack to.
pub(crate) fn most_unpacked(packed: u64) -> u64 {
    packed.saturating_mul(MOST_UNPACKED).max(FREELY_UNPACKED)
}

/// What a file unpacks to, as far as a table may.
pub(super) struct Unpacked<R> {
    bytes: R,
    room: u64,
}

impl<R: Read> Unpacked<R> {
    /// `packed` is the length of the file.
    pub(super) fn new(bytes: R, packed: u64) -> Self {
        Self {
            bytes,
            room: most_unpacked(packed),
        }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.room = match self.room.checked_sub(read as u64) {
            Some(room) => room,
            None => return Err(Excess::Unpacked.into_error()),
        };
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(mut from: impl Read) -> (u64, Option<Error>) {
        let (mut buffer, mut all) = (vec![0; 1 << 20], 0);
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return (all, None),
                Ok(read) => all += read as u64,
                Err(error) => return (all, Some(error)),
            }
        }
    }

    #[test]
    fn a_row_without_an_end_is_given_up() {
        let (limited, end) = RowLimit::new(std::io::repeat(b'x'));
        let (read, error) = read_all(limited);
        assert!((LONGEST_ROW..LONGEST_ROW + (2 << 20)).contains(&read));
        assert!(error.unwrap().to_string().contains("4 MiB"));
        end.reached();
        let (mut limited, end) = RowLimit::new(std::io::repeat(b'x'));
        let mut buffer = [0; 1 << 20];
        for _ in 0..8 {
            limited.read_exact(&mut buffer).unwrap();
            end.reached();
        }
    }

    #[test]
    fn what_unpacks_to_far_more_than_its_length_is_given_up() {
        let of = |packed, length| read_all(Unpacked::new(std::io::repeat(0).take(length), packed));
        let (read, error) = of(1000, u64::MAX);
        assert!(read <= FREELY_UNPACKED);
        assert!(error.unwrap().to_string().contains("200 times its length"));
        // A small file may be repetitive, and a large one may be large.
        assert!(of(1000, FREELY_UNPACKED).1.is_none());
        assert!(of(2 << 20, 300 << 20).1.is_none());
        assert!(of(2 << 20, 401 << 20).1.is_some());
    }
}
