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
        at_least(&mut scratch, rows * 2 * S::F32_LANES + LINE);
        let start = scratch.as_ptr().align_offset(64).min(LINE);
        for columns in panels::<S>(self.n) {
            match columns.registers {
                1 => self.add_panel::<S, 1>(simd, columns, &mut scratch[start..]),
                _ => self.add_panel::<S, 2>(simd, columns, &mut scratch[start..]),
            }
        }
        *self.scratch = scratch;
    }
}

impl<B: Rows> AddTransposed<'_, B> {
    /// The columns of a panel of `V` registers, for all rows of `out`. Those of `B` are copied
    /// together first: rows a power of two apart would compete for the same cache lines.
    #[inline(always)]
    fn add_panel<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        columns: PanelColumns,
        panel: &mut [f32],
    ) {
        let (m, n) = (self.m, self.n);
        let padded = V * S::F32_LANES;
        let PanelColumns { first, count, .. } = columns;
        let panel = &mut panel[..self.a.len() / m * padded];
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
        for (row, height) in tiles::<S, V>(m) {
            let tile = OuterTile {
                a: &self.a[row..],
                m,
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
    /// `A` from the column on that makes the tile's first row.
    a: &'a [f32],
    m: usize,
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
        let a = self.a.chunks(self.m).map(
            #[inline(always)]
            |a| {
                let a = &a[..R];
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
