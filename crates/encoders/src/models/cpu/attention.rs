//! Scaled dot-product attention (Vaswani et al., 2017) of one sequence.

use mmdlrm_kernels::{Panels, copy_rows, store};

use super::elementwise::softmax;

/// Sizes of an attention.
#[derive(Clone, Copy)]
pub(super) struct Attention {
    pub width: usize,
    pub heads: usize,
    /// Whether a row sees only itself and the rows before it.
    pub causal: bool,
}

/// Buffers of [`Attention::attend`].
#[derive(Default)]
pub(super) struct AttentionBuffers {
    keys: Panels,
    values: Panels,
    scores: Vec<f32>,
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
            scratch,
        } = buffers;
        scores.resize(rows * length, 0.0);
        for head in (0..width).step_by(head_width) {
            let own_keys = (&keys_values[head..], 2 * width);
            keys.fill_transposed(own_keys, length, head_width);
            let own_values = (&keys_values[width + head..], 2 * width);
            values.fill(own_values, length, head_width);
            let queries = copy_rows(&queries[head..], width);
            let row_scores = (scores.as_mut_slice(), length);
            keys.multiply(queries, rows, row_scores, store(), scratch);
            softmax(scores, length, (head_width as f32).powf(-0.5), |row| {
                if self.causal { first + row + 1 } else { length }
            });
            let (scores, out) = (copy_rows(scores, length), (&mut out[head..], width));
            values.multiply(scores, rows, out, store(), scratch);
        }
    }
}
