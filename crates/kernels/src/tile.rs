//! Tiles of sums: how many rows of them fit the registers, and the loop that fills them.

use pulp::Simd;

/// Rows of a tile where there are 32 registers: 24 sums, 2 of a panel, a few
/// spare.
pub(crate) const TALL: usize = 12;
/// Rows of a tile where there are 16 registers.
pub(crate) const SHORT: usize = 6;

/// First row and height of each tile of `rows` rows.
#[inline(always)]
pub(crate) fn tiles<S: Simd>(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut row = 0;
    std::iter::from_fn(move || {
        let many = S::REGISTER_COUNT >= 32;
        let height = match rows - row {
            0 => return None,
            left if left >= TALL && many => TALL,
            left if left >= 8 && many => 8,
            left if left >= SHORT && !many => SHORT,
            left if left >= 4 => 4,
            left if left >= 2 => 2,
            _ => 1,
        };
        row += height;
        Some((row - height, height))
    })
}

/// Width of the panel that begins at `column` of `n`, in registers: the last
/// may be narrow.
#[inline(always)]
pub(crate) fn panel_registers<S: Simd>(column: usize, n: usize) -> usize {
    if n - column <= S::F32_LANES { 1 } else { 2 }
}

/// `sums[r][v] = Σ_p a_p(r) · b_p[v]`: `R` rows times a panel of `V` registers, one or two.
///
/// Each sum is a variable of its own, which nothing refers to. Elements of an array may be
/// kept in memory from one product to the next, by the mood of the compiler: with 16
/// registers that took three times as long.
#[inline(always)]
pub(crate) fn sums<S: Simd, const V: usize, const R: usize>(
    simd: S,
    a: impl Iterator<Item = impl Fn(usize) -> f32>,
    b: &[[S::f32s; V]],
) -> [[S::f32s; V]; R] {
    const { assert!(V == 1 || V == 2, "a panel has one or two registers") };
    let zero = simd.splat_f32s(0.0);
    let mut sums = [[zero; V]; R];
    macro_rules! rows {
        ($($row:literal $first:ident $second:ident),+) => {{
            $(let (mut $first, mut $second) = (zero, zero);)+
            for (a, b) in a.zip(b) {
                let (b_first, b_second) = (b[0], b[V - 1]);
                $(
                    let x = simd.splat_f32s(a($row));
                    $first = simd.mul_add_e_f32s(x, b_first, $first);
                    if V == 2 {
                        $second = simd.mul_add_e_f32s(x, b_second, $second);
                    }
                )+
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
        12 => rows!(
            0 s0 t0, 1 s1 t1, 2 s2 t2, 3 s3 t3, 4 s4 t4, 5 s5 t5, 6 s6 t6, 7 s7 t7,
            8 s8 t8, 9 s9 t9, 10 s10 t10, 11 s11 t11
        ),
        _ => unreachable!("no tile has {R} rows"),
    }
    sums
}
