use std::ops::RangeInclusive;

use mmdlrm_train::{Error, Result};
use serde::{Deserialize, Serialize};

/// More factors are of no set of ratings that this is for.
const MOST_FACTORS: usize = 256;
/// More draws than that tell nothing more.
const MOST_ITERATIONS: usize = 1_000_000;
/// More are kept of no model that is to be asked.
const MOST_STRETCHES: usize = 4096;

/// How a [`BayesianFactorization`](crate::BayesianFactorization) is sampled; its documentation has
/// the formulas.
///
/// ```
/// use mmdlrm_baselines::BayesianConfig;
///
/// let mut config = BayesianConfig::mf();
/// assert_eq!((config.histories, config.audiences), (false, false));
/// config.burn_in = config.iterations;
/// let error = config.validate().unwrap_err().to_string();
/// assert!(error.contains("burn_in is 300"), "{error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BayesianConfig {
    /// Factors of each user, item, and whatever else has any, `k`, 1 to 256.
    pub rank: usize,
    /// Whether a user is also what they rated: SVD++ (Koren, 2008).
    pub histories: bool,
    /// Whether an item is also who rated it: SVD++ «flipped» (Rendle, Zhang and Koren, 2019).
    pub audiences: bool,
    /// Times that everything is drawn anew, 1 to 1,000,000.
    pub iterations: usize,
    /// How many of the first iterations tell nothing yet, fewer than there are.
    pub burn_in: usize,
    /// Stretches of one length, `S`, that the iterations after the burn-in are cut into, of each of
    /// which means and the last draw are kept: 1 to 4,096, and not more than there are iterations.
    pub stretches: usize,
    /// Seed of all that is drawn.
    pub seed: u64,
}

impl Default for BayesianConfig {
    /// [`svd_plus_plus_flipped`](Self::svd_plus_plus_flipped), the more accurate one.
    fn default() -> Self {
        Self::svd_plus_plus_flipped()
    }
}

impl BayesianConfig {
    /// Matrix factorization: a user and an item, and nothing else.
    pub fn mf() -> Self {
        Self {
            rank: 10,
            histories: false,
            audiences: false,
            iterations: 300,
            burn_in: 5,
            stretches: 20,
            seed: 42,
        }
    }

    /// The same with what each user rated and who rated each item.
    ///
    /// ```
    /// use mmdlrm_baselines::BayesianConfig;
    ///
    /// assert_eq!(BayesianConfig::svd_plus_plus_flipped(), BayesianConfig::default());
    /// ```
    pub fn svd_plus_plus_flipped() -> Self {
        Self {
            histories: true,
            audiences: true,
            ..Self::mf()
        }
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Setting`], which names the setting.
    pub fn validate(&self) -> Result<()> {
        check(
            "rank",
            self.rank,
            1..=MOST_FACTORS,
            "it must be from 1 to 256",
        )?;
        check(
            "iterations",
            self.iterations,
            1..=MOST_ITERATIONS,
            "it must be from 1 to 1000000",
        )?;
        let rule = "it must be less than the number of iterations";
        check("burn_in", self.burn_in, 0..=self.iterations - 1, rule)?;
        let most = MOST_STRETCHES.min(self.iterations - self.burn_in);
        let rule = "it must be from 1 to 4096, and not more than iterations after the burn-in";
        check("stretches", self.stretches, 1..=most, rule)
    }

    /// How many stretches are over once `iteration`, from 1, is.
    pub(super) fn stretches_after(&self, iteration: usize) -> usize {
        let after = iteration.saturating_sub(self.burn_in) as u128;
        let of = (self.iterations - self.burn_in) as u128;
        (after * self.stretches as u128 / of) as usize
    }
}

fn check(
    setting: &'static str,
    value: usize,
    sound: RangeInclusive<usize>,
    rule: &'static str,
) -> Result<()> {
    match sound.contains(&value) {
        true => Ok(()),
        false => Err(Error::Setting {
            setting,
            value: value.to_string(),
            rule,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_of_one_length_and_go_through_to_the_last_iteration() {
        let config = BayesianConfig {
            iterations: 23,
            burn_in: 3,
            stretches: 6,
            ..BayesianConfig::mf()
        };
        let over: Vec<usize> = (0..=23).map(|it| config.stretches_after(it)).collect();
        let grows = (1..=23).filter(|&it| over[it] > over[it - 1]);
        assert_eq!(grows.collect::<Vec<_>>(), [7, 10, 13, 17, 20, 23]);
        assert_eq!((over[3], over[23]), (0, 6));
    }
}
