//! `A · B` for a `B` that is used many times: weights, or the keys and values
//! of a sequence.
//!
//! `B` is copied once into panels, as wide as two vector registers, and `A` is
//! read as it lies. A tile of rows keeps its sums in registers from the first
//! product to the last (Goto and van de Geijn, 2008), so that what follows a
//! product (bias, activation, residual) finds them in the first-level cache.
//! One thread computes; others are given other rows.

use pulp::{Arch, Simd, WithSimd};

use super::elementwise::Activation;

/// Rows of a tile where there are 32 registers: 24 sums, 2 of a panel, a few
/// spare.
const TALL: usize = 12;
/// Rows of a tile where there are 16 registers.
const SHORT: usize = 6;
/// Rows of a tile at the end.
const LOW: usize = 3;
/// Inner products are cut to this length, so that the rows at hand and a panel
/// stay in the second-level cache.
const LONGEST: usize = 1024;
/// Floats in a cache line.
const LINE: usize = 16;
/// Floats of the widest panel, two registers of 512 bits.
const WIDEST: usize = 32;

/// Rows of a matrix in row-major order, `stride` floats from one to the next.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub data: &'a [f32],
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// Rows that lie side by side.
    pub fn of(data: &'a [f32], width: usize) -> Self {
        Self {
            data,
            stride: width,
        }
    }
}

/// Rows to be written, `stride` floats from one to the next.
pub(crate) struct RowsMut<'a> {
    pub data: &'a mut [f32],
    pub stride: usize,
}

/// What happens to `A · B` before it is stored.
#[derive(Clone, Copy, Default)]
pub(crate) struct Finish<'a> {
    /// Added to each row.
    pub bias: Option<&'a [f32]>,
    /// Applied last.
    pub activation: Option<Activation>,
    /// Whether what `out` holds is added.
    pub add: bool,
}

/// `B`, `[k, n]`, in panels.
///
/// Blocks of at most [`LONGEST`] rows follow each other; in a block a panel of
/// columns after another, in a panel row after row, filled up with zeros.
#[derive(Default)]
pub(crate) struct Panels {
    data: Vec<f32>,
    /// Where in `data` the first cache line begins.
    start: usize,
    k: usize,
    n: usize,
    /// Columns of a panel.
    panel: usize,
}

impl Panels {
    /// Panels of the transpose of `weights`, `[n, k]`: a linear layer's.
    pub fn of_transposed(weights: &[f32], n: usize, k: usize) -> Self {
        let mut panels = Self::default();
        panels.fill(k, n, |row, column| weights[column * k + row]);
        panels
    }

    /// Replaces the matrix, keeping the memory.
    pub fn fill(&mut self, k: usize, n: usize, value: impl Fn(usize, usize) -> f32) {
        self.fill_panels(panel_width(), k, n, value);
    }

    fn fill_panels(
        &mut self,
        panel: usize,
        k: usize,
        n: usize,
        value: impl Fn(usize, usize) -> f32,
    ) {
        let length = k * n.next_multiple_of(panel);
        if self.data.len() < length + LINE {
            self.data = vec![0.0; length + LINE];
            // Never more than a line: the allocation is aligned to floats.
            self.start = self.data.as_ptr().align_offset(64).min(LINE);
        }
        (self.k, self.n, self.panel) = (k, n, panel);
        let mut out = self.data[self.start..].iter_mut();
        for first_row in (0..k).step_by(LONGEST) {
            let rows = first_row..(first_row + LONGEST).min(k);
            for first_column in (0..n).step_by(panel) {
                for row in rows.clone() {
                    for (column, out) in (first_column..first_column + panel).zip(&mut out) {
                        *out = if column < n { value(row, column) } else { 0.0 };
                    }
                }
            }
        }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.n
    }

    /// `out[rows, n] = finish(a[rows, k] · self)`; `scratch` is room for a
    /// block of `a`, kept from one product to the next.
    pub fn multiply(
        &self,
        a: Rows<'_>,
        rows: usize,
        out: RowsMut<'_>,
        finish: Finish<'_>,
        scratch: &mut Vec<f32>,
    ) {
        if rows == 0 || self.n == 0 {
            return;
        }
        Arch::new().dispatch(Multiply {
            panels: self,
            a,
            rows,
            out,
            finish,
            scratch,
        });
    }
}

/// Floats of a panel on this machine.
fn panel_width() -> usize {
    struct Width;
    impl WithSimd for Width {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            2 * S::F32_LANES
        }
    }
    Arch::new().dispatch(Width)
}

struct Multiply<'a> {
    panels: &'a Panels,
    a: Rows<'a>,
    rows: usize,
    out: RowsMut<'a>,
    finish: Finish<'a>,
    scratch: &'a mut Vec<f32>,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Panels { k, n, start, .. } = *self.panels;
        let panel = 2 * S::F32_LANES;
        assert_eq!(panel, self.panels.panel, "panels of another machine");
        let padded = n.next_multiple_of(panel);
        let mut scratch = std::mem::take(self.scratch);
        for from in (0..k).step_by(LONGEST) {
            let length = LONGEST.min(k - from);
            interleave::<S>(self.a, self.rows, from, length, &mut scratch);
            let block = &self.panels.data[start + from * padded..][..length * padded];
            for (number, panel_data) in block.chunks_exact(length * panel).enumerate() {
                let part = Part {
                    panel: panel_data,
                    column: number * panel,
                    first: from == 0,
                    last: from + length == k,
                };
                self.panel(simd, &scratch, part);
            }
        }
        *self.scratch = scratch;
    }
}

/// One panel: some columns, and part of the inner products.
#[derive(Clone, Copy)]
struct Part<'a> {
    panel: &'a [f32],
    column: usize,
    first: bool,
    last: bool,
}

impl Multiply<'_> {
    /// The columns of a panel, for all rows.
    #[inline(always)]
    fn panel<S: Simd>(&mut self, simd: S, mut rows: &[f32], part: Part<'_>) {
        let length = part.panel.len() / (2 * S::F32_LANES);
        for (row, height) in tiles::<S>(self.rows) {
            let (tile, others) = rows.split_at(height * length);
            rows = others;
            match height {
                TALL => self.tile::<S, TALL>(simd, tile, row, part),
                SHORT => self.tile::<S, SHORT>(simd, tile, row, part),
                LOW => self.tile::<S, LOW>(simd, tile, row, part),
                _ => self.tile::<S, 1>(simd, tile, row, part),
            };
        }
    }

    /// `R` rows from `row` of a panel's columns.
    #[inline(always)]
    fn tile<S: Simd, const R: usize>(&mut self, simd: S, tile: &[f32], row: usize, part: Part<'_>) {
        let sums = sums::<S, R>(simd, tile, part.panel);
        let width = (2 * S::F32_LANES).min(self.panels.n - part.column);
        for (r, sums) in sums.iter().enumerate() {
            let mut stored = [0.0; WIDEST];
            let stored = &mut stored[..2 * S::F32_LANES];
            let (vectors, _) = S::as_mut_simd_f32s(stored);
            vectors.copy_from_slice(sums);
            let out = &mut self.out.data[(row + r) * self.out.stride + part.column..][..width];
            if let (Some(bias), true) = (self.finish.bias, part.first) {
                let bias = &bias[part.column..][..width];
                stored.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
            }
            if self.finish.add || !part.first {
                stored.iter_mut().zip(&*out).for_each(|(x, y)| *x += y);
            }
            if let (Some(activation), true) = (self.finish.activation, part.last) {
                activation.apply(stored);
            }
            out.copy_from_slice(&stored[..width]);
        }
    }
}

/// First row and height of each tile of `rows` rows.
#[inline(always)]
fn tiles<S: Simd>(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut row = 0;
    std::iter::from_fn(move || {
        let height = match rows - row {
            0 => return None,
            left if left >= TALL && S::REGISTER_COUNT >= 32 => TALL,
            left if left >= SHORT => SHORT,
            left if left >= LOW => LOW,
            _ => 1,
        };
        row += height;
        Some((row - height, height))
    })
}

/// Columns `from..from + length` of `a`, tile after tile, the numbers of a
/// column side by side: so that the innermost loop walks along one address.
#[inline(always)]
fn interleave<S: Simd>(a: Rows<'_>, rows: usize, from: usize, length: usize, out: &mut Vec<f32>) {
    out.resize(rows * length, 0.0);
    let mut rest = out.as_mut_slice();
    for (first, height) in tiles::<S>(rows) {
        let (tile, others) = rest.split_at_mut(height * length);
        rest = others;
        for r in 0..height {
            let row = &a.data[(first + r) * a.stride + from..][..length];
            for (out, x) in tile[r..].iter_mut().step_by(height).zip(row) {
                *out = *x;
            }
        }
    }
}

/// `R` rows, interleaved, times a panel.
#[inline(always)]
fn sums<S: Simd, const R: usize>(simd: S, tile: &[f32], panel: &[f32]) -> [[S::f32s; 2]; R] {
    let mut sums = [[simd.splat_f32s(0.0); 2]; R];
    let (panel, _) = S::as_simd_f32s(panel);
    let (tile, _) = tile.as_chunks::<R>();
    let (panel, _) = panel.as_chunks::<2>();
    for (a, b) in tile.iter().zip(panel) {
        for r in 0..R {
            let a = simd.splat_f32s(a[r]);
            sums[r][0] = simd.mul_add_e_f32s(a, b[0], sums[r][0]);
            sums[r][1] = simd.mul_add_e_f32s(a, b[1], sums[r][1]);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn check(simd: impl Simd, shape: (usize, usize, usize)) {
        fn product<S: Simd>(
            simd: S,
            (rows, k, n): (usize, usize, usize),
            finish: Finish<'_>,
            out: &mut [f32],
        ) {
            let (a, b) = (jumble(rows * k, 1), jumble(k * n, 2));
            let mut panels = Panels::default();
            panels.fill_panels(2 * S::F32_LANES, k, n, |row, column| b[row * n + column]);
            simd.vectorize(Multiply {
                panels: &panels,
                a: Rows::of(&a, k),
                rows,
                out: RowsMut {
                    data: out,
                    stride: n,
                },
                finish,
                scratch: &mut Vec::new(),
            });
        }
        let (rows, k, n) = shape;
        let plain = expected(&jumble(rows * k, 1), &jumble(k * n, 2), shape);
        let near = |found: f32, expected: f64| {
            let error = (f64::from(found) - expected).abs();
            assert!(error < 1e-4, "{shape:?}: {found} {expected}");
        };
        let mut out = vec![f32::NAN; rows * n];
        product(simd, shape, Finish::default(), &mut out);
        out.iter()
            .zip(&plain)
            .for_each(|(&found, &x)| near(found, x));

        let bias = jumble(n, 3);
        let finish = Finish {
            bias: Some(&bias),
            activation: Some(Activation::QuickGelu),
            add: true,
        };
        let mut out = jumble(rows * n, 4);
        let before = out.clone();
        product(simd, shape, finish, &mut out);
        for (i, &found) in out.iter().enumerate() {
            let x = plain[i] + f64::from(bias[i % n]) + f64::from(before[i]);
            near(found, x / (1.0 + (-1.702 * x).exp()));
        }
    }

    /// Tails of every tile height and of a panel, and inner products of more
    /// than one part.
    const SHAPES: [(usize, usize, usize); 6] = [
        (1, 1, 1),
        (12, 64, 50),
        (50, 50, 64),
        (23, 7, 33),
        (29, LONGEST + 3, 31),
        (4, 2 * LONGEST, 65),
    ];

    #[test]
    fn products_match_the_definition_with_any_registers() {
        for shape in SHAPES {
            check(pulp::Scalar, shape);
            #[cfg(target_arch = "x86_64")]
            {
                pulp::x86::V3::try_new()
                    .into_iter()
                    .for_each(|simd| check(simd, shape));
                pulp::x86::V4::try_new()
                    .into_iter()
                    .for_each(|simd| check(simd, shape));
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
            let rows = RowsMut {
                data: &mut out,
                stride: n,
            };
            panels.multiply(
                Rows::of(a, k),
                a.len() / k,
                rows,
                Finish::default(),
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
}
