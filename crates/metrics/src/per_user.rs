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
        let drawn = Resampling::new(self.sums.len(), level, resamples, seed)?;
        drawn.interval(|users| ratio(users.iter().map(|&user| self.sums[user])))
    }

    /// The mean of several of the same users in the same order, user by user: of seeds, say.
    ///
    /// ```
    /// use mmdlrm_metrics::PerUser;
    ///
    /// let (mut first, mut second) = (PerUser::default(), PerUser::default());
    /// first.add(1.0)?;
    /// second.add(0.5)?;
    /// assert_eq!(PerUser::mean_of(&[first, second])?.mean(), Some(0.75));
    /// # Ok::<(), mmdlrm_metrics::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OtherUsers`].
    pub fn mean_of(several: &[Self]) -> Result<Self> {
        let Some((first, others)) = several.split_first() else {
            return Ok(Self::default());
        };
        let mut sums = first.sums.clone();
        for other in others {
            first.check_users(other)?;
            for (sum, other) in sums.iter_mut().zip(&other.sums) {
                *sum = plus(*sum, *other);
            }
        }
        let count = several.len() as f64;
        sums.iter_mut()
            .for_each(|sum| *sum = (sum.0 / count, sum.1 / count));
        Ok(Self { sums })
    }

    /// This mean less that of `other`, which must be of the same users in the same order;
    /// `None` where one of them is.
    ///
    /// # Errors
    /// [`Error::OtherUsers`].
    ///
    /// ```
    /// use mmdlrm_metrics::PerUser;
    ///
    /// let (mut model, mut baseline) = (PerUser::default(), PerUser::default());
    /// for user in 0..100 {
    ///     // Some users are hard for both.
    ///     let hard = f64::from(user % 10) / 10.0;
    ///     model.add(1.0 - hard)?;
    ///     baseline.add(0.75 - hard)?;
    /// }
    /// assert!((model.difference(&baseline)?.unwrap() - 0.25).abs() < 1e-12);
    /// let (low, high) = model.difference_interval(&baseline, 0.95, 1000, 42)?.unwrap();
    /// // That falls out.
    /// assert!((low - 0.25).abs() < 1e-12 && (high - 0.25).abs() < 1e-12);
    /// # Ok::<(), mmdlrm_metrics::Error>(())
    /// ```
    pub fn difference(&self, other: &Self) -> Result<Option<f64>> {
        self.check_users(other)?;
        let means = self.mean().zip(other.mean());
        Ok(means.map(|(own, other)| own - other))
    }

    /// Percentile interval of [`Self::difference`], as [`Self::interval`], where each draw of
    /// users is the same for both: a paired bootstrap.
    ///
    /// # Errors
    /// [`Error::OtherUsers`].
    pub fn difference_interval(
        &self,
        other: &Self,
        level: f64,
        resamples: usize,
        seed: u64,
    ) -> Result<Option<(f64, f64)>> {
        self.paired(other, |mean| mean, (level, resamples, seed))
    }

    /// The root of this mean less that of `other`, as [`Self::difference`]: of squared errors,
    /// that of two RMSEs.
    ///
    /// # Errors
    /// [`Error::OtherUsers`].
    ///
    /// ```
    /// use mmdlrm_metrics::PerUser;
    ///
    /// let (mut model, mut baseline) = (PerUser::default(), PerUser::default());
    /// for _ in 0..100 {
    ///     model.add_sum(4.0 * 0.64, 4.0)?; // four ratings, each off by 0.8
    ///     baseline.add_sum(4.0 * 0.81, 4.0)?;
    /// }
    /// let difference = model.root_difference(&baseline)?.unwrap();
    /// assert!((difference + 0.1).abs() < 1e-12);
    /// let (low, high) = model.root_difference_interval(&baseline, 0.95, 1000, 42)?.unwrap();
    /// assert!((low + 0.1).abs() < 1e-12 && (high + 0.1).abs() < 1e-12);
    /// # Ok::<(), mmdlrm_metrics::Error>(())
    /// ```
    pub fn root_difference(&self, other: &Self) -> Result<Option<f64>> {
        self.check_users(other)?;
        let means = self.mean().zip(other.mean());
        Ok(means.map(|(own, other)| own.sqrt() - other.sqrt()))
    }

    /// Percentile interval of [`Self::root_difference`], as [`Self::difference_interval`].
    ///
    /// # Errors
    /// [`Error::OtherUsers`].
    pub fn root_difference_interval(
        &self,
        other: &Self,
        level: f64,
        resamples: usize,
        seed: u64,
    ) -> Result<Option<(f64, f64)>> {
        self.paired(other, f64::sqrt, (level, resamples, seed))
    }

    /// Percentile interval of the difference of what `of` makes of both means, by confidence,
    /// number of draws and seed.
    fn paired(
        &self,
        other: &Self,
        of: impl Fn(f64) -> f64,
        (level, resamples, seed): (f64, usize, u64),
    ) -> Result<Option<(f64, f64)>> {
        self.check_users(other)?;
        let pairs: Vec<_> = self.sums.iter().zip(&other.sums).collect();
        let Some(drawn) = Resampling::new(pairs.len(), level, resamples, seed) else {
            return Ok(None);
        };
        Ok(drawn.interval(|users| {
            let none = ((0.0, 0.0), (0.0, 0.0));
            let (own, other) = users.iter().fold(none, |sums, &user| {
                let (own, other) = pairs[user];
                (plus(sums.0, *own), plus(sums.1, *other))
            });
            Some(of(ratio([own].into_iter())?) - of(ratio([other].into_iter())?))
        }))
    }

    fn check_users(&self, other: &Self) -> Result<()> {
        let (own, other) = (self.users(), other.users());
        match own == other {
            true => Ok(()),
            false => Err(Error::OtherUsers { own, other }),
        }
    }
}

/// Draws of as many users as there are, with replacement.
struct Resampling {
    users: usize,
    level: f64,
    resamples: usize,
    seed: u64,
}

impl Resampling {
    /// `None` without users, resamples, or a level between 0 and 1.
    fn new(users: usize, level: f64, resamples: usize, seed: u64) -> Option<Self> {
        let is_possible = users > 0 && resamples > 0 && level > 0.0 && level < 1.0;
        is_possible.then_some(Self {
            users,
            level,
            resamples,
            seed,
        })
    }

    /// Percentile interval of what `of` says of each draw.
    fn interval(&self, of: impl Fn(&[usize]) -> Option<f64>) -> Option<(f64, f64)> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut drawn = vec![0; self.users];
        let mut values: Vec<f64> = (0..self.resamples)
            .filter_map(|_| {
                for user in &mut drawn {
                    // The high half of a product: as good as even for so few users.
                    let draw = random.next_u64() as u128 * self.users as u128;
                    *user = (draw >> 64) as usize;
                }
                of(&drawn)
            })
            .collect();
        values.sort_unstable_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let quantile = |share: f64| values[(share * last as f64).round() as usize];
        let level = self.level;
        Some((quantile((1.0 - level) / 2.0), quantile((1.0 + level) / 2.0)))
    }
}

fn ratio(sums: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (sum, weight) = sums.fold((0.0, 0.0), plus);
    (weight > 0.0).then(|| sum / weight)
}

fn plus(all: (f64, f64), one: (f64, f64)) -> (f64, f64) {
    (all.0 + one.0, all.1 + one.1)
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
    fn a_difference_is_narrower_than_its_parts_and_needs_the_same_users() {
        let (mut model, mut baseline) = (PerUser::default(), PerUser::default());
        for user in 0..400 {
            let (hard, weight) = (f64::from(user % 13), f64::from(user % 3 + 1));
            model.add_sum(weight * hard + 0.1, weight).unwrap();
            let noise = f64::from(user % 2) / 10.0;
            baseline.add_sum(weight * (hard - noise), weight).unwrap();
        }
        let difference = model.difference(&baseline).unwrap().unwrap();
        assert_eq!(difference, model.mean().unwrap() - baseline.mean().unwrap());
        let interval = |seed| model.difference_interval(&baseline, 0.95, 1000, seed);
        let (low, high) = interval(1).unwrap().unwrap();
        assert!(low < difference && difference < high, "{low} {high}");
        let of_one = model.interval(0.95, 1000, 1).unwrap();
        assert!(20.0 * (high - low) < of_one.1 - of_one.0, "{low} {high}");
        assert_eq!(interval(1).unwrap(), Some((low, high)));
        assert_ne!(interval(2).unwrap(), Some((low, high)));
        model.add(1.0).unwrap();
        let error = model.difference(&baseline).unwrap_err().to_string();
        assert!(
            error.contains("over 401 users and the other over 400"),
            "{error}"
        );
        assert!(model.difference_interval(&baseline, 0.95, 1000, 1).is_err());
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
