//! The equations of one user or item.
//!
//! With the vectors `y_i` of the `n` that were rated, turned so that those of all have `YᵀY = S`, and
//! the ridge `ρ`:
//!
//! ```text
//! z_i = (S + ρ)^-½·y_i                                                  Z [n, factors]
//! x   = (S + ρ)^-½·A⁻¹·α·Zᵀ1        A = 1 + (α − 1)·ZᵀZ
//! ```
//!
//! Since `ZᵀZ ≤ 1`, the eigenvalues of `A` lie between 1 and `α`, most of them near 1, whatever the
//! vectors and the ridge: `f32` is enough, and conjugate gradients come to a solution in a few
//! steps. A step goes over `Z`, or over `ZᵀZ` where `Z` is long.

use mmdlrm_kernels::{prefetch, vectorize};

use super::fixed::Fixed;
use super::gradients::Gradients;
use super::gram::{add_gram, mirror};
use super::lanes::{Lanes, add_product, add_rows, add_square, dot};

/// Stretches of `Z` that stay in a core's second-level cache.
const NEAR: usize = 1 << 13;
/// Ratings whose vectors are read at a time for `ZᵀZ`: they stay in the first-level cache.
const AT_A_TIME: usize = 64;
/// What may be left of a right-hand side on the way to other vectors; an iteration changes more.
pub(super) const ROUGHLY: f32 = 1e-3;
/// What may be left of it when somebody asks; numbers of `f32` say little more.
pub(super) const EXACTLY: f32 = 1e-5;
/// How far ahead vectors are asked for.
const AHEAD: usize = 8;

/// The equations of whoever it was last set to; keep one, and with it its memory.
#[derive(Debug, Default)]
pub(super) struct Equations {
    alpha: f32,
    /// `(S + ρ)^-½`.
    scales: Vec<Lanes>,
    matrix: Matrix,
    /// `α·Zᵀ1`.
    right: Vec<Lanes>,
    gradients: Gradients,
}

/// `A`.
#[derive(Debug, Default)]
struct Matrix {
    /// `α − 1`.
    weight: f32,
    /// `Z`; where it is long the last rows of it that were read.
    z: Vec<Lanes>,
    /// `ZᵀZ`, where `Z` is long.
    square: Vec<Lanes>,
    is_long: bool,
}

impl Matrix {
    /// `out = A·x`
    #[inline(always)]
    fn apply(&self, x: &[Lanes], out: &mut [Lanes]) {
        out.copy_from_slice(x);
        match self.is_long {
            true => add_product(out, &self.square, x, self.weight),
            false => add_square(out, &self.z, x, self.weight),
        }
    }
}

impl Equations {
    /// Of somebody who has `rated` some of `fixed`.
    pub fn set(&mut self, fixed: &Fixed, rated: &[u32], alpha: f64, ridge: f64) {
        let across = fixed.across();
        self.alpha = alpha as f32;
        self.set_scales(fixed.spectrum(), ridge as f32);
        clear(&mut self.right, across);
        self.matrix.weight = self.alpha - 1.0;
        self.matrix.is_long = rated.len() * across > NEAR;
        if !self.matrix.is_long {
            self.read(fixed, rated);
            return;
        }
        clear(&mut self.matrix.square, across * fixed.width());
        for rated in rated.chunks(AT_A_TIME) {
            self.read(fixed, rated);
            add_gram(&self.matrix.z, across, &mut self.matrix.square);
        }
        mirror(&mut self.matrix.square, across);
    }

    fn set_scales(&mut self, spectrum: &[Lanes], ridge: f32) {
        let scales = &mut self.scales;
        scales.clear();
        vectorize(
            #[inline(always)]
            || {
                let scale = |s: &Lanes| s.map(|s| (s + ridge).sqrt().recip());
                scales.extend(spectrum.iter().map(scale));
            },
        );
    }

    /// `z` of some ratings, which are added to the right-hand side.
    fn read(&mut self, fixed: &Fixed, rated: &[u32]) {
        let across = fixed.across();
        let z = &mut self.matrix.z;
        z.resize(rated.len() * across, Lanes::default());
        let (right, scales, alpha) = (&mut self.right, &self.scales, self.alpha);
        vectorize(
            #[inline(always)]
            || {
                for (place, z) in z.chunks_exact_mut(across).enumerate() {
                    if let Some(&ahead) = rated.get(place + AHEAD) {
                        prefetch(fixed.row(ahead));
                    }
                    scale(z, fixed.row(rated[place]), scales);
                }
                add_rows(right, z, alpha);
            },
        );
    }

    /// Writes the vector that solves them but for a `rest`, and returns what its ratings leave of
    /// the loss, `Σ c·(p − x·y)² + ρ·‖x‖²`.
    pub fn vector(&mut self, out: &mut [Lanes], rated: usize, rest: f32) -> f64 {
        let Self {
            alpha,
            scales,
            matrix,
            right,
            gradients,
        } = self;
        let fitted = vectorize(
            #[inline(always)]
            || {
                let solution = gradients.solve(
                    right,
                    rest,
                    #[inline(always)]
                    |x, out| matrix.apply(x, out),
                );
                scale(out, solution, scales);
                dot(right, solution)
            },
        );
        f64::from(*alpha) * rated as f64 - f64::from(fitted)
    }

    /// What each of the ratings that they were set to adds to the product of the vector that solves
    /// them and that of `item`: `α·z_i·A⁻¹·z_item`.
    pub fn shares(&mut self, fixed: &Fixed, rated: &[u32], item: u32) -> Vec<f32> {
        let Self {
            alpha,
            scales,
            matrix,
            gradients,
            ..
        } = self;
        vectorize(
            #[inline(always)]
            || {
                let mut z = vec![Lanes::default(); fixed.across()];
                scale(&mut z, fixed.row(item), scales);
                let solution = gradients.solve(
                    &z,
                    EXACTLY,
                    #[inline(always)]
                    |x, out| matrix.apply(x, out),
                );
                scale(&mut z, solution, scales);
                let share = |&other: &u32| *alpha * dot(fixed.row(other), &z);
                rated.iter().map(share).collect()
            },
        )
    }
}

/// `out = x·scale`, number by number.
#[inline(always)]
fn scale(out: &mut [Lanes], x: &[Lanes], scales: &[Lanes]) {
    for ((out, x), scales) in out.iter_mut().zip(x).zip(scales) {
        let mut scaled = *x;
        for (x, scale) in scaled.iter_mut().zip(scales) {
            *x *= scale;
        }
        *out = scaled;
    }
}

/// So many zeros.
fn clear(numbers: &mut Vec<Lanes>, count: usize) {
    numbers.clear();
    numbers.resize(count, Lanes::default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ials::lanes::LANES;

    const FACTORS: usize = 20;
    const ROWS: usize = 4500;

    fn fixed() -> Fixed {
        let number = |at: usize| ((at * at * 31 + at * 57) % 101) as f32 / 50.0 - 1.0;
        let mut vectors = vec![Lanes::default(); ROWS * 2];
        for (row, wide) in vectors.chunks_exact_mut(2).enumerate() {
            let own = &mut wide.as_flattened_mut()[..FACTORS];
            (0..)
                .zip(own)
                .for_each(|(at, x)| *x = number(row * 32 + at));
        }
        Fixed::of(vectors, FACTORS)
    }

    /// Its factors.
    fn row(fixed: &Fixed, row: u32) -> &[f32] {
        &fixed.row(row).as_flattened()[..FACTORS]
    }

    fn product(a: &[f64], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum()
    }

    /// `A = YᵀY + (α − 1)·Σ y·yᵀ + ρ` of the ratings, and `A⁻¹·b` by Gauss and Jordan.
    fn naive(
        fixed: &Fixed,
        rated: &[u32],
        (alpha, ridge): (f64, f64),
        mut b: Vec<f64>,
    ) -> Vec<f64> {
        let mut a = vec![vec![0.0; FACTORS]; FACTORS];
        for row in 0..ROWS as u32 {
            let weight = if rated.contains(&row) { alpha } else { 1.0 };
            let y: Vec<f64> = self::row(fixed, row)
                .iter()
                .map(|&y| f64::from(y))
                .collect();
            for (p, a) in a.iter_mut().enumerate() {
                a.iter_mut()
                    .zip(&y)
                    .for_each(|(a, q)| *a += weight * y[p] * q);
            }
        }
        (0..FACTORS).for_each(|p| a[p][p] += ridge);
        for pivot in 0..FACTORS {
            let scale = a[pivot][pivot];
            a[pivot].iter_mut().for_each(|x| *x /= scale);
            b[pivot] /= scale;
            let own = a[pivot].clone();
            for row in (0..FACTORS).filter(|&row| row != pivot) {
                let factor = a[row][pivot];
                a[row]
                    .iter_mut()
                    .zip(&own)
                    .for_each(|(x, own)| *x -= factor * own);
                b[row] -= factor * b[pivot];
            }
        }
        b
    }

    #[test]
    fn vectors_shares_and_losses_are_those_of_the_equations_however_many_ratings() {
        let fixed = fixed();
        let mut equations = Equations::default();
        assert!(4200 * fixed.across() > NEAR);
        for (count, alpha, ridge) in [
            (1, 5.0, 5.0),
            (10, 40.0, 1e-6),
            (11, 40.0, 1e-6),
            (70, 2.0, 100.0),
            (90, 10_000.0, 0.1),
            // So many that `ZᵀZ` is made.
            (4200, 40.0, 3.0),
            (7, 10_000.0, 0.1),
            (30, 1.0, 1.0),
            (9, 1.0, 1.0),
        ] {
            let rated: Vec<u32> = (0..count).map(|it| it * 7 % ROWS as u32).collect();
            let weights = (alpha, ridge);
            let right = |at: usize| {
                rated
                    .iter()
                    .map(|&it| alpha * f64::from(row(&fixed, it)[at]))
                    .sum()
            };
            let right: Vec<f64> = (0..FACTORS).map(right).collect();
            let expected = naive(&fixed, &rated, weights, right);
            equations.set(&fixed, &rated, alpha, ridge);
            let mut found = vec![[f32::NAN; LANES]; 2];
            let loss = equations.vector(&mut found, rated.len(), EXACTLY);
            let found = found.as_flattened();
            let size = expected.iter().map(|x| x.abs()).fold(0.0, f64::max);
            for (found, expected) in found.iter().zip(&expected) {
                let apart = (f64::from(*found) - expected).abs();
                assert!(
                    apart < 2e-4 * size,
                    "{count} {alpha} {ridge}: {found} {expected}"
                );
            }
            assert!(found[FACTORS..].iter().all(|&x| x == 0.0));

            let of_row = |row: u32| {
                let (weight, wanted) = match rated.contains(&row) {
                    true => (alpha, 1.0),
                    false => (1.0, 0.0),
                };
                weight * (wanted - product(&expected, self::row(&fixed, row))).powi(2)
            };
            let squares: f64 = expected.iter().map(|x| x * x).sum();
            let expected_loss = (0..ROWS as u32).map(of_row).sum::<f64>() + ridge * squares;
            let scale = alpha * f64::from(count);
            assert!(
                (loss - expected_loss).abs() < 1e-4 * scale,
                "{loss} {expected_loss}"
            );

            let item = 13;
            let y = row(&fixed, item).iter().map(|&y| f64::from(y)).collect();
            let turned = naive(&fixed, &rated, weights, y);
            let shares = equations.shares(&fixed, &rated, item);
            for (share, &other) in shares.iter().zip(&rated) {
                let expected = alpha * product(&turned, row(&fixed, other));
                assert!(
                    (f64::from(*share) - expected).abs() < 1e-3,
                    "{share} {expected}"
                );
            }
            let sum: f64 = shares.iter().map(|&it| f64::from(it)).sum();
            let score = product(&expected, row(&fixed, item));
            assert!((sum - score).abs() < 1e-3, "{sum} {score}");
        }
    }
}
