//! What users, or items, come to in a prediction.

/// Numbers that are added at a time.
pub(super) const LANES: usize = 8;

/// All that one side of the model says of each of its rows: `w₀ + A_u + B_i + ⟨P_u, Q_i⟩` is the
/// prediction, and this is `A` and `P`, or `B` and `Q`.
#[derive(Debug, Clone)]
pub(super) struct Folded {
    /// Numbers of a row of [`Self::rows`]: 1, the factors, and zeros to a multiple of [`LANES`].
    pub width: usize,
    /// `A`, `[rows]`.
    pub biases: Vec<f64>,
    /// `1, P, 0…`, `[rows, width]`: what the other side's biases and factors are multiplied with.
    pub rows: Vec<f64>,
}

impl Folded {
    pub fn new(rows: usize, rank: usize) -> Self {
        let width = width(rank);
        let mut folded = Self {
            width,
            biases: vec![0.0; rows],
            rows: vec![0.0; rows * width],
        };
        let firsts = folded.rows.iter_mut().step_by(width);
        firsts.for_each(|first| *first = 1.0);
        folded
    }

    /// `1, P, 0…` of a row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &[f64] {
        &self.rows[row * self.width..(row + 1) * self.width]
    }
}

/// Numbers of a row of `1, P, 0…`.
pub(super) fn width(rank: usize) -> usize {
    (rank + 1).next_multiple_of(LANES)
}

/// Scalar product of a multiple of [`LANES`] numbers, in an order that does not depend on the
/// machine.
#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let chunks = a
        .as_chunks::<LANES>()
        .0
        .iter()
        .zip(b.as_chunks::<LANES>().0);
    for (a, b) in chunks {
        sums = std::array::from_fn(|lane| sums[lane] + a[lane] * b[lane]);
    }
    let four: [f64; 4] = std::array::from_fn(|lane| sums[lane] + sums[lane + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}
