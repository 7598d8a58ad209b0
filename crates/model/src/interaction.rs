//! How the vectors of a sample meet.
//!
//! A sample's vectors `v₀ … v_F₋₁` stand side by side in one row, the bottom
//! MLPs' first.
//!
//! - `cat`: the row itself.
//! - `dot`: the bottoms' vectors, then the lower triangle of `V·Vᵀ` row by row:
//!   `v₁·v₀`, `v₂·v₀`, `v₂·v₁`, …, with the diagonal where a vector meets
//!   itself (Naumov et al., 2019).

use mmdlrm_kernels::{add_scaled, pair_products, vectorize};

use crate::Interaction;

/// Numbers of a gradient that are summed at a time: four of the widest
/// registers.
const STRETCH: usize = 64;

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
pub(crate) fn dot_backward(rows: &[f32], dots: &Dots, upstream: &[f32], gradient: &mut [f32]) {
    vectorize(
        #[inline(always)]
        || match dots.dim {
            64 => backward_of(rows, &Dots { dim: 64, ..*dots }, upstream, gradient),
            32 => backward_of(rows, &Dots { dim: 32, ..*dots }, upstream, gradient),
            16 => backward_of(rows, &Dots { dim: 16, ..*dots }, upstream, gradient),
            _ => backward_of(rows, dots, upstream, gradient),
        },
    );
}

#[inline(always)]
fn backward_of(rows: &[f32], dots: &Dots, upstream: &[f32], gradient: &mut [f32]) {
    let Dots { dim, first, .. } = *dots;
    let rows = rows.chunks_exact(dots.row_width);
    let rows = rows.zip(upstream.chunks_exact(dots.width()));
    for ((row, upstream), gradient) in rows.zip(gradient.chunks_exact_mut(dots.row_width)) {
        let (direct, pairs) = upstream.split_at(first);
        for i in 0..dots.vectors {
            let out = &mut gradient[i * dim..(i + 1) * dim];
            match direct.get(i * dim..(i + 1) * dim) {
                Some(direct) => out.copy_from_slice(direct),
                None => out.fill(0.0),
            }
            let (stretches, rest) = out.as_chunks_mut::<STRETCH>();
            let at = stretches.len() * STRETCH;
            for (number, stretch) in stretches.iter_mut().enumerate() {
                // In registers from the first vector to the last.
                let mut sum = *stretch;
                add_others(&mut sum, number * STRETCH, i, row, pairs, dots);
                *stretch = sum;
            }
            add_others(rest, at, i, row, pairs, dots);
        }
    }
}

/// A vector's gradient gets each other vector times the gradient of their
/// product; `out` is that of vector `i` from number `at` on.
#[inline(always)]
fn add_others(out: &mut [f32], at: usize, i: usize, row: &[f32], pairs: &[f32], dots: &Dots) {
    for j in 0..dots.vectors {
        if let Some(pair) = pair(i, j, dots.itself) {
            let factor = if i == j { 2.0 } else { 1.0 } * pairs[pair];
            let start = j * dots.dim + at;
            add_scaled(out, &row[start..start + out.len()], factor);
        }
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
