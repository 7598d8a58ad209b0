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
        feed: impl FnOnce(&mut dyn FnMut(Rows) -> bool) -> Result<()> + Send + 'static,
    ) -> Batches {
        let features = Arc::clone(features);
        Batches::new(rows, feed, move |number, rows: Rows| match self {
            Self::Train { seed, first } => {
                // Seeds of neighbouring epochs may be neighbours too.
                let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let draw = seed ^ (first + number) as u64;
                features.batch(&rows.rated, &rows.places, Some(draw))
            }
            Self::Held => features.batch(&rows.rated, &rows.places, None),
        })
    }
}

/// Rows of a batch.
pub(crate) struct Rows {
    pub rated: Vec<Rated>,
    /// Which of the ratings each is; empty where nobody asks.
    pub places: Vec<u32>,
}

impl From<Vec<Rated>> for Rows {
    fn from(rated: Vec<Rated>) -> Self {
        Self {
            rated,
            places: Vec::new(),
        }
    }
}
