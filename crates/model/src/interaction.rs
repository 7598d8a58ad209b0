//! How the vectors of a sample meet.
//!
//! A sample's vectors `v₀ … v_F₋₁` stand side by side in one row of `slots`,
//! `v₀` (the bottom MLP's) first.
//!
//! - `cat`: the row itself.
//! - `dot`: `v₀`, then the lower triangle of `V·Vᵀ` row by row: `v₁·v₀`,
//!   `v₂·v₀`, `v₂·v₁`, …, with the diagonal where a vector meets itself
//!   (Naumov et al., 2019).

use crate::Interaction;

/// Partial sums that a dot product keeps: as many as fill the widest vector
/// registers, so that the compiler need not reorder additions.
const LANES: usize = 16;

impl Interaction {
    /// Numbers that `vectors` vectors, `slots` numbers in all, interact to.
    pub(crate) fn width(self, vectors: usize, dim: usize, slots: usize) -> usize {
        match self {
            Self::Cat => slots,
            Self::Dot { itself: false } => dim + vectors * (vectors - 1) / 2,
            Self::Dot { itself: true } => dim + vectors * (vectors + 1) / 2,
        }
    }
}

/// Forward pass of rows `[rows, vectors × dim]` to `[rows, width]`.
pub(crate) fn dot_forward(
    slots: &[f32],
    vectors: usize,
    dim: usize,
    itself: bool,
    out: &mut [f32],
) {
    let width = Interaction::Dot { itself }.width(vectors, dim, 0);
    pulp::Arch::new().dispatch(|| {
        for (row, out) in slots
            .chunks_exact(vectors * dim)
            .zip(out.chunks_exact_mut(width))
        {
            let (first, pairs) = out.split_at_mut(dim);
            first.copy_from_slice(&row[..dim]);
            let mut pair = pairs.iter_mut();
            for i in 0..vectors {
                let a = &row[i * dim..(i + 1) * dim];
                for j in 0..i + usize::from(itself) {
                    if let Some(pair) = pair.next() {
                        *pair = dot(a, &row[j * dim..(j + 1) * dim]);
                    }
                }
            }
        }
    });
}

/// Backward pass: writes the gradient of `slots`.
pub(crate) fn dot_backward(
    slots: &[f32],
    vectors: usize,
    dim: usize,
    itself: bool,
    upstream: &[f32],
    gradient: &mut [f32],
) {
    let width = Interaction::Dot { itself }.width(vectors, dim, 0);
    let rows = slots
        .chunks_exact(vectors * dim)
        .zip(upstream.chunks_exact(width));
    pulp::Arch::new().dispatch(|| {
        for ((row, upstream), gradient) in rows.zip(gradient.chunks_exact_mut(vectors * dim)) {
            let (first, pairs) = upstream.split_at(dim);
            gradient.fill(0.0);
            gradient[..dim].copy_from_slice(first);
            let mut pair = pairs.iter();
            for i in 0..vectors {
                for j in 0..i + usize::from(itself) {
                    let Some(&g) = pair.next() else { continue };
                    // Both factors of a product get the other times g; on the
                    // diagonal they are the same vector.
                    add_scaled(
                        &mut gradient[i * dim..(i + 1) * dim],
                        &row[j * dim..(j + 1) * dim],
                        g,
                    );
                    add_scaled(
                        &mut gradient[j * dim..(j + 1) * dim],
                        &row[i * dim..(i + 1) * dim],
                        g,
                    );
                }
            }
        }
    });
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
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
    sums.iter().sum::<f32>() + rest
}

#[inline(always)]
fn add_scaled(out: &mut [f32], x: &[f32], factor: f32) {
    out.iter_mut()
        .zip(x)
        .for_each(|(out, x)| *out += factor * x);
}
