use pulp::{Simd, WithSimd};

use crate::instructions::dispatch;
use crate::tile::{TALL, panel_registers, sums, tiles};

/// Inner products are cut to this length, so that the rows at hand and a panel
/// stay in the second-level cache.
pub(crate) const LONGEST: usize = 1024;
/// Floats in a cache line.
const LINE: usize = 16;
/// Floats of the widest panel, two registers of 512 bits.
const WIDEST: usize = 32;

/// Those of the largest tile, row after row.
type Sums = [f32; WIDEST * TALL];

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

/// What happens to `A · B` before it is stored.
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
    pub fn of_transposed(weights: &[f32], n: usize, k: usize) -> Self {
        let mut panels = Self::default();
        panels.fill_transposed(weights, n, k);
        panels
    }

    /// Replaces the matrix by the transpose of `weights`, `[n, k]`, keeping the
    /// memory.
    pub fn fill_transposed(&mut self, weights: &[f32], n: usize, k: usize) {
        self.fill(k, n, |row, column| weights[column * k + row]);
    }

    /// Replaces the matrix, keeping the memory.
    pub fn fill(&mut self, k: usize, n: usize, value: impl Fn(usize, usize) -> f32) {
        struct Fill<'a, F>(&'a mut Panels, usize, usize, F);
        impl<F: Fn(usize, usize) -> f32> WithSimd for Fill<'_, F> {
            type Output = ();
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) {
                self.0.fill_panels::<S>(self.1, self.2, self.3);
            }
        }
        dispatch(Fill(self, k, n, value));
    }

    #[inline(always)]
    pub(crate) fn fill_panels<S: Simd>(
        &mut self,
        k: usize,
        n: usize,
        value: impl Fn(usize, usize) -> f32,
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
            let rows = first_row..(first_row + LONGEST).min(k);
            for first_column in (0..n).step_by(2 * lanes) {
                let panel = panel_registers::<S>(first_column, n) * lanes;
                let filled = panel.min(n - first_column);
                let (out, others) = rest.split_at_mut(rows.len() * panel);
                rest = others;
                // Down the columns: the transpose of a layer is read along its
                // rows.
                for column in 0..panel {
                    let column_out = out[column..].iter_mut().step_by(panel);
                    if column < filled {
                        for (out, row) in column_out.zip(rows.clone()) {
                            *out = value(row, first_column + column);
                        }
                    } else {
                        column_out.for_each(|out| *out = 0.0);
                    }
                }
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

/// One panel: some columns, and part of the inner products.
#[derive(Clone, Copy)]
struct Part<'a> {
    panel: &'a [f32],
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
        scratch.resize(self.rows * STRIDE, 0.0);
        let mut sums = [0.0; WIDEST * TALL];
        let mut rest = &self.panels.data[start..];
        // A matrix without rows still has a bias.
        for from in (0..k.max(1)).step_by(LONGEST) {
            let length = LONGEST.min(k - from);
            for (row, out) in scratch.chunks_exact_mut(STRIDE).enumerate() {
                (self.a)(row, from, &mut out[..length]);
            }
            let (rows, _) = scratch.as_chunks::<STRIDE>();
            for column in (0..n).step_by(2 * S::F32_LANES) {
                let registers = panel_registers::<S>(column, n);
                let (panel, others) = rest.split_at(length * registers * S::F32_LANES);
                rest = others;
                let part = Part {
                    panel,
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
        sums: &mut Sums,
    ) {
        for (row, height) in tiles::<S>(self.rows) {
            let tile = &rows[row..row + height];
            match height {
                12 => self.tile::<S, STRIDE, V, 12>(simd, tile, row, part, sums),
                8 => self.tile::<S, STRIDE, V, 8>(simd, tile, row, part, sums),
                6 => self.tile::<S, STRIDE, V, 6>(simd, tile, row, part, sums),
                4 => self.tile::<S, STRIDE, V, 4>(simd, tile, row, part, sums),
                2 => self.tile::<S, STRIDE, V, 2>(simd, tile, row, part, sums),
                _ => self.tile::<S, STRIDE, V, 1>(simd, tile, row, part, sums),
            }
        }
    }

    /// `R` rows from `row` of a panel's columns.
    #[inline(always)]
    fn tile<S: Simd, const STRIDE: usize, const V: usize, const R: usize>(
        &mut self,
        simd: S,
        tile: &[[f32; STRIDE]],
        row: usize,
        part: Part<'_>,
        sums: &mut Sums,
    ) {
        let Some(tile) = tile.first_chunk::<R>() else {
            return;
        };
        let panel = V * S::F32_LANES;
        let sums = &mut sums[..R * panel];
        product::<S, STRIDE, V, R>(simd, tile, part.panel, sums);
        let width = panel.min(self.panels.n - part.column);
        for (row, sums) in (row..).zip(sums.chunks_exact_mut(panel)) {
            if width == panel {
                self.store_whole::<S, V>(simd, sums, row, part);
            } else {
                self.store(&mut sums[..width], row, part);
            }
        }
    }

    /// Finishes a row of a whole panel. By whole registers: of a loop over so few numbers the
    /// compiler may make as many single additions.
    #[inline(always)]
    fn store_whole<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        sums: &mut [f32],
        row: usize,
        part: Part<'_>,
    ) {
        let panel = V * S::F32_LANES;
        let out = &mut self.out[row * self.stride + part.column..][..panel];
        let sums = &mut sums[..panel];
        let registers = S::as_mut_simd_f32s(sums).0;
        if let (Some(bias), true) = (self.finish.bias, part.first) {
            let bias = S::as_simd_f32s(&bias[part.column..][..panel]).0;
            for v in 0..V {
                registers[v] = simd.add_f32s(registers[v], bias[v]);
            }
        }
        if self.finish.add || !part.first {
            let before = S::as_simd_f32s(out).0;
            for v in 0..V {
                registers[v] = simd.add_f32s(registers[v], before[v]);
            }
        }
        if part.last {
            (self.finish.last)(row, part.column, sums);
        }
        out.copy_from_slice(sums);
    }

    /// Finishes a row of the last panel, which is not filled.
    #[inline(always)]
    fn store(&mut self, sums: &mut [f32], row: usize, part: Part<'_>) {
        let width = sums.len();
        let out = &mut self.out[row * self.stride + part.column..][..width];
        if let (Some(bias), true) = (self.finish.bias, part.first) {
            let bias = &bias[part.column..][..width];
            sums.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
        }
        if self.finish.add || !part.first {
            sums.iter_mut().zip(&*out).for_each(|(x, y)| *x += y);
        }
        if part.last {
            (self.finish.last)(row, part.column, sums);
        }
        out.copy_from_slice(sums);
    }
}

/// `R` rows times a panel of `V` registers.
///
/// Never inlined: it is compiled once for all kinds of rows and finishes, so that what is
/// measured of it holds for each.
#[inline(never)]
fn product<S: Simd, const STRIDE: usize, const V: usize, const R: usize>(
    simd: S,
    tile: &[[f32; STRIDE]; R],
    panel: &[f32],
    out: &mut [f32],
) {
    simd.vectorize(Product::<STRIDE, V, R> { tile, panel, out });
}

struct Product<'a, const STRIDE: usize, const V: usize, const R: usize> {
    tile: &'a [[f32; STRIDE]; R],
    panel: &'a [f32],
    out: &'a mut [f32],
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
        let sums = sums::<S, V, R>(simd, a, panel);
        let (out, _) = S::as_mut_simd_f32s(self.out).0.as_chunks_mut::<V>();
        out.copy_from_slice(&sums);
    }
}
