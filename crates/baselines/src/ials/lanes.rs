//! Vectors as whole registers, so that loops over them have no rest.

/// Numbers of a stretch: a vector register, or some.
pub(super) const LANES: usize = 16;

/// A stretch of a vector; a vector of so many factors is a slice of them, zeros behind the factors.
pub(super) type Lanes = [f32; LANES];

/// Rows that are taken at a time, so that one sum need not wait for another.
const ROWS: usize = 4;
/// Stretches of a row that are taken at a time, while there are as many.
const WIDE: usize = 4;

/// `out += factor·x`
#[inline(always)]
pub(super) fn add(out: &mut Lanes, x: &Lanes, factor: f32) {
    // All is read before anything is written: the compiler cannot know that the two are apart.
    let mut sums = *out;
    for lane in 0..LANES {
        sums[lane] += factor * x[lane];
    }
    *out = sums;
}

/// `out += factor·x`
#[inline(always)]
pub(super) fn add_all(out: &mut [Lanes], x: &[Lanes], factor: f32) {
    for (out, x) in out.iter_mut().zip(x) {
        add(out, x, factor);
    }
}

/// `Σ a·b`
#[inline(always)]
pub(super) fn dot(a: &[Lanes], b: &[Lanes]) -> f32 {
    let mut sums = Lanes::default();
    for (a, b) in a.iter().zip(b) {
        add_products(&mut sums, a, b);
    }
    total(&sums)[0]
}

/// `out += weight·Σ row` of rows as long as `out`.
#[inline(always)]
pub(super) fn add_rows(out: &mut [Lanes], rows: &[Lanes], weight: f32) {
    let fours = rows.chunks_exact(ROWS * out.len());
    for row in fours.remainder().chunks_exact(out.len()) {
        add_all(out, row, weight);
    }
    for rows in fours {
        add_four(out, four(rows, out.len()), &[[weight; LANES]; ROWS]);
    }
}

/// `out += weight·RᵀR·x` of rows `R` as long as `x`.
#[inline(always)]
pub(super) fn add_square(out: &mut [Lanes], rows: &[Lanes], x: &[Lanes], weight: f32) {
    let fours = rows.chunks_exact(ROWS * x.len());
    for row in fours.remainder().chunks_exact(x.len()) {
        add_all(out, row, weight * dot(row, x));
    }
    for rows in fours {
        let rows = four(rows, x.len());
        let [a, b, c, d] = dot_four(rows, x);
        let factors = [
            scaled(&a, weight),
            scaled(&b, weight),
            scaled(&c, weight),
            scaled(&d, weight),
        ];
        add_four(out, rows, &factors);
    }
}

/// `out += weight·M·x` of a symmetric matrix `M`.
#[inline(always)]
pub(super) fn add_product(out: &mut [Lanes], matrix: &[Lanes], x: &[Lanes], weight: f32) {
    let (numbers, _) = x.as_flattened().as_chunks::<ROWS>();
    for (rows, [a, b, c, d]) in matrix.chunks_exact(ROWS * x.len()).zip(numbers) {
        let factors = [weight * a, weight * b, weight * c, weight * d];
        add_four(out, four(rows, x.len()), &factors.map(|it| [it; LANES]));
    }
}

/// Rows of so many stretches, one by one.
#[inline(always)]
fn four(rows: &[Lanes], across: usize) -> [&[Lanes]; ROWS] {
    let (a, rest) = rows.split_at(across);
    let (b, rest) = rest.split_at(across);
    let (c, d) = rest.split_at(across);
    [a, b, c, d]
}

/// The products of some rows and `x`, each in all lanes.
#[inline(always)]
fn dot_four([a, b, c, d]: [&[Lanes]; ROWS], x: &[Lanes]) -> [Lanes; ROWS] {
    let [mut i, mut j, mut k, mut l] = [Lanes::default(); ROWS];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<WIDE>(), b.as_chunks::<WIDE>());
    let ((c, c_rest), (d, d_rest)) = (c.as_chunks::<WIDE>(), d.as_chunks::<WIDE>());
    let (x, x_rest) = x.as_chunks::<WIDE>();
    for ((x, (a, b)), (c, d)) in x.iter().zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
        for at in 0..WIDE {
            add_products(&mut i, &a[at], &x[at]);
            add_products(&mut j, &b[at], &x[at]);
            add_products(&mut k, &c[at], &x[at]);
            add_products(&mut l, &d[at], &x[at]);
        }
    }
    let rest = a_rest.iter().zip(b_rest).zip(c_rest.iter().zip(d_rest));
    for (x, ((a, b), (c, d))) in x_rest.iter().zip(rest) {
        add_products(&mut i, a, x);
        add_products(&mut j, b, x);
        add_products(&mut k, c, x);
        add_products(&mut l, d, x);
    }
    [total(&i), total(&j), total(&k), total(&l)]
}

/// `out += Σ factor·row`
#[inline(always)]
fn add_four(out: &mut [Lanes], [a, b, c, d]: [&[Lanes]; ROWS], factors: &[Lanes; ROWS]) {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<WIDE>(), b.as_chunks::<WIDE>());
    let ((c, c_rest), (d, d_rest)) = (c.as_chunks::<WIDE>(), d.as_chunks::<WIDE>());
    let (out, out_rest) = out.as_chunks_mut::<WIDE>();
    for ((out, (a, b)), (c, d)) in out.iter_mut().zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
        for at in 0..WIDE {
            add_scaled(&mut out[at], [&a[at], &b[at], &c[at], &d[at]], factors);
        }
    }
    let rest = a_rest.iter().zip(b_rest).zip(c_rest.iter().zip(d_rest));
    for (out, ((a, b), (c, d))) in out_rest.iter_mut().zip(rest) {
        add_scaled(out, [a, b, c, d], factors);
    }
}

/// `sums += a·b`
#[inline(always)]
fn add_products(sums: &mut Lanes, a: &Lanes, b: &Lanes) {
    for lane in 0..LANES {
        sums[lane] += a[lane] * b[lane];
    }
}

/// `out += Σ factor·x`
#[inline(always)]
fn add_scaled(out: &mut Lanes, [a, b, c, d]: [&Lanes; ROWS], factors: &[Lanes; ROWS]) {
    let mut sums = *out;
    for lane in 0..LANES {
        let near = factors[0][lane] * a[lane] + factors[1][lane] * b[lane];
        let far = factors[2][lane] * c[lane] + factors[3][lane] * d[lane];
        sums[lane] += near + far;
    }
    *out = sums;
}

/// The sum of all lanes, in each of them.
#[inline(always)]
fn total(sums: &Lanes) -> Lanes {
    let sums = with_others::<8>(sums);
    let sums = with_others::<4>(&sums);
    let sums = with_others::<2>(&sums);
    with_others::<1>(&sums)
}

/// Each lane and the one so far away.
#[inline(always)]
fn with_others<const APART: usize>(sums: &Lanes) -> Lanes {
    std::array::from_fn(|lane| sums[lane] + sums[lane ^ APART])
}

/// `factor·x`
#[inline(always)]
fn scaled(x: &Lanes, factor: f32) -> Lanes {
    std::array::from_fn(|lane| factor * x[lane])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(at: usize) -> f32 {
        ((at * 37 + at * at * 11) % 19) as f32 - 9.0
    }

    fn rows(rows: usize, across: usize) -> Vec<Lanes> {
        let lanes = |at| std::array::from_fn(|lane| number(at * LANES + lane));
        (0..rows * across).map(lanes).collect()
    }

    #[test]
    fn products_are_those_of_numbers_one_by_one() {
        for (count, across) in [(1, 1), (5, 3), (11, 4), (4, 9)] {
            let z = rows(count, across);
            let x = rows(1, across);
            let (z_flat, x_flat) = (z.as_flattened(), x.as_flattened());
            let width = across * LANES;
            let products: Vec<f32> = z_flat
                .chunks_exact(width)
                .map(|row| row.iter().zip(x_flat).map(|(a, b)| a * b).sum())
                .collect();
            let column = |at: usize, weights: &[f32]| -> f32 {
                let numbers = z_flat[at..].iter().step_by(width);
                numbers.zip(weights).map(|(z, weight)| z * weight).sum()
            };
            let mut square = rows(1, across);
            add_square(&mut square, &z, &x, 2.0);
            let mut sums = rows(1, across);
            add_rows(&mut sums, &z, 3.0);
            for at in 0..width {
                let expected = number(at) + 2.0 * column(at, &products);
                assert_eq!(square.as_flattened()[at], expected);
                let expected = number(at) + 3.0 * column(at, &vec![1.0; count]);
                assert_eq!(sums.as_flattened()[at], expected);
            }
            // Symmetric: the number at (a, b) is that of a + b.
            let lanes = |at: usize| {
                let (row, column) = (at / across, at % across * LANES);
                std::array::from_fn(|lane| number(row + column + lane))
            };
            let matrix: Vec<Lanes> = (0..width * across).map(lanes).collect();
            let mut product = rows(1, across);
            add_product(&mut product, &matrix, &x, 0.5);
            for at in 0..width {
                let sum: f32 = (0..width)
                    .map(|other| number(at + other) * x_flat[other])
                    .sum();
                assert_eq!(product.as_flattened()[at], number(at) + 0.5 * sum);
            }
        }
    }
}
