use pulp::{Simd, WithSimd};

use crate::instructions::dispatch;
use crate::tile::{LINE, TALL, ahead, at_least, panel_registers, store_row, sums, tall, tiles};

/// Inner products are cut to this length, so that the rows at hand and a panel
/// stay in the second-level cache.
pub(crate) const LONGEST: usize = 1024;
/// Floats of the widest panel, two registers of 512 bits.
const WIDEST: usize = 32;
/// Matrices of more floats are not in the second-level cache.
const FAR: usize = 1 << 18;

/// A matrix `B`, `[k, n]`, that is used many times.
///
/// It is kept in panels as wide as two vector registers: blocks of at most
/// 1,024 rows follow each other; in a block a panel of columns after another,
/// in a panel row after row, filled up with zeros.
#[derive(Debug, Clone, Default)]
pub struct Panels {
    data: Vec<f32>,
    /// Where in `data` the first cache line begins.
    start: usize,
    k: usize,
    n: usize,
    /// Floats of a register.
    lanes: usize,
}

/// What happens to `A · B` on its way to `out`.
#[derive(Debug, Clone, Copy)]
pub struct Finish<'a, F> {
    /// Added to each row, `[n]`.
    pub bias: Option<&'a [f32]>,
    /// Whether what `out` holds is added.
    pub add: bool,
    /// Applied last, to neighbouring numbers of a row: row, first column,
    /// values.
    pub last: F,
}

/// Nothing: the product itself is stored.
pub fn store() -> Finish<'static, impl Fn(usize, usize, &mut [f32])> {
    Finish::new(
        None,
        false,
        #[inline(always)]
        |_, _, _| {},
    )
}

impl<'a, F: Fn(usize, usize, &mut [f32])> Finish<'a, F> {
    /// A closure should be `#[inline(always)]`, to be compiled for the vector
    /// registers at hand.
    pub fn new(bias: Option<&'a [f32]>, add: bool, last: F) -> Self {
        Self { bias, add, last }
    }
}

/// The rows of a matrix in row-major order, `stride` floats from one to the
/// next, as [`Panels::multiply`] asks for them.
pub fn copy_rows(data: &[f32], stride: usize) -> impl Fn(usize, usize, &mut [f32]) + Copy {
    #[inline(always)]
    move |row, from, out| {
        let start = row * stride + from;
        out.copy_from_slice(&data[start..start + out.len()]);
    }
}

impl Panels {
    /// Panels of the transpose of `weights`, `[n, k]`: a linear layer's.
    ///
    /// # Panics
    /// As for [`fill_transposed`](Self::fill_transposed).
    pub fn of_transposed(weights: &[f32], n: usize, k: usize) -> Self {
        let mut panels = Self::default();
        panels.fill_transposed((weights, k), n, k);
        panels
    }

    /// Replaces what it holds by the transpose of `matrix`, `[n, k]`, and keeps the memory.
    /// `matrix` is a slice and the distance of its rows, at least `k`.
    ///
    /// # Panics
    /// Where a row does not fit the slice;
    /// where [`InstructionSet::in_use`](crate::InstructionSet::in_use) is an error.
    pub fn fill_transposed(&mut self, matrix: (&[f32], usize), n: usize, k: usize) {
        self.refill(
            k,
            n,
            #[inline(always)]
            |(row, column), out, width| copy_transposed(matrix, (column, row), out, width),
        );
    }

    /// Replaces what it holds by `matrix`, `[k, n]`, and keeps the memory. `matrix` is a slice
    /// and the distance of its rows, at least `n`.
    ///
    /// # Panics
    /// As for [`fill_transposed`](Self::fill_transposed).
    pub fn fill(&mut self, matrix: (&[f32], usize), k: usize, n: usize) {
        self.refill(
            k,
            n,
            #[inline(always)]
            |place, out, width| copy(matrix, place, out, width),
        );
    }

    fn refill(
        &mut self,
        k: usize,
        n: usize,
        copy: impl Fn((usize, usize), &mut [f32], (usize, usize)),
    ) {
        dispatch(Fill {
            panels: self,
            k,
            n,
            copy,
        });
    }

    #[inline(always)]
    pub(crate) fn fill_panels<S: Simd>(
        &mut self,
        k: usize,
        n: usize,
        copy: impl Fn((usize, usize), &mut [f32], (usize, usize)),
    ) {
        let lanes = S::F32_LANES;
        let length = k * n.next_multiple_of(lanes);
        if self.data.len() < length + LINE {
            self.data = vec![0.0; length + LINE];
        }
        // Never more than a line: the allocation is aligned to floats.
        self.start = self.data.as_ptr().align_offset(64).min(LINE);
        (self.k, self.n, self.lanes) = (k, n, lanes);
        let mut rest = &mut self.data[self.start..];
        for first_row in (0..k).step_by(LONGEST) {
            let rows = LONGEST.min(k - first_row);
            for column in (0..n).step_by(2 * lanes) {
                let width = panel_registers::<S>(column, n) * lanes;
                let filled = width.min(n - column);
                let (out, others) = rest.split_at_mut(rows * width);
                rest = others;
                copy((first_row, column), out, (filled, width));
            }
        }
    }

    /// Columns, `n`.
    pub fn width(&self) -> usize {
        self.n
    }

    /// `out[rows, n] = finish(A[rows, k] · self)`.
    ///
    /// `a(row, from, values)` writes the numbers of a row of `A` from column
    /// `from` on, as many as there is room for; [`copy_rows`] for a matrix that
    /// lies in memory. `out` is a slice and the distance of its rows; `scratch`
    /// is kept from one product to the next.
    ///
    /// # Panics
    /// Where a row does not fit `out`, or `a` or `finish` panics;
    /// where [`InstructionSet::in_use`](crate::InstructionSet::in_use) is an error.
    pub fn multiply(
        &self,
        a: impl Fn(usize, usize, &mut [f32]),
        rows: usize,
        out: (&mut [f32], usize),
        finish: Finish<'_, impl Fn(usize, usize, &mut [f32])>,
        scratch: &mut Vec<f32>,
    ) {
        if rows == 0 || self.n == 0 {
            return;
        }
        let (out, stride) = out;
        dispatch(Multiply {
            panels: self,
            a,
            rows,
            out,
            stride,
            finish,
            scratch,
        });
    }
}

pub(crate) struct Multiply<'a, 'f, A, F> {
    pub panels: &'a Panels,
    pub a: A,
    pub rows: usize,
    pub out: &'a mut [f32],
    pub stride: usize,
    pub finish: Finish<'f, F>,
    pub scratch: &'a mut Vec<f32>,
}

impl<A, F> WithSimd for Multiply<'_, '_, A, F>
where
    A: Fn(usize, usize, &mut [f32]),
    F: Fn(usize, usize, &mut [f32]),
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        assert_eq!(S::F32_LANES, self.panels.lanes, "panels of another machine");
        // A few distances between rows, known when compiled: then the innermost
        // loop needs one pointer for a tile, not one a row. None is a multiple
        // of a page, which rows would compete for the same cache lines with.
        match self.panels.k {
            0..=144 => self.blocks::<S, 144>(simd),
            145..=528 => self.blocks::<S, 528>(simd),
            _ => self.blocks::<S, { LONGEST + LINE }>(simd),
        }
    }
}

struct Fill<'a, F> {
    panels: &'a mut Panels,
    k: usize,
    n: usize,
    /// Writes a panel from a row and a column of the matrix on: how many of its columns exist,
    /// and how many it has.
    copy: F,
}

impl<F: Fn((usize, usize), &mut [f32], (usize, usize))> WithSimd for Fill<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.panels.fill_panels::<S>(self.k, self.n, self.copy);
    }
}

/// Copies rows of a matrix, from a place in it on, to a panel of which `filled` columns exist.
#[inline(always)]
pub(crate) fn copy(
    (data, stride): (&[f32], usize),
    (row, column): (usize, usize),
    panel: &mut [f32],
    (filled, width): (usize, usize),
) {
    for (row, out) in (row..).zip(panel.chunks_exact_mut(width)) {
        let (out, beyond) = out.split_at_mut(filled);
        out.copy_from_slice(&data[row * stride + column..][..filled]);
        beyond.fill(0.0);
    }
}

/// Copies rows of a matrix, from a place in it on, to the columns of a panel of which `filled`
/// exist.
#[inline(always)]
fn copy_transposed(
    (data, stride): (&[f32], usize),
    (row, column): (usize, usize),
    panel: &mut [f32],
    (filled, width): (usize, usize),
) {
    // As many rows of the panel as stay in the first-level cache.
    const ROWS: usize = 64;
    for (number, out) in panel.chunks_mut(ROWS * width).enumerate() {
        let from = column + number * ROWS;
        for i in 0..width {
            let out = out.chunks_exact_mut(width);
            if i < filled {
                let values = &data[(row + i) * stride + from..][..out.len()];
                out.zip(values).for_each(|(out, &x)| out[i] = x);
            } else {
                out.for_each(|out| out[i] = 0.0);
            }
        }
    }
}

/// One panel: some columns, and part of the inner products.
#[derive(Clone, Copy)]
struct Part<'a> {
    panel: &'a [f32],
    /// The panel behind it, where it has to come from far.
    next: &'a [f32],
    column: usize,
    first: bool,
    last: bool,
}

impl<A, F> Multiply<'_, '_, A, F>
where
    A: Fn(usize, usize, &mut [f32]),
    F: Fn(usize, usize, &mut [f32]),
{
    #[inline(always)]
    fn blocks<S: Simd, const STRIDE: usize>(mut self, simd: S) {
        let Panels { k, n, start, .. } = *self.panels;
        let mut scratch = std::mem::take(self.scratch);
        // Tiles have even heights.
        let even = self.rows.next_multiple_of(2);
        at_least(&mut scratch, even * STRIDE);
        scratch[self.rows * STRIDE..even * STRIDE].fill(0.0);
        let mut sums = [0.0; TALL * WIDEST];
        let mut rest = &self.panels.data[start..];
        let far = k * n > FAR;
        // A matrix without rows still has a bias.
        for from in (0..k.max(1)).step_by(LONGEST) {
            let length = LONGEST.min(k - from);
            for (row, out) in scratch.chunks_exact_mut(STRIDE).take(self.rows).enumerate() {
                (self.a)(row, from, &mut out[..length]);
            }
            let (rows, _) = scratch.as_chunks::<STRIDE>();
            for column in (0..n).step_by(2 * S::F32_LANES) {
                let registers = panel_registers::<S>(column, n);
                let (panel, others) = rest.split_at(length * registers * S::F32_LANES);
                rest = others;
                let next = if far {
                    &rest[..panel.len().min(rest.len())]
                } else {
                    &[]
                };
                let part = Part {
                    panel,
                    next,
                    column,
                    first: from == 0,
                    last: from + length == k,
                };
                match registers {
                    1 => self.panel::<S, STRIDE, 1>(simd, rows, part, &mut sums),
                    _ => self.panel::<S, STRIDE, 2>(simd, rows, part, &mut sums),
                }
            }
        }
        *self.scratch = scratch;
    }

    /// The columns of a panel of `V` registers, for all rows.
    #[inline(always)]
    fn panel<S: Simd, const STRIDE: usize, const V: usize>(
        &mut self,
        simd: S,
        rows: &[[f32; STRIDE]],
        part: Part<'_>,
        sums: &mut [f32],
    ) {
        let whole = V * S::F32_LANES;
        let width = whole.min(self.panels.n - part.column);
        let bias = self.finish.bias.filter(|_| part.first);
        let bias = bias.map(|bias| &bias[part.column..][..width]);
        let add = self.finish.add || !part.first;
        // A piece with each tile, so that the next panel has come when it is needed.
        let mut next = part.next.chunks(ahead(part.panel.len() / whole).max(1));
        for (row, height) in tiles::<S, V>(self.rows.next_multiple_of(2)) {
            let next = next.next().unwrap_or(&[]);
            let tile = &rows[row..row + height];
            let out = &mut self.out[row * self.stride + part.column..];
            let rows = row..self.rows.min(row + height);
            if width == whole && rows.len() == height {
                let out = (out, self.stride);
                multiply_tile::<S, STRIDE, V>(simd, tile, (part.panel, next), (bias, add), out);
            } else {
                multiply_tile::<S, STRIDE, V>(
                    simd,
                    tile,
                    (part.panel, next),
                    (None, false),
                    (sums, whole),
                );
                let sums = sums.chunks_exact(whole).take(rows.len());
                for (sums, out) in sums.zip(out.chunks_mut(self.stride)) {
                    let (sums, _) = S::as_simd_f32s(sums).0.as_chunks::<V>();
                    store_row::<S, V>(simd, &sums[0], bias, add, &mut out[..width]);
                }
            }
            if !part.last {
                continue;
            }
            for row in rows {
                let out = &mut self.out[row * self.stride + part.column..];
                (self.finish.last)(row, part.column, &mut out[..width]);
            }
        }
    }
}

/// `out = tile · panel + bias + out`, the last only if `add`.
#[inline(always)]
fn multiply_tile<S: Simd, const STRIDE: usize, const V: usize>(
    simd: S,
    tile: &[[f32; STRIDE]],
    (panel, next): (&[f32], &[f32]),
    (bias, add): (Option<&[f32]>, bool),
    (out, stride): (&mut [f32], usize),
) {
    macro_rules! of_height {
        ($R:literal) => {
            if let Some(tile) = tile.first_chunk::<$R>() {
                let product = Product {
                    tile,
                    panel,
                    next,
                    bias,
                    add,
                    out,
                    stride,
                };
                product_of_height::<S, STRIDE, V, $R>(simd, product);
            }
        };
    }
    match tile.len() {
        12 if tall::<S, V>() => of_height!(12),
        10 if tall::<S, V>() => of_height!(10),
        8 if tall::<S, V>() => of_height!(8),
        6 => of_height!(6),
        4 => of_height!(4),
        2 => of_height!(2),
        height => unreachable!("no tile has {height} rows"),
    }
}

/// Never inlined: it is compiled once for all kinds of rows and finishes, so that what is
/// measured of it holds for each.
#[inline(never)]
fn product_of_height<S: Simd, const STRIDE: usize, const V: usize, const R: usize>(
    simd: S,
    product: Product<'_, STRIDE, V, R>,
) {
    simd.vectorize(product);
}

/// `R` rows times a panel of `V` registers.
struct Product<'a, const STRIDE: usize, const V: usize, const R: usize> {
    tile: &'a [[f32; STRIDE]; R],
    panel: &'a [f32],
    next: &'a [f32],
    bias: Option<&'a [f32]>,
    add: bool,
    out: &'a mut [f32],
    stride: usize,
}

impl<const STRIDE: usize, const V: usize, const R: usize> WithSimd for Product<'_, STRIDE, V, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tile = self.tile;
        let a = (0..STRIDE).map(
            #[inline(always)]
            |p| {
                #[inline(always)]
                move |r: usize| tile[r][p]
            },
        );
        let (panel, _) = S::as_simd_f32s(self.panel).0.as_chunks::<V>();
        let sums = sums::<S, V, R>(simd, a, panel, self.next);
        for (r, sums) in sums.iter().enumerate() {
            let out = &mut self.out[r * self.stride..][..V * S::F32_LANES];
            store_row::<S, V>(simd, sums, self.bias, self.add, out);
        }
    }
}
