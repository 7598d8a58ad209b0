use serde::{Deserialize, Serialize};

use crate::config::checks::check_parameters;
use crate::{Error, Result};

/// No size is more.
const MOST: usize = 1 << 20;

/// The shape of a [`NextItem`](crate::NextItem).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct NextItemConfig {
    /// Length of a vector.
    pub dim: usize,
    /// Items of the catalogue.
    pub items: usize,
    /// Rows of the table of item features.
    pub features: usize,
    /// Numbers that an item has by pictures, texts and the like, for a linear
    /// tower.
    pub vector: usize,
    /// Moments that are told apart.
    pub moments: usize,
    /// Lengths of a history that are told apart.
    pub lengths: usize,
    /// Features of a (user, item).
    pub pair_features: usize,
    /// Bags of a history.
    pub bags: Vec<RecencyBag>,
    /// Share of the numbers of a pooled bag that a training step drops.
    pub dropout: f32,
    /// Share of the history that a training step drops.
    pub history_dropout: f32,
}

/// A bag of a history: the rating of age `a` (0 the last) and `r` stars above the
/// user's mean weighs `exp(−a / recency) · (1 + rating · r)`; the sum is divided by
/// the root of the sum of the absolute weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecencyBag {
    /// Ratings in which a weight falls to 1/e.
    pub recency: f32,
    /// What a star more is worth.
    pub rating: f32,
}

impl Default for NextItemConfig {
    /// Without items; `docs/accuracy.md` has the figures behind the rest.
    fn default() -> Self {
        let bag = |recency, rating| RecencyBag { recency, rating };
        Self {
            dim: 64,
            items: 0,
            features: 0,
            vector: 0,
            moments: 1,
            lengths: 1,
            pair_features: 0,
            bags: vec![
                bag(2.7, 0.0),
                bag(8.5, 0.0),
                bag(20.0, 0.2),
                bag(5000.0, 0.3),
            ],
            dropout: 0.4,
            history_dropout: 0.2,
        }
    }
}

impl NextItemConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first that makes no sense.
    pub fn validate(&self) -> Result<()> {
        let counts = [
            ("dim", self.dim),
            ("items", self.items),
            ("moments", self.moments),
            ("lengths", self.lengths),
            ("bags", self.bags.len()),
        ];
        for (name, count) in counts {
            if count == 0 {
                return Err(bad(name, count, "it must be 1 or more"));
            }
        }
        // So that no number of parameters overflows.
        let sizes = counts.into_iter().chain([
            ("features", self.features),
            ("vector", self.vector),
            ("pair_features", self.pair_features),
        ]);
        for (name, size) in sizes {
            if size > MOST {
                return Err(bad(name, size, &format!("it must be {MOST} or less")));
            }
        }
        let rows = [
            2 * self.items,
            2 * self.features,
            self.vector,
            self.bags.len() * self.dim,
            self.moments,
            self.lengths,
        ];
        let rows: u128 = rows.map(|rows| rows as u128).iter().sum();
        let others = self.items as u128 + self.pair_features as u128;
        check_parameters(rows * self.dim as u128 + others)?;
        let shares = [
            ("dropout", self.dropout),
            ("history_dropout", self.history_dropout),
        ];
        for (name, share) in shares {
            if !(0.0..1.0).contains(&share) {
                return Err(bad(name, share, "it must be 0 or more and below 1"));
            }
        }
        for (number, bag) in self.bags.iter().enumerate() {
            let setting = |field| format!("bags[{number}].{field}");
            if !(bag.recency.is_finite() && bag.recency > 0.0) {
                return Err(bad(&setting("recency"), bag.recency, "it must be above 0"));
            }
            if !bag.rating.is_finite() {
                return Err(bad(&setting("rating"), bag.rating, "it must be finite"));
            }
        }
        Ok(())
    }
}

fn bad(setting: &str, value: impl ToString, rule: &str) -> Error {
    Error::Setting {
        setting: setting.to_owned(),
        value: value.to_string(),
        rule: rule.to_owned(),
    }
}
