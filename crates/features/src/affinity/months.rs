//! How often movies are rated about when a user rates.

use mmdlrm_data::RatedBags;

/// Seconds of a month.
const MONTH: u32 = 30 * 86_400;
/// Months in which a rating's weight falls to 1/e, before and after.
const LENGTH: f32 = 3.0;
/// What is added to a share of ratings in it before another is divided by it, …
const LEAST_SHARE: f32 = 1e-5;
/// … and to the quotient before its logarithm is taken.
const LEAST: f32 = 0.05;

/// Ratings of each movie around each month, lighter the further away.
#[derive(Debug, Clone, Default)]
pub(super) struct Months {
    first: u32,
    movies: usize,
    /// `[months, movies]`.
    weights: Vec<f32>,
    /// Of all movies, `[months]`.
    totals: Vec<f32>,
    /// Share of all ratings that each movie has.
    shares: Vec<f32>,
    /// When each was rated first, in days since 1970; beyond all of one that nobody rated.
    first_rated: Vec<f32>,
}

impl Months {
    pub fn fit(audiences: &RatedBags) -> Self {
        let movies = audiences.len();
        let bags = || (0..movies as u32).map(|movie| audiences.row(movie));
        let first = bags().filter_map(|bag| bag.timestamps.first().copied());
        let first = first.min().unwrap_or(0);
        let last = bags().filter_map(|bag| bag.timestamps.last().copied());
        let last = last.max().unwrap_or(0);
        let months = ((last - first) / MONTH + 1) as usize;
        let mut weights = vec![0.0; months * movies];
        for (movie, bag) in bags().enumerate() {
            for time in bag.timestamps {
                weights[((time - first) / MONTH) as usize * movies + movie] += 1.0;
            }
        }
        spread(&mut weights, movies);
        let all = audiences.ratings().max(1) as f32;
        let totals = weights.chunks(movies.max(1));
        Self {
            first,
            movies,
            totals: totals.map(|month| month.iter().sum()).collect(),
            shares: bags().map(|bag| bag.len() as f32 / all).collect(),
            first_rated: bags()
                .map(|bag| {
                    bag.timestamps
                        .first()
                        .map_or(f32::MAX, |&it| super::days(it))
                })
                .collect(),
            weights,
        }
    }

    /// The months of a user's ratings, and which share of them each has. Moments before and
    /// after all are of the first month and the last.
    pub fn look_at(&self, timestamps: &[u32], months: &mut Vec<(usize, f32)>) {
        months.clear();
        let last = self.totals.len().saturating_sub(1);
        let share = 1.0 / timestamps.len().max(1) as f32;
        for time in timestamps {
            let month = (time.saturating_sub(self.first) / MONTH) as usize;
            let month = month.min(last);
            match months.last_mut() {
                Some((same, of_month)) if *same == month => *of_month += share,
                _ => months.push((month, share)),
            }
        }
    }

    /// How often a movie is rated in these months, and how its share of what is rated then
    /// compares with that of all times, as a logarithm.
    pub fn of(&self, months: &[(usize, f32)], movie: usize) -> [f32; 2] {
        let (mut rated, mut share) = (0.0, 0.0);
        for &(month, weight) in months {
            let of_month = weight * self.weights[month * self.movies + movie];
            rated += of_month;
            share += of_month / self.totals[month].max(1.0);
        }
        [
            rated,
            (share / (self.shares[movie] + LEAST_SHARE) + LEAST).ln(),
        ]
    }

    pub fn first_rated(&self, movie: usize) -> f32 {
        self.first_rated[movie]
    }
}

/// `w_m ← Σ_k w_k · exp(−|m − k| / LENGTH)`, by one pass forwards and one back.
fn spread(weights: &mut [f32], movies: usize) {
    let decay = (-1.0 / LENGTH).exp();
    let months = weights.len() / movies.max(1);
    let mut before = vec![0.0; movies];
    let mut later = vec![0.0; movies * months];
    // From the months after each, itself left out.
    for month in (1..months).rev() {
        let (out, own) = later.split_at_mut(month * movies);
        let out = &mut out[(month - 1) * movies..];
        let weights = &weights[month * movies..];
        for ((out, own), weight) in out.iter_mut().zip(&*own).zip(weights) {
            *out = decay * (own + weight);
        }
    }
    let of_months = weights.chunks_mut(movies.max(1));
    for (weights, later) in of_months.zip(later.chunks(movies.max(1))) {
        for ((weight, before), later) in weights.iter_mut().zip(&mut before).zip(later) {
            *before = decay * *before + *weight;
            *weight = *before + later;
        }
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::Rated;

    use super::*;

    #[test]
    fn a_rating_weighs_less_in_months_further_away() {
        let rows = [(0, 0), (1, 3)].map(|(movie, month)| Rated {
            user: 0,
            movie,
            stars: 3.0,
            timestamp: 1_000 + month * MONTH,
        });
        let months = Months::fit(&RatedBags::of_movies(3, rows.into_iter()));
        let weight = |apart: f32| (-apart / LENGTH).exp();
        for month in 0..4 {
            let [first, _] = months.of(&[(month, 1.0)], 0);
            assert!((first - weight(month as f32)).abs() < 1e-6, "{month}");
            let [second, _] = months.of(&[(month, 1.0)], 1);
            assert!(
                (second - weight(3.0 - month as f32)).abs() < 1e-6,
                "{month}"
            );
            assert_eq!(months.of(&[(month, 1.0)], 2)[0], 0.0);
        }
        let mut found = Vec::new();
        // Before all, twice in the second month, and after all.
        let times = [0, 1_000 + MONTH, 2_000 + MONTH, 1_000 + 9 * MONTH];
        months.look_at(&times, &mut found);
        assert_eq!(found, [(0, 0.25), (1, 0.5), (3, 0.25)]);
    }
}
