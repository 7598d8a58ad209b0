//! The product of two panels, eight rows of each.

/// Rows and columns of a tile of sums, and so of what is packed together.
pub(super) const TILE: usize = 8;
/// Rows of a tile that are summed at a time: as many as fit the registers of any machine.
pub(super) const HALF: usize = TILE / 2;

/// Eight rows of a panel, one column.
pub(super) type Column = [f64; TILE];

/// `out[r] −= Σ_p a_p[FIRST + r]·b_p`, of half a tile; rows of `out` are `stride` apart.
#[inline(always)]
pub(super) fn subtract_tile<const FIRST: usize>(
    a: &[Column],
    b: &[Column],
    out: &mut [f64],
    stride: usize,
    width: usize,
) {
    let mut sums = [[0.0; TILE]; HALF];
    for (a, b) in a.iter().zip(b) {
        for row in 0..HALF {
            for column in 0..TILE {
                sums[row][column] += a[FIRST + row] * b[column];
            }
        }
    }
    for (out, sums) in out.chunks_mut(stride).zip(&sums) {
        let out = &mut out[..width.min(TILE)];
        match <&mut Column>::try_from(&mut *out) {
            Ok(out) => out.iter_mut().zip(sums).for_each(|(out, sum)| *out -= sum),
            Err(_) => out.iter_mut().zip(sums).for_each(|(out, sum)| *out -= sum),
        }
    }
}
