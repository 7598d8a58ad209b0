/// The rows of a matrix `[rows, k]`, as products ask for them: a stretch of a row at a time.
///
/// [`copy_rows`] reads a matrix that lies in memory. Others are made up while they are read, so
/// that they need not lie anywhere:
///
/// ```
/// use mmdlrm_kernels::{Panels, Rows, store};
///
/// /// Row `r` is `r, r + 1, r + 2, …`.
/// #[derive(Clone, Copy)]
/// struct Counting;
///
/// impl Rows for Counting {
///     #[inline(always)]
///     fn read(&self, row: usize, from: usize, out: &mut [f32]) {
///         out.iter_mut().zip(row + from..).for_each(|(x, number)| *x = number as f32);
///     }
/// }
///
/// // A column of ones sums a row.
/// let ones = Panels::of_transposed(&[1.0; 3], 1, 3);
/// let mut sums = [0.0; 2];
/// ones.multiply(Counting, 2, (&mut sums, 1), store(), &mut Vec::new());
/// assert_eq!(sums, [3.0, 6.0]);
/// ```
pub trait Rows: Copy {
    /// Writes the numbers of `row` from column `from` on, as many as `out` has room for.
    ///
    /// It should be `#[inline(always)]`, to be compiled for the vector registers at hand.
    fn read(&self, row: usize, from: usize, out: &mut [f32]);
}

/// The rows of a matrix in row-major order: what [`copy_rows`] returns.
#[derive(Debug, Clone, Copy)]
pub struct RowMajor<'a> {
    pub(crate) data: &'a [f32],
    /// Floats from the beginning of a row to that of the next.
    pub(crate) stride: usize,
}

/// The rows of a matrix in row-major order, `stride` floats from one to the next.
pub fn copy_rows(data: &[f32], stride: usize) -> RowMajor<'_> {
    RowMajor { data, stride }
}

impl Rows for RowMajor<'_> {
    #[inline(always)]
    fn read(&self, row: usize, from: usize, out: &mut [f32]) {
        let start = row * self.stride + from;
        out.copy_from_slice(&self.data[start..start + out.len()]);
    }
}
