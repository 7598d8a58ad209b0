//! Embedding bags: forward pooling, and the gradient of the rows touched.

use rayon::prelude::*;

use crate::{Bags, Pooling};

/// Gradient of one embedding table: only the rows that a batch touched, so
/// that a step costs nothing for the others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowGradients {
    /// Distinct rows, ascending.
    pub rows: Vec<u32>,
    /// Gradient of each of them, `[rows, dim]`.
    pub values: Vec<f32>,
    /// `id << 32 | sample` of every id of the batch, sorted.
    keys: Vec<u64>,
    /// Where each row's keys begin, and the end.
    starts: Vec<usize>,
}

/// Writes the pooled vector of one bag; an empty bag gives zeros.
#[inline]
pub(crate) fn pool(table: &[f32], bag: &[u32], pooling: Pooling, out: &mut [f32]) {
    let dim = out.len();
    let row = |id: u32| &table[id as usize * dim..(id as usize + 1) * dim];
    match bag {
        [] => out.fill(0.0),
        [id] => out.copy_from_slice(row(*id)),
        [first, rest @ ..] => {
            out.copy_from_slice(row(*first));
            for &id in rest {
                out.iter_mut().zip(row(id)).for_each(|(sum, x)| *sum += x);
            }
            if pooling == Pooling::Mean {
                let share = 1.0 / bag.len() as f32;
                out.iter_mut().for_each(|x| *x *= share);
            }
        }
    }
}

impl RowGradients {
    /// Sums for each touched row the gradients of the bags it is in;
    /// `of_sample(s)` is the gradient of sample `s`'s pooled vector, `[dim]`.
    ///
    /// The sum of a row runs over its samples in order, so it is the same
    /// whatever the number of threads.
    pub(crate) fn collect<'a>(
        &mut self,
        bags: &Bags,
        pooling: Pooling,
        dim: usize,
        of_sample: impl Fn(usize) -> &'a [f32] + Sync,
    ) {
        self.sort(bags);
        self.values.clear();
        self.values.resize(self.rows.len() * dim, 0.0);
        let spans = self.starts.par_windows(2);
        self.values
            .par_chunks_exact_mut(dim)
            .zip(spans)
            .for_each(|(out, span)| {
                for &key in &self.keys[span[0]..span[1]] {
                    let sample = key as u32 as usize;
                    let share = match pooling {
                        Pooling::Sum => 1.0,
                        Pooling::Mean => 1.0 / bags.bag(sample).len() as f32,
                    };
                    out.iter_mut()
                        .zip(of_sample(sample))
                        .for_each(|(sum, g)| *sum += share * g);
                }
            });
    }

    /// Finds the distinct rows and the samples of each.
    fn sort(&mut self, bags: &Bags) {
        self.keys.clear();
        for sample in 0..bags.len() {
            let key = |&id: &u32| u64::from(id) << 32 | sample as u64;
            self.keys.extend(bags.bag(sample).iter().map(key));
        }
        self.keys.sort_unstable();
        self.rows.clear();
        self.starts.clear();
        for (position, &key) in self.keys.iter().enumerate() {
            let row = (key >> 32) as u32;
            if self.rows.last() != Some(&row) {
                self.rows.push(row);
                self.starts.push(position);
            }
        }
        self.starts.push(self.keys.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    #[test]
    fn bags_pool_by_sum_or_mean_and_empty_bags_give_zeros() {
        let mut out = [9.0; 2];
        pool(&TABLE, &[0, 2], Pooling::Sum, &mut out);
        assert_eq!(out, [6.0, 8.0]);
        pool(&TABLE, &[0, 2], Pooling::Mean, &mut out);
        assert_eq!(out, [3.0, 4.0]);
        pool(&TABLE, &[], Pooling::Mean, &mut out);
        assert_eq!(out, [0.0, 0.0]);
    }

    #[test]
    fn only_touched_rows_get_a_gradient_and_repeats_add_up() {
        let offsets = [0, 3, 3, 4];
        let ids = [2, 0, 2, 2];
        let bags = Bags::Lists {
            offsets: &offsets,
            ids: &ids,
        };
        let upstream = [[3.0, 6.0], [100.0, 100.0], [1.0, 1.0]];
        let mut gradients = RowGradients::default();
        gradients.collect(&bags, Pooling::Sum, 2, |sample| &upstream[sample]);
        assert_eq!(gradients.rows, [0, 2]);
        assert_eq!(gradients.values, [3.0, 6.0, 7.0, 13.0]);
        gradients.collect(&bags, Pooling::Mean, 2, |sample| &upstream[sample]);
        assert_eq!(gradients.values, [1.0, 2.0, 3.0, 5.0]);
    }
}
