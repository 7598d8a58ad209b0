//! Scaled dot-product attention (Vaswani et al., 2017) of one sequence.

use super::elementwise::softmax;
use super::product::{Finish, Panels, Rows, RowsMut};

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
            keys.fill(head_width, length, |i, row| {
                keys_values[row * 2 * width + head + i]
            });
            values.fill(length, head_width, |row, i| {
                keys_values[(row * 2 + 1) * width + head + i]
            });
            let queries = Rows {
                data: &queries[head..],
                stride: width,
            };
            let row_scores = RowsMut {
                data: scores,
                stride: length,
            };
            keys.multiply(queries, rows, row_scores, Finish::default(), scratch);
            softmax(scores, length, (head_width as f32).powf(-0.5), |row| {
                if self.causal { first + row + 1 } else { length }
            });
            let out = RowsMut {
                data: &mut out[head..],
                stride: width,
            };
            let scores = Rows::of(scores, length);
            values.multiply(scores, rows, out, Finish::default(), scratch);
        }
    }
}
