//! How rows become batches.

use std::sync::Arc;

use mmdlrm_data::{Batches, Rated, Result};

use crate::Features;

/// Whether the rows of batches are in the training set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// What is drawn for a batch is decided by the seed and the batch's number, of
    /// which `first` is the first.
    Train { seed: u64, first: usize },
    /// To validate or test on.
    Held,
}

impl Purpose {
    /// Batches of the rows that `feed` hands out, `rows` in all.
    pub(crate) fn batches(
        self,
        features: &Arc<Features>,
        rows: usize,
        feed: impl FnOnce(&mut dyn FnMut(Vec<Rated>) -> bool) -> Result<()> + Send + 'static,
    ) -> Batches {
        let features = Arc::clone(features);
        Batches::new(rows, feed, move |number, rows| match self {
            Self::Train { seed, first } => {
                // Seeds of neighbouring epochs may be neighbours too.
                let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                features.training_batch(&rows, seed ^ (first + number) as u64)
            }
            Self::Held => features.test_batch(&rows),
        })
    }
}
