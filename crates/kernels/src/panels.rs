use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::instructions::dispatch;
use crate::rows::{RowMajor, Rows, copy_rows};
use crate::tile::{LINE, PanelColumns, panels};

/// Rows of a block. Inner products are cut to this length, so that the rows of `A` at hand and a
/// panel stay in the second-level cache.
pub(crate) const LONGEST: usize = 1024;

/// A matrix `B`, `[k, n]`, that is multiplied by many times: `out = A · B`.
///
/// It is kept in panels as wide as two vector registers (`L` floats each), the last of them as
/// wide as one where that is enough. Rows are cut into blocks of 1,024. The panels of a block
/// follow each other, in a panel row after row; columns beyond `n` are zeros.
///
/// ```text
///                     n
///          ┌─────────┬─────────┬────┐
///    1,024 │ panel 0 │ panel 1 │ 2  │  in memory: 0 1 2 3 4 5
/// k        ├─────────┼─────────┼────┤
///     rest │ panel 3 │ panel 4 │ 5  │
///          └─────────┴─────────┴────┘
///              2·L       2·L     L
/// ```
#[derive(Debug, Clone, Default)]
pub struct Panels {
    pub(crate) data: Vec<f32>,
    /// Where in `data` the first cache line begins, and panel 0 with it.
    pub(crate) start: usize,
    /// Rows of `B`.
    pub(crate) k: usize,
    /// Columns of `B`.
    pub(crate) n: usize,
    /// Floats of a register, `L`.
    pub(crate) lanes: usize,
}

impl Panels {
    /// Panels of the transpose of `weights`, `[n, k]`: a linear layer's.
    ///
    /// # Panics
    /// As for [`fill_transposed`](Self::fill_transposed).
    pub fn of_transposed(weights: &[f32], n: usize, k: usize) -> Self {
        let mut panels = Self::default();
        panels.fill_transposed((weights, k), n, k);
        panels
    }

    /// Replaces what it holds by the transpose of `matrix`, `[n, k]`, and keeps the memory.
    /// `matrix` is a slice and the distance of its rows, at least `k`.
    ///
    /// # Panics
    /// Where a row does not fit the slice;
    /// where [`InstructionSet::in_use`](crate::InstructionSet::in_use) is an error.
    pub fn fill_transposed(&mut self, (data, stride): (&[f32], usize), n: usize, k: usize) {
        self.refill(Transposed { data, stride }, k, n);
    }

    /// Replaces what it holds by `matrix`, `[k, n]`, and keeps the memory. `matrix` is a slice
    /// and the distance of its rows, at least `n`.
    ///
    /// # Panics
    /// As for [`fill_transposed`](Self::fill_transposed).
    pub fn fill(&mut self, (data, stride): (&[f32], usize), k: usize, n: usize) {
        self.refill(copy_rows(data, stride), k, n);
    }

    fn refill(&mut self, source: impl Source, k: usize, n: usize) {
        dispatch(Fill {
            panels: self,
            source,
            k,
            n,
        });
    }

    #[inline(always)]
    pub(crate) fn fill_panels<S: Simd>(&mut self, source: impl Source, k: usize, n: usize) {
        let lanes = S::F32_LANES;
        let length = k * n.next_multiple_of(lanes);
        if self.data.len() < length + LINE {
            self.data = vec![0.0; length + LINE];
        }
        // Never more than a line: the allocation is aligned to floats.
        self.start = self.data.as_ptr().align_offset(64).min(LINE);
        (self.k, self.n, self.lanes) = (k, n, lanes);
        let mut rest = &mut self.data[self.start..];
        for rows in blocks(k) {
            for columns in panels::<S>(n) {
                let width = columns.registers * lanes;
                let (panel, others) = rest.split_at_mut(rows.len() * width);
                rest = others;
                source.copy(rows.start, columns, panel, width);
            }
        }
    }

    /// Columns, `n`.
    pub fn width(&self) -> usize {
        self.n
    }
}

/// The rows of each block of `k` rows. A matrix without rows has a block too, since a product
/// with it still has a bias.
#[inline(always)]
pub(crate) fn blocks(k: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = (0..k.max(1)).step_by(LONGEST);
    starts.map(
        #[inline(always)]
        move |start| start..k.min(start + LONGEST),
    )
}

/// A matrix `[k, n]` that panels are filled from.
pub(crate) trait Source {
    /// Writes a panel, rows of `width` floats, from row `first_row` of the matrix on.
    fn copy(&self, first_row: usize, columns: PanelColumns, panel: &mut [f32], width: usize);
}

impl Source for RowMajor<'_> {
    #[inline(always)]
    fn copy(&self, first_row: usize, columns: PanelColumns, panel: &mut [f32], width: usize) {
        for (row, out) in (first_row..).zip(panel.chunks_exact_mut(width)) {
            let (out, beyond) = out.split_at_mut(columns.count);
            self.read(row, columns.first, out);
            beyond.fill(0.0);
        }
    }
}

/// The transpose of a matrix in row-major order.
#[derive(Clone, Copy)]
struct Transposed<'a> {
    data: &'a [f32],
    /// Floats from the beginning of a row of the matrix, a column here, to that of the next.
    stride: usize,
}

impl Source for Transposed<'_> {
    #[inline(always)]
    fn copy(&self, first_row: usize, columns: PanelColumns, panel: &mut [f32], width: usize) {
        // As many rows of the panel as stay in the first-level cache.
        const ROWS: usize = 64;
        for (number, out) in panel.chunks_mut(ROWS * width).enumerate() {
            let from = first_row + number * ROWS;
            for i in 0..width {
                let out = out.chunks_exact_mut(width);
                if i < columns.count {
                    let start = (columns.first + i) * self.stride + from;
                    let values = &self.data[start..][..out.len()];
                    out.zip(values).for_each(|(out, &x)| out[i] = x);
                } else {
                    out.for_each(|out| out[i] = 0.0);
                }
            }
        }
    }
}

struct Fill<'a, B> {
    panels: &'a mut Panels,
    source: B,
    k: usize,
    n: usize,
}

impl<B: Source> WithSimd for Fill<'_, B> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.panels.fill_panels::<S>(self.source, self.k, self.n);
    }
}
