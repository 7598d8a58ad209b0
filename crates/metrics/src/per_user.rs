use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::{Error, Result};

/// A mean over users, one value a user, with a bootstrap confidence interval.
///
/// Users are drawn, not ratings: the ratings of a user are alike, and an interval
/// that took them for independent would be too narrow. What is averaged may be a
/// metric of the user, or a sum over the user's ratings with their number as weight:
/// then the mean is over ratings, and the root of the interval of squared errors is
/// that of the RMSE.
///
/// ```
/// use mmdlrm_metrics::PerUser;
///
/// let mut ndcg = PerUser::default();
/// for user in 0..100 {
///     ndcg.add(f64::from(user % 2))?;
/// }
/// assert_eq!(ndcg.mean(), Some(0.5));
/// let (low, high) = ndcg.interval(0.95, 1000, 42).unwrap();
/// // 0.5 ± 1.96·0.05
/// assert!((low - 0.4).abs() < 0.02 && (high - 0.6).abs() < 0.02);
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PerUser {
    sums: Vec<(f64, f64)>,
}

impl PerUser {
    /// Adds one user's value.
    ///
    /// # Errors
    /// As [`Self::add_sum`].
    pub fn add(&mut self, value: f64) -> Result<()> {
        self.add_sum(value, 1.0)
    }

    /// Adds the sum over one user's items and what it weighs, their number.
    ///
    /// # Errors
    /// [`Error::Unusable`] of a sum that is not finite, or a weight that is not, or is
    /// below 0; the user is not counted then.
    pub fn add_sum(&mut self, sum: f64, weight: f64) -> Result<()> {
        Error::unless_finite("sum", self.users(), sum)?;
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(Error::Unusable {
                what: "weight",
                position: self.users(),
                value: weight,
                rule: "it must be finite and not below 0",
            });
        }
        self.sums.push((sum, weight));
        Ok(())
    }

    /// Adds everything another accumulator has seen.
    pub fn merge(&mut self, other: &Self) {
        self.sums.extend_from_slice(&other.sums);
    }

    /// Number of users seen.
    pub fn users(&self) -> u64 {
        self.sums.len() as u64
    }

    /// Sum of the values by that of the weights; `None` where there is no weight.
    pub fn mean(&self) -> Option<f64> {
        ratio(self.sums.iter().copied())
    }

    /// Percentile interval that holds the mean with confidence `level`, from
    /// `resamples` draws of as many users with replacement (Efron and Tibshirani,
    /// 1993). The same seed gives the same interval. `None` without users,
    /// resamples, or a level between 0 and 1.
    pub fn interval(&self, level: f64, resamples: usize, seed: u64) -> Option<(f64, f64)> {
        let users = self.sums.len();
        if users == 0 || resamples == 0 || !(level > 0.0 && level < 1.0) {
            return None;
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut means: Vec<f64> = (0..resamples)
            .filter_map(|_| {
                // The high half of a product: as good as even for so few users.
                let draws = (0..users).map(|_| (random.next_u64() as u128 * users as u128) >> 64);
                ratio(draws.map(|user| self.sums[user as usize]))
            })
            .collect();
        means.sort_unstable_by(f64::total_cmp);
        let last = means.len().checked_sub(1)?;
        let quantile = |share: f64| means[(share * last as f64).round() as usize];
        Some((quantile((1.0 - level) / 2.0), quantile((1.0 + level) / 2.0)))
    }
}

fn ratio(sums: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (sum, weight) = sums.fold((0.0, 0.0), |all, it| (all.0 + it.0, all.1 + it.1));
    (weight > 0.0).then(|| sum / weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_weighted_mean() {
        let mut errors = PerUser::default();
        for user in 0..400 {
            let ratings = f64::from(user % 3 + 1);
            errors
                .add_sum(ratings * f64::from(user % 7), ratings)
                .unwrap();
        }
        let mean = errors.mean().unwrap();
        let (low, high) = errors.interval(0.9, 2000, 1).unwrap();
        assert!(low < mean && mean < high);
        // Values of deviation 2, about 400 · (2·2/1)/(14/3)·… of them: 0.18 wide.
        assert!((0.2..0.5).contains(&(high - low)), "{low} {high}");
        assert_eq!(errors.interval(0.9, 2000, 1), Some((low, high)));
        assert_ne!(errors.interval(0.9, 2000, 2), Some((low, high)));
    }

    #[test]
    fn nothing_has_no_interval() {
        assert_eq!(PerUser::default().interval(0.95, 100, 1), None);
        let mut one = PerUser::default();
        one.add(0.25).unwrap();
        assert_eq!(one.interval(0.95, 100, 1), Some((0.25, 0.25)));
        assert_eq!(one.interval(1.0, 100, 1), None);
        assert_eq!(one.interval(0.95, 0, 1), None);
    }

    #[test]
    fn a_value_that_is_not_finite_and_a_weight_below_0_are_refused() {
        let mut errors = PerUser::default();
        errors.add(1.0).unwrap();
        let message = errors.add(f64::NAN).unwrap_err().to_string();
        assert!(message.starts_with("sum number 1 is NaN"), "{message}");
        for weight in [f64::NAN, f64::INFINITY, -1.0] {
            let message = errors.add_sum(1.0, weight).unwrap_err().to_string();
            assert!(message.starts_with("weight number 1 is "), "{message}");
        }
        assert_eq!((errors.users(), errors.mean()), (1, Some(1.0)));
    }
}
