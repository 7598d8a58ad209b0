//! Bags that many samples share: each is pooled once a batch.
//!
//! A user's history is the bag of all that user's samples, less the movie that a
//! sample asks about; likewise a movie's audience. With the vectors `v` and weights `w` of a
//! bag's ids, and the shift `c`, left-out position `o` and share `f` of one of its samples,
//!
//! ```text
//! W = Σ_p w_p·v_p     V = Σ_p v_p                  once a bag, [dim]
//! x = f·(W + c·V − (w_o + c)·v_o)                  once a sample, [dim]
//! ```
//!
//! and backwards, with the gradient `g` of each sample's `x`,
//!
//! ```text
//! ∂L/∂W = Σ_samples f·g     ∂L/∂V = Σ_samples f·c·g     once a bag
//! ∂L/∂v_p = w_p·∂L/∂W + ∂L/∂V                           once an id of a bag
//! ∂L/∂v_o = −f·(w_o + c)·g                              once an id that a sample leaves out
//! ```
//!
//! With `n` samples a bag, of `m` ids, that is `m + n` vectors to add, not `n · m`.

use std::ops::Range;

use mmdlrm_kernels::{add_scaled, vectorize};
use rayon::prelude::*;

use crate::config::{Pooling, TableConfig};
use crate::grouped::Grouped;
use crate::input::{check_offsets, check_range, finite, same};
use crate::lookup::TableShape;
use crate::table_rows::TableRows;
use crate::{Error, Result};

/// Bags that samples share, each less one id of its own.
///
/// With the weights `w` of a bag's ids, and a sample's shift `c` and left-out
/// position `o`, the sample's vector is `Σ_{p≠o} (w_p + c)·v_p`, or
/// [that by the number](Pooling) of ids that are summed.
#[derive(Debug, Clone, Copy)]
pub struct SharedBags<'a> {
    /// Bag of each sample, `[batch]`.
    pub bag_of: &'a [u32],
    /// `[bags + 1]`, from 0 to the number of ids.
    pub offsets: &'a [u32],
    /// Ids of all bags.
    pub ids: &'a [u32],
    /// A weight for each id; 1 where there are none.
    pub weights: Option<&'a [f32]>,
    /// What each sample adds to the weights of its bag, `[batch]`; 0 where there are none.
    pub shifts: Option<&'a [f32]>,
    /// For each sample the position in [`Self::ids`] that it leaves out, `[batch]`,
    /// or [`Self::WHOLE`].
    pub left_out: &'a [u32],
}

impl<'a> SharedBags<'a> {
    /// The position that stands for a bag that is taken whole.
    pub const WHOLE: u32 = u32::MAX;

    /// Number of bags.
    pub(crate) fn bags(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Where the ids of a bag stand.
    #[inline]
    pub(crate) fn span_of(&self, bag: usize) -> Range<usize> {
        self.offsets[bag] as usize..self.offsets[bag + 1] as usize
    }

    #[inline]
    fn weight(&self, position: usize) -> f32 {
        self.weights.map_or(1.0, |weights| weights[position])
    }

    #[inline]
    fn shift(&self, sample: usize) -> f32 {
        self.shifts.map_or(0.0, |shifts| shifts[sample])
    }

    /// The position that a sample leaves out.
    #[inline]
    pub(crate) fn left_out(&self, sample: usize) -> Option<usize> {
        let position = self.left_out[sample];
        (position != Self::WHOLE).then_some(position as usize)
    }

    /// Weight of what a sample leaves out, `w_o + c`.
    #[inline]
    pub(crate) fn weight_left_out(&self, sample: usize) -> f32 {
        let position = self.left_out[sample] as usize;
        self.weight(position) + self.shift(sample)
    }

    /// What the sum for a sample is multiplied by, `f`.
    #[inline]
    pub(crate) fn share(&self, pooling: Pooling, sample: usize) -> f32 {
        let ids = self.span_of(self.bag_of[sample] as usize).len();
        let summed = ids - usize::from(self.left_out(sample).is_some());
        pooling.share(summed)
    }

    /// Bag of each id.
    #[cfg(feature = "candle")]
    pub(crate) fn bag_of_ids(&self) -> Vec<u32> {
        let mut bags = Vec::new();
        self.write_bags(&mut bags);
        bags
    }

    fn write_bags(&self, bags: &mut Vec<u32>) {
        bags.clear();
        for bag in 0..self.bags() {
            bags.resize(self.span_of(bag).end, bag as u32);
        }
    }

    pub(crate) fn check(&self, table: &TableConfig, samples: usize) -> Result<()> {
        let name = &table.name;
        let what = |part: &str| format!("{part} of table {name}");
        same(&what("bags"), self.bag_of.len(), samples)?;
        same(&what("left-out ids"), self.left_out.len(), samples)?;
        if table.learned_weights {
            return Err(Error::SharedWeights {
                table: name.clone(),
            });
        }
        check_offsets(table, self.offsets, self.ids.len())?;
        check_range(&what("bags"), self.bag_of, self.bags(), None)?;
        if let Some(weights) = self.weights {
            same(&what("weights"), weights.len(), self.ids.len())?;
            finite(&what("weights"), weights, 1)?;
        }
        if let Some(shifts) = self.shifts {
            same(&what("shifts"), shifts.len(), samples)?;
            finite(&what("shifts"), shifts, 1)?;
        }
        for (sample, &bag) in self.bag_of.iter().enumerate() {
            let span = self.span_of(bag as usize);
            if let Some(position) = self.left_out(sample)
                && !span.contains(&position)
            {
                return Err(Error::LeftOut {
                    table: name.clone(),
                    sample,
                    position,
                    span,
                });
            }
        }
        Ok(())
    }
}

/// The sums over the bags of a stored table.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedSums {
    /// Weighted sum of each bag, `W`, `[bags, dim]`.
    weighted: Vec<f32>,
    /// Plain sum of each bag, `V`, `[bags, dim]`; empty where samples shift no weights.
    plain: Vec<f32>,
}

impl SharedSums {
    /// Sums each bag, `W` and `V`.
    pub fn pool(&mut self, bags: &SharedBags, rows: TableRows) {
        let (dim, length) = (rows.dim, bags.bags() * rows.dim);
        self.weighted.resize(length, 0.0);
        let plain_length = if bags.shifts.is_some() { length } else { 0 };
        self.plain.resize(plain_length, 0.0);
        let weighted = self.weighted.par_chunks_mut(dim).enumerate();
        if bags.shifts.is_none() {
            weighted.for_each(|(bag, out)| {
                vectorize(
                    #[inline(always)]
                    || {
                        out.fill(0.0);
                        for position in bags.span_of(bag) {
                            add_scaled(out, rows.row(position), bags.weight(position));
                        }
                    },
                );
            });
            return;
        }
        let both = weighted.zip(self.plain.par_chunks_mut(dim));
        both.for_each(|((bag, out), plain)| {
            vectorize(
                #[inline(always)]
                || {
                    out.fill(0.0);
                    plain.fill(0.0);
                    for position in bags.span_of(bag) {
                        // Each row is fetched once for both sums.
                        let (row, weight) = (rows.row(position), bags.weight(position));
                        let sums = out.iter_mut().zip(plain.iter_mut());
                        for ((out, plain), x) in sums.zip(row) {
                            *out += weight * x;
                            *plain += x;
                        }
                    }
                },
            );
        });
    }

    /// Writes the vector of a sample, `x`.
    #[inline]
    pub fn read(
        &self,
        bags: &SharedBags,
        pooling: Pooling,
        rows: TableRows,
        sample: usize,
        out: &mut [f32],
    ) {
        let dim = rows.dim;
        let start = bags.bag_of[sample] as usize * dim;
        let shift = bags.shift(sample);
        out.copy_from_slice(&self.weighted[start..start + dim]);
        if shift != 0.0 {
            add_scaled(out, &self.plain[start..start + dim], shift);
        }
        if let Some(position) = bags.left_out(sample) {
            add_scaled(out, rows.row(position), -bags.weight_left_out(sample));
        }
        let share = bags.share(pooling, sample);
        if share != 1.0 {
            out.iter_mut().for_each(|x| *x *= share);
        }
    }
}

/// What a batch asks a stored table's rows for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum SharedEntry {
    /// An id of a bag, at a position of [`SharedBags::ids`].
    Pooled { position: usize },
    /// The id that a sample leaves out of its bag.
    LeftOut { sample: usize },
}

/// The entries of shared bags and their numbers: those of the bags' ids come first, then those
/// of the samples that leave one out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SharedEntries {
    /// Ids of all bags.
    ids: usize,
    /// Samples that leave an id out, ascending.
    leaving: Vec<u32>,
}

impl SharedEntries {
    /// Numbers the entries of `bags`.
    pub fn number(&mut self, bags: &SharedBags) {
        self.ids = bags.ids.len();
        self.leaving.clear();
        let samples = 0..bags.bag_of.len() as u32;
        let leaving = samples.filter(|&sample| bags.left_out(sample as usize).is_some());
        self.leaving.extend(leaving);
    }

    /// The entry of a number.
    #[inline(always)]
    pub fn get(&self, number: usize) -> SharedEntry {
        match number.checked_sub(self.ids) {
            None => SharedEntry::Pooled { position: number },
            Some(place) => SharedEntry::LeftOut {
                sample: self.leaving[place] as usize,
            },
        }
    }

    /// The id of each entry, in the order of their numbers.
    fn ids<'a>(&'a self, bags: &'a SharedBags) -> impl Iterator<Item = u32> + 'a {
        let left_out = self.leaving.iter();
        let left_out = left_out.map(|&sample| bags.ids[bags.left_out[sample as usize] as usize]);
        bags.ids.iter().copied().chain(left_out)
    }

    /// Samples that leave an id out, ascending.
    #[cfg(feature = "candle")]
    pub fn leaving(&self) -> &[u32] {
        &self.leaving
    }

    /// Numbers of the entries of the bags' ids.
    #[cfg(feature = "candle")]
    pub fn pooled(&self) -> Range<usize> {
        0..self.ids
    }

    /// Numbers of the entries of what samples leave out.
    #[cfg(feature = "candle")]
    pub fn left_out(&self) -> Range<usize> {
        self.ids..self.ids + self.leaving.len()
    }
}

/// What the gradients of a stored table need when its bags are shared.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SharedGradients {
    /// The samples of each bag that has any.
    samples: Grouped,
    /// Gradient of each bag's weighted sum, `∂L/∂W`, `[bags, dim]`.
    weighted: Vec<f32>,
    /// Gradient of each bag's plain sum, `∂L/∂V`, `[bags, dim]`; empty where samples shift no
    /// weights.
    plain: Vec<f32>,
    /// Bag of each position of [`SharedBags::ids`].
    bag_of: Vec<u32>,
    entries: SharedEntries,
}

impl SharedGradients {
    /// Finds the samples of each bag, and hands out the row of each entry.
    pub fn sort<'a>(
        &'a mut self,
        bags: &'a SharedBags,
        shape: &'a TableShape,
    ) -> impl Iterator<Item = u32> + 'a {
        self.samples.sort(bags.bag_of.iter().copied().zip(0..));
        bags.write_bags(&mut self.bag_of);
        self.entries.number(bags);
        self.entries.ids(bags).map(|id| shape.row_of.row(id))
    }

    /// Sums for each bag the gradients of its samples, `∂L/∂W` and `∂L/∂V`; `of_sample(s)`
    /// is the gradient of the vector of sample `s`, `g`.
    pub fn sum<'a>(
        &mut self,
        bags: &SharedBags,
        pooling: Pooling,
        dim: usize,
        of_sample: impl Fn(usize) -> &'a [f32] + Sync,
    ) {
        let length = bags.bags() * dim;
        self.weighted.clear();
        self.weighted.resize(length, 0.0);
        self.plain.clear();
        let plain_length = if bags.shifts.is_some() { length } else { 0 };
        self.plain.resize(plain_length, 0.0);
        let samples = &self.samples;
        let mut weighted = self.weighted.chunks_exact_mut(dim);
        let mut plain = self.plain.chunks_exact_mut(dim);
        // Bags ascend, so each takes its own stretch of the two lists.
        let (mut work, mut next) = (Vec::with_capacity(samples.rows.len()), 0);
        for (place, &bag) in samples.rows.iter().enumerate() {
            let skipped = bag as usize - next;
            next = bag as usize + 1;
            if let Some(weighted) = weighted.nth(skipped) {
                work.push((place, weighted, plain.nth(skipped)));
            }
        }
        work.into_par_iter().for_each(|(place, weighted, plain)| {
            let mut plain = plain;
            vectorize(
                #[inline(always)]
                || {
                    for sample in samples.entries(place) {
                        let sample = sample as usize;
                        let (gradient, share) = (of_sample(sample), bags.share(pooling, sample));
                        add_scaled(weighted, gradient, share);
                        if let Some(plain) = &mut plain {
                            add_scaled(plain, gradient, share * bags.shift(sample));
                        }
                    }
                },
            );
        });
    }

    /// Adds to the gradient of a row what it gets from the entry of a number.
    #[inline(always)]
    pub fn add<'a>(
        &self,
        entry: usize,
        bags: &SharedBags,
        pooling: Pooling,
        of_sample: impl Fn(usize) -> &'a [f32],
        out: &mut [f32],
    ) {
        match self.entries.get(entry) {
            SharedEntry::Pooled { position } => {
                let start = self.bag_of[position] as usize * out.len();
                let sum = start..start + out.len();
                add_scaled(out, &self.weighted[sum.clone()], bags.weight(position));
                if !self.plain.is_empty() {
                    add_scaled(out, &self.plain[sum], 1.0);
                }
            }
            SharedEntry::LeftOut { sample } => {
                let factor = bags.weight_left_out(sample) * bags.share(pooling, sample);
                add_scaled(out, of_sample(sample), -factor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_asked_for_by_its_bag_and_by_who_leaves_it_out() {
        let whole = SharedBags::WHOLE;
        let bags = SharedBags {
            bag_of: &[0, 1, 1],
            offsets: &[0, 2, 3],
            ids: &[7, 8, 9],
            weights: None,
            shifts: None,
            left_out: &[1, whole, 2],
        };
        let mut entries = SharedEntries::default();
        entries.number(&bags);
        assert_eq!(entries.ids(&bags).collect::<Vec<_>>(), [7, 8, 9, 8, 9]);
        assert_eq!(entries.get(2), SharedEntry::Pooled { position: 2 });
        assert_eq!(entries.get(3), SharedEntry::LeftOut { sample: 0 });
        assert_eq!(entries.get(4), SharedEntry::LeftOut { sample: 2 });
    }
}
