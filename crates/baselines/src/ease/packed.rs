//! Symmetric matrices of `f32`, half of them.

use mmdlrm_kernels::{add_scaled, dot, vectorize};
use rayon::prelude::*;

/// The lower triangle of a symmetric matrix, `[n, n]`, row by row: `n·(n + 1)/2` numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Packed(Vec<f32>);

/// Where a row begins; how many numbers `n` rows are.
pub(super) fn length(n: usize) -> usize {
    n * (n + 1) / 2
}

impl Packed {
    /// `fill(row, out)` writes a row up to its diagonal.
    pub fn of(n: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> Self {
        let mut numbers = vec![0.0; length(n)];
        let mut rest = numbers.as_mut_slice();
        let mut rows = Vec::with_capacity(n);
        for row in 0..n {
            let own;
            (own, rest) = rest.split_at_mut(row + 1);
            rows.push(own);
        }
        let rows = rows.into_par_iter().enumerate();
        rows.for_each(|(row, out)| fill(row, out));
        Self(numbers)
    }

    /// Of as many numbers as `n` rows are, or none.
    pub fn from_numbers(numbers: &[f32], n: usize) -> Option<Self> {
        let expected = n.checked_add(1)?.checked_mul(n)? / 2;
        (numbers.len() == expected).then(|| Self(numbers.to_vec()))
    }

    pub fn numbers(&self) -> &[f32] {
        &self.0
    }

    /// A row up to its diagonal.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.0[length(row)..length(row + 1)]
    }

    /// A number, `column ≤ row`.
    pub fn get(&self, row: usize, column: usize) -> f32 {
        self.0[length(row) + column]
    }

    /// The matrix times `x`, `[n]`.
    pub fn times(&self, x: &[f32]) -> Vec<f32> {
        let mut product = vec![0.0; x.len()];
        vectorize(
            #[inline(always)]
            || {
                for (row, &own) in x.iter().enumerate() {
                    let (before, numbers) = (&mut product[..=row], self.row(row));
                    let sum = dot(&numbers[..row], &x[..row]);
                    add_scaled(before, numbers, own);
                    before[row] += sum;
                }
            },
        );
        product
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_whole_matrix() {
        // [[1, 2, 4], [2, 3, 5], [4, 5, 6]]
        let matrix = Packed::from_numbers(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3).unwrap();
        assert_eq!(matrix.times(&[1.0, -1.0, 2.0]), [7.0, 9.0, 11.0]);
        assert_eq!(matrix.get(2, 1), 5.0);
        let same = Packed::of(3, |row, out| out.copy_from_slice(matrix.row(row)));
        assert_eq!(same, matrix);
        assert!(Packed::from_numbers(&[1.0, 2.0], 2).is_none());
        assert!(Packed::from_numbers(&[], usize::MAX).is_none());
    }
}
