use crate::{Error, Result};

/// Streaming errors of predicted numbers: MSE, RMSE, MAE, R².
///
/// With predictions `p` and targets `y` over `n` pairs, `MSE = Σ(p − y)²/n`,
/// `RMSE = √MSE` and `MAE = Σ|p − y|/n`, in the unit of the targets (stars, for
/// ratings), and `R² = 1 − Σ(p − y)²/Σ(y − ȳ)²`. Accumulators of parts merge into
/// the accumulator of the whole.
///
/// ```
/// use mmdlrm_metrics::Regression;
///
/// let mut whole = Regression::default();
/// whole.add(3.0, 4.0)?;
/// let mut part = Regression::default();
/// part.add(5.0, 2.0)?;
/// whole.merge(&part);
/// assert_eq!(whole.count(), 2);
/// assert_eq!(whole.mse(), Some(5.0));
/// assert_eq!(whole.mae(), Some(2.0));
/// assert_eq!(whole.r2(), Some(-4.0));
///
/// // Or of pairs of prediction and target.
/// assert_eq!(Regression::of([(3.0, 4.0), (5.0, 2.0)])?, whole);
///
/// // What is not a number would make every figure none.
/// assert!(whole.add(f64::NAN, 3.0).is_err());
/// assert_eq!(whole.count(), 2);
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Regression {
    count: u64,
    squared: f64,
    absolute: f64,
    /// Mean of the targets, and the sum of their squared deviations from it: sums
    /// of squares would lose digits (Welford, 1962).
    mean: f64,
    deviations: f64,
}

impl Regression {
    /// Of pairs of prediction and target.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn of(pairs: impl IntoIterator<Item = (f64, f64)>) -> Result<Self> {
        let mut regression = Self::default();
        for (prediction, target) in pairs {
            regression.add(prediction, target)?;
        }
        Ok(regression)
    }

    /// Adds one pair.
    ///
    /// # Errors
    /// [`Error::Unusable`] where one of the two is not finite, [`Error::Overflow`] where
    /// squared errors add up to more than an f64 holds; the pair is not counted then.
    pub fn add(&mut self, prediction: f64, target: f64) -> Result<()> {
        Error::unless_finite("prediction", self.count, prediction)?;
        Error::unless_finite("target", self.count, target)?;
        let error = prediction - target;
        let squared = self.squared + error * error;
        let count = self.count + 1;
        let before = target - self.mean;
        let mean = self.mean + before / count as f64;
        let deviations = self.deviations + before * (target - mean);
        Error::unless_too_large("the sum of squared errors", squared)?;
        Error::unless_too_large("the sum of squared targets", deviations)?;
        *self = Self {
            count,
            squared,
            absolute: self.absolute + error.abs(),
            mean,
            deviations,
        };
        Ok(())
    }

    /// Adds everything another accumulator has seen.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        // Chan, Golub and LeVeque, 1983.
        let (own, others) = (self.count as f64, other.count as f64);
        let apart = other.mean - self.mean;
        self.count += other.count;
        self.squared += other.squared;
        self.absolute += other.absolute;
        self.mean += apart * others / (own + others);
        self.deviations += other.deviations + apart * apart * own * others / (own + others);
    }

    /// Number of pairs seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of squared errors, for [`PerUser::add_sum`](crate::PerUser::add_sum).
    pub fn squared_error(&self) -> f64 {
        self.squared
    }

    /// Mean squared error; `None` before the first pair.
    pub fn mse(&self) -> Option<f64> {
        self.mean_of(self.squared)
    }

    /// Root of the mean squared error; `None` before the first pair.
    pub fn rmse(&self) -> Option<f64> {
        self.mse().map(f64::sqrt)
    }

    /// Mean absolute error; `None` before the first pair.
    pub fn mae(&self) -> Option<f64> {
        self.mean_of(self.absolute)
    }

    /// Share of the targets' variance that is explained: 1 is perfect, 0 as good
    /// as their mean. `None` where the targets are all the same.
    pub fn r2(&self) -> Option<f64> {
        (self.deviations > 0.0).then(|| 1.0 - self.squared / self.deviations)
    }

    fn mean_of(&self, sum: f64) -> Option<f64> {
        (self.count > 0).then(|| sum / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_refused_and_not_counted() {
        let mut errors = Regression::of([(3.0, 4.0)]).unwrap();
        let before = errors;
        for (prediction, target, what) in [
            (f64::NAN, 1.0, "prediction"),
            (f64::INFINITY, 1.0, "prediction"),
            (1.0, f64::NAN, "target"),
            (1.0, f64::NEG_INFINITY, "target"),
        ] {
            let message = errors.add(prediction, target).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("{what} number 1 is ")),
                "{message}"
            );
        }
        for (prediction, target) in [(1e200, 0.0), (0.0, 1e200), (1e200, 1e200)] {
            let error = errors.add(prediction, target).unwrap_err();
            assert!(matches!(error, Error::Overflow { .. }), "{error}");
        }
        assert_eq!(errors, before);
        assert!(Regression::of([(1.0, 1.0), (f64::NAN, 1.0)]).is_err());
    }
}
