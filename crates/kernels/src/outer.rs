use pulp::{Simd, WithSimd};

use crate::instructions::dispatch;
use crate::rows::Rows;
use crate::tile::{
    Addends, LINE, OfHeight, PanelColumns, at_least, panels, store_row, sums, tiles, with_height,
};

/// `out[m, n] += A[rows, m]ᵀ · B[rows, n]`: the gradient of a layer's weight, `A` being that of
/// its outputs and `B` its inputs.
///
/// `scratch` is kept from one product to the next.
///
/// # Panics
/// Where the lengths do not fit, or `b` panics;
/// where [`InstructionSet::in_use`](crate::InstructionSet::in_use) is an error.
///
/// ```
/// use mmdlrm_kernels::{add_transposed, copy_rows};
///
/// let (a, b) = ([1.0, 10.0], [2.0, 3.0, 4.0]);
/// let mut out = [0.5; 6];
/// add_transposed(&mut out, &a, copy_rows(&b, 3), (2, 3), &mut Vec::new());
/// assert_eq!(out, [2.5, 3.5, 4.5, 20.5, 30.5, 40.5]);
/// ```
pub fn add_transposed(
    out: &mut [f32],
    a: &[f32],
    b: impl Rows,
    (m, n): (usize, usize),
    scratch: &mut Vec<f32>,
) {
    assert_eq!(out.len(), m * n, "length of a matrix of [{m}, {n}]");
    if m == 0 || n == 0 || a.is_empty() {
        return;
    }
    assert_eq!(a.len() % m, 0, "length of a matrix of [_, {m}]");
    dispatch(AddTransposed {
        out,
        a,
        b,
        m,
        n,
        scratch,
    });
}

pub(crate) struct AddTransposed<'a, B> {
    pub out: &'a mut [f32],
    pub a: &'a [f32],
    pub b: B,
    pub m: usize,
    pub n: usize,
    pub scratch: &'a mut Vec<f32>,
}

impl<B: Rows> WithSimd for AddTransposed<'_, B> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut scratch = std::mem::take(self.scratch);
        let rows = self.a.len() / self.m;
        at_least(&mut scratch, rows * (2 * S::F32_LANES + self.m) + LINE);
        let start = scratch.as_ptr().align_offset(64).min(LINE);
        let (panel, a) = scratch[start..].split_at_mut(rows * 2 * S::F32_LANES);
        let a = &mut a[..self.a.len()];
        self.copy_tiles::<S>(a);
        for columns in panels::<S>(self.n) {
            match columns.registers {
                1 => self.add_panel::<S, 1>(simd, columns, a, panel),
                _ => self.add_panel::<S, 2>(simd, columns, a, panel),
            }
        }
        *self.scratch = scratch;
    }
}

impl<B: Rows> AddTransposed<'_, B> {
    /// Copies `A` so that the columns of each tile stand together, `[rows, height]`, a tile
    /// after another: rows a power of two apart would compete for the same cache lines.
    #[inline(always)]
    fn copy_tiles<S: Simd>(&self, out: &mut [f32]) {
        let rows = self.a.len() / self.m;
        for (first, height) in tiles::<S, 2>(self.m) {
            let tile = &mut out[first * rows..(first + height) * rows];
            let a = self.a.chunks_exact(self.m);
            for (out, a) in tile.chunks_exact_mut(height).zip(a) {
                out.copy_from_slice(&a[first..first + height]);
            }
        }
    }

    /// The columns of a panel of `V` registers, for all rows of `out`; `a` has the tiles of `A`.
    /// Columns of `B` are copied together first, for the same reason as those.
    #[inline(always)]
    fn add_panel<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        columns: PanelColumns,
        a: &[f32],
        panel: &mut [f32],
    ) {
        let (m, n) = (self.m, self.n);
        let rows = self.a.len() / m;
        let padded = V * S::F32_LANES;
        let PanelColumns { first, count, .. } = columns;
        let panel = &mut panel[..rows * padded];
        for (row, out) in panel.chunks_exact_mut(padded).enumerate() {
            if count == padded {
                // By code that knows the width.
                self.b.read(row, first, &mut out[..padded]);
            } else {
                self.b.read(row, first, &mut out[..count]);
                out[count..].fill(0.0);
            }
        }
        let (b, _) = S::as_simd_f32s(panel).0.as_chunks::<V>();
        // Of as many rows as those of A that were copied, for panels of any width.
        for (row, height) in tiles::<S, 2>(m) {
            let tile = OuterTile {
                a: &a[row * rows..(row + height) * rows],
                b,
                out: &mut self.out[row * n + first..],
                n,
                count,
            };
            with_height::<S, V>(simd, height, tile);
        }
    }
}

/// `out += Aᵀ · B`, of the rows of `out` in a tile.
struct OuterTile<'a, S: Simd, const V: usize> {
    /// The columns of `A` that make the tile's rows, `[rows, height]`.
    a: &'a [f32],
    b: &'a [[S::f32s; V]],
    /// `out` from the tile's first number on.
    out: &'a mut [f32],
    n: usize,
    /// Columns of `b` that exist in `out`.
    count: usize,
}

impl<S: Simd, const V: usize> OfHeight<S, V> for OuterTile<'_, S, V> {
    #[inline(always)]
    fn run<const R: usize>(self, simd: S) {
        let a = self.a.as_chunks::<R>().0.iter().map(
            #[inline(always)]
            |a| {
                #[inline(always)]
                move |r: usize| a[r]
            },
        );
        let sums = sums::<S, V, R>(simd, a, self.b, &[]);
        let addends = Addends {
            bias: None,
            out: true,
        };
        for (sums, out) in sums.iter().zip(self.out.chunks_mut(self.n)) {
            store_row::<S, V>(simd, sums, addends, &mut out[..self.count]);
        }
    }
}
