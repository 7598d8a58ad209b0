//! Scaled dot-product attention (Vaswani et al., 2017) of one sequence.

use mmdlrm_kernels::{Panels, copy_rows, store};

use super::elementwise::softmax;
use crate::models::transformer::Distances;

/// Sizes of an attention, and what it adds to its scores.
pub(super) struct Attention {
    pub width: usize,
    pub heads: usize,
    /// Whether a row sees only itself and the rows before it.
    pub causal: bool,
    pub distances: Option<Distances>,
}

/// Buffers of [`Attention::attend`].
#[derive(Default)]
pub(super) struct AttentionBuffers {
    keys: Panels,
    values: Panels,
    scores: Vec<f32>,
    /// What scores get by the distance of their rows.
    around: Vec<f32>,
    scratch: Vec<f32>,
}

impl Attention {
    /// Attends from `queries`, `[rows, width]`, the rows of a sequence from
    /// `first` on, to all of it: `keys_values` is `[length, 2 · width]`, keys
    /// first. Writes `out`, `[rows, width]`.
    pub fn attend(
        &self,
        queries: &[f32],
        first: usize,
        keys_values: &[f32],
        out: &mut [f32],
        buffers: &mut AttentionBuffers,
    ) {
        let width = self.width;
        let head_width = width / self.heads;
        let (rows, length) = (queries.len() / width, keys_values.len() / (2 * width));
        let AttentionBuffers {
            keys,
            values,
            scores,
            around,
            scratch,
        } = buffers;
        scores.resize(rows * length, 0.0);
        let scale = (head_width as f32).powf(-0.5);
        for head in (0..width).step_by(head_width) {
            let own_keys = (&keys_values[head..], 2 * width);
            keys.fill_transposed(own_keys, length, head_width);
            let own_values = (&keys_values[width + head..], 2 * width);
            values.fill(own_values, length, head_width);
            let queries = copy_rows(&queries[head..], width);
            let row_scores = (scores.as_mut_slice(), length);
            keys.multiply(queries, rows, row_scores, store(), scratch);
            if let Some(distances) = &self.distances {
                // Softmax multiplies by the scale.
                let added = distances.around(head / head_width, length);
                around.clear();
                around.extend(added.map(|x| x / scale));
                for (row, scores) in (first..).zip(scores.chunks_exact_mut(length)) {
                    let around = &around[length - 1 - row..];
                    scores.iter_mut().zip(around).for_each(|(x, y)| *x += y);
                }
            }
            softmax(scores, length, scale, |row| {
                if self.causal { first + row + 1 } else { length }
            });
            let (scores, out) = (copy_rows(scores, length), (&mut out[head..], width));
            values.multiply(scores, rows, out, store(), scratch);
        }
    }
}
