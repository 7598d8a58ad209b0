use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use crate::Dataset;

/// Batches that wait ready while the model computes.
const PREFETCHED: usize = 4;

/// Columns of some ratings, ready for a model.
///
/// Ids are dense rows, not raw ids. Bags are compressed sparse rows: sample
/// `s` has `genre_ids[genre_offsets[s]..genre_offsets[s + 1]]`.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Batch {
    /// User row of each sample, `[batch]`.
    pub users: Vec<u32>,
    /// Movie row of each sample, `[batch]`.
    pub movies: Vec<u32>,
    /// Start of each sample's genres, `[batch + 1]`.
    pub genre_offsets: Vec<u32>,
    /// Genres of the samples' movies.
    pub genre_ids: Vec<u32>,
    /// Standardised dense features, `[batch, DENSE_FEATURES.len()]`.
    pub dense: Vec<f32>,
    /// For each modality the row of each sample's vector, `[batch]`, or
    /// [`Modality::MISSING`](crate::Modality::MISSING).
    pub modality_rows: Vec<Vec<u32>>,
    /// Rating of each sample in stars, `[batch]`; empty where there is none to
    /// learn from.
    pub stars: Vec<f32>,
}

impl Batch {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// Training batches of some rows, built ahead on a thread of their own.
///
/// Ends when the rows do; dropped early, it stops the thread.
pub struct Batches {
    ready: Receiver<Batch>,
}

impl Batches {
    pub(crate) fn new(dataset: Arc<Dataset>, rows: Vec<u32>, size: usize) -> Self {
        let (send, ready) = sync_channel(PREFETCHED);
        std::thread::spawn(move || {
            for rows in rows.chunks(size.max(1)) {
                // A closed channel means that nobody wants more.
                if send.send(dataset.training_batch(rows)).is_err() {
                    break;
                }
            }
        });
        Self { ready }
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        self.ready.recv().ok()
    }
}
