//! How the vectors of a sample meet.
//!
//! A sample's vectors `v₀ … v_F₋₁` stand side by side in one row, the bottom
//! MLPs' first.
//!
//! - `cat`: the row itself.
//! - `dot`: the bottoms' vectors, then the lower triangle of `V·Vᵀ` row by row:
//!   `v₁·v₀`, `v₂·v₀`, `v₂·v₁`, …, with the diagonal where a vector meets
//!   itself (Naumov et al., 2019).

use mmdlrm_kernels::{pair_gradients, pair_products};

use crate::Interaction;

impl Interaction {
    /// Numbers that `vectors` vectors interact to: `slots` numbers in all,
    /// `first` in the bottoms' vectors.
    pub(crate) fn width(self, vectors: usize, first: usize, slots: usize) -> usize {
        match self {
            Self::Cat => slots,
            Self::Dot { itself: false } => first + vectors * (vectors - 1) / 2,
            Self::Dot { itself: true } => first + vectors * (vectors + 1) / 2,
        }
    }
}

/// Sizes of a dot interaction.
#[derive(Clone, Copy)]
pub(crate) struct Dots {
    pub vectors: usize,
    pub dim: usize,
    /// Numbers that are handed on as they are.
    pub first: usize,
    pub itself: bool,
    /// Numbers from one row to the next.
    pub row_width: usize,
}

impl Dots {
    fn width(&self) -> usize {
        Interaction::Dot {
            itself: self.itself,
        }
        .width(self.vectors, self.first, 0)
    }
}

/// Forward pass of rows, of which the first `vectors × dim` numbers interact,
/// to `[rows, width]`.
pub(crate) fn dot_forward(rows: &[f32], dots: &Dots, out: &mut [f32]) {
    let (first, width) = (dots.first, dots.width());
    let both = rows
        .chunks_exact(dots.row_width)
        .zip(out.chunks_exact_mut(width));
    both.for_each(|(row, out)| out[..first].copy_from_slice(&row[..first]));
    if let Some(out) = out.get_mut(first..) {
        let rows = (rows, dots.row_width);
        pair_products(rows, dots.vectors, dots.dim, dots.itself, (out, width));
    }
}

/// Backward pass: writes the gradient of the numbers that interacted.
pub(crate) fn dot_backward(
    rows: &[f32],
    dots: &Dots,
    upstream: &[f32],
    gradient: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let Dots {
        vectors,
        dim,
        first,
        itself,
        row_width,
    } = *dots;
    let width = dots.width();
    let both = gradient.chunks_exact_mut(row_width);
    for (gradient, upstream) in both.zip(upstream.chunks_exact(width)) {
        gradient[..first].copy_from_slice(&upstream[..first]);
        gradient[first..vectors * dim].fill(0.0);
    }
    if let Some(upstream) = upstream.get(first..) {
        let (rows, gradient) = ((rows, row_width), (gradient, row_width));
        pair_gradients(
            rows,
            vectors,
            dim,
            itself,
            (upstream, width),
            gradient,
            scratch,
        );
    }
}

/// Number of the pair of two vectors, where they meet.
#[inline(always)]
pub(crate) fn pair(i: usize, j: usize, itself: bool) -> Option<usize> {
    let (high, low) = if i > j { (i, j) } else { (j, i) };
    match itself {
        true => Some(high * (high + 1) / 2 + low),
        false if high == low => None,
        false => Some(high * (high - 1) / 2 + low),
    }
}
