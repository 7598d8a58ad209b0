use mmdlrm_train::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Side;

/// Most that are kept of anything for one movie or user.
const MOST: usize = 1 << 16;

/// How alike two movies are by those who rated both of them, or two users by the movies that both
/// rated: `n` of them, `a` and `b` being the two ratings of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Similarity {
    /// `(n − 1)/(n − 1 + shrinkage) · Σ ab / √(Σ a² · Σ b²)` of what the baseline leaves of
    /// ratings, and 0 where `n` is 1: Pearson's correlation about the baseline, shrunk (Koren,
    /// 2010).
    #[default]
    PearsonBaseline,
    /// `Σ ab / √(Σ a² · Σ b²)` of stars.
    Cosine,
    /// `1 / (Σ (a − b)²/n + 1)` of stars.
    SquaredDifference,
}

/// How a [`KnnRater`](crate::KnnRater) is fitted; its documentation has the formula.
///
/// ```
/// use mmdlrm_baselines::{KnnRaterConfig, Side};
///
/// let mut config = KnnRaterConfig::users();
/// assert_eq!((config.side, config.neighbours), (Side::Users, 40));
/// config.neighbours = 0;
/// let error = config.validate().unwrap_err().to_string();
/// assert!(error.contains("neighbours is 0"), "{error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KnnRaterConfig {
    /// Whether movies are neighbours, or users.
    pub side: Side,
    /// What two of them are compared by.
    pub similarity: Similarity,
    /// How many ratings in common a [correlation](Similarity::PearsonBaseline) is shrunk by, from 0
    /// to 1e6; the other similarities are not.
    pub shrinkage: f64,
    /// `k`, how many neighbours have a say at most, from 1 to 65,536.
    pub neighbours: usize,
    /// How many that are most similar are kept of each movie or user, for neighbours to be chosen
    /// among, from 1 to 65,536: 8 bytes each.
    pub candidates: usize,
}

impl Default for KnnRaterConfig {
    /// Of movies, with the settings of Surprise (Hug, 2020).
    fn default() -> Self {
        Self {
            side: Side::Items,
            similarity: Similarity::PearsonBaseline,
            shrinkage: 100.0,
            neighbours: 40,
            candidates: 4096,
        }
    }
}

impl KnnRaterConfig {
    /// Of movies, which is the default.
    pub fn items() -> Self {
        Self::default()
    }

    /// The same of users.
    pub fn users() -> Self {
        Self {
            side: Side::Users,
            ..Self::default()
        }
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Setting`], which names the setting.
    pub fn validate(&self) -> Result<()> {
        let refused = |setting, value: String, rule| {
            Err(Error::Setting {
                setting,
                value,
                rule,
            })
        };
        if !(0.0..=1e6).contains(&self.shrinkage) {
            let rule = "it must be from 0 to 1,000,000";
            return refused("shrinkage", self.shrinkage.to_string(), rule);
        }
        let counts = [
            ("neighbours", self.neighbours),
            ("candidates", self.candidates),
        ];
        match counts.iter().find(|(_, count)| !(1..=MOST).contains(count)) {
            None => Ok(()),
            Some((setting, count)) => {
                refused(setting, count.to_string(), "it must be from 1 to 65536")
            }
        }
    }
}
