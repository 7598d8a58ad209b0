//! Eigenvectors of a symmetric matrix, in `f64`.
//!
//! With `A = UᵀU` (Cholesky), rows of `U` are turned in pairs until all are orthogonal (Hestenes,
//! 1958; Veselić and Hari, 1989). Each is then the root of an eigenvalue times its eigenvector: the
//! turns from the left change nothing of `UᵀU`. A matrix that is nearly diagonal takes a few sweeps.

use mmdlrm_kernels::vectorize;

/// What is added to the diagonal, of the mean of the diagonal, and taken from the eigenvalues again:
/// more than sums of `f32` can have made a matrix indefinite by.
const SHIFT: f64 = 1e-2;
/// Cosines of two rows that are taken for orthogonal: what is made of them are numbers of `f32`.
const ORTHOGONAL: f64 = 1e-10;
/// Sweeps, at most. A handful is enough.
const SWEEPS: usize = 40;
const LANES: usize = 8;

/// Eigenvalues, from 0 on, `[n]`, and their eigenvectors by rows, `[n, n]`, in no order.
pub(super) struct Eigen {
    pub values: Vec<f64>,
    pub vectors: Vec<f64>,
}

impl Eigen {
    /// Of a positive semidefinite matrix, `[n, n]`, of which the upper triangle counts.
    pub fn of(mut matrix: Vec<f64>, n: usize) -> Self {
        let trace: f64 = matrix.iter().step_by(n + 1).sum();
        let shift = SHIFT * trace / n as f64;
        // All zeros: any vectors are right.
        let shift = if shift > 0.0 { shift } else { 1.0 };
        matrix.iter_mut().step_by(n + 1).for_each(|x| *x += shift);
        let values = vectorize(
            #[inline(always)]
            || {
                factor(&mut matrix, n);
                turn(&mut matrix, n)
            },
        );
        for (row, value) in matrix.chunks_exact_mut(n).zip(&values) {
            let norm = value.sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
        Self {
            values: values
                .iter()
                .map(|value| (value - shift).max(0.0))
                .collect(),
            vectors: matrix,
        }
    }
}

/// `A → U`, zeros below the diagonal.
#[inline(always)]
fn factor(matrix: &mut [f64], n: usize) {
    for pivot in 0..n {
        let (above, below) = matrix.split_at_mut((pivot + 1) * n);
        let own = &mut above[pivot * n..];
        let scale = own[pivot].sqrt().recip();
        own[..pivot].fill(0.0);
        own[pivot..].iter_mut().for_each(|x| *x *= scale);
        for (row, out) in (pivot + 1..n).zip(below.chunks_exact_mut(n)) {
            let factor = own[row];
            let columns = out[row..].iter_mut().zip(&own[row..]);
            columns.for_each(|(out, x)| *out -= factor * x);
        }
    }
}

/// Turns rows until they are orthogonal; their squared norms.
#[inline(always)]
fn turn(rows: &mut [f64], n: usize) -> Vec<f64> {
    let mut norms = vec![0.0; n];
    for _ in 0..SWEEPS {
        let squares = norms.iter_mut().zip(rows.chunks_exact(n));
        squares.for_each(|(norm, row)| *norm = dot(row, row));
        let mut turned = false;
        // Pairs that follow each other have no row in common, so that one need not wait for another.
        for apart in 1..n {
            for first in 0..n - apart {
                let second = first + apart;
                let (above, below) = rows.split_at_mut(second * n);
                let (one, other) = (&mut above[first * n..][..n], &mut below[..n]);
                turned |= turn_pair(one, other, &mut norms, (first, second));
            }
        }
        if !turned {
            break;
        }
    }
    norms
}

/// Makes two rows orthogonal; whether they were not.
#[inline(always)]
fn turn_pair(
    one: &mut [f64],
    other: &mut [f64],
    norms: &mut [f64],
    (first, second): (usize, usize),
) -> bool {
    let product = dot(one, other);
    let (a, b) = (norms[first], norms[second]);
    if product * product <= ORTHOGONAL * ORTHOGONAL * a * b {
        return false;
    }
    let ratio = (b - a) / (2.0 * product);
    let tangent = ratio.signum() / (ratio.abs() + (1.0 + ratio * ratio).sqrt());
    let cosine = (1.0 + tangent * tangent).sqrt().recip();
    let sine = tangent * cosine;
    let (one, one_rest) = one.as_chunks_mut::<LANES>();
    let (other, other_rest) = other.as_chunks_mut::<LANES>();
    for (one, other) in one.iter_mut().zip(other) {
        (*one, *other) = turned(*one, *other, cosine, sine);
    }
    for (one, other) in one_rest.iter_mut().zip(other_rest) {
        let ([x], [y]) = turned([*one], [*other], cosine, sine);
        (*one, *other) = (x, y);
    }
    norms[first] = a - tangent * product;
    norms[second] = b + tangent * product;
    true
}

#[inline(always)]
fn turned<const N: usize>(
    x: [f64; N],
    y: [f64; N],
    cosine: f64,
    sine: f64,
) -> ([f64; N], [f64; N]) {
    let (mut one, mut other) = ([0.0; N], [0.0; N]);
    for at in 0..N {
        one[at] = cosine * x[at] - sine * y[at];
        other[at] = sine * x[at] + cosine * y[at];
    }
    (one, other)
}

#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of rank `rank`, the upper triangle.
    fn matrix(n: usize, rank: usize) -> Vec<f64> {
        let factor = |row: usize, k: usize| ((row * 37 + k * 101) % 17) as f64 - 8.0;
        let product = |a, b| (0..rank).map(|k| factor(a, k) * factor(b, k)).sum();
        let entry = |at: usize| {
            if at % n < at / n {
                f64::NAN
            } else {
                product(at / n, at % n)
            }
        };
        (0..n * n).map(entry).collect()
    }

    #[test]
    fn a_matrix_is_made_of_its_eigenvectors() {
        for (n, rank) in [(1, 1), (2, 2), (7, 7), (16, 3), (40, 60), (5, 0)] {
            let a = matrix(n, rank);
            let size: f64 = a.iter().step_by(n + 1).sum::<f64>().max(1.0);
            let eigen = Eigen::of(a.clone(), n);
            let vector = |at: usize| &eigen.vectors[at * n..][..n];
            for row in 0..n {
                for column in row..n {
                    let product: f64 = vector(row)
                        .iter()
                        .zip(vector(column))
                        .map(|(a, b)| a * b)
                        .sum();
                    let expected = f64::from(u8::from(row == column));
                    assert!((product - expected).abs() < 1e-9, "{n}: {product}");
                    let parts =
                        (0..n).map(|k| vector(k)[row] * vector(k)[column] * eigen.values[k]);
                    let sum: f64 = parts.sum();
                    assert!(
                        (sum - a[row * n + column]).abs() < 1e-9 * size,
                        "{n}: {sum}"
                    );
                }
            }
            assert!(eigen.values.iter().filter(|&&it| it > 1e-8 * size).count() <= rank);
        }
    }
}
