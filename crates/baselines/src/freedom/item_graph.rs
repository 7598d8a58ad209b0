//! Which items are alike by their content.

use mmdlrm_kernels::{Panels, copy_rows, dot, store, vectorize};
use mmdlrm_train::TopList;
use rayon::prelude::*;

use super::FreedomConfig;
use crate::graph::multiply;
use crate::item_features::ItemFeatures;
use crate::sparse::Sparse;

/// Items whose cosines to all others a thread computes at a time.
const ITEMS: usize = 32;
/// The modality of which likeness is most.
const TEXT: &str = "text";

/// `S`, `[items, items]`, and how often it is applied.
#[derive(Debug, Clone)]
pub(super) struct ItemGraph {
    matrix: Sparse,
    transposed: Sparse,
    hops: usize,
}

impl ItemGraph {
    /// What it takes to be made, of each neighbour of an item by a modality, in numbers: twice the
    /// entries, with the room that vectors grow by, and both matrices.
    pub const NUMBERS: u64 = 14;

    pub fn of(modalities: &[ItemFeatures], config: &FreedomConfig) -> Self {
        let items = modalities
            .first()
            .map_or(0, |it| it.values.len() / it.width.max(1));
        let others = modalities.iter().filter(|it| it.name != TEXT).count();
        let has_text = others < modalities.len();
        let mut rows = vec![Vec::new(); items];
        for modality in modalities {
            let share = match (modality.name == TEXT, has_text && others > 0) {
                (true, true) => 1.0 - config.others,
                (false, true) => config.others / others as f64,
                (_, false) => 1.0 / modalities.len() as f64,
            };
            // 1e-7 as the authors' code has it.
            let weight = (share / (config.neighbours as f64 + 1e-7)) as f32;
            let nearest = nearest(modality, config.neighbours);
            for (row, nearest) in rows.iter_mut().zip(nearest) {
                row.extend(nearest.into_iter().map(|item| (item, weight)));
            }
        }
        let entries = rows.iter_mut().zip(0..).flat_map(|(row, item): (_, u32)| {
            merge(row);
            row.iter()
                .map(move |&(other, weight)| (item, other, weight))
                .collect::<Vec<_>>()
        });
        let entries: Vec<(u32, u32, f32)> = entries.collect();
        let matrix = Sparse::of_entries(items, entries.into_iter());
        Self {
            transposed: matrix.transposed(items),
            matrix,
            hops: config.hops,
        }
    }

    /// `Sⁿ·x`, `[items, width]`.
    pub fn forward(&self, x: &[f32], width: usize) -> Vec<f32> {
        self.apply(&self.matrix, x, width)
    }

    /// The gradient of `x`, given that of [`Self::forward`].
    pub fn backward(&self, upstream: &[f32], width: usize) -> Vec<f32> {
        self.apply(&self.transposed, upstream, width)
    }

    fn apply(&self, matrix: &Sparse, x: &[f32], width: usize) -> Vec<f32> {
        let mut x = x.to_vec();
        let mut out = vec![0.0; x.len()];
        for _ in 0..self.hops {
            multiply(matrix, &x, None, 1.0, (&mut out, width));
            std::mem::swap(&mut x, &mut out);
        }
        x
    }

    #[cfg(test)]
    pub fn matrix(&self) -> &Sparse {
        &self.matrix
    }
}

/// Adds up what an item has twice, and puts it in order.
fn merge(row: &mut Vec<(u32, f32)>) {
    row.sort_by_key(|&(item, _)| item);
    row.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            earlier.1 += later.1;
        }
        same
    });
}

/// Of each item the `count` nearest by the cosine of their vectors, itself among them; of one
/// without a vector itself alone.
fn nearest(modality: &ItemFeatures, count: usize) -> Vec<Vec<u32>> {
    let width = modality.width.max(1);
    let mut units = modality.values.clone();
    units.par_chunks_exact_mut(width).for_each(|row| {
        let length = vectorize(
            #[inline(always)]
            || dot(row, row),
        );
        if length > 0.0 {
            let factor = length.sqrt().recip();
            row.iter_mut().for_each(|x| *x *= factor);
        }
    });
    let items = units.len() / width;
    let panels = Panels::of_transposed(&units, items, width);
    let highest = |best: &[(u32, f32)]| best.iter().map(|&(item, _)| item).collect();
    let blocks = units.par_chunks(ITEMS * width).enumerate();
    let of_block = blocks.map_init(
        || (Vec::new(), Vec::new()),
        |(cosines, scratch), (block, rows)| {
            let height = rows.len() / width;
            cosines.resize(height * items, 0.0f32);
            let out = (&mut cosines[..height * items], items);
            panels.multiply(copy_rows(rows, width), height, out, store(), scratch);
            let rows = rows.chunks_exact(width).zip(cosines.chunks_exact(items));
            let of_row = |(place, (row, cosines)): (usize, (&[f32], &[f32]))| match row
                .iter()
                .any(|&x| x != 0.0)
            {
                true => highest(TopList::new(cosines, &[], count).best()),
                false => vec![(block * ITEMS + place) as u32],
            };
            rows.enumerate().map(of_row).collect::<Vec<_>>()
        },
    );
    of_block.collect::<Vec<_>>().concat()
}
