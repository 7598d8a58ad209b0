use std::ops::Range;

use super::{CATEGORIES, NUMBERS};

/// Rows of a click log as they are written, row by row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClickRows {
    labels: Vec<bool>,
    /// `[rows, 13]`; [`MISSING`] where there is none.
    numbers: Vec<i32>,
    /// `[rows, 26]`; 0 where there is none.
    categories: Vec<u32>,
    /// For each row a bit for each category that is not there.
    missing: Vec<u32>,
}

/// A number that is not there; no row may hold it.
pub(super) const MISSING: i32 = i32::MIN;

/// One row, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClickRow<'a> {
    /// Whether there was a click.
    pub label: bool,
    numbers: &'a [i32; NUMBERS],
    categories: &'a [u32; CATEGORIES],
    missing: u32,
}

impl<'a> ClickRow<'a> {
    /// A row without a click.
    #[cfg(feature = "generate")]
    pub(super) fn of(
        numbers: &'a [i32; NUMBERS],
        categories: &'a [u32; CATEGORIES],
        missing: u32,
    ) -> Self {
        Self {
            label: false,
            numbers,
            categories,
            missing,
        }
    }

    /// The numbers I1 to I13; `None` of one that is missing.
    pub fn numbers(&self) -> [Option<i32>; NUMBERS] {
        self.numbers.map(|x| (x != MISSING).then_some(x))
    }

    /// The categories C1 to C26; `None` of one that is missing.
    pub fn categories(&self) -> [Option<u32>; CATEGORIES] {
        std::array::from_fn(|at| (self.missing >> at & 1 == 0).then_some(self.categories[at]))
    }

    /// The same, missing categories 0, and a bit for each of them.
    pub(super) fn raw(&self) -> (&[i32; NUMBERS], &[u32; CATEGORIES], u32) {
        (self.numbers, self.categories, self.missing)
    }
}

impl ClickRows {
    /// With room for so many rows.
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self {
            labels: Vec::with_capacity(rows),
            numbers: Vec::with_capacity(rows * NUMBERS),
            categories: Vec::with_capacity(rows * CATEGORIES),
            missing: Vec::with_capacity(rows),
        }
    }

    #[inline]
    pub(super) fn push(
        &mut self,
        label: bool,
        numbers: &[i32; NUMBERS],
        categories: &[u32; CATEGORIES],
        missing: u32,
    ) {
        self.labels.push(label);
        self.numbers.extend_from_slice(numbers);
        self.categories.extend_from_slice(categories);
        self.missing.push(missing);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Some of them.
    pub(super) fn cut(&self, range: Range<usize>) -> Self {
        let Range { start, end } = range;
        Self {
            labels: self.labels[start..end].to_vec(),
            numbers: self.numbers[start * NUMBERS..end * NUMBERS].to_vec(),
            categories: self.categories[start * CATEGORIES..end * CATEGORIES].to_vec(),
            missing: self.missing[start..end].to_vec(),
        }
    }

    /// Each row, in the order in which they are written.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ClickRow<'_>> + Clone {
        let numbers = self.numbers.as_chunks().0;
        let categories = self.categories.as_chunks().0;
        (0..self.len()).map(move |row| ClickRow {
            label: self.labels[row],
            numbers: &numbers[row],
            categories: &categories[row],
            missing: self.missing[row],
        })
    }
}
