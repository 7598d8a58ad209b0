//! Matrices that are nearly all zeros.

use std::ops::Range;

use mmdlrm_train::Result;
use rayon::prelude::*;

/// Rows that are made at a time.
const ROWS_AT_A_TIME: usize = 4096;

/// A matrix by rows, what is not 0 in the order of the columns (compressed sparse rows): 8 bytes
/// a number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sparse {
    offsets: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
}

impl Sparse {
    /// `row(number, scratch)` makes a row, columns ascending; `scratch` makes what it keeps from
    /// one row to the next.
    pub fn of_rows<S>(
        rows: usize,
        scratch: impl Fn() -> S + Sync,
        row: impl Fn(usize, &mut S) -> Result<Vec<(u32, f32)>> + Sync,
    ) -> Result<Self> {
        let mut matrix = Self::empty();
        for start in (0..rows).step_by(ROWS_AT_A_TIME) {
            let numbers = start..(start + ROWS_AT_A_TIME).min(rows);
            let made = numbers.into_par_iter();
            let made = made.map_init(&scratch, |scratch, number| row(number, scratch));
            for row in made.collect::<Result<Vec<_>>>()? {
                matrix.columns.extend(row.iter().map(|&(column, _)| column));
                matrix.values.extend(row.iter().map(|&(_, value)| value));
                matrix.offsets.push(matrix.columns.len());
            }
        }
        Ok(matrix)
    }

    /// Of `(row, column, value)` in any order of the rows, columns of a row ascending, each once.
    /// Goes through them twice.
    pub fn of_entries(rows: usize, entries: impl Iterator<Item = (u32, u32, f32)> + Clone) -> Self {
        let mut offsets = vec![0; rows + 1];
        for (row, ..) in entries.clone() {
            offsets[row as usize + 1] += 1;
        }
        for row in 0..rows {
            offsets[row + 1] += offsets[row];
        }
        let mut next = offsets.clone();
        let mut columns = vec![0; offsets[rows]];
        let mut values = vec![0.0; offsets[rows]];
        for (row, column, value) in entries {
            let place = &mut next[row as usize];
            columns[*place] = column;
            values[*place] = value;
            *place += 1;
        }
        Self {
            offsets,
            columns,
            values,
        }
    }

    /// Of columns and values that lie row by row, as many as `lengths` say; `None` where that
    /// makes no matrix of `columns` columns.
    pub fn from_parts(
        lengths: impl Iterator<Item = usize>,
        ids: Vec<u32>,
        values: Vec<f32>,
        columns: usize,
    ) -> Option<Self> {
        let mut offsets = vec![0usize];
        for length in lengths {
            offsets.push(offsets[offsets.len() - 1].checked_add(length)?);
        }
        let matrix = Self {
            offsets,
            columns: ids,
            values,
        };
        let ids = &matrix.columns;
        let fits = matrix.offsets.last() == Some(&ids.len()) && matrix.values.len() == ids.len();
        let is_row = |ids: &[u32]| {
            let last = ids.last().is_none_or(|&last| (last as usize) < columns);
            last && ids.is_sorted_by(|a, b| a < b)
        };
        (fits && (0..matrix.rows()).all(|row| is_row(matrix.row(row).0))).then_some(matrix)
    }

    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Columns and values of all rows.
    pub fn entries(&self) -> (&[u32], &[f32]) {
        (&self.columns, &self.values)
    }

    /// Columns and values of a row.
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let span = self.offsets[row]..self.offsets[row + 1];
        (&self.columns[span.clone()], &self.values[span])
    }

    /// A number.
    pub fn get(&self, row: usize, column: u32) -> f32 {
        let (columns, values) = self.row(row);
        columns.binary_search(&column).map_or(0.0, |at| values[at])
    }

    /// Some of the columns, of which the first becomes column 0.
    pub fn columns(&self, range: Range<u32>) -> Self {
        let mut some = Self::empty();
        for row in 0..self.rows() {
            let (columns, values) = self.row(row);
            let place = |of| columns.partition_point(|&column| column < of);
            let span = place(range.start)..place(range.end);
            let columns = columns[span.clone()].iter();
            some.columns
                .extend(columns.map(|column| column - range.start));
            some.values.extend(&values[span]);
            some.offsets.push(some.columns.len());
        }
        some
    }

    /// The rows of each matrix below those of the one before.
    pub fn stacked(matrices: impl Iterator<Item = Self>) -> Self {
        let mut stacked = Self::empty();
        for matrix in matrices {
            let before = stacked.columns.len();
            let offsets = matrix.offsets[1..].iter();
            stacked
                .offsets
                .extend(offsets.map(|offset| before + offset));
            stacked.columns.extend(matrix.columns);
            stacked.values.extend(matrix.values);
        }
        stacked
    }

    /// Without rows.
    fn empty() -> Self {
        Self {
            offsets: vec![0],
            columns: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Of `columns` columns.
    pub fn transposed(&self, columns: usize) -> Self {
        let of_row = |row: usize| {
            let (columns, values) = self.row(row);
            let entries = columns.iter().zip(values);
            entries.map(move |(&column, &value)| (column, row as u32, value))
        };
        Self::of_entries(columns, (0..self.rows()).flat_map(of_row))
    }
}

/// `sums[c] += Σ_k a_k · scale(k) · b_kc`: as much of a row of a product as there are sums.
pub(crate) fn add_product(
    (ids, values): (&[u32], &[f32]),
    scale: impl Fn(usize) -> f64,
    b: &Sparse,
    sums: &mut [f64],
) {
    for (&id, &value) in ids.iter().zip(values) {
        let factor = f64::from(value) * scale(id as usize);
        let (columns, values) = b.row(id as usize);
        let end = columns.partition_point(|&column| (column as usize) < sums.len());
        for (&column, &value) in columns[..end].iter().zip(values) {
            sums[column as usize] += factor * f64::from(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Sparse {
        // [[0, 2, 0], [1, 0, 3]]
        let rows = [vec![(1, 2.0)], vec![(0, 1.0), (2, 3.0)]];
        Sparse::of_rows(2, || (), |row, ()| Ok(rows[row].clone())).unwrap()
    }

    #[test]
    fn a_transposed_matrix_has_the_same_numbers_and_products_are_those_of_dense_ones() {
        let (matrix, transposed) = (matrix(), matrix().transposed(3));
        for row in 0..2 {
            for column in 0..3 {
                let there = transposed.get(column, row as u32);
                assert_eq!(matrix.get(row, column as u32), there);
            }
        }
        assert_eq!(transposed.transposed(2), matrix);
        let columns = [matrix.columns(0..1), matrix.columns(1..3)];
        assert_eq!(columns[1].row(0), (&[0][..], &[2.0][..]));
        assert_eq!(columns[1].row(1), (&[1][..], &[3.0][..]));
        let rows = columns
            .iter()
            .zip([1, 2])
            .map(|(it, wide)| it.transposed(wide));
        assert_eq!(Sparse::stacked(rows), transposed);
        let mut sums = [0.5; 3];
        // Row 2 of AᵀA is [3, 0, 9].
        add_product(transposed.row(2), |_| 2.0, &matrix, &mut sums);
        assert_eq!(sums, [6.5, 0.5, 18.5]);
        add_product(transposed.row(2), |_| 1.0, &matrix, &mut sums[..1]);
        assert_eq!(sums, [9.5, 0.5, 18.5]);
    }

    #[test]
    fn parts_that_make_no_matrix_are_refused() {
        let of = |lengths: &[usize], ids: &[u32], columns| {
            let values = vec![1.0; ids.len()];
            Sparse::from_parts(lengths.iter().copied(), ids.to_vec(), values, columns)
        };
        assert!(of(&[1, 2], &[1, 0, 2], 3).is_some());
        for (lengths, ids, columns) in [
            (&[1, 1][..], &[1, 0, 2][..], 3),
            (&[1, 2], &[1, 2, 0], 3),
            (&[1, 2], &[1, 0, 0], 3),
            (&[1, 2], &[1, 0, 2], 2),
            (&[usize::MAX, 2], &[1, 0, 2], 3),
        ] {
            assert!(of(lengths, ids, columns).is_none());
        }
    }
}
