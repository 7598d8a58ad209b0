//! Products against their definition, on every kind of register at hand.

use pulp::Simd;

use crate::multiply::Multiply;
use crate::outer::AddTransposed;
use crate::pairs::{PairGradients, PairProducts};
use crate::panels::LONGEST;
use crate::{Finish, Panels, copy_rows, dot, store};

fn jumble(count: usize, seed: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5;
    (0..count).map(number).collect()
}

/// The definition, in double precision.
fn expected(a: &[f32], b: &[f32], (rows, k, n): (usize, usize, usize)) -> Vec<f64> {
    (0..rows * n)
        .map(|i| {
            let products =
                (0..k).map(|p| f64::from(a[i / n * k + p]) * f64::from(b[p * n + i % n]));
            products.sum()
        })
        .collect()
}

/// Tails of every tile height and of a panel, and inner products of more than
/// one part.
const SHAPES: [(usize, usize, usize); 11] = [
    (1, 1, 1),
    (6, 30, 40),
    (18, 20, 40),
    (12, 64, 50),
    (50, 50, 64),
    (23, 7, 33),
    (31, 145, 16),
    (29, LONGEST + 3, 31),
    (4, 2 * LONGEST, 65),
    (3, 0, 5),
    // More than is kept near.
    (5, 600, 500),
];

/// Runs an expression with every kind of register that this processor has.
macro_rules! with_any_registers {
    (|$simd:ident| $check:expr) => {{
        let $simd = pulp::Scalar;
        $check;
        #[cfg(target_arch = "x86_64")]
        {
            if let Some($simd) = pulp::x86::V3::try_new() {
                $check;
            }
            if let Some($simd) = pulp::x86::V4::try_new() {
                $check;
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some($simd) = pulp::aarch64::Neon::try_new() {
            $check;
        }
    }};
}

/// What a buffer may hold that was used before.
fn used() -> Vec<f32> {
    vec![f32::NAN; 1 << 17]
}

fn near(found: &[f32], expected: impl IntoIterator<Item = f64>) {
    let expected: Vec<f64> = expected.into_iter().collect();
    assert_eq!(found.len(), expected.len());
    for (&found, expected) in found.iter().zip(expected) {
        assert!(
            (f64::from(found) - expected).abs() < 1e-4,
            "{found} {expected}"
        );
    }
}

fn check_multiply(simd: impl Simd, shape: (usize, usize, usize)) {
    fn product<S: Simd>(
        simd: S,
        (rows, k, n): (usize, usize, usize),
        finish: Finish<'_, impl Fn(usize, usize, &mut [f32])>,
        out: &mut [f32],
    ) {
        let (a, b) = (jumble(rows * k, 1), jumble(k * n, 2));
        let mut panels = Panels::default();
        panels.fill_panels::<S>(copy_rows(&b, n), k, n);
        simd.vectorize(Multiply {
            panels: &panels,
            a: copy_rows(&a, k),
            rows,
            out,
            stride: n,
            finish,
            scratch: &mut used(),
        });
    }
    let (rows, k, n) = shape;
    let plain = expected(&jumble(rows * k, 1), &jumble(k * n, 2), shape);
    let mut out = vec![f32::NAN; rows * n];
    product(simd, shape, store(), &mut out);
    near(&out, plain.iter().copied());

    let bias = jumble(n, 3);
    let mut out = jumble(rows * n, 4);
    let before = out.clone();
    let finish = Finish::new(Some(&bias), true, |row, column, values: &mut [f32]| {
        for (i, x) in values.iter_mut().enumerate() {
            *x = 2.0 * *x + (row * n + column + i) as f32 * 1e-3;
        }
    });
    product(simd, shape, finish, &mut out);
    near(
        &out,
        (0..rows * n).map(|i| {
            let sum = plain[i] + f64::from(bias[i % n]) + f64::from(before[i]);
            2.0 * sum + i as f64 * 1e-3
        }),
    );
}

fn check_add_transposed(simd: impl Simd, (m, rows, n): (usize, usize, usize)) {
    let (a, b) = (jumble(rows * m, 1), jumble(rows * n, 2));
    let transposed: Vec<f32> = (0..m * rows).map(|i| a[i % rows * m + i / rows]).collect();
    let products = expected(&transposed, &b, (m, rows, n));
    let mut out = jumble(m * n, 3);
    let before = out.clone();
    simd.vectorize(AddTransposed {
        out: &mut out,
        a: &a,
        b: copy_rows(&b, n),
        m,
        n,
        scratch: &mut used(),
    });
    near(
        &out,
        products.iter().zip(before).map(|(x, y)| x + f64::from(y)),
    );
}

#[test]
fn products_match_the_definition_with_any_registers() {
    for shape in SHAPES {
        // Without rows there is nothing to sum, which the caller sees to.
        let with_rows = (shape.0, shape.1.max(1), shape.2);
        with_any_registers!(|simd| {
            check_multiply(simd, shape);
            check_add_transposed(simd, with_rows);
        });
    }
}

#[test]
fn what_lies_between_the_rows_of_a_result_is_left_alone() {
    let (rows, k, n, stride) = (7, 20, 37, 40);
    let (a, b) = (jumble(rows * k, 1), jumble(k * n, 2));
    let mut panels = Panels::default();
    panels.fill((&b, n), k, n);
    let mut out = vec![-7.0; (rows - 1) * stride + n];
    let a_rows = copy_rows(&a, k);
    panels.multiply(a_rows, rows, (&mut out, stride), store(), &mut Vec::new());
    let found: Vec<f32> = out
        .chunks(stride)
        .flat_map(|row| &row[..n])
        .copied()
        .collect();
    near(&found, expected(&a, &b, (rows, k, n)));
    assert!(
        out.chunks(stride)
            .all(|row| row[n..].iter().all(|x| *x == -7.0))
    );
}

#[test]
fn panels_of_rows_and_of_columns_are_the_same_wherever_they_lie_in_a_matrix() {
    for (_, k, n) in SHAPES {
        let (wide, high) = (n + 3, k + 5);
        let rows = jumble(k * wide + 1, 3);
        let mut columns = vec![0.0; n * high + 2];
        for (row, column) in (0..k).flat_map(|row| (0..n).map(move |column| (row, column))) {
            columns[2 + column * high + row] = rows[1 + row * wide + column];
        }
        // What was there before is gone.
        let mut of_rows = Panels::of_transposed(&jumble(40 * 70, 4), 40, 70);
        let mut of_columns = of_rows.clone();
        of_rows.fill((&rows[1..], wide), k, n);
        of_columns.fill_transposed((&columns[2..], high), n, k);
        let of_ones = |panels: &Panels| {
            let (ones, mut out) = (vec![1.0; k], vec![0.0; n]);
            let a = copy_rows(&ones, k);
            panels.multiply(a, 1, (&mut out, n), store(), &mut Vec::new());
            out
        };
        assert_eq!(of_ones(&of_rows), of_ones(&of_columns));
        let sums = (0..n).map(|column| {
            (0..k)
                .map(|row| f64::from(rows[1 + row * wide + column]))
                .sum()
        });
        near(&of_ones(&of_rows), sums);
    }
}

fn check_pairs(simd: impl Simd, (count, vectors, dim): (usize, usize, usize), itself: bool) {
    let (stride, width) = (vectors * dim + 2, vectors * (vectors + 1) / 2 + 1);
    let rows = jumble(count * stride, 5);
    let mut out = vec![-7.0; count * width + 1];
    simd.vectorize(PairProducts {
        rows: (&rows, stride),
        vectors,
        dim,
        itself,
        out: (&mut out[1..], width),
    });
    for (row, out) in rows.chunks(stride).zip(out.chunks_exact(width)) {
        let vector = |i: usize| &row[i * dim..(i + 1) * dim];
        let mut expected = vec![-7.0];
        for i in 0..vectors {
            expected.extend((0..i + usize::from(itself)).map(|j| dot(vector(i), vector(j))));
        }
        expected.resize(width, -7.0);
        assert_eq!(out, expected);
    }
}

#[test]
fn products_of_pairs_are_those_of_dot_to_the_bit_with_any_registers() {
    for shape in [(3, 6, 64), (2, 3, 37), (1, 2, 5), (2, 1, 16), (0, 3, 16)] {
        for itself in [false, true] {
            with_any_registers!(|simd| check_pairs(simd, shape, itself));
        }
    }
}

fn check_pair_gradients(
    simd: impl Simd,
    (count, vectors, dim): (usize, usize, usize),
    itself: bool,
) {
    let pairs = vectors * (vectors - 1) / 2 + if itself { vectors } else { 0 };
    let (stride, width) = (vectors * dim + 2, pairs + 3);
    let (rows, upstream) = (jumble(count * stride, 5), jumble(count * width, 6));
    let before = jumble(count * stride, 7);
    let mut out = before.clone();
    simd.vectorize(PairGradients {
        rows: (&rows, stride),
        vectors,
        dim,
        itself,
        upstream: (&upstream, width),
        out: (&mut out, stride),
        scratch: &mut used(),
    });
    let expected = (0..count * stride).map(|at| {
        let (row, column) = (at / stride, at % stride);
        let mut sum = f64::from(before[at]);
        let i = column / dim;
        for j in (0..vectors).filter(|_| i < vectors) {
            let (high, low) = (i.max(j), i.min(j));
            let pair = match itself {
                true => high * (high + 1) / 2 + low,
                false if high == low => continue,
                false => high * (high - 1) / 2 + low,
            };
            let factor =
                if high == low { 2.0 } else { 1.0 } * f64::from(upstream[row * width + pair]);
            sum += factor * f64::from(rows[row * stride + j * dim + column % dim]);
        }
        sum
    });
    near(&out, expected);
}

#[test]
fn gradients_of_pairs_match_the_definition_with_any_registers() {
    for shape in [
        (3, 6, 64),
        (2, 27, 16),
        (2, 3, 37),
        (1, 2, 5),
        (2, 1, 16),
        (0, 3, 16),
    ] {
        for itself in [false, true] {
            with_any_registers!(|simd| check_pair_gradients(simd, shape, itself));
        }
    }
}

#[test]
fn a_row_is_the_same_to_the_bit_among_any_others() {
    let (rows, k, n) = (25, 100, 70);
    let (a, b) = (jumble(rows * k, 1), jumble(k * n, 2));
    let panels = Panels::of_transposed(&b, n, k);
    let product = |a: &[f32]| {
        let mut out = vec![0.0; a.len() / k * n];
        let rows = a.len() / k;
        panels.multiply(
            copy_rows(a, k),
            rows,
            (&mut out, n),
            store(),
            &mut Vec::new(),
        );
        out
    };
    let together = product(&a);
    for row in 0..rows {
        assert_eq!(
            product(&a[row * k..(row + 1) * k]),
            &together[row * n..(row + 1) * n]
        );
    }
}
