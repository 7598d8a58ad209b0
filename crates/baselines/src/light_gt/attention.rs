//! A head of a block over all places of a sample.
//!
//! ```text
//! t = QKᵀ·(x + p) + u,  q = x + p,  v = OV·x + v        [n, D] each
//! A = softmax(t·qᵀ)                                     [n, n]
//! y = A·v
//! ```

use mmdlrm_kernels::{Finish, Panels, add_transposed, copy_rows, store, vectorize};

use super::rows::{Dropout, softmax, softmax_back};

/// Rooms that one sample after another is computed in.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    pub panels: Panels,
    pub rows: Vec<f32>,
    pub scores: Vec<f32>,
}

/// Of a head, what the way back needs again: `t`, `v`, the weights, and what dropout left of
/// them.
#[derive(Debug, Clone, Default)]
pub(super) struct HeadTrace {
    pub t: Vec<f32>,
    pub v: Vec<f32>,
    pub weights: Vec<f32>,
    pub kept: Vec<f32>,
}

/// Room for `length` numbers, whatever they are.
pub(super) fn room(values: &mut Vec<f32>, length: usize) -> &mut [f32] {
    values.resize(length, 0.0);
    values
}

/// `y = A·v + bias`, or `y += A·v` where there is none, `[n, D]`.
pub(super) fn attend(
    head: &mut HeadTrace,
    q: &[f32],
    (dropout, key): (Dropout, u32),
    (y, bias, dim): (&mut [f32], Option<&[f32]>, usize),
    scratch: &mut Scratch,
) {
    let n = q.len() / dim;
    let Scratch { panels, rows, .. } = scratch;
    let weights = room(&mut head.weights, n * n);
    panels.fill_transposed((q, dim), n, dim);
    panels.multiply(copy_rows(&head.t, dim), n, (weights, n), store(), rows);
    let kept = room(&mut head.kept, n * n);
    vectorize(
        #[inline(always)]
        || {
            softmax(weights, n);
            dropout.apply(weights, kept, key);
        },
    );
    panels.fill((&head.v, dim), n, dim);
    let finish = Finish::new(
        bias,
        bias.is_none(),
        #[inline(always)]
        |_, _, _| {},
    );
    panels.multiply(copy_rows(kept, n), n, (y, dim), finish, rows);
}

/// Of the gradients `dy`, those of `t` and `v`, which are written, and of `q`, which are added.
pub(super) fn attend_back(
    head: &HeadTrace,
    q: &[f32],
    (dy, dim): (&[f32], usize),
    (dt, dv, dq): (&mut [f32], &mut [f32], &mut [f32]),
    scratch: &mut Scratch,
) {
    let n = q.len() / dim;
    let Scratch {
        panels,
        rows,
        scores,
    } = scratch;
    let scores = room(scores, n * n);
    panels.fill_transposed((&head.v, dim), n, dim);
    panels.multiply(copy_rows(dy, dim), n, (scores, n), store(), rows);
    vectorize(
        #[inline(always)]
        || softmax_back(scores, &head.weights, &head.kept, n),
    );
    dv.fill(0.0);
    add_transposed(dv, &head.kept, copy_rows(dy, dim), (n, dim), rows);
    panels.fill((q, dim), n, dim);
    panels.multiply(copy_rows(scores, n), n, (dt, dim), store(), rows);
    add_transposed(dq, scores, copy_rows(&head.t, dim), (n, dim), rows);
}
