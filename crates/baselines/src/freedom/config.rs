use mmdlrm_train::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::pairwise::{DEPTHS, DEPTHS_OR_NONE, NEIGHBOURS, PairwiseTraining, WIDTHS, not_negative};

/// What is added to degrees, for none to be 0.
pub(super) const ADDED: f64 = 1e-7;

/// How a [`Freedom`](crate::Freedom) is shaped and learned; its documentation has the formula.
///
/// ```
/// use mmdlrm_baselines::FreedomConfig;
///
/// let mut config = FreedomConfig::default();
/// config.dropped = 1.0;
/// let error = config.validate().unwrap_err().to_string();
/// assert!(error.contains("dropped is 1"), "{error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FreedomConfig {
    /// `D`, the width of the vectors, from 1 to 4,096.
    pub dim: usize,
    /// `K`, how many times vectors go to neighbours between users and items, from 1 to 64.
    pub layers: usize,
    /// `n`, how many times vectors go to items that are alike, from 0 to 64.
    pub hops: usize,
    /// `k`, how many items an item is like, itself among them, from 1 to 256.
    pub neighbours: usize,
    /// The share in likeness, from 0 to 1, of all modalities but `text` together; where there is no
    /// text, or nothing else, all is of what there is.
    pub others: f64,
    /// `ρ`, the share of the edges that an epoch does without, from 0 to below 1.
    pub dropped: f64,
    /// `λ`, the weight of what the content alone tells, 0 or more.
    pub penalty: f64,
    /// How long and how fast it learns.
    pub training: PairwiseTraining,
}

impl Default for FreedomConfig {
    fn default() -> Self {
        Self {
            dim: 64,
            layers: 2,
            hops: 1,
            neighbours: 10,
            others: 0.1,
            dropped: 0.8,
            penalty: 1e-3,
            training: PairwiseTraining {
                epochs: 80,
                ..PairwiseTraining::default()
            },
        }
    }
}

impl FreedomConfig {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Setting`], which names the setting.
    pub fn validate(&self) -> Result<()> {
        WIDTHS.check("dim", self.dim)?;
        DEPTHS.check("layers", self.layers)?;
        DEPTHS_OR_NONE.check("hops", self.hops)?;
        NEIGHBOURS.check("neighbours", self.neighbours)?;
        not_negative("penalty", self.penalty)?;
        let is_share = (0.0..=1.0).contains(&self.others);
        let refused = |setting, value: f64, rule| {
            Err(Error::Setting {
                setting,
                value: value.to_string(),
                rule,
            })
        };
        match (is_share, (0.0..1.0).contains(&self.dropped)) {
            (false, _) => refused("others", self.others, "it must be from 0 to 1"),
            (_, false) => refused("dropped", self.dropped, "it must be from 0 to below 1"),
            _ => Ok(()),
        }
    }
}
