//! `out = finish(A · B)`, `B` in [`Panels`].
//!
//! Rows of `A` are copied together, as many numbers of each as a block of `B` has rows. Each
//! panel of the block is then multiplied by a tile of rows after another: the sums of a tile stay
//! in registers, and meet the bias before they are stored. What `out` holds after a block, the
//! next adds to.

use pulp::{Simd, WithSimd};

use crate::instructions::dispatch;
use crate::panels::{LONGEST, Panels, blocks};
use crate::rows::Rows;
use crate::tile::{
    Addends, LINE, OfHeight, PanelColumns, TALL, ahead, at_least, panels, store_row, sums, tiles,
    with_height,
};

/// Floats of the widest panel, two registers of 512 bits.
const WIDEST: usize = 32;
/// Matrices of more floats are not in the second-level cache.
const FAR: usize = 1 << 18;

/// What happens to `A · B` on its way to `out`:
/// `out = last(A · B + bias + out)`, the last addend only if [`add`](Self::add).
#[derive(Debug, Clone, Copy)]
pub struct Finish<'a, F> {
    /// Added to each row, `[n]`.
    pub bias: Option<&'a [f32]>,
    /// Whether what `out` holds is added.
    pub add: bool,
    /// `last(row, column, values)` changes neighbouring numbers of a row, the first of which
    /// stands in `column`: an activation, a mask.
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
    /// `last` should be `#[inline(always)]`, to be compiled for the vector registers at hand.
    pub fn new(bias: Option<&'a [f32]>, add: bool, last: F) -> Self {
        Self { bias, add, last }
    }
}

impl Panels {
    /// `out[rows, n] = finish(A[rows, k] · self)`.
    ///
    /// `out` is a slice and the distance of its rows; `scratch` is kept from one product to the
    /// next.
    ///
    /// # Panics
    /// Where a row does not fit `out`, or `a` or `finish` panics;
    /// where [`InstructionSet::in_use`](crate::InstructionSet::in_use) is an error.
    pub fn multiply(
        &self,
        a: impl Rows,
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
    /// Floats from the beginning of a row of `out` to that of the next.
    pub stride: usize,
    pub finish: Finish<'f, F>,
    pub scratch: &'a mut Vec<f32>,
}

impl<A, F> WithSimd for Multiply<'_, '_, A, F>
where
    A: Rows,
    F: Fn(usize, usize, &mut [f32]),
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        assert_eq!(S::F32_LANES, self.panels.lanes, "panels of another machine");
        // A few distances between copied rows of A, known when compiled: then the innermost
        // loop needs one pointer for a tile, not one a row. None is a multiple of a page, which
        // rows would compete for the same cache lines with.
        match self.panels.k {
            0..=144 => self.multiply::<S, 144>(simd),
            145..=528 => self.multiply::<S, 528>(simd),
            _ => self.multiply::<S, { LONGEST + LINE }>(simd),
        }
    }
}

/// A panel that is multiplied by.
#[derive(Clone, Copy)]
struct Panel<'a> {
    values: &'a [f32],
    /// The panel behind it, to be asked for where it has to come from far.
    next: &'a [f32],
    columns: PanelColumns,
    /// Whether it is of the first block, whose sums the bias is added to.
    in_first_block: bool,
    /// Whether it is of the last block, whose sums are those of whole inner products.
    in_last_block: bool,
}

impl<A, F> Multiply<'_, '_, A, F>
where
    A: Rows,
    F: Fn(usize, usize, &mut [f32]),
{
    #[inline(always)]
    fn multiply<S: Simd, const STRIDE: usize>(mut self, simd: S) {
        let Panels { k, n, start, .. } = *self.panels;
        let mut scratch = std::mem::take(self.scratch);
        // Tiles have even heights.
        let even = self.rows.next_multiple_of(2);
        at_least(&mut scratch, even * STRIDE);
        scratch[self.rows * STRIDE..even * STRIDE].fill(0.0);
        let mut sums = [0.0; TALL * WIDEST];
        let mut rest = &self.panels.data[start..];
        let is_far = k * n > FAR;
        for block in blocks(k) {
            for (row, out) in scratch.chunks_exact_mut(STRIDE).take(self.rows).enumerate() {
                self.a.read(row, block.start, &mut out[..block.len()]);
            }
            let (rows, _) = scratch.as_chunks::<STRIDE>();
            for columns in panels::<S>(n) {
                let length = block.len() * columns.registers * S::F32_LANES;
                let (values, behind) = rest.split_at(length);
                rest = behind;
                let panel = Panel {
                    values,
                    next: match is_far {
                        true => &behind[..length.min(behind.len())],
                        false => &[],
                    },
                    columns,
                    in_first_block: block.start == 0,
                    in_last_block: block.end == k,
                };
                match columns.registers {
                    1 => self.multiply_panel::<S, STRIDE, 1>(simd, rows, panel, &mut sums),
                    _ => self.multiply_panel::<S, STRIDE, 2>(simd, rows, panel, &mut sums),
                }
            }
        }
        *self.scratch = scratch;
    }

    /// All rows times a panel of `V` registers. `sums` is room for a tile that does not fit
    /// `out`.
    #[inline(always)]
    fn multiply_panel<S: Simd, const STRIDE: usize, const V: usize>(
        &mut self,
        simd: S,
        rows: &[[f32; STRIDE]],
        panel: Panel<'_>,
        sums: &mut [f32],
    ) {
        let whole = V * S::F32_LANES;
        let PanelColumns { first, count, .. } = panel.columns;
        let bias = self.finish.bias.filter(|_| panel.in_first_block);
        let addends = Addends {
            bias: bias.map(|bias| &bias[first..][..count]),
            out: self.finish.add || !panel.in_first_block,
        };
        // A piece with each tile, so that the next panel has come when it is needed.
        let mut next = panel.next.chunks(ahead(panel.values.len() / whole).max(1));
        for (row, height) in tiles::<S, V>(self.rows.next_multiple_of(2)) {
            let existing = row..self.rows.min(row + height);
            let fits = count == whole && existing.len() == height;
            let out = &mut self.out[row * self.stride + first..];
            let product = TileProduct {
                rows: &rows[row..row + height],
                panel: panel.values,
                next: next.next().unwrap_or(&[]),
                addends: if fits { addends } else { Addends::NONE },
                out: if fits { &mut *out } else { &mut *sums },
                stride: if fits { self.stride } else { whole },
            };
            with_height::<S, V>(simd, height, product);
            if !fits {
                let sums = sums.chunks_exact(whole).take(existing.len());
                for (sums, out) in sums.zip(out.chunks_mut(self.stride)) {
                    let (sums, _) = S::as_simd_f32s(sums).0.as_chunks::<V>();
                    store_row::<S, V>(simd, &sums[0], addends, &mut out[..count]);
                }
            }
            if !panel.in_last_block {
                continue;
            }
            for row in existing {
                let out = &mut self.out[row * self.stride + first..];
                (self.finish.last)(row, first, &mut out[..count]);
            }
        }
    }
}

/// `out = rows · panel + addends`, of the rows of a tile.
struct TileProduct<'a, const STRIDE: usize> {
    rows: &'a [[f32; STRIDE]],
    panel: &'a [f32],
    /// What is asked for meanwhile.
    next: &'a [f32],
    addends: Addends<'a>,
    out: &'a mut [f32],
    /// Floats from the beginning of a row of `out` to that of the next.
    stride: usize,
}

impl<S: Simd, const STRIDE: usize, const V: usize> OfHeight<S, V> for TileProduct<'_, STRIDE> {
    #[inline(always)]
    fn run<const R: usize>(self, simd: S) {
        if let Some(tile) = self.rows.first_chunk() {
            let product = self;
            product_of_height::<S, STRIDE, V, R>(simd, Product { tile, product });
        }
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

/// A tile of `R` rows times a panel of `V` registers.
struct Product<'a, const STRIDE: usize, const V: usize, const R: usize> {
    tile: &'a [[f32; STRIDE]; R],
    product: TileProduct<'a, STRIDE>,
}

impl<const STRIDE: usize, const V: usize, const R: usize> WithSimd for Product<'_, STRIDE, V, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tile, product } = self;
        let a = (0..STRIDE).map(
            #[inline(always)]
            |p| {
                #[inline(always)]
                move |r: usize| tile[r][p]
            },
        );
        let (panel, _) = S::as_simd_f32s(product.panel).0.as_chunks::<V>();
        let sums = sums::<S, V, R>(simd, a, panel, product.next);
        for (r, sums) in sums.iter().enumerate() {
            let out = &mut product.out[r * product.stride..][..V * S::F32_LANES];
            store_row::<S, V>(simd, sums, product.addends, out);
        }
    }
}
