use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Error, Result};

/// A share of some things, and what it is held out for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    name: &'static str,
    share: f64,
    stream: u64,
}

impl Share {
    /// To test on.
    pub(crate) fn of_test(share: f64) -> Self {
        Self {
            name: "test share",
            share,
            stream: TEST_STREAM,
        }
    }

    /// To choose by, from what [`Self::of_test`] left.
    pub(crate) fn of_validation(share: f64) -> Self {
        Self {
            name: "validation share",
            share,
            stream: VALIDATION_STREAM,
        }
    }

    /// How many of `things` it is, rounded up.
    ///
    /// # Errors
    /// A share that is not strictly between 0 and 1, or that leaves a side empty.
    pub(crate) fn count(self, things: usize) -> Result<usize> {
        let share = self.share;
        let count = (things as f64 * share).ceil() as usize;
        if share > 0.0 && share < 1.0 && count > 0 && count < things {
            return Ok(count);
        }
        let rule = "it must lie between 0 and 1 and leave something on both sides";
        Err(Error::setting(self.name, share, rule))
    }

    /// Draws it.
    ///
    /// # Errors
    /// As [`Self::count`].
    pub(crate) fn sampler(self, things: usize, seed: u64) -> Result<Sampler> {
        Ok(self.sampler_of(self.count(things)?, things, seed))
    }

    /// Draws as many as are `wanted` in its place.
    pub(crate) fn sampler_of(self, wanted: usize, things: usize, seed: u64) -> Sampler {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(self.stream);
        Sampler {
            wanted: wanted as u64,
            left: things as u64,
            random,
        }
    }
}

/// Draws an exact share of things, in one go through them (Knuth, The Art of
/// Computer Programming, algorithm 3.4.2 S).
#[derive(Clone)]
pub(crate) struct Sampler {
    wanted: u64,
    left: u64,
    random: ChaCha8Rng,
}

/// Streams of random numbers apart from each other, and from those of a shuffle
/// with the same seed.
const TEST_STREAM: u64 = u64::MAX;
const VALIDATION_STREAM: u64 = u64::MAX - 1;

impl Sampler {
    /// Things that are drawn in all, as long as none has been passed.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted as usize
    }

    /// Whether the next thing is drawn.
    pub(crate) fn next(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        let drawn = self.random.random_range(0..self.left) < self.wanted;
        self.left -= 1;
        self.wanted -= u64::from(drawn);
        drawn
    }
}
