use pulp::{Simd, WithSimd};

use crate::instructions::dispatch;
use crate::tile::{panel_registers, sums, tiles};

/// Floats in a cache line.
const LINE: usize = 16;

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
    fn with_simd<S: Simd>(self, simd: S) {
        let (m, n) = (self.m, self.n);
        let (rows, panel) = (self.a.len() / m, 2 * S::F32_LANES);
        let mut scratch = std::mem::take(self.scratch);
        scratch.resize(rows * n.next_multiple_of(S::F32_LANES) + LINE, 0.0);
        let start = scratch.as_ptr().align_offset(64).min(LINE);
        // In panels: rows a power of two apart would compete for the same cache
        // lines.
        let b = &mut scratch[start..];
        for row in 0..rows {
            for column in (0..n).step_by(panel) {
                let padded = panel_registers::<S>(column, n) * S::F32_LANES;
                let out = &mut b[rows * column + row * padded..][..padded];
                if n - column >= panel {
                    // By code that knows the width.
                    (self.b)(row, column, &mut out[..panel]);
                } else {
                    let (out, rest) = out.split_at_mut(padded.min(n - column));
                    (self.b)(row, column, out);
                    rest.fill(0.0);
                }
            }
        }
        for column in (0..n).step_by(panel) {
            let out = (&mut self.out[column..], n);
            match panel_registers::<S>(column, n) {
                1 => outer_panel::<S, 1>(simd, self.a, m, &b[rows * column..], out, n - column),
                _ => outer_panel::<S, 2>(simd, self.a, m, &b[rows * column..], out, n - column),
            }
        }
        *self.scratch = scratch;
    }
}

/// `V` registers of columns, of which at most `left` floats exist, for all rows
/// of `out`.
#[inline(always)]
fn outer_panel<S: Simd, const V: usize>(
    simd: S,
    a: &[f32],
    m: usize,
    b: &[f32],
    (out, n): (&mut [f32], usize),
    left: usize,
) {
    let width = left.min(V * S::F32_LANES);
    let (b, _) = S::as_simd_f32s(&b[..a.len() / m * V * S::F32_LANES]);
    let (b, _) = b.as_chunks::<V>();
    for (row, height) in tiles::<S>(m) {
        let out = (&mut out[row * n..], n, width);
        let a = &a[row..];
        match height {
            12 => tile::<S, V, 12>(simd, a, m, b, out),
            8 => tile::<S, V, 8>(simd, a, m, b, out),
            6 => tile::<S, V, 6>(simd, a, m, b, out),
            4 => tile::<S, V, 4>(simd, a, m, b, out),
            2 => tile::<S, V, 2>(simd, a, m, b, out),
            _ => tile::<S, V, 1>(simd, a, m, b, out),
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
    let sums = sums::<S, V, R>(simd, a, b);
    for (sums, out) in sums.iter().zip(out.chunks_mut(n)) {
        if width == V * S::F32_LANES {
            let (out, _) = S::as_mut_simd_f32s(&mut out[..width]);
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = simd.add_f32s(*out, *sum);
            }
        } else {
            let sums = pulp::bytemuck::cast_slice::<S::f32s, f32>(sums);
            out[..width]
                .iter_mut()
                .zip(sums)
                .for_each(|(out, sum)| *out += sum);
        }
    }
}
