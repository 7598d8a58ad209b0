//! Who is most like whom.

use std::cmp::Ordering;

use mmdlrm_data::{RatedBag, RatedBags};
use mmdlrm_kernels::vectorize;
use mmdlrm_train::Result;
use rayon::prelude::*;

use super::{KnnRaterConfig, Similarity};
use crate::whole::whole;

/// Movies or users that are looked at before others are told of it.
const AT_A_TIME: usize = 1024;

/// Those that are most like one of them, the most first, and how much they are.
pub(super) type Alike = Vec<(u32, f32)>;

/// Movies or users, each with those that are most like it: compressed sparse rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Similar {
    offsets: Vec<usize>,
    alike: Alike,
}

impl Similar {
    /// Compares each with all others; `told` is told of ratings that were gone over, and breaks off
    /// by an error.
    pub fn of(
        comparison: &Comparison,
        own: &RatedBags,
        mut told: impl FnMut(usize) -> Result<()>,
    ) -> Result<Self> {
        let mut similar = Self {
            offsets: vec![0],
            alike: Vec::new(),
        };
        for start in (0..own.len()).step_by(AT_A_TIME) {
            let rows = start as u32..(start + AT_A_TIME).min(own.len()) as u32;
            let ratings = rows.clone().map(|row| own.row(row).len()).sum();
            let found = rows.into_par_iter().map_init(
                || comparison.scratch(),
                |scratch, row| comparison.most_similar(own.row(row), Some(row), scratch),
            );
            for alike in found.collect::<Vec<Alike>>() {
                similar.alike.extend(alike);
                similar.offsets.push(similar.alike.len());
            }
            told(ratings)?;
        }
        Ok(similar)
    }

    /// Those like a movie or user, the most similar first.
    pub fn row(&self, row: u32) -> &[(u32, f32)] {
        let row = row as usize;
        &self.alike[self.offsets[row]..self.offsets[row + 1]]
    }

    /// How many there are in all.
    pub fn pairs(&self) -> usize {
        self.alike.len()
    }

    /// Numbers of those that are like each, ids and similarities of all.
    pub fn parts(&self) -> [Vec<f32>; 3] {
        let lengths = self.offsets.windows(2);
        let ids = self.alike.iter().map(|&(id, _)| id as f32);
        let values = self.alike.iter().map(|&(_, value)| value);
        [
            lengths.map(|pair| (pair[1] - pair[0]) as f32).collect(),
            ids.collect(),
            values.collect(),
        ]
    }

    /// The inverse of [`Self::parts`] for `rows` movies or users; `None` where it makes no sense.
    pub fn from_parts(lengths: &[f32], ids: &[f32], values: &[f32], rows: usize) -> Option<Self> {
        if lengths.len() != rows || ids.len() != values.len() {
            return None;
        }
        let mut offsets = vec![0usize];
        for length in whole(lengths, rows)? {
            offsets.push(offsets[offsets.len() - 1] + length as usize);
        }
        let ids = whole(ids, rows)?;
        let similar = Self {
            offsets,
            alike: ids.into_iter().zip(values.iter().copied()).collect(),
        };
        (similar.offsets.last() == Some(&similar.alike.len()) && similar.is_sound())
            .then_some(similar)
    }

    /// Whether each row is in order, and nobody in it twice.
    fn is_sound(&self) -> bool {
        let rows = 0..self.offsets.len() as u32 - 1;
        let mut seen = vec![u32::MAX; rows.len()];
        rows.into_iter().all(|row| {
            let alike = self.row(row);
            let mut is_new =
                |&(id, _): &(u32, f32)| std::mem::replace(&mut seen[id as usize], row) != row;
            alike.iter().all(&mut is_new)
                && alike.iter().all(|&(id, value)| id != row && value > 0.0)
                && alike.is_sorted_by(|a, b| a.1 >= b.1)
        })
    }
}

/// What is compared: of each movie, say, the users who rated it and what they are compared by.
pub(super) struct Comparison<'a> {
    /// Of each of what is rated in common, who rated it.
    pub others: &'a RatedBags,
    /// How many movies or users there are to compare with.
    pub count: usize,
    pub config: &'a KnnRaterConfig,
}

/// Sums over ratings in common, with one after another.
pub(super) struct Scratch {
    sums: Vec<Sums>,
    /// With whom there are any.
    met: Vec<u32>,
}

/// `Σ ab`, `Σ a²`, `Σ b²` and `n`: a vector register.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums([f64; 4]);

impl Comparison<'_> {
    pub fn scratch(&self) -> Scratch {
        Scratch {
            sums: vec![Sums::default(); self.count],
            met: Vec::new(),
        }
    }

    /// Those most like whoever has `own` ratings, but `itself`.
    pub fn most_similar(&self, own: RatedBag, itself: Option<u32>, scratch: &mut Scratch) -> Alike {
        let Scratch { sums, met } = scratch;
        vectorize(
            #[inline(always)]
            || {
                for (&common, &a) in own.ids.iter().zip(own.stars) {
                    let others = self.others.row(common);
                    for (&id, &b) in others.ids.iter().zip(others.stars) {
                        let sums = &mut sums[id as usize];
                        if sums.0[3] == 0.0 {
                            met.push(id);
                        }
                        sums.add(f64::from(a), f64::from(b));
                    }
                }
            },
        );
        let found = met.drain(..).filter_map(|id| {
            let sums = std::mem::take(&mut sums[id as usize]);
            let value = sums.similarity(self.config) as f32;
            (value > 0.0 && Some(id) != itself).then_some((id, value))
        });
        best(found.collect(), self.config.candidates)
    }
}

impl Sums {
    #[inline(always)]
    fn add(&mut self, a: f64, b: f64) {
        let (left, right) = ([a, a, b, 1.0], [b, a, b, 1.0]);
        for lane in 0..4 {
            self.0[lane] += left[lane] * right[lane];
        }
    }

    /// NaN where nothing is known: of ratings that are all as the baseline has them.
    fn similarity(self, config: &KnnRaterConfig) -> f64 {
        let Self([products, a_squares, b_squares, count]) = self;
        let cosine = || products / (a_squares * b_squares).sqrt();
        match config.similarity {
            // Most pairs, and not worth a root.
            Similarity::PearsonBaseline if count < 2.0 || products <= 0.0 => 0.0,
            Similarity::PearsonBaseline => {
                let degrees = count - 1.0;
                degrees / (degrees + config.shrinkage) * cosine()
            }
            Similarity::Cosine => cosine(),
            Similarity::SquaredDifference => {
                let squares = (a_squares + b_squares - 2.0 * products).max(0.0);
                1.0 / (squares / count + 1.0)
            }
        }
    }
}

/// The `count` most similar, in order: those that are as similar by id.
fn best(mut alike: Alike, count: usize) -> Alike {
    let order =
        |a: &(u32, f32), b: &(u32, f32)| -> Ordering { b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)) };
    if alike.len() > count {
        alike.select_nth_unstable_by(count, order);
        alike.truncate(count);
    }
    alike.sort_unstable_by(order);
    alike
}
