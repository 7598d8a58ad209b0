//! A look at all rows, before anything is learned from them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::categories::Counting;
use super::days::Parts;
use super::log::ClickLogConfig;
use super::rows::{ClickRow, ClickRows};
use super::{CATEGORIES, NUMBERS, column_error, file};
use crate::cache::Stamp;
use crate::fingerprint::words_of;
use crate::{DataPart, Error, PartHasher, Result, SplitPart};

/// What was found among the rows of a click log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClickSummary {
    /// Rows of each file.
    pub rows: Vec<usize>,
    /// Rows with a click.
    pub clicks: usize,
    /// Rows in which each number, I1 to I13, is missing.
    pub numbers_missing: [usize; NUMBERS],
    /// Rows in which each category, C1 to C26, is missing.
    pub categories_missing: [usize; CATEGORIES],
}

/// A file, and what it was when it was looked through.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    pub path: PathBuf,
    pub rows: usize,
    stamp: Stamp,
}

/// What comes of a look.
pub(super) struct Scanned {
    pub files: Vec<LogFile>,
    pub summary: ClickSummary,
    /// All rows, as they are written.
    pub contents: DataPart,
}

impl LogFile {
    fn new(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            rows: 0,
            stamp: Stamp::before(path)?,
        })
    }

    /// That it is as it was when it was looked through.
    pub fn check(&self) -> Result<()> {
        self.stamp.check(&self.path)
    }
}

/// Goes through all rows, of which none are to learn from, and labels may be the same.
pub(super) fn scan_all(config: &ClickLogConfig) -> Result<Scanned> {
    let files = config.files.iter().map(|path| LogFile::new(path));
    look_through(files.collect::<Result<_>>()?, None, None)
}

/// Goes through all rows; `counting` takes those to learn from.
pub(super) fn scan(config: &ClickLogConfig, counting: Option<&mut Counting>) -> Result<Scanned> {
    let files = config.files.iter().map(|path| LogFile::new(path));
    let files = files.collect::<Result<Vec<_>>>()?;
    // Values are numbered by training rows alone, so that these have to be known beforehand.
    let end = match (&counting, config.days) {
        (Some(_), Some(_)) => {
            let rows = files.iter().map(|file| file::count(&file.path));
            let rows = rows.collect::<Result<Vec<_>>>()?;
            Some(Parts::new(&rows, config.days)?.of(SplitPart::Train).end)
        }
        _ => None,
    };
    let scanned = look_through(files, end, counting)?;
    let clicks = scanned.summary.clicks;
    let rows: usize = scanned.summary.rows.iter().sum();
    if clicks == 0 || clicks == rows {
        let problem = format!(
            "is {} in all {rows} rows, of which nothing can be learned; give rows with and without a \
             click",
            u8::from(clicks > 0)
        );
        return Err(Error::in_file(&config.files[0])(column_error(
            0, None, problem,
        )));
    }
    Ok(scanned)
}

/// Of files in order; `counting` takes the rows before row `end`, or all but those of the last
/// file.
fn look_through(
    mut files: Vec<LogFile>,
    end: Option<usize>,
    mut counting: Option<&mut Counting>,
) -> Result<Scanned> {
    let mut contents = PartHasher::new("rows of the log");
    let mut summary = ClickSummary::default();
    let (mut before, last) = (0, files.len().saturating_sub(1));
    for (number, file) in files.iter_mut().enumerate() {
        let first = before;
        let end = match end {
            None if number == last => first,
            end => end.unwrap_or(usize::MAX),
        };
        file::for_each_on_all(
            &file.path,
            |rows| {
                let (hashes, found) = look(&rows);
                (rows, hashes, found)
            },
            |(rows, hashes, found)| {
                contents.words(hashes.into_iter().map(words_of));
                summary.add(&found);
                let learned = rows.len().min(end.saturating_sub(before));
                if let Some(counting) = &mut counting {
                    let counted = counting.add(&rows, learned, before - first);
                    counted.map_err(Error::in_file(&file.path))?;
                }
                before += rows.len();
                Ok(())
            },
        )?;
        file.rows = before - first;
        if file.rows == 0 {
            return Err(Error::Empty {
                path: file.path.clone(),
                expected: "label, I1 to I13, C1 to C26".to_owned(),
            });
        }
        // Nothing of what was seen is of a file that was written meanwhile.
        file.check()?;
        summary.rows.push(file.rows);
    }
    Ok(Scanned {
        files,
        summary,
        contents: contents.finish(),
    })
}

/// A hash of each row, and what is found among them.
fn look(rows: &ClickRows) -> (Vec<u64>, ClickSummary) {
    let mut found = ClickSummary::default();
    let hashes = rows.iter().map(|row| {
        found.look(&row);
        hash(&row)
    });
    (hashes.collect(), found)
}

fn hash(row: &ClickRow) -> u64 {
    let (numbers, values, missing) = row.raw();
    let mut words = [0u32; 2 + NUMBERS + CATEGORIES];
    words[0] = u32::from(row.label);
    words[1] = missing;
    for (word, &number) in words[2..].iter_mut().zip(numbers) {
        *word = number as u32;
    }
    words[2 + NUMBERS..].copy_from_slice(values);
    let bytes = words.map(u32::to_le_bytes);
    xxh3_64(bytes.as_flattened())
}

impl ClickSummary {
    fn look(&mut self, row: &ClickRow) {
        let (numbers, _, missing) = row.raw();
        self.clicks += usize::from(row.label);
        for (count, &number) in self.numbers_missing.iter_mut().zip(numbers) {
            *count += usize::from(number == super::rows::MISSING);
        }
        for (at, count) in self.categories_missing.iter_mut().enumerate() {
            *count += (missing >> at & 1) as usize;
        }
    }

    fn add(&mut self, other: &Self) {
        self.clicks += other.clicks;
        let numbers = self.numbers_missing.iter_mut().zip(&other.numbers_missing);
        let categories = self
            .categories_missing
            .iter_mut()
            .zip(&other.categories_missing);
        numbers
            .chain(categories)
            .for_each(|(count, more)| *count += more);
    }
}
