//! A [`Pea`] behind the seam.

use std::sync::atomic::AtomicBool;

use mmdlrm_data::Rated;
use mmdlrm_kernels::vectorize;
use mmdlrm_train::{Ranker, Result, Visitor, Who, check_rows};
use rayon::prelude::*;

use super::Pea;
use super::graph::Node;

/// Items of a block: as many as fill a vector register.
const LANES: usize = 16;

/// The items' parts of the score, `[items / 16, R, 16]`: so many items at once meet a user.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks {
    values: Vec<[f32; LANES]>,
    items: usize,
    width: usize,
}

impl Blocks {
    /// Of `[items, width]`.
    pub fn of(parts: &[f32], width: usize) -> Self {
        let items = parts.len() / width;
        let mut values = vec![[0.0; LANES]; items.div_ceil(LANES) * width];
        for (item, part) in parts.chunks_exact(width).enumerate() {
            let block = &mut values[item / LANES * width..][..width];
            for (lanes, x) in block.iter_mut().zip(part) {
                lanes[item % LANES] = *x;
            }
        }
        Self {
            values,
            items,
            width,
        }
    }

    /// `w₂·relu(a + c_i) + b₂` of all items `i`, of a user's part `a`.
    fn score(&self, user: &[f32], (second, bias): (&[f32], f32), scores: &mut [f32]) {
        vectorize(
            #[inline(always)]
            || {
                let blocks = self.values.chunks_exact(self.width.max(1));
                for (block, scores) in blocks.zip(scores.chunks_mut(LANES)) {
                    let mut sums = [bias; LANES];
                    for ((item, a), w) in block.iter().zip(user).zip(second) {
                        for (sum, c) in sums.iter_mut().zip(item) {
                            *sum += w * (a + c).max(0.0);
                        }
                    }
                    scores.copy_from_slice(&sums[..scores.len()]);
                }
            },
        );
    }
}

impl Ranker for Pea {
    fn parameters(&self) -> usize {
        self.net.parameters.values.len()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        let width = self.items.width.max(1);
        let parts: Vec<&[f32]> = match who {
            Who::Users(users) => {
                let all = &self.net.parts().users;
                check_rows("user", users.iter().copied(), all.len() / width)?;
                let part = |&user: &u32| &all[user as usize * width..][..width];
                users.iter().map(part).collect()
            }
            Who::Visitor(visitor) => vec![visitor.state::<Vec<f32>>()?],
        };
        let second = self.net.score.second(&self.net.parameters.values);
        scores.resize(parts.len() * self.items.items, 0.0);
        let rows = scores.par_chunks_exact_mut(self.items.items.max(1));
        let rows = rows.zip(parts);
        rows.for_each(|(scores, user)| self.items.score(user, second, scores));
        Ok(())
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        let mut rated: Vec<u32> = ratings.iter().map(|rated| rated.movie).collect();
        check_rows("movie", rated.iter().copied(), self.items.items)?;
        rated.sort_unstable();
        rated.dedup();
        Ok(Visitor::new(ratings.to_vec(), self.net.visitor(&rated)))
    }

    /// `r`, `[items, repr]`.
    fn item_vectors(&self) -> Result<Option<Vec<f32>>> {
        let width = self.net.config.repr;
        let start = self.net.graph.start(Node::Movie) * width;
        let items = &self.net.repr()[start..][..self.items.items * width];
        Ok(Some(items.to_vec()))
    }
}
