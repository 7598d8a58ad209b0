//! Into what parts the samples of a step are cut.

use crate::forward::PIECE;
use crate::{Error, Objective, Result};

/// Size of the parts of `count`, at most `most`: an even number of parts of about
/// one size, so that threads end together, each of a multiple of `together` samples, and of an
/// even number.
pub(crate) fn part_size(count: usize, most: usize, together: usize) -> usize {
    let together = together.max(2);
    let parts = count.div_ceil(most).next_multiple_of(2).max(1);
    count
        .div_ceil(parts)
        .next_multiple_of(together)
        .max(together)
}

/// How many samples a loss compares with each other; pieces have to hold them whole.
pub(crate) fn samples_together(loss: &dyn Objective, samples: usize) -> Result<usize> {
    let together = loss.samples_together();
    if together == 0 || !PIECE.is_multiple_of(together) {
        return Err(Error::Setting {
            setting: "samples that a loss compares with each other".to_owned(),
            value: together.to_string(),
            rule: format!("it must divide {PIECE}"),
        });
    }
    match samples.is_multiple_of(together) {
        true => Ok(together),
        false => Err(Error::Setting {
            setting: "samples of a step".to_owned(),
            value: samples.to_string(),
            rule: format!("the loss compares {together} at a time; give a multiple of it"),
        }),
    }
}
