//! What settings may be.
//!
//! A model's file has its settings, and whoever made the file may have made them up: what sizes
//! matrices, names or loops has an upper bound.

use std::ops::RangeInclusive;

use mmdlrm_train::{Error, Result};

/// What a whole number may be, and how that is said.
#[derive(Debug)]
pub(crate) struct Bounds {
    range: RangeInclusive<usize>,
    rule: &'static str,
}

/// Both ends, as numbers and in words.
macro_rules! from_to {
    ($least:literal, $most:literal) => {
        Bounds {
            range: $least..=$most,
            rule: concat!("it must be from ", $least, " to ", $most),
        }
    };
}

/// Anything but nothing, of what sizes nothing.
pub(crate) const AT_LEAST_ONE: Bounds = Bounds {
    range: 1..=usize::MAX,
    rule: "it must be 1 or more",
};
/// Numbers of a vector.
pub(crate) const WIDTHS: Bounds = from_to!(1, 4096);
/// Layers, and heads of one: far more than help.
pub(crate) const DEPTHS: Bounds = from_to!(1, 64);
/// Layers, where none is a model too.
pub(crate) const DEPTHS_OR_NONE: Bounds = from_to!(0, 64);
/// Neighbours of an item, all of which are kept.
pub(crate) const NEIGHBOURS: Bounds = from_to!(1, 256);
/// Items that attend to each other: time and memory go with the square.
pub(crate) const HISTORIES: Bounds = from_to!(1, 2048);
/// Times that an epoch has each pair.
pub(crate) const TIMES: Bounds = from_to!(1, 1000);
/// Passes over the training pairs.
pub(crate) const EPOCHS: Bounds = Bounds {
    range: 1..=1_000_000,
    rule: "it must be from 1 to 1,000,000",
};
/// Triples of a step: more than any MovieLens set has ratings.
pub(crate) const BATCHES: Bounds = Bounds {
    range: 1..=100_000_000,
    rule: "it must be from 1 to 100,000,000",
};

impl Bounds {
    /// Refuses what is not within them.
    ///
    /// # Errors
    /// [`Error::Setting`], which names the setting.
    pub fn check(&self, setting: &'static str, value: usize) -> Result<()> {
        match self.range.contains(&value) {
            true => Ok(()),
            false => Err(Error::Setting {
                setting,
                value: value.to_string(),
                rule: self.rule,
            }),
        }
    }
}

/// Refuses what is no number from 0 on.
pub(crate) fn not_negative(setting: &'static str, value: f64) -> Result<()> {
    match value >= 0.0 && (value as f32).is_finite() {
        true => Ok(()),
        false => Err(Error::Setting {
            setting,
            value: value.to_string(),
            rule: "it must be 0 or more, and a number in single precision",
        }),
    }
}
