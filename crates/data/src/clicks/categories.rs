//! From the values of categories to rows of tables.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{CATEGORIES, ClickRows, NUMBERS, category_name, column_error};
use crate::{Error, Result};

/// Which values of a category have a row of its table for themselves. Row 0 is that of values
/// that are missing.
///
/// ```
/// use mmdlrm_data::clicks::Categories;
///
/// let categories = Categories::Counted { least: 10 };
/// assert_ne!(categories, Categories::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Categories {
    /// All, where the training rows have few enough for a table of `rows` rows; otherwise values
    /// share these, as a hash has it (Weinberger et al., 2009).
    Hashed {
        /// Most rows of a table, 3 or more.
        rows: usize,
    },
    /// Those that so many training rows have. All others share row 1.
    Counted {
        /// How many, 1 or more.
        least: u32,
    },
}

impl Default for Categories {
    /// Hashed into a million rows at most.
    fn default() -> Self {
        Self::Hashed { rows: 1_000_000 }
    }
}

/// The row of values that are missing …
const NONE: u32 = 0;
/// … and of those that the training rows do not have, or too seldom.
const OTHER: u32 = 1;
/// The first of values of their own.
const FIRST: u32 = 2;

/// Values that are counted in a category; more take more memory than the table itself.
pub(super) const MOST_VALUES: usize = 200_000_000;

impl Categories {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(self) -> Result<()> {
        match self {
            Self::Hashed { rows } if rows < 3 || u32::try_from(rows).is_err() => {
                Err(Error::setting(
                    "rows of a table that values are hashed into",
                    rows,
                    "it must be from 3 to 2³² − 1",
                ))
            }
            Self::Counted { least: 0 } => Err(Error::setting(
                "least number of rows with a value",
                0,
                "it must be 1 or more",
            )),
            _ => Ok(()),
        }
    }
}

/// Spreads numbers that are hashes themselves, or small.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = spread(self.0 ^ u64::from(value));
    }
}

/// The finisher of MurmurHash3.
#[inline]
pub(super) fn spread(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ x >> 33
}

type Counts = HashMap<u32, u32, BuildHasherDefault<Spread>>;
type Numbers = HashMap<u32, u32, BuildHasherDefault<Spread>>;

/// How often the training rows have each value.
pub(super) struct Counting {
    categories: Categories,
    /// Most values that a category is counted to.
    most: usize,
    counts: Vec<Counts>,
    /// Categories with more values than it is worth to know.
    many: [bool; CATEGORIES],
}

impl Counting {
    pub fn new(categories: Categories, most: usize) -> Self {
        let most = match categories {
            Categories::Hashed { rows } => rows - FIRST as usize,
            Categories::Counted { .. } => most,
        };
        Self {
            categories,
            most,
            counts: vec![Counts::default(); CATEGORIES],
            many: [false; CATEGORIES],
        }
    }

    /// Counts the values of the first `count` rows; `before` of the file come before them.
    ///
    /// # Errors
    /// A category of more values than can be counted.
    pub fn add(&mut self, rows: &ClickRows, count: usize, before: usize) -> Result<()> {
        let most = self.most;
        let refuses = matches!(self.categories, Categories::Counted { .. });
        let columns = self.counts.par_iter_mut().zip(&mut self.many).enumerate();
        let full: Option<(usize, usize)> = columns
            .filter_map(|(at, (counts, many))| {
                if *many {
                    return None;
                }
                for (row, values) in rows.iter().take(count).enumerate() {
                    let (_, values, missing) = values.raw();
                    if missing >> at & 1 == 1 {
                        continue;
                    }
                    let count = counts.entry(values[at]).or_insert(0);
                    *count = count.saturating_add(1);
                    if counts.len() > most {
                        (*counts, *many) = (Counts::default(), true);
                        return Some((row, at));
                    }
                }
                None
            })
            .min();
        match full {
            Some((row, at)) if refuses => {
                let problem = format!(
                    "has more than {most} distinct values up to row {}, each of which would be \
                     counted; hash them into fewer rows of a table",
                    before + row + 1
                );
                Err(column_error(1 + NUMBERS + at, None, problem))
            }
            _ => Ok(()),
        }
    }

    /// Which value has which row.
    pub fn finish(self) -> ClickEncoder {
        let Self {
            categories,
            counts,
            many,
            ..
        } = self;
        let least = match categories {
            Categories::Hashed { .. } => 1,
            Categories::Counted { least } => least,
        };
        let columns = counts.into_iter().zip(many).map(|(counts, many)| {
            if let (Categories::Hashed { rows }, true) = (categories, many) {
                return CategoryRows::Hashed(rows as u32);
            }
            let mut kept: Vec<(u32, u32)> = counts.into_iter().collect();
            kept.retain(|&(_, count)| count >= least);
            kept.sort_unstable_by_key(|&(value, count)| (std::cmp::Reverse(count), value));
            CategoryRows::numbered(kept.into_iter().map(|(value, _)| value).collect())
        });
        ClickEncoder {
            columns: columns.collect(),
        }
    }
}

/// What the values of each category become: which row of the category's table.
#[derive(Debug, Clone, PartialEq)]
pub struct ClickEncoder {
    columns: Vec<CategoryRows>,
}

#[derive(Debug, Clone, PartialEq)]
enum CategoryRows {
    /// Values with a row of their own, the most frequent first, and those rows.
    Numbered {
        values: Vec<u32>,
        rows: Numbers,
    },
    Hashed(u32),
}

impl CategoryRows {
    fn numbered(values: Vec<u32>) -> Self {
        let rows = values.iter().copied().zip(FIRST..).collect();
        Self::Numbered { values, rows }
    }

    fn len(&self) -> usize {
        match self {
            Self::Numbered { values, .. } => values.len() + FIRST as usize,
            Self::Hashed(rows) => *rows as usize,
        }
    }

    #[inline]
    fn row(&self, value: u32) -> u32 {
        match self {
            Self::Numbered { rows, .. } => rows.get(&value).copied().unwrap_or(OTHER),
            Self::Hashed(rows) => {
                // The high half of a product is below its other factor.
                let high = u64::from((spread(u64::from(value)) >> 32) as u32);
                OTHER + ((high * u64::from(rows - OTHER)) >> 32) as u32
            }
        }
    }
}

impl ClickEncoder {
    /// Rows of the table of each category.
    pub fn table_rows(&self) -> [usize; CATEGORIES] {
        std::array::from_fn(|at| self.columns[at].len())
    }

    /// Categories whose values share rows by a hash.
    pub fn hashed(&self) -> [bool; CATEGORIES] {
        std::array::from_fn(|at| matches!(self.columns[at], CategoryRows::Hashed(_)))
    }

    /// The rows of some values, and of those that are missing.
    #[inline]
    pub(super) fn rows(&self, values: &[u32; CATEGORIES], missing: u32) -> [u32; CATEGORIES] {
        std::array::from_fn(|at| match missing >> at & 1 {
            0 => self.columns[at].row(values[at]),
            _ => NONE,
        })
    }

    /// For each category its values by row, from the third on, or, of one that is hashed, so many
    /// rows: what [`Self::from_parts`] takes.
    pub fn to_parts(&self) -> Vec<Result<&[u32], u32>> {
        let columns = self.columns.iter().map(|column| match column {
            CategoryRows::Numbered { values, .. } => Ok(values.as_slice()),
            CategoryRows::Hashed(rows) => Err(*rows),
        });
        columns.collect()
    }

    /// The inverse of [`Self::to_parts`].
    ///
    /// # Errors
    /// Another number of categories; a value that stands twice in one; tables of fewer than 3
    /// rows.
    pub fn from_parts(parts: Vec<Result<Vec<u32>, u32>>) -> Result<Self> {
        if parts.len() != CATEGORIES {
            let rule = "a click log has 26";
            return Err(Error::setting("number of categories", parts.len(), rule));
        }
        let column = |(at, part): (usize, Result<Vec<u32>, u32>)| match part {
            Ok(values) => {
                let numbered = CategoryRows::numbered(values);
                match &numbered {
                    CategoryRows::Numbered { values, rows } if values.len() != rows.len() => {
                        let rule = "each of its values must stand there once";
                        Err(Error::setting("category", category_name(at), rule))
                    }
                    _ => Ok(numbered),
                }
            }
            Err(rows) => {
                Categories::Hashed {
                    rows: rows as usize,
                }
                .validate()?;
                Ok(CategoryRows::Hashed(rows))
            }
        };
        let columns = parts.into_iter().enumerate().map(column);
        Ok(Self {
            columns: columns.collect::<Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_of_more_values_than_can_be_counted_is_refused_or_hashed() {
        let mut rows = ClickRows::default();
        for value in 0..50 {
            let mut values = [1; CATEGORIES];
            values[2] = value;
            rows.push(false, &[0; NUMBERS], &values, 0);
        }
        let mut counting = Counting::new(Categories::Counted { least: 1 }, 40);
        assert!(counting.add(&rows, 40, 0).is_ok());
        let error = counting.add(&rows, 50, 1000).unwrap_err().to_string();
        let said = "column 'C3': has more than 40 distinct values up to row 1041";
        assert!(error.contains(said), "{error}");
        let mut counting = Counting::new(Categories::Hashed { rows: 42 }, 40);
        counting.add(&rows, 50, 0).unwrap();
        let encoder = counting.finish();
        assert_eq!(encoder.table_rows()[1..4], [3, 42, 3]);
        assert_eq!(encoder.hashed()[1..4], [false, true, false]);
    }
}
