//! The loss of triples by products of vectors, and its gradients.

use mmdlrm_kernels::{add_scaled, dot, vectorize};
use rayon::prelude::*;

use super::Triples;

/// Stripes of a table whose gradients threads sum, each of which goes over all triples …
const STRIPES: usize = 32;
/// … and how many rows one has at least.
const ROWS: usize = 512;
/// Triples that a thread takes at a time.
const AT_A_TIME: usize = 1024;

/// Vectors of users and of items, each `[rows, width]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vectors<'a> {
    pub users: &'a [f32],
    pub items: &'a [f32],
    pub width: usize,
}

impl<'a> Vectors<'a> {
    pub fn user(&self, user: u32) -> &'a [f32] {
        &self.users[user as usize * self.width..][..self.width]
    }

    pub fn item(&self, item: u32) -> &'a [f32] {
        &self.items[item as usize * self.width..][..self.width]
    }
}

/// `ln(1 + eˣ)`.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `mean softplus(s_uj − s_ui)` with `s_ui = ⟨user, item⟩`, which is returned, and `factor` times
/// its gradients, which are added to those of the vectors.
pub(crate) fn bpr(
    vectors: Vectors,
    triples: &Triples,
    factor: f64,
    (users, items): (&mut [f32], &mut [f32]),
) -> f64 {
    let count = triples.len();
    // Of each triple the loss, and the derivative by s_uj − s_ui.
    let of_triple = |number: usize| {
        let user = vectors.user(triples.users[number]);
        let (rated, other) = (triples.rated[number], triples.others[number]);
        let (rated, other) = (vectors.item(rated), vectors.item(other));
        let difference = vectorize(
            #[inline(always)]
            || dot(user, other) - dot(user, rated),
        );
        let difference = f64::from(difference);
        let slope = (1.0 + (-difference).exp()).recip();
        (softplus(difference), (factor * slope / count as f64) as f32)
    };
    let numbers = (0..count).into_par_iter().with_min_len(AT_A_TIME);
    let (losses, slopes): (Vec<f64>, Vec<f32>) = numbers.map(of_triple).unzip();
    let width = vectors.width;
    let of_user = |number: usize, out: &mut [f32]| {
        let (rated, other) = (triples.rated[number], triples.others[number]);
        add_scaled(out, vectors.item(other), slopes[number]);
        add_scaled(out, vectors.item(rated), -slopes[number]);
    };
    add_rows(&[&triples.users], width, users, of_user);
    let of_item = |number: usize, out: &mut [f32]| {
        let slope = slopes[number % count];
        let slope = if number < count { -slope } else { slope };
        add_scaled(out, vectors.user(triples.users[number % count]), slope);
    };
    add_rows(&[&triples.rated, &triples.others], width, items, of_item);
    losses.iter().sum::<f64>() / count.max(1) as f64
}

/// Lets `add(number, row)` add to the row of `out`, `[_, width]`, that each of `rows` names, in the
/// order in which they stand, whatever the number of threads.
pub(crate) fn add_rows(
    rows: &[&[u32]],
    width: usize,
    out: &mut [f32],
    add: impl Fn(usize, &mut [f32]) + Sync,
) {
    let stripe_rows = (out.len() / width.max(1)).div_ceil(STRIPES).max(ROWS);
    let stripes = out.par_chunks_mut(stripe_rows * width.max(1)).enumerate();
    stripes.for_each(|(stripe, out)| {
        let first = stripe * stripe_rows;
        vectorize(
            #[inline(always)]
            || {
                for (number, &row) in rows.iter().copied().flatten().enumerate() {
                    let row = (row as usize).wrapping_sub(first);
                    if row < stripe_rows {
                        add(number, &mut out[row * width..][..width]);
                    }
                }
            },
        );
    });
}
