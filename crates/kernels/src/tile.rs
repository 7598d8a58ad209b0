//! How many rows of sums fit the registers.

use pulp::Simd;

/// Rows of a tile where there are 32 registers: 24 sums, 2 of a panel, a few
/// spare.
pub(crate) const TALL: usize = 12;
/// Rows of a tile where there are 16 registers.
pub(crate) const SHORT: usize = 6;

/// First row and height of each tile of `rows` rows.
#[inline(always)]
pub(crate) fn tiles<S: Simd>(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut row = 0;
    std::iter::from_fn(move || {
        let many = S::REGISTER_COUNT >= 32;
        let height = match rows - row {
            0 => return None,
            left if left >= TALL && many => TALL,
            left if left >= 8 && many => 8,
            left if left >= SHORT && !many => SHORT,
            left if left >= 4 => 4,
            left if left >= 2 => 2,
            _ => 1,
        };
        row += height;
        Some((row - height, height))
    })
}

/// Width of the panel that begins at `column` of `n`, in registers: the last
/// may be narrow.
#[inline(always)]
pub(crate) fn panel_registers<S: Simd>(column: usize, n: usize) -> usize {
    if n - column <= S::F32_LANES { 1 } else { 2 }
}
