//! An exact shuffle in pieces that fit a core's cache, or a disk.
//!
//! Each row is sent to a bucket at random, and each bucket is shuffled by
//! itself (Rao 1961; Sandelius 1962): every order is as likely as any other.
//! Rows are sent a chunk at a time, with random numbers of the chunk's own, so
//! that neither threads nor memory change the order.

use std::ops::Range;

use rand::seq::SliceRandom;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Rows that are sent to buckets at a time.
pub(crate) const CHUNK: usize = 1 << 20;
/// Rows of a bucket, on average: 4 MiB of ratings.
const BUCKET: usize = 1 << 18;

/// Streams of random numbers: chunks have those from 0, buckets those from
/// here.
const BUCKETS_STREAM: u64 = 1 << 32;

/// The random choices of one shuffle of some number of rows.
#[derive(Debug, Clone, Copy)]
pub struct Shuffle {
    seed: u64,
    buckets: usize,
}

/// A chunk whose rows are ordered by bucket.
pub(crate) struct Sent<T> {
    rows: Vec<T>,
    /// Where each bucket starts, and the end.
    starts: Vec<u32>,
}

impl Shuffle {
    /// Of `rows` rows, in an order drawn by `seed`.
    pub fn new(rows: usize, seed: u64) -> Self {
        Self {
            seed,
            buckets: rows.div_ceil(BUCKET).max(1),
        }
    }

    /// Number of buckets.
    pub(crate) fn buckets(&self) -> usize {
        self.buckets
    }

    /// Sends the rows of chunk `number`, all but the last of which have
    /// [`CHUNK`] rows, to their buckets.
    pub(crate) fn send<T: Copy + Default>(&self, number: usize, rows: &[T]) -> Sent<T> {
        let bucket = |random: &mut ChaCha8Rng| {
            ((u64::from(random.next_u32()) * self.buckets as u64) >> 32) as usize
        };
        let mut starts = vec![0u32; self.buckets + 1];
        let mut random = self.random(number as u64);
        for _ in rows {
            starts[bucket(&mut random) + 1] += 1;
        }
        for bucket in 0..self.buckets {
            starts[bucket + 1] += starts[bucket];
        }
        let mut next = starts.clone();
        let mut sent = vec![T::default(); rows.len()];
        let mut random = self.random(number as u64);
        for &row in rows {
            let place = &mut next[bucket(&mut random)];
            sent[*place as usize] = row;
            *place += 1;
        }
        Sent { rows: sent, starts }
    }

    /// Shuffles what was sent to `bucket`, chunk after chunk.
    pub(crate) fn finish<T>(&self, bucket: usize, rows: &mut [T]) {
        rows.shuffle(&mut self.random(BUCKETS_STREAM + bucket as u64));
    }

    /// All of it, in memory, on all threads.
    pub fn apply<T: Copy + Default + Send + Sync>(&self, rows: &[T]) -> Vec<T> {
        let sent: Vec<Sent<T>> = rows
            .par_chunks(CHUNK)
            .enumerate()
            .map(|(number, chunk)| self.send(number, chunk))
            .collect();
        let mut shuffled = vec![T::default(); rows.len()];
        let mut rest = shuffled.as_mut_slice();
        let mut buckets = Vec::with_capacity(self.buckets);
        for bucket in 0..self.buckets {
            let length = sent.iter().map(|sent| sent.range(bucket).len()).sum();
            let (front, back) = rest.split_at_mut(length);
            buckets.push(front);
            rest = back;
        }
        buckets
            .into_par_iter()
            .enumerate()
            .for_each(|(bucket, out)| {
                let mut next = 0;
                for sent in &sent {
                    let rows = &sent.rows[sent.range(bucket)];
                    out[next..next + rows.len()].copy_from_slice(rows);
                    next += rows.len();
                }
                self.finish(bucket, out);
            });
        shuffled
    }

    fn random(&self, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(stream);
        random
    }
}

impl<T> Sent<T> {
    /// All rows, bucket after bucket.
    pub(crate) fn rows(&self) -> &[T] {
        &self.rows
    }

    /// Where the rows of `bucket` are.
    pub(crate) fn range(&self, bucket: usize) -> Range<usize> {
        self.starts[bucket] as usize..self.starts[bucket + 1] as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_comes_once_whatever_the_number_of_threads() {
        let rows: Vec<u32> = (0..CHUNK as u32 + 12_345).collect();
        let shuffle = Shuffle::new(rows.len(), 7);
        assert!(shuffle.buckets() > 1);
        let shuffled = shuffle.apply(&rows);
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        assert_eq!(alone.unwrap().install(|| shuffle.apply(&rows)), shuffled);
        assert_ne!(Shuffle::new(rows.len(), 8).apply(&rows), shuffled);
        let mut sorted = shuffled;
        sorted.sort_unstable();
        assert_eq!(sorted, rows);
    }

    #[test]
    fn rows_go_anywhere() {
        // Correlation between where a row was and where it went: of a window
        // it would be near 1.
        let rows: Vec<u32> = (0..CHUNK as u32).collect();
        let shuffled = Shuffle::new(rows.len(), 1).apply(&rows);
        let middle = f64::from(CHUNK as u32) / 2.0;
        let sum: f64 = rows
            .iter()
            .zip(&shuffled)
            .map(|(&a, &b)| (f64::from(a) - middle) * (f64::from(b) - middle))
            .sum();
        let correlation = sum / (rows.len() as f64 * middle * middle / 3.0);
        assert!(correlation.abs() < 0.01, "{correlation}");
    }

    #[test]
    fn small_shuffles_give_every_order_equally_often() {
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            let order = Shuffle { seed, buckets: 2 }.apply(&[0u8, 1, 2]);
            *counts.entry(order).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 6);
        // Six deviations of a fair count of 1000.
        assert!(
            counts.values().all(|count| count.abs_diff(1000) < 175),
            "{counts:?}"
        );
    }
}
