//! The vectors of one side while those of the other are solved for.

use mmdlrm_kernels::{Panels, copy_rows, store};
use rayon::prelude::*;

use super::eigen::Eigen;
use super::gram::gram;
use super::lanes::{LANES, Lanes};

/// Rows that a thread turns at a time.
const ROWS: usize = 256;

/// Vectors `Y`, turned so that `YᵀY = S` is diagonal: that changes no product with vectors of the
/// other side, which are solved for. Each is a row of whole stretches.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fixed {
    factors: usize,
    vectors: Vec<Lanes>,
    /// `S`.
    spectrum: Vec<Lanes>,
}

/// Stretches of a vector of so many factors.
pub(super) fn across(factors: usize) -> usize {
    factors.div_ceil(LANES)
}

impl Fixed {
    /// Of vectors that are turned anyhow.
    pub fn of(vectors: Vec<Lanes>, factors: usize) -> Self {
        let across = across(factors);
        let width = across * LANES;
        let gram = gram(&vectors, across);
        let rows = gram.chunks_exact(width).take(factors);
        let square = rows.flat_map(|row| &row[..factors]).copied();
        let eigen = Eigen::of(square.collect(), factors);
        let turn: Vec<f32> = eigen.vectors.iter().map(|&x| x as f32).collect();
        let turn = Panels::of_transposed(&turn, factors, factors);
        let mut turned = vec![Lanes::default(); vectors.len()];
        let pieces = vectors.par_chunks(ROWS * across);
        let pieces = pieces.zip(turned.par_chunks_mut(ROWS * across));
        pieces.for_each_init(Vec::new, |scratch, (piece, out)| {
            let rows = copy_rows(piece.as_flattened(), width);
            let out = (out.as_flattened_mut(), width);
            turn.multiply(rows, piece.len() / across, out, store(), scratch);
        });
        let spectrum: Vec<f32> = eigen.values.iter().map(|&x| x as f32).collect();
        Self {
            factors,
            vectors: turned,
            spectrum: padded(&spectrum, factors),
        }
    }

    /// Of what [`Self::parts`] says; `None` where that does not fit together.
    pub fn from_parts(rows: usize, vectors: &[f32], spectrum: &[f32]) -> Option<Self> {
        let factors = spectrum.len();
        let is_sound = factors > 0 && spectrum.iter().all(|&x| x >= 0.0);
        let is_sound = is_sound && rows.checked_mul(factors) == Some(vectors.len());
        is_sound.then(|| Self {
            factors,
            vectors: padded(vectors, factors),
            spectrum: padded(spectrum, factors),
        })
    }

    /// `Y`, `[rows, factors]`, and `S`, `[factors]`.
    pub fn parts(&self) -> (Vec<f32>, &[f32]) {
        let own = |row| &<[Lanes]>::as_flattened(row)[..self.factors];
        (
            self.rows().flat_map(own).copied().collect(),
            own(&self.spectrum),
        )
    }

    /// Stretches of a vector.
    pub fn across(&self) -> usize {
        self.spectrum.len()
    }

    /// Numbers of a vector, with the zeros behind the factors.
    pub fn width(&self) -> usize {
        self.across() * LANES
    }

    pub fn len(&self) -> usize {
        self.vectors.len() / self.across()
    }

    pub fn spectrum(&self) -> &[Lanes] {
        &self.spectrum
    }

    /// A vector.
    pub fn row(&self, row: u32) -> &[Lanes] {
        &self.vectors[row as usize * self.across()..][..self.across()]
    }

    /// All vectors, one after another.
    pub fn rows(&self) -> impl Iterator<Item = &[Lanes]> {
        self.vectors.chunks_exact(self.across())
    }
}

/// Rows of so many factors as whole stretches.
fn padded(numbers: &[f32], factors: usize) -> Vec<Lanes> {
    let mut rows = vec![Lanes::default(); numbers.len() / factors * across(factors)];
    let wide = rows
        .as_flattened_mut()
        .chunks_exact_mut(across(factors) * LANES);
    for (wide, row) in wide.zip(numbers.chunks_exact(factors)) {
        wide[..factors].copy_from_slice(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turned_vectors_have_the_same_products_and_a_diagonal_of_squares() {
        let (rows, factors) = (300, 19);
        let number = |row: usize, column: usize| ((row * row * 31 + column * 57) % 23) as f32 / 7.0;
        let of_row = |row| (0..factors).map(move |column| number(row, column));
        let numbers: Vec<f32> = (0..rows).flat_map(of_row).collect();
        let fixed = Fixed::of(padded(&numbers, factors), factors);
        assert_eq!((fixed.len(), fixed.width()), (rows, 32));
        let (vectors, spectrum) = fixed.parts();
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            let products = a.iter().zip(b);
            products.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        let row = |of: &[f32], row: usize| of[row * factors..][..factors].to_vec();
        for (a, b) in [(0, 0), (1, 7), (299, 150)] {
            let before = dot(&row(&numbers, a), &row(&numbers, b));
            let after = dot(&row(&vectors, a), &row(&vectors, b));
            assert!((after - before).abs() < 1e-4, "{after} {before}");
        }
        let column = |column: usize| -> Vec<f32> {
            let column = vectors[column..].iter().step_by(factors);
            column.copied().collect()
        };
        for (a, &own) in spectrum.iter().enumerate() {
            for b in a..factors {
                let expected = if a == b { f64::from(own) } else { 0.0 };
                let found = dot(&column(a), &column(b));
                let apart = (found - expected).abs();
                assert!(apart < 0.01, "{a} {b}: {found} {expected}");
            }
        }
        let again = Fixed::from_parts(rows, &vectors, spectrum);
        assert_eq!(again, Some(fixed.clone()));
        assert_eq!(Fixed::from_parts(rows + 1, &vectors, spectrum), None);
        assert_eq!(Fixed::from_parts(rows, &vectors, &[]), None);
        let negative: Vec<f32> = spectrum.iter().map(|x| -x).collect();
        assert_eq!(Fixed::from_parts(rows, &vectors, &negative), None);
    }
}
