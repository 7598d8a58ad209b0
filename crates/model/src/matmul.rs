//! Single-threaded matrix products over row-major slices.
//!
//! Threads are given different samples, not pieces of one product: the
//! products of a step are too small to share.

use gemm::{Parallelism, gemm};

/// `out[m, n] += a[m, k] · b[n, k]ᵀ`: a linear layer forwards.
pub(crate) fn add_a_bt(out: &mut [f32], a: &[f32], b: &[f32], m: usize, n: usize, k: usize) {
    check(out, a, b, (m * n, m * k, n * k));
    // SAFETY: the lengths were checked against the sizes and strides given.
    unsafe {
        run(out, a, b, (m, n, k), (k as isize, 1), (1, k as isize));
    }
}

/// `out[m, n] += a[m, k] · b[k, n]`: a linear layer's input gradient.
pub(crate) fn add_a_b(out: &mut [f32], a: &[f32], b: &[f32], m: usize, n: usize, k: usize) {
    check(out, a, b, (m * n, m * k, k * n));
    // SAFETY: the lengths were checked against the sizes and strides given.
    unsafe {
        run(out, a, b, (m, n, k), (k as isize, 1), (n as isize, 1));
    }
}

/// `out[m, n] += a[k, m]ᵀ · b[k, n]`: a linear layer's weight gradient.
pub(crate) fn add_at_b(out: &mut [f32], a: &[f32], b: &[f32], m: usize, n: usize, k: usize) {
    check(out, a, b, (m * n, k * m, k * n));
    // SAFETY: the lengths were checked against the sizes and strides given.
    unsafe {
        run(out, a, b, (m, n, k), (1, m as isize), (n as isize, 1));
    }
}

/// Holds the callers' part of the safety contract.
fn check(out: &[f32], a: &[f32], b: &[f32], lengths: (usize, usize, usize)) {
    assert_eq!((out.len(), a.len(), b.len()), lengths, "matrix lengths");
}

/// `out += a · b` with `out` row-major and strides `(row, column)` for the
/// others.
///
/// # Safety
/// `a` must hold `m × k` and `b` `k × n` elements under the given strides, and
/// `out` `m × n`.
unsafe fn run(
    out: &mut [f32],
    a: &[f32],
    b: &[f32],
    (m, n, k): (usize, usize, usize),
    (a_row, a_column): (isize, isize),
    (b_row, b_column): (isize, isize),
) {
    // SAFETY: in bounds by this function's contract; `out` is borrowed
    // exclusively, so it overlaps neither input.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            true,
            a.as_ptr(),
            a_column,
            a_row,
            b.as_ptr(),
            b_column,
            b_row,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_match_the_definition_and_add() {
        let (m, n, k) = (3, 4, 5);
        let a: Vec<f32> = (0..m * k).map(|i| i as f32 * 0.5 - 2.0).collect();
        let b: Vec<f32> = (0..k * n).map(|i| 1.0 - i as f32 * 0.25).collect();
        let transpose = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..rows * columns)
                .map(|i| x[i % rows * columns + i / rows])
                .collect()
        };
        let expected: Vec<f32> = (0..m * n)
            .map(|i| {
                1.0 + (0..k)
                    .map(|p| a[i / n * k + p] * b[p * n + i % n])
                    .sum::<f32>()
            })
            .collect();
        let mut out = vec![1.0; m * n];
        add_a_b(&mut out, &a, &b, m, n, k);
        assert_eq!(out, expected);
        out.fill(1.0);
        add_a_bt(&mut out, &a, &transpose(&b, k, n), m, n, k);
        assert_eq!(out, expected);
        out.fill(1.0);
        add_at_b(&mut out, &transpose(&a, m, k), &b, m, n, k);
        assert_eq!(out, expected);
    }
}
