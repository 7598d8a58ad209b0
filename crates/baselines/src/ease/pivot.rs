//! A block of a diagonal, factored and inverted.

use mmdlrm_kernels::vectorize;

/// Rows and columns of a block.
pub(super) const BLOCK: usize = 64;

/// A row of a block, zeros where there is none.
pub(super) type Row = [f64; BLOCK];
type Block = [Row; BLOCK];

/// `L⁻¹` of a block `D = L·Lᵀ`; of fewer rows than 64, with ones on the diagonal in place of the
/// others.
#[derive(Debug)]
pub(super) struct Pivot {
    /// `L⁻¹`.
    inverse: Box<Block>,
    /// `L⁻ᵀ`.
    transposed: Box<Block>,
}

impl Pivot {
    /// Of the rows of `D` up to their diagonals; `None` where `D` is not positive definite.
    pub fn of<'a>(rows: impl Iterator<Item = &'a [f64]>) -> Option<Self> {
        let mut upper = block();
        for (row, values) in rows.enumerate() {
            for (column, value) in values.iter().enumerate() {
                upper[column][row] = *value;
            }
        }
        let is_sound = vectorize(
            #[inline(always)]
            || factor(&mut upper),
        );
        if !is_sound {
            return None;
        }
        let mut inverse = block();
        vectorize(
            #[inline(always)]
            || invert(&upper, &mut inverse),
        );
        let mut transposed = upper;
        for (row, out) in transposed.iter_mut().enumerate() {
            let column = inverse.iter().map(|inverse| inverse[row]);
            out.iter_mut().zip(column).for_each(|(out, x)| *out = x);
        }
        Some(Self {
            inverse,
            transposed,
        })
    }

    /// `c·L⁻ᵀ`.
    pub fn divide(&self, c: &Row) -> Row {
        times(c, &self.transposed)
    }

    /// `v·L⁻¹`: of `v = c·L⁻ᵀ`, `c·D⁻¹`.
    pub fn divide_twice(&self, v: &Row) -> Row {
        times(v, &self.inverse)
    }

    /// A row of `D⁻¹ = L⁻ᵀ·L⁻¹`.
    pub fn inverse_row(&self, row: usize) -> Row {
        times(&self.transposed[row], &self.inverse)
    }

    /// `x → L⁻ᵀ·x`, of 64 numbers or as many as there are rows.
    pub fn solve_transposed(&self, x: &mut [f64]) {
        let mut padded = [0.0; BLOCK];
        padded[..x.len()].copy_from_slice(x);
        x.copy_from_slice(&self.divide_twice(&padded)[..x.len()]);
    }
}

/// The unit matrix.
fn block() -> Box<Block> {
    let mut block: Box<Block> = Box::new([[0.0; BLOCK]; BLOCK]);
    (0..BLOCK).for_each(|at| block[at][at] = 1.0);
    block
}

/// The upper triangle of `D → Lᵀ`; whether all pivots are positive.
#[inline(always)]
fn factor(upper: &mut Block) -> bool {
    for pivot in 0..BLOCK {
        let (above, below) = upper.split_at_mut(pivot + 1);
        let own = &mut above[pivot];
        if !(own[pivot] > 0.0 && own[pivot].is_finite()) {
            return false;
        }
        let scale = own[pivot].sqrt().recip();
        own.iter_mut().for_each(|x| *x *= scale);
        for (row, out) in (pivot + 1..).zip(below) {
            add(out, own, -own[row]);
        }
    }
    true
}

/// `L⁻¹` of `Lᵀ`, row by row: `e_r = Σ_{q ≤ r} L_rq · inverse_q`. What stands below the diagonal
/// of `upper` means nothing.
#[inline(always)]
fn invert(upper: &Block, inverse: &mut Block) {
    for row in 0..BLOCK {
        let (before, rest) = inverse.split_at_mut(row);
        let own = &mut rest[0];
        for (inverse, upper) in before.iter().zip(upper) {
            add(own, inverse, -upper[row]);
        }
        let scale = upper[row][row].recip();
        own.iter_mut().for_each(|x| *x *= scale);
    }
}

/// `out += factor · x`
#[inline(always)]
fn add(out: &mut Row, x: &Row, factor: f64) {
    for at in 0..BLOCK {
        out[at] += factor * x[at];
    }
}

/// `x · block`
fn times(x: &Row, block: &Block) -> Row {
    vectorize(
        #[inline(always)]
        || {
            let mut sums = [0.0; BLOCK];
            for (x, row) in x.iter().zip(block) {
                add(&mut sums, row, *x);
            }
            sums
        },
    )
}
