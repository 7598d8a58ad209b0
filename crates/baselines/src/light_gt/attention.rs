//! A head of a block over all places of a sample.
//!
//! ```text
//! t = QKᵀ·(x + p) + u,  q = x + p,  v = OV·x + v        [n, D] each
//! A = softmax(t·qᵀ)                                     [n, n]
//! y = A·v
//! ```

use mmdlrm_kernels::{Finish, Panels, add_transposed, store, vectorize};

use super::lanes::{LANES, Lanes, fill_behind, length, wide};
use super::rows::{lines, room};
use super::softmax::{Dropout, softmax, softmax_back};

/// Rooms that one sample after another is computed in.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    pub panels: Panels,
    pub rows: Vec<f32>,
    pub scores: Vec<f32>,
    /// Of the scores' gradients, rows next to each other.
    pub close: Vec<f32>,
    pub lanes: Vec<Lanes>,
}

/// Of a head, what the way back needs again: `t`, `v`, the weights, in rows that are [`wide`], and
/// what dropout left of them, in rows next to each other.
#[derive(Debug, Clone, Default)]
pub(super) struct HeadTrace {
    pub t: Vec<f32>,
    pub v: Vec<f32>,
    pub weights: Vec<f32>,
    pub kept: Vec<f32>,
}

/// `y = A·v + bias`, or `y += A·v` where there is none, `[n, D]`.
pub(super) fn attend(
    head: &mut HeadTrace,
    q: &[f32],
    drawn: (Dropout, u32),
    (y, bias, dim): (&mut [f32], Option<&[f32]>, usize),
    scratch: &mut Scratch,
) {
    let n = q.len() / dim;
    let Scratch {
        panels,
        rows,
        lanes,
        ..
    } = scratch;
    let weights = room(&mut head.weights, n * wide(n));
    panels.fill_transposed((q, dim), n, dim);
    vectorize(
        #[inline(always)]
        || fill_behind(weights, n, f32::NEG_INFINITY),
    );
    let out = (&mut *weights, wide(n));
    panels.multiply(lines(&head.t, dim), n, out, store(), rows);
    let kept = room(&mut head.kept, length(n, n));
    lanes.resize(n, [0.0; LANES]);
    vectorize(
        #[inline(always)]
        || softmax(weights, n, drawn, kept, lanes),
    );
    panels.fill((&head.v, dim), n, dim);
    let finish = Finish::new(
        bias,
        bias.is_none(),
        #[inline(always)]
        |_, _, _| {},
    );
    panels.multiply(lines(kept, n), n, (y, dim), finish, rows);
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
        close,
        lanes,
    } = scratch;
    let of_kept = room(scores, n * wide(n));
    vectorize(
        #[inline(always)]
        || fill_behind(of_kept, n, 0.0),
    );
    panels.fill_transposed((&head.v, dim), n, dim);
    let out = (&mut *of_kept, wide(n));
    panels.multiply(lines(dy, dim), n, out, store(), rows);
    let scores = room(close, length(n, n));
    lanes.resize(n, [0.0; LANES]);
    vectorize(
        #[inline(always)]
        || softmax_back(of_kept, n, (&head.weights, &head.kept), scores, lanes),
    );
    dv.fill(0.0);
    let kept = &head.kept[..n * n];
    add_transposed(dv, kept, lines(dy, dim), (n, dim), rows);
    panels.fill((q, dim), n, dim);
    panels.multiply(lines(scores, n), n, (dt, dim), store(), rows);
    let scores = &scores[..n * n];
    add_transposed(dq, scores, lines(&head.t, dim), (n, dim), rows);
}
