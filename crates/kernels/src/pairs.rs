use pulp::{Simd, WithSimd};

use crate::instructions::dispatch;
use crate::vectors::{LANES, total};

/// `out = vᵢ · vⱼ` of the vectors that stand side by side in a row, for `j < i`, or `j ≤ i` if
/// `itself`: the lower triangle of `V·Vᵀ`, row by row (Naumov et al., 2019). Each as
/// [`dot`](crate::dot) computes it, to the bit.
///
/// A row begins with `vectors × dim` numbers; `rows` and `out` are slices and the distances of
/// their rows, `out` from the first product on.
///
/// # Panics
/// Where a row does not fit its slice, or a distance is 0;
/// where [`InstructionSet::in_use`](crate::InstructionSet::in_use) is an error.
pub fn pair_products(
    rows: (&[f32], usize),
    vectors: usize,
    dim: usize,
    itself: bool,
    out: (&mut [f32], usize),
) {
    dispatch(PairProducts {
        rows,
        vectors,
        dim,
        itself,
        out,
    });
}

pub(crate) struct PairProducts<'a> {
    pub rows: (&'a [f32], usize),
    pub vectors: usize,
    pub dim: usize,
    pub itself: bool,
    pub out: (&'a mut [f32], usize),
}

impl WithSimd for PairProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many registers as make up the lanes of `dot`.
        match S::F32_LANES {
            16 => self.by_registers::<S, 1>(simd),
            8 => self.by_registers::<S, 2>(simd),
            4 => self.by_registers::<S, 4>(simd),
            _ => self.by_registers::<S, LANES>(simd),
        }
    }
}

impl PairProducts<'_> {
    #[inline(always)]
    fn by_registers<S: Simd, const N: usize>(self, simd: S) {
        let Self { vectors, dim, .. } = self;
        let rows = self.rows.0.chunks(self.rows.1);
        for (row, out) in rows.zip(self.out.0.chunks_mut(self.out.1)) {
            let mut number = 0;
            for i in 0..vectors {
                let a = &row[i * dim..(i + 1) * dim];
                for j in 0..i + usize::from(self.itself) {
                    out[number] = product::<S, N>(simd, a, &row[j * dim..(j + 1) * dim]);
                    number += 1;
                }
            }
        }
    }
}

/// [`dot`](crate::dot), its sums in `N` registers: of a loop of known length the compiler makes
/// single additions of two numbers.
#[inline(always)]
fn product<S: Simd, const N: usize>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [simd.splat_f32s(0.0); N];
    let (a, a_rest) = S::as_simd_f32s(a);
    let (b, b_rest) = S::as_simd_f32s(b);
    let (a, a_left) = a.as_chunks::<N>();
    let (b, b_left) = b.as_chunks::<N>();
    for (a, b) in a.iter().zip(b) {
        for n in 0..N {
            sums[n] = simd.add_f32s(simd.mul_f32s(a[n], b[n]), sums[n]);
        }
    }
    let floats = |left, rest| {
        let left: &[f32] = pulp::bytemuck::cast_slice::<S::f32s, f32>(left);
        left.iter().chain(rest)
    };
    let rest: f32 = floats(a_left, a_rest)
        .zip(floats(b_left, b_rest))
        .map(|(x, y)| x * y)
        .sum();
    let sums: &[f32] = pulp::bytemuck::cast_slice::<S::f32s, f32>(&sums);
    total(std::array::from_fn(|lane| sums[lane])) + rest
}
/// The way back: adds to the gradient of each vector all others times the gradient of their
/// product, `out_i += Σ_j upstream_ij · v_j`, a vector that meets itself counting twice.
///
/// `rows` and `out` begin with `vectors × dim` numbers in each row, `upstream` has the lower
/// triangle, from the first product on; all three are slices and the distances of their rows.
/// `scratch` is kept from one call to the next.
///
/// # Panics
/// As [`pair_products`].
///
/// ```
/// use mmdlrm_kernels::pair_gradients;
///
/// // Two vectors of one number, 3 and 5, whose product has the gradient 2.
/// let mut out = [1.0, 0.0];
/// pair_gradients((&[3.0, 5.0], 2), 2, 1, false, (&[2.0], 1), (&mut out, 2), &mut Vec::new());
/// assert_eq!(out, [1.0 + 2.0 * 5.0, 2.0 * 3.0]);
/// ```
pub fn pair_gradients(
    rows: (&[f32], usize),
    vectors: usize,
    dim: usize,
    itself: bool,
    upstream: (&[f32], usize),
    out: (&mut [f32], usize),
    scratch: &mut Vec<f32>,
) {
    dispatch(PairGradients {
        rows,
        vectors,
        dim,
        itself,
        upstream,
        out,
        scratch,
    });
}

pub(crate) struct PairGradients<'a> {
    pub rows: (&'a [f32], usize),
    pub vectors: usize,
    pub dim: usize,
    pub itself: bool,
    pub upstream: (&'a [f32], usize),
    pub out: (&'a mut [f32], usize),
    pub scratch: &'a mut Vec<f32>,
}

/// Vectors whose gradients are summed together.
const TOGETHER: usize = 4;

impl WithSimd for PairGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { vectors, dim, .. } = self;
        // A square of factors whose rows are whole groups: what is too much is 0.
        let padded = vectors.next_multiple_of(TOGETHER);
        let factors = self.scratch;
        factors.clear();
        factors.resize(padded * vectors, 0.0);
        let rows = self.rows.0.chunks(self.rows.1);
        let rows = rows.zip(self.upstream.0.chunks(self.upstream.1));
        for ((row, upstream), out) in rows.zip(self.out.0.chunks_mut(self.out.1)) {
            fill_square(upstream, vectors, self.itself, factors);
            for from in (0..dim).step_by(S::F32_LANES) {
                let lanes = S::F32_LANES.min(dim - from);
                for group in (0..vectors).step_by(TOGETHER) {
                    let mut sums = [simd.splat_f32s(0.0); TOGETHER];
                    for (r, sum) in sums.iter_mut().enumerate() {
                        if let Some(out) = out.get((group + r).min(vectors - 1) * dim + from..) {
                            *sum = load(simd, out, lanes);
                        }
                    }
                    for j in 0..vectors {
                        let x = load(simd, &row[j * dim + from..], lanes);
                        let factors = &factors[j * padded + group..][..TOGETHER];
                        for r in 0..TOGETHER {
                            let product = simd.mul_f32s(simd.splat_f32s(factors[r]), x);
                            sums[r] = simd.add_f32s(sums[r], product);
                        }
                    }
                    for (r, &sum) in sums.iter().enumerate().take(vectors - group) {
                        let out = &mut out[(group + r) * dim + from..][..lanes];
                        simd.partial_store_f32s(out, sum);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn load<S: Simd>(simd: S, from: &[f32], lanes: usize) -> S::f32s {
    match lanes == S::F32_LANES {
        true => S::as_simd_f32s(&from[..S::F32_LANES]).0[0],
        false => simd.partial_load_f32s(&from[..lanes]),
    }
}

/// Writes the lower triangle and its mirror, `[vectors, padded]`.
#[inline(always)]
fn fill_square(triangle: &[f32], vectors: usize, itself: bool, square: &mut [f32]) {
    let padded = square.len() / vectors;
    let mut rest = triangle;
    for i in 0..vectors {
        let (row, behind) = rest.split_at(i + usize::from(itself));
        rest = behind;
        for (j, &factor) in row.iter().enumerate().take(i) {
            square[i * padded + j] = factor;
            square[j * padded + i] = factor;
        }
        if itself {
            square[i * padded + i] = 2.0 * row[i];
        }
    }
}
