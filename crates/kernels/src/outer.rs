use pulp::{Simd, WithSimd};

use crate::instructions::dispatch;
use crate::tile::{LINE, at_least, panel_registers, store_row, sums, tall, tiles};

/// `out[m, n] += a[rows, m]ᵀ · B[rows, n]`: the gradient of a layer's weight,
/// `a` being that of its outputs and `B` its inputs.
///
/// `b(row, from, values)` writes the numbers of a row of `B` from column `from`
/// on, as many as there is room for; [`copy_rows`](crate::copy_rows) for a
/// matrix that lies in memory. `scratch` is kept from one product to the next.
///
/// # Panics
/// Where the lengths do not fit, or `b` panics;
/// where [`InstructionSet::in_use`](crate::InstructionSet::in_use) is an error.
pub fn add_transposed(
    out: &mut [f32],
    a: &[f32],
    b: impl Fn(usize, usize, &mut [f32]),
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

impl<B: Fn(usize, usize, &mut [f32])> WithSimd for AddTransposed<'_, B> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut scratch = std::mem::take(self.scratch);
        let rows = self.a.len() / self.m;
        at_least(&mut scratch, rows * 2 * S::F32_LANES + LINE);
        let start = scratch.as_ptr().align_offset(64).min(LINE);
        for column in (0..self.n).step_by(2 * S::F32_LANES) {
            match panel_registers::<S>(column, self.n) {
                1 => self.panel::<S, 1>(simd, column, &mut scratch[start..]),
                _ => self.panel::<S, 2>(simd, column, &mut scratch[start..]),
            }
        }
        *self.scratch = scratch;
    }
}

impl<B: Fn(usize, usize, &mut [f32])> AddTransposed<'_, B> {
    /// `V` registers of columns from `column` on, of which some may not exist, for all rows of
    /// `out`. Those of `B` are copied together first: rows a power of two apart would compete
    /// for the same cache lines.
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(&mut self, simd: S, column: usize, panel: &mut [f32]) {
        let (m, n) = (self.m, self.n);
        let padded = V * S::F32_LANES;
        let width = padded.min(n - column);
        let panel = &mut panel[..self.a.len() / m * padded];
        for (row, out) in panel.chunks_exact_mut(padded).enumerate() {
            if width == padded {
                // By code that knows the width.
                (self.b)(row, column, &mut out[..padded]);
            } else {
                (self.b)(row, column, &mut out[..width]);
                out[width..].fill(0.0);
            }
        }
        let (b, _) = S::as_simd_f32s(panel).0.as_chunks::<V>();
        for (row, height) in tiles::<S, V>(m) {
            let out = (&mut self.out[row * n + column..], n, width);
            let a = &self.a[row..];
            match height {
                12 if tall::<S, V>() => tile::<S, V, 12>(simd, a, m, b, out),
                10 if tall::<S, V>() => tile::<S, V, 10>(simd, a, m, b, out),
                8 if tall::<S, V>() => tile::<S, V, 8>(simd, a, m, b, out),
                6 => tile::<S, V, 6>(simd, a, m, b, out),
                4 => tile::<S, V, 4>(simd, a, m, b, out),
                2 => tile::<S, V, 2>(simd, a, m, b, out),
                1 => tile::<S, V, 1>(simd, a, m, b, out),
                _ => unreachable!("no tile has {height} rows"),
            }
        }
    }
}

/// `R` rows of `V` registers of `out`, of which `width` floats exist.
#[inline(always)]
fn tile<S: Simd, const V: usize, const R: usize>(
    simd: S,
    a: &[f32],
    m: usize,
    b: &[[S::f32s; V]],
    (out, n, width): (&mut [f32], usize, usize),
) {
    let a = a.chunks(m).map(
        #[inline(always)]
        |a| {
            let a = &a[..R];
            #[inline(always)]
            move |r: usize| a[r]
        },
    );
    let sums = sums::<S, V, R>(simd, a, b, &[]);
    for (sums, out) in sums.iter().zip(out.chunks_mut(n)) {
        store_row::<S, V>(simd, sums, None, true, &mut out[..width]);
    }
}
