//! Rows of matrices and of tables, `[_, D]`: picked, copied, added up.

use mmdlrm_kernels::{Rows, prefetch, vectorize};

/// Rows that are asked for ahead of the one that is read.
const AHEAD: usize = 6;

/// Adds the rows of a matrix, `[_, D]`, to a row.
#[inline(always)]
pub(super) fn add_sum(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len().max(1)) {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
}

/// The rows of a matrix, `[_, width]`, read by code that knows the usual widths: a call for each
/// row costs as much as the row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines<'a> {
    pub data: &'a [f32],
    pub width: usize,
}

/// The rows of a matrix, `[_, width]`.
pub(super) fn lines(data: &[f32], width: usize) -> Lines<'_> {
    Lines { data, width }
}

impl Rows for Lines<'_> {
    #[inline(always)]
    fn read(&self, row: usize, from: usize, out: &mut [f32]) {
        let start = row * self.width + from;
        copy(&self.data[start..start + out.len()], out);
    }
}

/// Copies a row.
#[inline(always)]
pub(super) fn copy(from: &[f32], out: &mut [f32]) {
    #[inline(always)]
    fn of<const N: usize>(from: &[f32], out: &mut [f32]) {
        if let (Some(from), Some(out)) = (from.first_chunk::<N>(), out.first_chunk_mut::<N>()) {
            *out = *from;
        }
    }
    match out.len() {
        32 => of::<32>(from, out),
        64 => of::<64>(from, out),
        _ => out.copy_from_slice(from),
    }
}

/// Lets `with(row, number)` see rows of a table, `[_, D]`, each asked for ahead of time.
#[inline(always)]
pub(super) fn each_row(
    table: &[f32],
    rows: &[u32],
    dim: usize,
    mut with: impl FnMut(&[f32], usize),
) {
    for (number, &row) in rows.iter().enumerate() {
        if let Some(&ahead) = rows.get(number + AHEAD) {
            prefetch(&table[ahead as usize * dim..][..dim]);
        }
        with(&table[row as usize * dim..][..dim], number);
    }
}

/// Adds `values`, `[rows, D]`, to rows of a table, each asked for ahead of time.
#[inline(always)]
fn add_to_rows(values: &[f32], rows: &[u32], dim: usize, table: &mut [f32]) {
    for (number, (&row, values)) in rows.iter().zip(values.chunks_exact(dim)).enumerate() {
        if let Some(&ahead) = rows.get(number + AHEAD) {
            prefetch(&table[ahead as usize * dim..][..dim]);
        }
        let out = &mut table[row as usize * dim..][..dim];
        out.iter_mut().zip(values).for_each(|(out, x)| *out += x);
    }
}

/// Some rows of a matrix, `[_, width]`, by number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picked<'a> {
    pub data: &'a [f32],
    pub width: usize,
    pub rows: &'a [u32],
}

impl Rows for Picked<'_> {
    #[inline(always)]
    fn read(&self, row: usize, from: usize, out: &mut [f32]) {
        let start = self.rows[row] as usize * self.width + from;
        copy(&self.data[start..start + out.len()], out);
    }
}

/// `out += x`.
pub(super) fn add(out: &mut [f32], x: &[f32]) {
    vectorize(
        #[inline(always)]
        || out.iter_mut().zip(x).for_each(|(out, x)| *out += x),
    );
}

/// Room for `length` numbers, whatever they are.
pub(super) fn room(values: &mut Vec<f32>, length: usize) -> &mut [f32] {
    values.resize(length, 0.0);
    values
}

/// Rows of a table, `[_, D]`, one after another.
pub(super) fn gather(table: &[f32], rows: &[u32], dim: usize, out: &mut Vec<f32>) {
    let out = room(out, rows.len() * dim);
    vectorize(
        #[inline(always)]
        || {
            each_row(
                table,
                rows,
                dim,
                #[inline(always)]
                |row, number| copy(row, &mut out[number * dim..][..dim]),
            );
        },
    );
}

/// Adds to rows of a table.
pub(super) fn scatter(values: &[f32], rows: &[u32], dim: usize, table: &mut [f32]) {
    vectorize(
        #[inline(always)]
        || add_to_rows(values, rows, dim, table),
    );
}
