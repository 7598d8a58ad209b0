use mmdlrm_train::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Side;

/// More neighbours than that are no few.
const MOST_NEIGHBOURS: usize = 1 << 16;
/// Beyond it all likenesses are the same in `f32`.
const MOST_SHRINKAGE: f64 = 1e9;

/// How a [`Knn`](crate::Knn) is fitted; its documentation has the formula.
///
/// ```
/// use mmdlrm_baselines::{KnnConfig, Side};
///
/// let config: KnnConfig = serde_json::from_str(r#"{ "side": "users", "neighbours": 20 }"#)?;
/// assert_eq!(config, KnnConfig::users());
/// assert_eq!(KnnConfig::default().side, Side::Items);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KnnConfig {
    /// Whose neighbours.
    pub side: Side,
    /// How many of them count, 1 to 65,536.
    pub neighbours: usize,
    /// What is added to the denominator of a likeness, from 0 to 1e9: it takes weight from
    /// neighbours that have few ratings in common.
    pub shrinkage: f64,
}

impl Default for KnnConfig {
    /// Of items, as they were tuned for ml-latest-small.
    fn default() -> Self {
        Self {
            side: Side::Items,
            neighbours: 50,
            shrinkage: 0.0,
        }
    }
}

impl KnnConfig {
    /// Of users, as they were tuned for ml-latest-small.
    pub fn users() -> Self {
        Self {
            side: Side::Users,
            neighbours: 20,
            shrinkage: 0.0,
        }
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Setting`], which names the setting.
    pub fn validate(&self) -> Result<()> {
        if !(1..=MOST_NEIGHBOURS).contains(&self.neighbours) {
            return Err(Error::Setting {
                setting: "neighbours",
                value: self.neighbours.to_string(),
                rule: "it must be from 1 to 65536",
            });
        }
        if !(0.0..=MOST_SHRINKAGE).contains(&self.shrinkage) {
            return Err(Error::Setting {
                setting: "shrinkage",
                value: self.shrinkage.to_string(),
                rule: "it must be from 0 to 1e9",
            });
        }
        Ok(())
    }
}
