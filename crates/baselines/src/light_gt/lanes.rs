//! Rows in whole vector registers. All of it is `#[inline(always)]`, for loops that are vectorized.

/// Numbers that are looked at together.
pub(super) const LANES: usize = 16;
/// A sum for each of [`LANES`], of a row. Rows are summed in two goes, the lanes of all rows
/// first: in one go the compiler takes the lanes apart.
pub(super) type Lanes = [f32; LANES];

/// The length of rows of `n` numbers that are looked at in whole [`LANES`].
pub(super) fn wide(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// Room for `rows` rows of `n` numbers, next to each other, of each of which whole lanes are
/// written: what is too much of one is overwritten by the next.
pub(super) fn length(rows: usize, n: usize) -> usize {
    rows * n + LANES
}

/// Writes `value` behind rows of `n` numbers, as far as the rows are [`wide`].
#[inline(always)]
pub(super) fn fill_behind(rows: &mut [f32], n: usize, value: f32) {
    for row in rows.chunks_exact_mut(wide(n)) {
        if let Some(last) = row.last_chunk_mut::<LANES>() {
            *last = [value; LANES];
        }
    }
}

#[inline(always)]
pub(super) fn total(lanes: &Lanes) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|lane| lanes[lane] + lanes[lane + 8]);
    let four: [f32; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

#[inline(always)]
pub(super) fn greatest(lanes: &Lanes) -> f32 {
    lanes.iter().fold(f32::NEG_INFINITY, |most, x| most.max(*x))
}

/// The lanes of `Σ term(x, y)` over two rows of one length.
#[inline(always)]
pub(super) fn sum_lanes(x: &[f32], y: &[f32], term: impl Fn(f32, f32) -> f32) -> Lanes {
    let mut sums = [0.0; LANES];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in x.iter().zip(y) {
        for lane in 0..LANES {
            sums[lane] += term(x[lane], y[lane]);
        }
    }
    for (sum, (x, y)) in sums.iter_mut().zip(x_rest.iter().zip(y_rest)) {
        *sum += term(*x, *y);
    }
    sums
}
