//! Tiles of sums: how many rows of them fit the registers, and the loop that fills them.

use pulp::Simd;

use crate::prefetch::prefetch;

/// Floats in a cache line.
pub(crate) const LINE: usize = 16;
/// Most rows of a tile where there are 32 registers: 24 sums, 2 of a panel, a few
/// spare. With 16 registers as well, where a panel has one.
pub(crate) const TALL: usize = 12;
/// Most rows of a tile where there are 16 registers and a panel has two.
pub(crate) const SHORT: usize = 6;

/// Whether the sums of tiles of `V` registers and [`TALL`] rows have room in registers.
#[inline(always)]
pub(crate) fn tall<S: Simd, const V: usize>() -> bool {
    V == 1 || S::REGISTER_COUNT >= 32
}

/// First row and height of each tile of `rows` rows, for a panel of `V` registers: as few as
/// there can be and alike in height, since a low one takes as long as one whose sums keep the
/// core busy. All are even but the last of an odd number, which is 1.
#[inline(always)]
pub(crate) fn tiles<S: Simd, const V: usize>(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let highest = if tall::<S, V>() { TALL } else { SHORT };
    let mut row = 0;
    std::iter::from_fn(move || {
        let even = (rows - row) & !1;
        let height = match (rows - row, even.div_ceil(highest)) {
            (0, _) => return None,
            (_, 0) => 1,
            (_, count) => even.div_ceil(count).next_multiple_of(2),
        };
        row += height;
        Some((row - height, height))
    })
}

/// Makes room in a buffer whose contents do not matter. What is there stays, so that nothing is
/// written twice where products of several sizes share it.
pub(crate) fn at_least(scratch: &mut Vec<f32>, length: usize) {
    if scratch.len() < length {
        scratch.resize(length, 0.0);
    }
}

/// The columns of a panel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PanelColumns {
    pub first: usize,
    /// Columns that exist: fewer than the panel has room for, in a last one.
    pub count: usize,
    /// Registers that the panel is wide, one or two.
    pub registers: usize,
}

/// Panels of a matrix of `n` columns, two registers wide; of the last, one is enough where no
/// more columns are left.
#[inline(always)]
pub(crate) fn panels<S: Simd>(n: usize) -> impl Iterator<Item = PanelColumns> {
    let firsts = (0..n).step_by(2 * S::F32_LANES);
    firsts.map(
        #[inline(always)]
        move |first| PanelColumns {
            first,
            count: (2 * S::F32_LANES).min(n - first),
            registers: if n - first <= S::F32_LANES { 1 } else { 2 },
        },
    )
}

/// What is done with a tile, compiled for its height: `R` rows times a panel of `V` registers.
pub(crate) trait OfHeight<S: Simd, const V: usize> {
    fn run<const R: usize>(self, simd: S);
}

/// Runs `work` on a tile of one of the heights that [`tiles`] gives.
#[inline(always)]
pub(crate) fn with_height<S: Simd, const V: usize>(
    simd: S,
    height: usize,
    work: impl OfHeight<S, V>,
) {
    match height {
        12 if tall::<S, V>() => work.run::<12>(simd),
        10 if tall::<S, V>() => work.run::<10>(simd),
        8 if tall::<S, V>() => work.run::<8>(simd),
        6 => work.run::<6>(simd),
        4 => work.run::<4>(simd),
        2 => work.run::<2>(simd),
        1 => work.run::<1>(simd),
        _ => unreachable!("no tile has {height} rows"),
    }
}

/// Steps of an inner product between two requests for what is needed next.
const STEPS: usize = 16;
/// Floats of such a request, two cache lines: more at a time keep the core waiting.
const AHEAD: usize = 2 * LINE;

/// Floats that are asked for in an inner product of so many steps.
#[inline(always)]
pub(crate) fn ahead(steps: usize) -> usize {
    steps.div_ceil(STEPS) * AHEAD
}

/// `sums[r][v] = Σ_p a_p(r) · b_p[v]`: `R` rows times a panel of `V` registers, one or two.
///
/// Each sum is a variable of its own, which nothing refers to. Elements of an array may be
/// kept in memory from one product to the next, by the mood of the compiler: with 16
/// registers that took three times as long.
#[inline(always)]
pub(crate) fn sums<S: Simd, const V: usize, const R: usize>(
    simd: S,
    mut a: impl Iterator<Item = impl Fn(usize) -> f32>,
    b: &[[S::f32s; V]],
    next: &[f32],
) -> [[S::f32s; V]; R] {
    const { assert!(V == 1 || V == 2, "a panel has one or two registers") };
    let zero = simd.splat_f32s(0.0);
    let mut sums = [[zero; V]; R];
    let mut next = next.chunks(AHEAD);
    macro_rules! rows {
        ($($row:literal $first:ident $second:ident),+) => {{
            $(let (mut $first, mut $second) = (zero, zero);)+
            for b in b.chunks(STEPS) {
                prefetch(next.next().unwrap_or(&[]));
                // `b` first: its end must not take a number from `a`.
                for (b, a) in b.iter().zip(a.by_ref()) {
                    let (b_first, b_second) = (b[0], b[V - 1]);
                    $(
                        let x = simd.splat_f32s(a($row));
                        $first = simd.mul_add_e_f32s(x, b_first, $first);
                        if V == 2 {
                            $second = simd.mul_add_e_f32s(x, b_second, $second);
                        }
                    )+
                }
            }
            $(
                sums[$row][0] = $first;
                if V == 2 {
                    sums[$row][V - 1] = $second;
                }
            )+
        }};
    }
    match R {
        1 => rows!(0 s0 t0),
        2 => rows!(0 s0 t0, 1 s1 t1),
        4 => rows!(0 s0 t0, 1 s1 t1, 2 s2 t2, 3 s3 t3),
        6 => rows!(0 s0 t0, 1 s1 t1, 2 s2 t2, 3 s3 t3, 4 s4 t4, 5 s5 t5),
        8 => rows!(
            0 s0 t0, 1 s1 t1, 2 s2 t2, 3 s3 t3, 4 s4 t4, 5 s5 t5, 6 s6 t6, 7 s7 t7
        ),
        10 => rows!(
            0 s0 t0, 1 s1 t1, 2 s2 t2, 3 s3 t3, 4 s4 t4, 5 s5 t5, 6 s6 t6, 7 s7 t7,
            8 s8 t8, 9 s9 t9
        ),
        12 => rows!(
            0 s0 t0, 1 s1 t1, 2 s2 t2, 3 s3 t3, 4 s4 t4, 5 s5 t5, 6 s6 t6, 7 s7 t7,
            8 s8 t8, 9 s9 t9, 10 s10 t10, 11 s11 t11
        ),
        _ => unreachable!("no tile has {R} rows"),
    }
    sums
}

/// What is added to a row of sums before it is stored.
#[derive(Clone, Copy)]
pub(crate) struct Addends<'a> {
    /// As long as the row.
    pub bias: Option<&'a [f32]>,
    /// Whether what `out` holds is added.
    pub out: bool,
}

impl Addends<'_> {
    pub const NONE: Self = Self {
        bias: None,
        out: false,
    };
}

/// `out = sums + addends`: as many sums of a tile's row as `out` has room for.
#[inline(always)]
pub(crate) fn store_row<S: Simd, const V: usize>(
    simd: S,
    sums: &[S::f32s; V],
    addends: Addends<'_>,
    out: &mut [f32],
) {
    if out.len() == V * S::F32_LANES {
        let bias = addends.bias.map(|bias| S::as_simd_f32s(bias).0);
        let out = S::as_mut_simd_f32s(out).0;
        for v in 0..V {
            let bias = bias.map(|bias| bias[v]);
            out[v] = added(simd, sums[v], bias, addends.out.then_some(out[v]));
        }
    } else {
        for (v, out) in out.chunks_mut(S::F32_LANES).enumerate() {
            let from = v * S::F32_LANES;
            let bias = addends.bias.map(|bias| &bias[from..from + out.len()]);
            let bias = bias.map(|bias| simd.partial_load_f32s(bias));
            let before = addends.out.then(|| simd.partial_load_f32s(out));
            let sum = added(simd, sums[v], bias, before);
            simd.partial_store_f32s(out, sum);
        }
    }
}

#[inline(always)]
fn added<S: Simd>(
    simd: S,
    mut sum: S::f32s,
    bias: Option<S::f32s>,
    before: Option<S::f32s>,
) -> S::f32s {
    if let Some(bias) = bias {
        sum = simd.add_f32s(sum, bias);
    }
    if let Some(before) = before {
        sum = simd.add_f32s(sum, before);
    }
    sum
}
