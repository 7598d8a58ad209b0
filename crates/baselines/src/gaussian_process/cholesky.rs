//! Linear equations with a small symmetric matrix.

use mmdlrm_kernels::{add_scaled, dot, vectorize};

/// Rows that are added to another at a time.
const ROWS: usize = 4;

/// The factor of a symmetric positive definite matrix, `K = Uᵀ·U`, `[n, n]`. Keep
/// one, and with it its memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Cholesky {
    n: usize,
    /// `U`; what is below the diagonal means nothing.
    factor: Vec<f32>,
    scratch: Vec<f32>,
}

impl Cholesky {
    /// `fill(row, out)` writes a row of `K` from its diagonal on. The diagonal should
    /// have something added to it that keeps `K` from being singular.
    pub fn fit(&mut self, n: usize, fill: impl Fn(usize, &mut [f32])) {
        self.n = n;
        self.factor.resize(n * n, 0.0);
        self.scratch.resize(n, 0.0);
        let Self {
            factor, scratch, ..
        } = self;
        for row in 0..n {
            fill(row, &mut factor[row * n + row..(row + 1) * n]);
        }
        vectorize(
            #[inline(always)]
            || {
                for row in 0..n {
                    let (above, own) = factor.split_at_mut(row * n);
                    for (coefficient, above) in scratch.iter_mut().zip(above.chunks_exact(n)) {
                        *coefficient = above[row];
                    }
                    let own = &mut own[row..n];
                    subtract_rows(own, &scratch[..row], &above[row..], n);
                    let scale = own[0].sqrt().recip();
                    own.iter_mut().for_each(|x| *x *= scale);
                }
            },
        );
    }

    /// `x → K⁻¹ · x`.
    pub fn solve(&self, x: &mut [f32]) {
        let rows = self.factor.chunks_exact(self.n.max(1)).enumerate();
        vectorize(
            #[inline(always)]
            || {
                for (row, factor) in rows.clone() {
                    let (solved, rest) = x[row..].split_at_mut(1);
                    solved[0] /= factor[row];
                    add_scaled(rest, &factor[row + 1..], -solved[0]);
                }
                for (row, factor) in rows.clone().rev() {
                    let known = dot(&factor[row + 1..], &x[row + 1..]);
                    x[row] = (x[row] - known) / factor[row];
                }
            },
        );
    }
}

/// `out −= Σ coefficient · row` over rows that begin `n` numbers apart.
#[inline(always)]
fn subtract_rows(out: &mut [f32], coefficients: &[f32], rows: &[f32], n: usize) {
    let length = out.len();
    let row = |number: usize| &rows[number * n..][..length];
    let (groups, rest) = coefficients.as_chunks::<ROWS>();
    for (number, group) in groups.iter().enumerate() {
        let [a, b, c, d] = std::array::from_fn(|it| row(number * ROWS + it));
        for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *out -= (group[0] * a + group[1] * b) + (group[2] * c + group[3] * d);
        }
    }
    for (coefficient, number) in rest.iter().zip(groups.len() * ROWS..) {
        add_scaled(out, row(number), -coefficient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solutions_solve_their_equations() {
        let mut cholesky = Cholesky::default();
        for n in [1, 2, 3, 7, 16, 61] {
            // Neighbours are alike, and there is noise.
            let k = |row: usize, column: usize| {
                let apart = row.abs_diff(column) as f32;
                (-apart / 5.0).exp() + if row == column { 0.1 } else { 0.0 }
            };
            cholesky.fit(n, |row, out| {
                for (out, column) in out.iter_mut().zip(row..) {
                    *out = k(row, column);
                }
            });
            let wanted: Vec<f32> = (0..n).map(|at| (at as f32).sin()).collect();
            let mut x: Vec<f32> = (0..n)
                .map(|row| (0..n).map(|column| k(row, column) * wanted[column]).sum())
                .collect();
            cholesky.solve(&mut x);
            for (found, wanted) in x.iter().zip(&wanted) {
                assert!((found - wanted).abs() < 1e-4, "{n}: {found} {wanted}");
            }
        }
        cholesky.fit(0, |_, _| {});
        cholesky.solve(&mut []);
    }
}
