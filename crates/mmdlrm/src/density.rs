/// Held-out ratings by the stars that were given and those that were predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Density {
    /// `[ratings, predictions]`.
    counts: Vec<u64>,
}

/// From 0.5 to 5 by half stars.
const RATINGS: usize = 10;
/// The same by tenths.
const PREDICTIONS: usize = 46;

impl Default for Density {
    fn default() -> Self {
        Self {
            counts: vec![0; RATINGS * PREDICTIONS],
        }
    }
}

impl Density {
    /// Stars from one prediction that is told apart to the next.
    pub const STEP: f64 = 0.1;

    /// Counts a prediction.
    pub fn add(&mut self, prediction: f64, rating: f64) {
        let place = |stars: f64, step: f64, last: usize| {
            (((stars - 0.5) / step).round().max(0.0) as usize).min(last)
        };
        let rating = place(rating, 0.5, RATINGS - 1);
        let prediction = place(prediction, Self::STEP, PREDICTIONS - 1);
        self.counts[rating * PREDICTIONS + prediction] += 1;
    }

    /// For each rating the share of its predictions that each prediction has.
    pub fn columns(&self) -> impl Iterator<Item = (f64, Vec<(f64, f64)>)> {
        let ratings = self.counts.chunks_exact(PREDICTIONS).enumerate();
        ratings.map(|(rating, counts)| {
            let all = counts.iter().sum::<u64>().max(1) as f64;
            let shares = counts.iter().enumerate();
            let shares =
                shares.map(|(place, &count)| (0.5 + Self::STEP * place as f64, count as f64 / all));
            (0.5 + 0.5 * rating as f64, shares.collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_are_counted_by_rating_and_tenth_of_a_star() {
        let mut density = Density::default();
        for (prediction, rating) in [(3.24, 3.5), (3.26, 3.5), (9.0, 5.0), (f64::NAN, 0.5)] {
            density.add(prediction, rating);
        }
        let columns: Vec<_> = density.columns().collect();
        let (stars, shares) = &columns[6];
        assert_eq!(*stars, 3.5);
        let found: Vec<_> = shares.iter().filter(|share| share.1 > 0.0).collect();
        assert!((found[0].0 - 3.2).abs() < 1e-9 && (found[1].0 - 3.3).abs() < 1e-9);
        assert_eq!((found[0].1, found[1].1), (0.5, 0.5));
        assert_eq!(columns[9].1[45].1, 1.0);
    }
}
