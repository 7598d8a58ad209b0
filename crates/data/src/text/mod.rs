//! Tables of text, as MovieLens releases write them.
//!
//! [`TableFile`] reads any of them row by row and explains what it cannot use.
//! [`Blocks`] reads plain tables of numbers on all threads and gives up on
//! whatever looks unusual, so that there is one place that decides what a file
//! means.

mod blocks;
mod columns;
mod limits;
mod moments;
mod numbers;
mod rows;
mod shape;
mod texts;
mod time_column;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub(crate) use blocks::{Blocks, decimal, digits, line_end};
pub use blocks::{read_exact_at, write_all_at};
pub(crate) use columns::Columns;
pub(crate) use limits::most_unpacked;
pub(crate) use moments::{UNITS, moment_of, ticks_of, unit_of, whole};
pub(crate) use rows::{Row, TableFile, broken, shorten};
pub(crate) use texts::{FULL, Texts};
pub(crate) use time_column::TimeColumn;

use crate::{Error, Result};

/// How the rows of a file are written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dialect {
    /// A header, quotes (RFC 4180), UTF-8; commas or whatever else is usual between fields, as
    /// the header tells.
    Csv,
    /// The same with tabs.
    Tsv,
    /// No header, as a rule, and no quotes; UTF-8, or else Latin-1.
    Plain {
        /// Or another that is usual, where the first line has none of these.
        separator: &'static str,
        /// Fields of a row.
        width: usize,
        /// The field that may hold the separator itself.
        wide: Option<usize>,
    },
}

impl Dialect {
    /// Fields between separators, `width` to a row.
    pub(crate) const fn plain(separator: &'static str, width: usize) -> Self {
        Self::Plain {
            separator,
            width,
            wide: None,
        }
    }

    /// The same, but that field `wide` may hold the separator.
    pub(crate) const fn plain_with_wide(
        separator: &'static str,
        width: usize,
        wide: usize,
    ) -> Self {
        Self::Plain {
            separator,
            width,
            wide: Some(wide),
        }
    }

    /// What stands between two fields, as a rule.
    pub(crate) fn separator(&self) -> &'static str {
        match self {
            Self::Csv => ",",
            Self::Tsv => "\t",
            Self::Plain { separator, .. } => separator,
        }
    }
}

/// Whether the name says that the file is compressed.
pub(crate) fn is_compressed(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

/// Opens a file that may be compressed; one that unpacks to far more than it holds ends
/// in an error.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = File::open(path).map_err(Error::read(path))?;
    let metadata = file.metadata().map_err(Error::read(path))?;
    if metadata.is_dir() {
        let source = std::io::Error::from(std::io::ErrorKind::IsADirectory);
        return Err(Error::read(path)(source));
    }
    if is_compressed(path) {
        let unpacked = flate2::read::MultiGzDecoder::new(file);
        return Ok(Box::new(limits::Unpacked::new(unpacked, metadata.len())));
    }
    Ok(Box::new(file))
}
