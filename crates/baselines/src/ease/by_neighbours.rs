//! Many users and many items: each item has a few weights of its own.
//!
//! The most rated items are inputs. An item `j` gets those of them for its neighbours `N` that are
//! rated together with it most often, by the cosine of the columns of `X`, and their weights are
//! those of EASE for a catalogue of `N` and `j` (with a ridge alone, as SLIM's: Ning and Karypis,
//! 2011):
//!
//! ```text
//! (G_NN + Λ_N)·b = G_Nj          G = XᵀX
//! ```
//!
//! `G` of the inputs is made once, its lower triangle in `f32`; the equations are solved in `f64`.

use std::cmp::Reverse;
use std::sync::OnceLock;

use mmdlrm_data::RatedBags;
use mmdlrm_kernels::prefetch;
use mmdlrm_train::Result;
use rayon::prelude::*;

use super::inputs::{Inputs, matrix};
use super::packed::Packed;
use super::symmetric::Symmetric;
use super::{EaseConfig, too_small};
use crate::sparse::{Sparse, add_product};
use crate::whole::{LIMIT, whole};

/// `B`, row `i` of which has the weights of an input in the items. A score reads rows, and reasons
/// read columns.
#[derive(Debug, Clone)]
pub(super) struct ByNeighbours {
    /// So many columns at a time, `[items, width]`: a thread sums the scores of a block, which stay
    /// in its caches.
    blocks: Vec<Sparse>,
    width: usize,
    /// `Bᵀ`, made when reasons are first asked for.
    by_item: OnceLock<Sparse>,
}

/// Columns of a block, at least, …
const WIDTH: usize = 1 << 14;
/// … and how many blocks there are at most: each has the lengths of all rows.
const BLOCKS: usize = 16;
/// Weights of a row that are asked for before it is read; by then the hardware sees the others
/// coming.
const AHEAD: usize = 256;

/// What a thread keeps from one item to the next.
#[derive(Default)]
struct Scratch {
    /// `G_Nj` of all inputs.
    together: Vec<f64>,
    room: Vec<(f64, u32)>,
    equations: Symmetric,
}

impl ByNeighbours {
    pub fn fit(histories: &RatedBags, inputs: &Inputs, config: &EaseConfig) -> Result<Self> {
        let items = inputs.counts.len();
        let mut ranked: Vec<u32> = (0..items as u32).collect();
        ranked.sort_by_key(|&item| Reverse(inputs.counts[item as usize]));
        let mut ranks = vec![0; items];
        (0..)
            .zip(&ranked)
            .for_each(|(rank, &item)| ranks[item as usize] = rank);
        let x = matrix(histories, config, |item| ranks[item as usize])?;
        let transposed = x.transposed(items);
        let count = config.inputs.min(items);
        let gram = Packed::of(count, |rank, out| {
            let mut sums = vec![0.0; rank + 1];
            add_product(transposed.row(rank), |_| 1.0, &x, &mut sums);
            out.iter_mut()
                .zip(sums)
                .for_each(|(out, sum)| *out = sum as f32);
        });
        let norms = (0..count).map(|rank| f64::from(gram.get(rank, rank)).sqrt());
        let norms: Vec<f64> = norms.collect();
        let ridge = |rank: u32| inputs.ridges[ranked[rank as usize] as usize];
        let row = |item: usize, scratch: &mut Scratch| {
            let rank = ranks[item] as usize;
            let Scratch {
                together,
                room,
                equations,
            } = scratch;
            together.clear();
            if rank < count {
                together.extend(gram.row(rank).iter().map(|&x| f64::from(x)));
                let others = (rank + 1..count).map(|other| f64::from(gram.get(other, rank)));
                together.extend(others);
                together[rank] = 0.0;
            } else {
                together.resize(count, 0.0);
                add_product(transposed.row(rank), |_| 1.0, &x, together);
            }
            let neighbours = nearest(together, &norms, config.neighbours, room);
            let solved = equations.solve(neighbours.len(), |row, out| {
                let Some(&own) = neighbours.get(row) else {
                    let right = neighbours.iter().map(|&other| together[other as usize]);
                    out.iter_mut().zip(right).for_each(|(out, x)| *out = x);
                    return;
                };
                let of_own = gram.row(own as usize);
                let others = neighbours.iter().map(|&other| other as usize);
                let others = others.map(|other| f64::from(of_own[other]));
                out.iter_mut().zip(others).for_each(|(out, x)| *out = x);
                out[row] += ridge(own);
            });
            let solved = solved.map_err(|_| too_small(config))?;
            let weights = neighbours.iter().map(|&rank| ranked[rank as usize]);
            let mut weights: Vec<(u32, f32)> =
                weights.zip(solved.iter().map(|&x| x as f32)).collect();
            weights.sort_unstable_by_key(|&(item, _)| item);
            Ok(weights)
        };
        let by_item = Sparse::of_rows(items, Scratch::default, row)?;
        drop((x, transposed, gram));
        Ok(Self::of(&by_item.transposed(items)))
    }

    /// Of what [`Self::parts`] says; `None` where that does not fit together.
    pub fn from_parts(lengths: &[f32], ids: &[f32], values: &[f32]) -> Option<Self> {
        let items = lengths.len();
        let (lengths, ids) = (whole(lengths, LIMIT)?, whole(ids, items)?);
        let lengths = lengths.into_iter().map(|length| length as usize);
        let by_input = Sparse::from_parts(lengths, ids, values.to_vec(), items)?;
        Some(Self::of(&by_input))
    }

    fn of(by_input: &Sparse) -> Self {
        let width = by_input.rows().div_ceil(BLOCKS).max(WIDTH);
        Self::in_blocks(by_input, width)
    }

    fn in_blocks(by_input: &Sparse, width: usize) -> Self {
        let firsts = (0..by_input.rows() as u32).step_by(width);
        let blocks = firsts.map(|first| by_input.columns(first..first + width as u32));
        Self {
            blocks: blocks.collect(),
            width,
            by_item: OnceLock::new(),
        }
    }

    /// How many items each has a weight in, which, and how much.
    pub fn parts(&self) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let (mut lengths, mut items, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for input in 0..self.blocks.first().map_or(0, Sparse::rows) {
            let before = items.len();
            for (block, first) in self.blocks.iter().zip((0u32..).step_by(self.width)) {
                let (ids, values) = block.row(input);
                items.extend(ids.iter().map(|&id| (first + id) as f32));
                weights.extend(values);
            }
            lengths.push((items.len() - before) as f32);
        }
        (lengths, items, weights)
    }

    pub fn parameters(&self) -> usize {
        let blocks = self.blocks.iter();
        blocks.map(|block| block.entries().1.len()).sum()
    }

    /// `xB`, `[items]`.
    pub fn score(&self, history: &[(u32, f32)], scores: &mut [f32]) {
        let blocks = self.blocks.par_iter();
        let blocks = blocks.zip(scores.par_chunks_mut(self.width));
        blocks.for_each(|(block, scores)| score(block, history, scores));
    }

    /// `B_ij` of each `i` of a history.
    pub fn column(&self, history: &[(u32, f32)], item: u32) -> Vec<f32> {
        let by_item = self.by_item.get_or_init(|| {
            let blocks = self.blocks.iter();
            Sparse::stacked(blocks.map(|block| block.transposed(self.width)))
        });
        let history = history.iter();
        history
            .map(|&(other, _)| by_item.get(item as usize, other))
            .collect()
    }
}

/// `xB` of a block.
fn score(block: &Sparse, history: &[(u32, f32)], scores: &mut [f32]) {
    scores.fill(0.0);
    for (place, &(item, weight)) in history.iter().enumerate() {
        if let Some(&(next, _)) = history.get(place + 1) {
            let (ids, values) = block.row(next as usize);
            let first = ids.len().min(AHEAD);
            prefetch(&ids[..first]);
            prefetch(&values[..first]);
        }
        let (ids, values) = block.row(item as usize);
        for (&id, &value) in ids.iter().zip(values) {
            scores[id as usize] += weight * value;
        }
    }
}

/// The `count` inputs of the largest cosines above 0, in their order; `room` is kept from one item
/// to the next.
fn nearest(together: &[f64], norms: &[f64], count: usize, room: &mut Vec<(f64, u32)>) -> Vec<u32> {
    room.clear();
    // The item's own norm is the same for all.
    let cosines = together.iter().zip(norms).map(|(sum, norm)| sum / norm);
    room.extend(cosines.zip(0..).filter(|&(cosine, _)| cosine > 0.0));
    let nearest = match room.len() > count {
        true => {
            let order = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
            room.select_nth_unstable_by(count - 1, order);
            &room[..count]
        }
        false => room,
    };
    let mut nearest: Vec<u32> = nearest.iter().map(|&(_, input)| input).collect();
    nearest.sort_unstable();
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_several_blocks_make_the_same_weights_again() {
        // Item `j` has weights of `j` and of every third before it.
        let weight = |input: usize, item: usize| (input + 10 * item) as f32;
        let row = |item: usize, (): &mut ()| {
            let inputs = (0..=item).filter(|input| (item - input).is_multiple_of(3));
            Ok(inputs
                .map(|input| (input as u32, weight(input, item)))
                .collect())
        };
        let by_item = Sparse::of_rows(20, || (), row).unwrap();
        let weights = ByNeighbours::in_blocks(&by_item.transposed(20), 8);
        assert_eq!(weights.blocks.len(), 3);
        let (lengths, items, values) = weights.parts();
        assert_eq!(lengths[0], 7.0);
        assert_eq!(items[..7], [0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0]);
        let one = ByNeighbours::from_parts(&lengths, &items, &values).unwrap();
        assert_eq!(one.blocks.len(), 1);
        let history = [(0, 1.0), (6, 2.0), (17, 0.5)];
        let of = |item: usize| {
            let inputs = history.iter().map(|&(input, x)| (input as usize, x));
            let has = |input: usize| input <= item && (item - input).is_multiple_of(3);
            let inputs = inputs.filter(|&(input, _)| has(input));
            inputs
                .map(|(input, x)| x * weight(input, item))
                .sum::<f32>()
        };
        for weights in [weights, one] {
            let mut scores = vec![f32::NAN; 20];
            weights.score(&history, &mut scores);
            assert_eq!(scores, (0..20).map(of).collect::<Vec<_>>());
            assert_eq!(weights.column(&history, 17), [0.0, 0.0, weight(17, 17)]);
            let column = [weight(0, 18), weight(6, 18), 0.0];
            assert_eq!(weights.column(&history, 18), column);
        }
    }
}
