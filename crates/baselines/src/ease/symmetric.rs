//! Symmetric positive definite matrices in `f64`: inverses of large ones, and equations with
//! small ones.
//!
//! Both go over the diagonal block by block. With a block `D = L·Lᵀ` of it, `[64, 64]`, and the
//! other blocks `C` of its columns, `[rows, 64]`:
//!
//! ```text
//! V = C·L⁻ᵀ        A ← A − V·Vᵀ
//! ```
//!
//! Of the rows below the block that is a step of Cholesky's factorization, and `V` takes the place
//! of `C`. Of all rows it is a sweep (Goodnight, 1979): `C ← V·L⁻¹`, `D ← −D⁻¹`, and when all
//! blocks are swept `A` has become `−A⁻¹`. Either is nearly all products of two panels, whose sums
//! stay in registers; threads take different rows, so the bits do not depend on how many there are.

use mmdlrm_kernels::vectorize;
use rayon::prelude::*;

use super::pivot::{BLOCK, Pivot, Row};
use super::tile::{Column, HALF, TILE, subtract_tile};

/// Rows that a thread takes at a time.
const STRIP: usize = 64;
/// Matrices of fewer rows are not worth a second thread.
const SMALL: usize = 512;

/// A matrix, `[n, n]`, of which the lower triangle counts. Keep one, and with it its memory.
#[derive(Debug, Default)]
pub(crate) struct Symmetric {
    rows: usize,
    values: Vec<f64>,
    /// `V`, eight rows at a time, column by column, `[rows / 8, BLOCK]`.
    panel: Vec<Column>,
    /// `V·L⁻¹`, `[rows]`.
    swept: Vec<Row>,
}

/// A pivot that is not positive: the matrix is not positive definite, or nearly not.
#[derive(Debug)]
pub(crate) struct Singular;

impl Symmetric {
    /// `fill(row, out)` writes a row up to its diagonal.
    pub fn of(rows: usize, fill: impl Fn(usize, &mut [f64]) + Sync) -> Self {
        let mut matrix = Self::default();
        matrix.fill(rows, fill);
        matrix
    }

    fn fill(&mut self, rows: usize, fill: impl Fn(usize, &mut [f64]) + Sync) {
        self.rows = rows;
        self.values.resize(rows * rows, 0.0);
        let of_rows = self.values.par_chunks_mut(rows.max(1));
        let of_rows = of_rows.with_min_len(at_least(rows)).enumerate();
        of_rows.for_each(|(row, out)| fill(row, &mut out[..=row]));
    }

    /// A row up to its diagonal.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.rows..][..=row]
    }

    /// `A → A⁻¹`.
    ///
    /// # Errors
    /// A matrix that is not positive definite.
    pub fn invert(mut self) -> Result<Self, Singular> {
        for start in (0..self.rows).step_by(BLOCK) {
            let end = (start + BLOCK).min(self.rows);
            let pivot = self.pivot(start, end)?;
            self.fill_panel(&pivot, (start, end), 0);
            self.subtract(0);
            self.store_swept(&pivot, (start, end));
        }
        self.values.par_iter_mut().for_each(|x| *x = -*x);
        Ok(self)
    }

    /// `x` of `A·x = b`, `[n]`: `fill(row, out)` writes the rows of `A` up to their diagonals, and
    /// `b` as row `n`, up to a last number that does not matter.
    ///
    /// # Errors
    /// A matrix that is not positive definite.
    pub fn solve(
        &mut self,
        n: usize,
        fill: impl Fn(usize, &mut [f64]) + Sync,
    ) -> Result<&[f64], Singular> {
        self.fill(n + 1, fill);
        let mut pivots = Vec::with_capacity(n.div_ceil(BLOCK));
        for start in (0..n).step_by(BLOCK) {
            let end = (start + BLOCK).min(n);
            let pivot = self.pivot(start, end)?;
            self.fill_panel(&pivot, (start, end), end);
            self.subtract(end / TILE);
            self.store_factor((start, end));
            pivots.push((start, end, pivot));
        }
        // Row `n` is L⁻¹·b; the rest is Lᵀ·x = L⁻¹·b.
        let (factor, x) = self.values.split_at_mut(n * (n + 1));
        for (start, end, pivot) in pivots.iter().rev() {
            let (before, own) = x[..*end].split_at_mut(*start);
            pivot.solve_transposed(own);
            for (row, &x) in (*start..).zip(&*own) {
                let factor = &factor[row * (n + 1)..][..*start];
                before.iter_mut().zip(factor).for_each(|(b, l)| *b -= x * l);
            }
        }
        Ok(&x[..n])
    }

    fn pivot(&self, start: usize, end: usize) -> Result<Pivot, Singular> {
        let rows = (start..end).map(|row| &self.row(row)[start..]);
        Pivot::of(rows).ok_or(Singular)
    }

    /// `V` of the rows from `first` on, 0 in those of the block; and `V·L⁻¹`, of a sweep.
    fn fill_panel(&mut self, pivot: &Pivot, (start, end): (usize, usize), first: usize) {
        let Self {
            rows,
            values,
            panel,
            swept,
        } = self;
        let (rows, values) = (*rows, &*values);
        let is_sweep = first == 0;
        panel.resize(rows.div_ceil(TILE) * BLOCK, [0.0; TILE]);
        let padded = rows.div_ceil(TILE) * TILE;
        swept.resize(if is_sweep { padded } else { 0 }, [0.0; BLOCK]);
        let of_tile = |number: usize, panel: &mut [Column], swept: &mut [Row]| {
            for lane in 0..TILE {
                let row = number * TILE + lane;
                let mut own = [0.0; BLOCK];
                if (first..start).contains(&row) {
                    let column = values[start * rows + row..].iter().step_by(rows);
                    own.iter_mut()
                        .zip(column.take(end - start))
                        .for_each(|(x, c)| *x = *c);
                } else if (end..rows).contains(&row) {
                    own[..end - start]
                        .copy_from_slice(&values[row * rows + start..][..end - start]);
                }
                let v = pivot.divide(&own);
                for (panel, v) in panel.iter_mut().zip(v) {
                    panel[lane] = v;
                }
                if let Some(swept) = swept.get_mut(lane) {
                    *swept = pivot.divide_twice(&v);
                }
            }
        };
        let from = first / TILE;
        let tiles = panel[from * BLOCK..].par_chunks_exact_mut(BLOCK);
        let tiles = tiles.with_min_len(at_least(rows)).enumerate();
        if is_sweep {
            let tiles = tiles.zip(swept.par_chunks_exact_mut(TILE));
            tiles.for_each(|((number, panel), swept)| of_tile(number, panel, swept));
        } else {
            tiles.for_each(|(number, panel)| of_tile(from + number, panel, &mut []));
        }
    }

    /// `A −= V·Vᵀ`, of rows and columns from a tile on.
    fn subtract(&mut self, first: usize) {
        let (rows, panel) = (self.rows, &self.panel);
        let from = first * TILE;
        let strips = self.values[from * rows..].par_chunks_mut(STRIP * rows);
        let strips = strips.with_min_len(at_least(rows)).enumerate();
        strips.for_each(|(number, strip)| {
            let top = first + number * (STRIP / TILE);
            let tiles = strip.chunks_mut(TILE * rows).len();
            vectorize(
                #[inline(always)]
                || {
                    for right in first..top + tiles {
                        let b = &panel[right * BLOCK..][..BLOCK];
                        let width = TILE.min(rows - right * TILE);
                        for tile in right.saturating_sub(top)..tiles {
                            let a = &panel[(top + tile) * BLOCK..][..BLOCK];
                            let out = &mut strip[tile * TILE * rows..];
                            let out = &mut out[right * TILE..];
                            subtract_tile::<0>(a, b, out, rows, width);
                            if out.len() > HALF * rows {
                                let out = &mut out[HALF * rows..];
                                subtract_tile::<HALF>(a, b, out, rows, width);
                            }
                        }
                    }
                },
            );
        });
    }

    /// Puts `V·L⁻¹` and `−D⁻¹` where `C` and `D` were.
    fn store_swept(&mut self, pivot: &Pivot, (start, end): (usize, usize)) {
        let (rows, swept) = (self.rows, &self.swept);
        let of_rows = self.values.par_chunks_exact_mut(rows);
        let of_rows = of_rows.enumerate().skip(start);
        of_rows.for_each(|(row, out)| {
            if row >= end {
                out[start..end].copy_from_slice(&swept[row][..end - start]);
                return;
            }
            let column = swept[..start].iter().map(|swept| swept[row - start]);
            out.iter_mut().zip(column).for_each(|(out, x)| *out = x);
            let inverse = pivot.inverse_row(row - start);
            let own = &mut out[start..=row];
            own.iter_mut().zip(inverse).for_each(|(out, x)| *out = -x);
        });
    }

    /// Puts `V` where `C` was.
    fn store_factor(&mut self, (start, end): (usize, usize)) {
        for row in end..self.rows {
            let panel = &self.panel[row / TILE * BLOCK..][..end - start];
            let out = &mut self.values[row * self.rows + start..];
            out.iter_mut()
                .zip(panel)
                .for_each(|(out, v)| *out = v[row % TILE]);
        }
    }
}

/// Pieces of a matrix that a thread takes at least: all of one that is small.
fn at_least(rows: usize) -> usize {
    if rows > SMALL { 1 } else { usize::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neighbours are alike, and there is noise.
    fn alike(row: usize, column: usize) -> f64 {
        let apart = row.abs_diff(column) as f64;
        (-apart / 5.0).exp() + if row == column { 0.1 } else { 0.0 }
    }

    fn fill(row: usize, out: &mut [f64]) {
        let columns = out.iter_mut().enumerate();
        columns.for_each(|(column, out)| *out = alike(row, column));
    }

    #[test]
    fn a_matrix_times_its_inverse_is_one() {
        for n in [0, 1, 2, 7, 8, 63, 64, 65, 130, 600] {
            let inverse = Symmetric::of(n, fill).invert().unwrap();
            let get = |a: usize, b: usize| inverse.row(a.max(b))[a.min(b)];
            for row in [0, n / 2, n.saturating_sub(1)] {
                for column in 0..n {
                    let sum: f64 = (0..n).map(|k| get(row, k) * alike(k, column)).sum();
                    let expected = f64::from(u8::from(row == column));
                    assert!((sum - expected).abs() < 1e-12, "{n}: {row} {column} {sum}");
                }
            }
        }
    }

    #[test]
    fn solutions_solve_their_equations() {
        let mut matrix = Symmetric::default();
        for n in [0, 1, 2, 7, 8, 63, 64, 65, 130, 256, 600, 3] {
            let wanted: Vec<f64> = (0..n).map(|at| (at as f64).sin()).collect();
            let found = matrix.solve(n, |row, out| {
                if row < n {
                    return fill(row, out);
                }
                for (right, out) in out[..n].iter_mut().enumerate() {
                    *out = (0..n)
                        .map(|column| alike(right, column) * wanted[column])
                        .sum();
                }
            });
            for (found, wanted) in found.unwrap().iter().zip(&wanted) {
                assert!((found - wanted).abs() < 1e-12, "{n}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_is_refused() {
        for n in [1, 64, 70] {
            let last = |row: usize, out: &mut [f64]| {
                fill(row, out);
                if row == n - 1 {
                    out[row] = -1.0;
                }
            };
            assert!(Symmetric::of(n, last).invert().is_err());
            assert!(
                Symmetric::of(n, |_, out| out.fill(f64::NAN))
                    .invert()
                    .is_err()
            );
        }
    }
}
