use std::ops::RangeInclusive;

use mmdlrm_data::{HIGHEST_RATING, LOWEST_RATING};
use mmdlrm_train::{Error, Result};
use serde::{Deserialize, Serialize};

/// Stars of a rating that weighs 1.
const MIDDLE: f64 = 3.5;
/// Beyond them numbers are lost in `f32`.
const RIDGES: RangeInclusive<f64> = 1e-12..=1e12;
/// Matrices of more rows are of no machine that this is for: 34 GB.
const MOST_ROWS: usize = 1 << 16;

/// How an [`Ease`](crate::Ease) is fitted; its documentation has the formula.
///
/// ```
/// use mmdlrm_baselines::EaseConfig;
///
/// let mut config = EaseConfig::default();
/// config.dropout = 1.0;
/// let error = config.validate().unwrap_err().to_string();
/// assert!(error.contains("dropout is 1"), "{error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EaseConfig {
    /// `λ`, from 1e-12 to 1e12: the ridge on each weight.
    pub regularization: f64,
    /// Whether the ridge of an item is `λ·√n`, of `n` users who rated it (1 where nobody did), in
    /// place of `λ`.
    pub by_count: bool,
    /// Share of the inputs that are dropped at random, all draws at once, from 0 to below 1
    /// (Steck, 2020).
    pub dropout: f64,
    /// What a star more adds to the weight of a rating, from 0 to 1/3: a rating of 3.5 stars
    /// weighs 1, and none less than 0.
    pub star_weight: f64,
    /// Most rows of a dense matrix, at most 65,536: where there are more users than that, and
    /// more items, weights are sparse.
    pub dense_up_to: usize,
    /// Of a sparse fit, weights that an item has at most, 1 to 65,536.
    pub neighbours: usize,
    /// Of a sparse fit, how many items have weights in those of others, the most rated ones, 1 to
    /// 65,536.
    pub inputs: usize,
}

impl Default for EaseConfig {
    /// As it was tuned for ml-latest-small.
    fn default() -> Self {
        Self {
            regularization: 30.0,
            by_count: true,
            dropout: 0.3,
            star_weight: 1.0 / 3.0,
            dense_up_to: 8192,
            neighbours: 256,
            inputs: 12_288,
        }
    }
}

impl EaseConfig {
    /// As Steck (2019) has it: stars are not looked at, one ridge for all items, no dropout.
    ///
    /// ```
    /// use mmdlrm_baselines::EaseConfig;
    ///
    /// let config = EaseConfig::plain(300.0);
    /// assert_eq!((config.star_weight, config.dropout, config.by_count), (0.0, 0.0, false));
    /// ```
    pub fn plain(regularization: f64) -> Self {
        Self {
            regularization,
            by_count: false,
            dropout: 0.0,
            star_weight: 0.0,
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
        let lambda = self.regularization;
        check(
            RIDGES.contains(&lambda),
            "regularization",
            lambda.to_string(),
            "it must be from 1e-12 to 1e12",
        )?;
        check(
            (0.0..1.0).contains(&self.dropout),
            "dropout",
            self.dropout.to_string(),
            "it must be from 0 to below 1",
        )?;
        let lightest = 1.0 + self.star_weight * (f64::from(LOWEST_RATING) - MIDDLE);
        check(
            self.star_weight >= 0.0 && lightest >= 0.0,
            "star_weight",
            self.star_weight.to_string(),
            "it must be from 0 to 1/3",
        )?;
        check(
            self.dense_up_to <= MOST_ROWS,
            "dense_up_to",
            self.dense_up_to.to_string(),
            "it must be at most 65536",
        )?;
        for (setting, value) in [("neighbours", self.neighbours), ("inputs", self.inputs)] {
            check(
                (1..=MOST_ROWS).contains(&value),
                setting,
                value.to_string(),
                "it must be from 1 to 65536",
            )?;
        }
        Ok(())
    }

    /// `x` of a rating, from 0 on.
    pub(super) fn weight(&self, stars: f32) -> f32 {
        let stars = f64::from(stars.clamp(LOWEST_RATING, HIGHEST_RATING));
        (1.0 + self.star_weight * (stars - MIDDLE)).max(0.0) as f32
    }

    /// `Λ` of an item that `count` users rated, the squares of its weights adding up to `squares`.
    pub(super) fn ridge(&self, count: u32, squares: f64) -> f64 {
        let scale = match self.by_count {
            true => f64::from(count.max(1)).sqrt(),
            false => 1.0,
        };
        self.regularization * scale + self.dropout / (1.0 - self.dropout) * squares
    }
}
