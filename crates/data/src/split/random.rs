use super::SplitPart;
use super::sampler::{Sampler, Share};
use crate::fingerprint::SplitHasher;
use crate::{DataFingerprint, Result};

/// Rows that are sorted by their parts before they are hashed.
const HASHED_AT_A_TIME: usize = 1 << 16;

/// Which ratings on disk are held out, and which validated on: all are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomSplit {
    /// Share held out.
    pub test_share: f64,
    /// Share of the others that are validated on.
    pub validation_share: Option<f64>,
    /// Seed of both draws.
    pub seed: u64,
}

impl Default for RandomSplit {
    /// 20 % held out by seed 42, none validated on.
    fn default() -> Self {
        Self {
            test_share: 0.2,
            validation_share: None,
            seed: 42,
        }
    }
}

impl RandomSplit {
    /// Which of `ratings` rows are trained on, validated on and held out: that of the
    /// [`Split`](crate::Split) of the same draw.
    ///
    /// # Errors
    /// A share that leaves a side empty.
    pub fn fingerprint(self, ratings: usize) -> Result<DataFingerprint> {
        Ok(Parts::new(ratings, self)?.fingerprint(ratings))
    }
}

/// Says of one row after the other which part it belongs to.
#[derive(Clone)]
pub(super) struct Parts {
    pub test: Sampler,
    pub validation: Option<Sampler>,
}

impl Parts {
    pub fn new(ratings: usize, split: RandomSplit) -> Result<Self> {
        let test = Share::of_test(split.test_share).sampler(ratings, split.seed)?;
        let others = ratings - test.wanted();
        let validation = split.validation_share.map(|share| {
            // Of the rows that are not held out, one after the other.
            Share::of_validation(share).sampler(others, split.seed)
        });
        Ok(Self {
            test,
            validation: validation.transpose()?,
        })
    }

    pub fn fingerprint(mut self, ratings: usize) -> DataFingerprint {
        let mut split = SplitHasher::new();
        let mut rows = [Vec::new(), Vec::new(), Vec::new()];
        for start in (0..ratings).step_by(HASHED_AT_A_TIME) {
            rows.iter_mut().for_each(Vec::clear);
            for row in start..ratings.min(start + HASHED_AT_A_TIME) {
                rows[self.next() as usize].push(row as u64);
            }
            for part in [SplitPart::Train, SplitPart::Validation, SplitPart::Test] {
                split.add(part, rows[part as usize].iter().copied());
            }
        }
        split.finish()
    }

    pub fn next(&mut self) -> SplitPart {
        if self.test.next() {
            SplitPart::Test
        } else if self.validation.as_mut().is_some_and(Sampler::next) {
            SplitPart::Validation
        } else {
            SplitPart::Train
        }
    }
}
