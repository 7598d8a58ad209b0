use mmdlrm_train::{Error, Result};
use serde::{Deserialize, Serialize};

/// Most passes, as of everything that learns by steps.
const MOST_EPOCHS: usize = 1_000_000;
/// Most factors.
const MOST_FACTORS: usize = 1 << 12;

/// How a [`MatrixFactorization`](crate::MatrixFactorization) is fitted; its documentation has the
/// formula.
///
/// ```
/// use mmdlrm_baselines::MatrixFactorizationConfig;
///
/// let mut config = MatrixFactorizationConfig::svd_plus_plus();
/// assert_eq!((config.factors, config.implicit), (20, true));
/// config.learning_rate = 0.0;
/// let error = config.validate().unwrap_err().to_string();
/// assert!(error.contains("learning_rate is 0"), "{error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MatrixFactorizationConfig {
    /// Whether it counts which movies a user rated, beside how: SVD++ in place of SVD.
    pub implicit: bool,
    /// `D`, numbers of a vector, from 1 to 4,096.
    pub factors: usize,
    /// Passes over the training ratings, from 1 to 1,000,000.
    pub epochs: usize,
    /// `γ`, above 0 and at most 1.
    pub learning_rate: f64,
    /// `λ`, from 0 to 100; times the learning rate it must be below 1.
    pub regularization: f64,
    /// Standard deviation of the numbers that vectors begin with, from 0 to 10.
    pub spread: f64,
    /// What these numbers are drawn by.
    pub seed: u64,
}

impl Default for MatrixFactorizationConfig {
    /// [`Self::svd_plus_plus`], the more accurate one.
    fn default() -> Self {
        Self::svd_plus_plus()
    }
}

impl MatrixFactorizationConfig {
    /// Biases and a product of two vectors, with the settings of Surprise's `SVD` (Hug, 2020).
    pub fn svd() -> Self {
        Self {
            implicit: false,
            factors: 100,
            learning_rate: 0.005,
            ..Self::svd_plus_plus()
        }
    }

    /// With what users rated, with the settings of Surprise's `SVDpp`.
    pub fn svd_plus_plus() -> Self {
        Self {
            implicit: true,
            factors: 20,
            epochs: 20,
            learning_rate: 0.007,
            regularization: 0.02,
            spread: 0.1,
            seed: 42,
        }
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Setting`], which names the setting.
    pub fn validate(&self) -> Result<()> {
        let check = |is_sound: bool, setting, value: String, rule| match is_sound {
            true => Ok(()),
            false => Err(Error::Setting {
                setting,
                value,
                rule,
            }),
        };
        check(
            (1..=MOST_FACTORS).contains(&self.factors),
            "factors",
            self.factors.to_string(),
            "it must be from 1 to 4096",
        )?;
        check(
            (1..=MOST_EPOCHS).contains(&self.epochs),
            "epochs",
            self.epochs.to_string(),
            "it must be from 1 to 1,000,000",
        )?;
        check(
            self.learning_rate > 0.0 && self.learning_rate <= 1.0,
            "learning_rate",
            self.learning_rate.to_string(),
            "it must be above 0 and at most 1",
        )?;
        check(
            (0.0..=100.0).contains(&self.regularization)
                && self.regularization * self.learning_rate < 1.0,
            "regularization",
            self.regularization.to_string(),
            "it must be from 0 to 100, and below 1 times the learning rate",
        )?;
        check(
            (0.0..=10.0).contains(&self.spread),
            "spread",
            self.spread.to_string(),
            "it must be from 0 to 10",
        )
    }

    /// What a number becomes by regularization in one step, `1 − γλ`.
    pub(super) fn decay(&self) -> f64 {
        1.0 - self.learning_rate * self.regularization
    }
}
