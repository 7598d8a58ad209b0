//! Linear maps of all nodes, on all threads.

use mmdlrm_kernels::{Finish, Panels, add_transposed, copy_rows};
use rayon::prelude::*;

/// Rows that a thread takes at a time: sums over rows are taken piece by piece, whatever the
/// number of threads.
pub(crate) const ROWS: usize = 256;

/// What happens to a product on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Out<'a> {
    /// It takes the place of what was there.
    Store,
    /// It takes that place with a bias.
    Biased(&'a [f32]),
    /// It is added to what was there.
    Add,
}

/// `out = x·B`, `x` of `[rows, k]`, `B` of `[k, n]`.
pub(crate) fn multiply((x, k): (&[f32], usize), b: &Panels, out: &mut [f32], how: Out) {
    let n = b.width();
    let pieces = x.par_chunks(ROWS * k).zip(out.par_chunks_mut(ROWS * n));
    pieces.for_each_init(Vec::new, |scratch, (x, out)| {
        let bias = match how {
            Out::Biased(bias) => Some(bias),
            Out::Store | Out::Add => None,
        };
        let finish = Finish::new(
            bias,
            how == Out::Add,
            #[inline(always)]
            |_, _, _| {},
        );
        b.multiply(copy_rows(x, k), x.len() / k, (out, n), finish, scratch);
    });
}

/// `Dᵀ·X`, `[m, n]`, of `d`, `[rows, m]`, and `x`, `[rows, n]`: the gradient of `W` in
/// `D = X·Wᵀ`. Sums of pieces are added up in the order of the rows.
pub(crate) fn of_weight((d, m): (&[f32], usize), (x, n): (&[f32], usize)) -> Vec<f32> {
    let pieces = d.par_chunks(ROWS * m).zip(x.par_chunks(ROWS * n));
    let sums = pieces.map_init(Vec::new, |scratch, (d, x)| {
        let mut sum = vec![0.0; m * n];
        add_transposed(&mut sum, d, copy_rows(x, n), (m, n), scratch);
        sum
    });
    total(sums.collect(), m * n)
}

/// Sums of columns, of `[rows, m]`: the gradient of a bias.
pub(crate) fn of_bias((d, m): (&[f32], usize)) -> Vec<f32> {
    let sums = d.par_chunks(ROWS * m).map(|d| {
        let mut sum = vec![0.0; m];
        for row in d.chunks_exact(m) {
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        sum
    });
    total(sums.collect(), m)
}

/// The sum of some vectors, in their order.
pub(crate) fn total(vectors: Vec<Vec<f32>>, length: usize) -> Vec<f32> {
    let mut vectors = vectors.into_iter();
    let mut total = vectors.next().unwrap_or_else(|| vec![0.0; length]);
    for vector in vectors {
        total.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
    }
    total
}
