//! How much the errors of two runs on the same ratings differ.

use std::fmt;

use mmdlrm::metrics::{PerUser, Regression};

use super::predictions::Predicted;
use crate::Result;

/// As the intervals of a report: 95 %, of a thousand draws by one seed.
const CONFIDENCE: f64 = 0.95;
const RESAMPLES: usize = 1000;
const SEED: u64 = 0;

/// The RMSE of one run less that of another, in stars, with its 95 % interval.
///
/// `√(Σ o/Σ n) − √(Σ f/Σ n)` over users, of whom `o` and `f` are the sums of squared errors
/// and `n` the number of ratings. The interval is the percentile interval of the same over
/// as many users drawn with replacement (Efron and Tibshirani, 1993), one draw for both
/// runs: what is hard about a user is hard for both, and falls out of the difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    value: f64,
    interval: (f64, f64),
}

impl Difference {
    /// `None` where the two are not of the same ratings. Both are in the order of their
    /// rows.
    ///
    /// # Errors
    /// A prediction that is no number.
    pub fn between(first: &[Predicted], other: &[Predicted]) -> Result<Option<Self>> {
        let same_rows = first.len() == other.len()
            && std::iter::zip(first, other).all(|(first, other)| first.row() == other.row());
        if !same_rows || first.is_empty() {
            return Ok(None);
        }
        let (mut of_all_first, mut of_all_others) = (PerUser::default(), PerUser::default());
        let mut rest = other;
        for of_first in first.chunk_by(|a, b| a.user_id == b.user_id) {
            let (of_other, behind) = rest.split_at(of_first.len());
            rest = behind;
            let (of_first, of_other) = (errors(of_first)?, errors(of_other)?);
            let ratings = of_first.count() as f64;
            of_all_first.add_sum(of_first.squared_error(), ratings)?;
            of_all_others.add_sum(of_other.squared_error(), ratings)?;
        }
        let value = of_all_others.root_difference(&of_all_first)?;
        let interval =
            of_all_others.root_difference_interval(&of_all_first, CONFIDENCE, RESAMPLES, SEED)?;
        let found = value.zip(interval);
        Ok(found.map(|(value, interval)| Self { value, interval }))
    }
}

fn errors(rated: &[Predicted]) -> Result<Regression> {
    let pairs = rated.iter().map(|rated| (rated.prediction, rated.rating));
    Ok(Regression::of(pairs)?)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (low, high) = self.interval;
        write!(f, "{:+.4} ({low:+.4} to {high:+.4})", self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::predictions::Id;
    use super::*;

    /// A rating of each user, and predictions that are off by what `errors` says.
    fn predicted(errors: impl Fn(i64) -> f64) -> Vec<Predicted> {
        let predicted = (0..400).map(|row| Predicted {
            user_id: Id::Number(row),
            movie_id: Id::Number(row % 7),
            rating: 3.0,
            prediction: 3.0 + errors(row),
        });
        predicted.collect()
    }

    #[test]
    fn what_is_the_same_for_all_users_has_no_width() {
        let (first, other) = (predicted(|_| 1.0), predicted(|_| -0.75));
        let found = Difference::between(&first, &other).unwrap().unwrap();
        assert_eq!(found.value, -0.25);
        assert_eq!(found.interval, (-0.25, -0.25));
        assert_eq!(found.to_string(), "-0.2500 (-0.2500 to -0.2500)");
    }

    #[test]
    fn the_interval_is_that_of_the_pairs_and_not_of_each_run() {
        // Errors of 0 to 2 vary much, and by little between the runs.
        let of_first = |row: i64| (row % 5) as f64 / 2.0;
        let first = predicted(of_first);
        let other = predicted(|row| of_first(row) + if row % 2 == 0 { 0.1 } else { 0.0 });
        let found = Difference::between(&first, &other).unwrap().unwrap();
        let (low, high) = found.interval;
        assert!(0.0 < low && low < found.value && found.value < high);
        // ±1.96·σ/√n, by the delta method: σ of (o − f)/(2·RMSE) over users.
        let rmse = (first.iter().map(|it| (it.prediction - it.rating).powi(2))).sum::<f64>();
        let rmse = (rmse / 400.0).sqrt();
        let halves: Vec<f64> = std::iter::zip(&first, &other)
            .map(|(f, o)| (o.prediction - 3.0).powi(2) - (f.prediction - 3.0).powi(2))
            .map(|difference| difference / (2.0 * rmse))
            .collect();
        let mean = halves.iter().sum::<f64>() / 400.0;
        let variance = halves.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 400.0;
        let expected = 2.0 * 1.96 * (variance / 400.0).sqrt();
        let width = high - low;
        assert!((width / expected - 1.0).abs() < 0.15, "{width} {expected}");
    }

    #[test]
    fn other_ratings_have_no_difference_and_what_is_no_number_is_refused() {
        let first = predicted(|_| 0.0);
        assert_eq!(Difference::between(&first, &first[1..]).unwrap(), None);
        assert_eq!(Difference::between(&[], &[]).unwrap(), None);
        let mut other = first.clone();
        other[3].rating = 4.0;
        assert_eq!(Difference::between(&first, &other).unwrap(), None);
        let broken = predicted(|row| if row == 9 { f64::NAN } else { 0.0 });
        let error = Difference::between(&first, &broken).unwrap_err();
        assert!(error.to_string().contains("NaN"), "{error}");
    }
}
