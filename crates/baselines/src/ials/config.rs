use std::ops::RangeInclusive;

use mmdlrm_train::{Error, Result};
use serde::{Deserialize, Serialize};

/// Beyond it a step of a made-up matrix of factors takes longer than those of the ratings.
const MOST_FACTORS: usize = 2048;
/// What numbers of `f32` stand.
const RIDGES: RangeInclusive<f64> = 1e-6..=1e9;
/// The condition of the equations is no worse than this, which `f32` stands.
const MOST_ALPHA: f64 = 1e4;
const MOST_ITERATIONS: usize = 10_000;

/// How an [`Ials`](crate::Ials) is fitted; its documentation has the formula.
///
/// ```
/// use mmdlrm_baselines::IalsConfig;
///
/// let mut config = IalsConfig::default();
/// assert_eq!((config.factors, config.iterations), (64, 15));
/// config.alpha = 0.5;
/// let error = config.validate().unwrap_err().to_string();
/// assert!(error.contains("alpha is 0.5"), "{error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct IalsConfig {
    /// Numbers of a vector, 1 to 2,048.
    pub factors: usize,
    /// `λ`, from 1e-6 to 1e9.
    pub regularization: f64,
    /// `ν`, from 0 to 1: how far the ridge of a user or an item goes with the confidences.
    pub regularization_exponent: f64,
    /// `α`, from 1 to 10,000: the confidence in a pair that was rated. That in any other is 1.
    pub alpha: f64,
    /// How often the vectors of all users and those of all items are solved for, 1 to 10,000.
    pub iterations: usize,
    /// What the vectors that the first step begins with are drawn by.
    pub seed: u64,
}

impl Default for IalsConfig {
    /// As Hu, Koren and Volinsky (2008) have it, as it was tuned for ml-latest-small.
    fn default() -> Self {
        Self {
            factors: 64,
            regularization: 5.0,
            regularization_exponent: 0.0,
            alpha: 5.0,
            iterations: 15,
            seed: 42,
        }
    }
}

impl IalsConfig {
    /// Ridges by frequency (Rendle et al., 2022), `ν = 1`: `regularization` and
    /// `unobserved_weight` are the `λ` and the `α₀` of their paper, where a rated pair has the
    /// weight `1 + α₀` and the target `1/(1 + α₀)`, and any other `α₀` and 0. It is the same model,
    /// all its weights `1/α₀` and its targets `1 + α₀` times theirs.
    ///
    /// ```
    /// use mmdlrm_baselines::IalsConfig;
    ///
    /// // What they have for MovieLens-20M.
    /// let config = IalsConfig::by_frequency(0.003, 0.1);
    /// assert!((config.alpha - 11.0).abs() < 1e-12);
    /// assert!((config.regularization - 0.0033).abs() < 1e-12);
    /// ```
    pub fn by_frequency(regularization: f64, unobserved_weight: f64) -> Self {
        Self {
            regularization: regularization * (1.0 + unobserved_weight),
            regularization_exponent: 1.0,
            alpha: 1.0 + unobserved_weight.recip(),
            ..Self::default()
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
            "it must be from 1 to 2048",
        )?;
        check(
            RIDGES.contains(&self.regularization),
            "regularization",
            self.regularization.to_string(),
            "it must be from 1e-6 to 1e9",
        )?;
        check(
            (0.0..=1.0).contains(&self.regularization_exponent),
            "regularization_exponent",
            self.regularization_exponent.to_string(),
            "it must be from 0 to 1",
        )?;
        check(
            (1.0..=MOST_ALPHA).contains(&self.alpha),
            "alpha",
            self.alpha.to_string(),
            "it must be from 1 to 10000",
        )?;
        check(
            (1..=MOST_ITERATIONS).contains(&self.iterations),
            "iterations",
            self.iterations.to_string(),
            "it must be from 1 to 10000",
        )
    }

    /// The ridge of whoever has `rated` of `others` pairs: `λ·(Σ c)^ν`.
    pub(super) fn ridge(&self, rated: usize, others: usize) -> f64 {
        let confidences = others as f64 + (self.alpha - 1.0) * rated as f64;
        self.regularization * confidences.powf(self.regularization_exponent)
    }
}
