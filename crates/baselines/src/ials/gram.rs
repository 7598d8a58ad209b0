//! `ZᵀZ` of many rows.

use mmdlrm_kernels::vectorize;
use rayon::prelude::*;

use super::lanes::{LANES, Lanes, add};

/// Rows of a tile that is summed at a time: as many as fit the registers of any machine.
const HEIGHT: usize = 4;
/// Rows that are summed in `f32`; sums of so many are added in `f64`.
const PIECE: usize = 64;
/// Rows of a block, at least, …
const BLOCK: usize = 1024;
/// … and how many blocks there are at most: each has sums of its own.
const BLOCKS: usize = 32;

/// `out += ZᵀZ` of rows of `across` stretches: the upper triangle, and what else is in the tiles that
/// it goes through.
pub(super) fn add_gram(z: &[Lanes], across: usize, out: &mut [Lanes]) {
    vectorize(
        #[inline(always)]
        || {
            for own in 0..across {
                for column in own..across {
                    let mut rows = out[own * LANES * across + column..].chunks_mut(across);
                    add_tile::<0>(z, across, (own, column), &mut rows);
                    add_tile::<HEIGHT>(z, across, (own, column), &mut rows);
                    add_tile::<{ 2 * HEIGHT }>(z, across, (own, column), &mut rows);
                    add_tile::<{ 3 * HEIGHT }>(z, across, (own, column), &mut rows);
                }
            }
        },
    );
}

/// `out[r] += Σ z[FIRST + r]·z`, of some rows of a tile.
#[inline(always)]
fn add_tile<'a, const FIRST: usize>(
    z: &[Lanes],
    across: usize,
    (own, column): (usize, usize),
    out: &mut impl Iterator<Item = &'a mut [Lanes]>,
) {
    // By name: a loop over them would keep them in memory.
    let [mut first, mut second, mut third, mut fourth] = [Lanes::default(); HEIGHT];
    for z in z.chunks_exact(across) {
        let (a, b) = (&z[own], &z[column]);
        add(&mut first, b, a[FIRST]);
        add(&mut second, b, a[FIRST + 1]);
        add(&mut third, b, a[FIRST + 2]);
        add(&mut fourth, b, a[FIRST + 3]);
    }
    for (sums, out) in [first, second, third, fourth].iter().zip(out) {
        add(&mut out[0], sums, 1.0);
    }
}

/// Copies what is above the diagonal below it.
pub(super) fn mirror(matrix: &mut [Lanes], across: usize) {
    let (numbers, n) = (matrix.as_flattened_mut(), across * LANES);
    for row in 1..n {
        for column in 0..row {
            numbers[row * n + column] = numbers[column * n + row];
        }
    }
}

/// `YᵀY` in `f64`, `[width, width]`, of rows of `across` stretches: the upper triangle.
///
/// Rows are summed by blocks whose number goes with the rows alone.
pub(super) fn gram(rows: &[Lanes], across: usize) -> Vec<f64> {
    let count = rows.len() / across;
    let block = count.div_ceil(BLOCKS).max(BLOCK);
    let numbers = across * across * LANES;
    let blocks = rows.par_chunks(block * across).map(|block| {
        let mut sums = vec![0.0; numbers * LANES];
        let mut piece = vec![Lanes::default(); numbers];
        for rows in block.chunks(PIECE * across) {
            piece.fill(Lanes::default());
            add_gram(rows, across, &mut piece);
            add_sums(
                &mut sums,
                piece.as_flattened().iter().map(|&x| f64::from(x)),
            );
        }
        sums
    });
    let mut sums = vec![0.0; numbers * LANES];
    for block in blocks.collect::<Vec<_>>() {
        add_sums(&mut sums, block.into_iter());
    }
    sums
}

fn add_sums(sums: &mut [f64], others: impl Iterator<Item = f64>) {
    sums.iter_mut().zip(others).for_each(|(sum, x)| *sum += x);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_all_products() {
        for (rows, across) in [(0, 1), (1, 1), (67, 3), (2100, 2)] {
            let width = across * LANES;
            let value = |row: usize, column: usize| ((row * 7 + column * 5) % 11) as f32 - 4.5;
            let of_row = |row| (0..width).map(move |column| value(row, column));
            let table: Vec<f32> = (0..rows).flat_map(of_row).collect();
            let found = gram(table.as_chunks().0, across);
            let mut few = vec![[1.0; LANES]; across * width];
            add_gram(table.as_chunks().0, across, &mut few);
            mirror(&mut few, across);
            let few = few.as_flattened();
            for a in 0..width {
                for b in a..width {
                    let products = (0..rows).map(|row| value(row, a) * value(row, b));
                    let sum: f64 = products.map(f64::from).sum();
                    assert_eq!(found[a * width + b], sum);
                    assert_eq!(f64::from(few[a * width + b]), sum + 1.0);
                    assert_eq!(few[b * width + a], few[a * width + b]);
                }
            }
        }
    }
}
