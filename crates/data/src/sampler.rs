use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Error, Result};

/// How many of `things` a test share is.
pub(crate) fn held_out(things: usize, share: f64) -> Result<usize> {
    count("test share", things, share)
}

fn count(name: &'static str, things: usize, share: f64) -> Result<usize> {
    let held_out = (things as f64 * share).ceil() as usize;
    if share > 0.0 && share < 1.0 && held_out > 0 && held_out < things {
        return Ok(held_out);
    }
    let rule = "it must lie between 0 and 1 and leave something on both sides";
    Err(Error::setting(name, share, rule))
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
    pub(crate) fn new(things: usize, share: f64, seed: u64) -> Result<Self> {
        let wanted = held_out(things, share)?;
        Ok(Self::on_stream(things, wanted, seed, TEST_STREAM))
    }

    /// Of validation rows, from what a [`Self::new`] left.
    pub(crate) fn of_validation(things: usize, share: f64, seed: u64) -> Result<Self> {
        let wanted = count("validation share", things, share)?;
        Ok(Self::on_stream(things, wanted, seed, VALIDATION_STREAM))
    }

    fn on_stream(things: usize, wanted: usize, seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Self {
            wanted: wanted as u64,
            left: things as u64,
            random,
        }
    }

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
