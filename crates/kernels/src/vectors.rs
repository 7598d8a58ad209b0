/// Partial sums that a dot product keeps: as many as fill the widest vector
/// registers, so that the compiler need not reorder additions.
pub(crate) const LANES: usize = 16;

/// Scalar product, in an order that does not depend on the machine. For loops that
/// are [vectorized](crate::vectorize).
///
/// ```
/// assert_eq!(mmdlrm_kernels::dot(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
/// ```
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    total(sums) + rest
}

/// Halves upon halves: a chain of additions would take longer than the products.
#[inline(always)]
pub(crate) fn total(sums: [f32; LANES]) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|lane| sums[lane] + sums[lane + 8]);
    let four: [f32; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// `out += factor · x`, for loops that are [vectorized](crate::vectorize).
#[inline(always)]
pub fn add_scaled(out: &mut [f32], x: &[f32], factor: f32) {
    out.iter_mut()
        .zip(x)
        .for_each(|(out, x)| *out += factor * x);
}
