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
