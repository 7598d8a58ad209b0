//! The process itself: weights of the ratings of each window, and predictions by them.

use std::sync::Arc;

use mmdlrm_data::{Rated, RatedBag, RatedBags};
use mmdlrm_features::Features;
use mmdlrm_kernels::dot;
use rayon::prelude::*;

use super::cholesky::Cholesky;
use super::covariance::COVARIANCE;
use super::factors::Factors;
use super::points::{Point, Points, Traits, WINDOW, window, windows};

/// What covariances and deviations are made of.
#[derive(Clone)]
pub(super) struct MovieSide {
    /// An entry a movie.
    pub traits: Vec<Traits>,
    /// Factors of all movies but those that are new.
    pub factors: Arc<Factors>,
    /// `μ`, in stars.
    pub mean: f32,
    /// `μ + b_i` of each movie, in stars.
    pub means: Vec<f32>,
    /// Whether times are looked at.
    pub times: bool,
}

/// What users rated, and how much each of their ratings weighs.
#[derive(Clone)]
pub(super) struct UserSide {
    pub histories: Arc<RatedBags>,
    /// `w`, a number a rating in the order of the histories.
    pub weights: Arc<Vec<f32>>,
}

/// Traits of all movies.
pub(super) fn traits(features: &Features) -> Vec<Traits> {
    let years = features.years().iter().zip(0..);
    let traits = years.map(|(&year, movie)| Traits::new(year, features.genres(movie)));
    traits.collect()
}

impl MovieSide {
    /// The same with a movie more, that nobody has rated.
    pub fn with_movie(mut self, traits: Traits) -> Self {
        self.traits.push(traits);
        self.means.push(self.mean);
        self
    }

    /// A time as the process sees it.
    pub fn time(&self, timestamp: u32) -> u32 {
        if self.times { timestamp } else { 0 }
    }

    /// Weighs the ratings of each user; `deviation`, of movie and stars, is how far a rating
    /// lies from `μ + b_i`.
    pub fn fit(
        &self,
        histories: Arc<RatedBags>,
        deviation: impl Fn(u32, f32) -> f32 + Sync,
    ) -> UserSide {
        let mut weights = vec![0.0; histories.ratings()];
        let mut rest = weights.as_mut_slice();
        let mut users = Vec::with_capacity(histories.len());
        for user in 0..histories.len() as u32 {
            let own;
            (own, rest) = rest.split_at_mut(histories.row(user).len());
            users.push((user, own));
        }
        let scratch = || (Points::default(), Cholesky::default());
        let users = users.into_par_iter();
        users.for_each_init(scratch, |scratch, (user, weights)| {
            let history = histories.row(user);
            let ratings = weights.iter_mut().zip(history.stars_by_id());
            ratings.for_each(|(weight, (movie, stars))| *weight = deviation(movie, stars));
            self.solve(history, user, scratch, weights);
        });
        UserSide {
            weights: Arc::new(weights),
            histories,
        }
    }

    /// From a user's deviations to their weights, `d → (K + noise·1)⁻¹·d`, window by window.
    fn solve(
        &self,
        history: RatedBag,
        user: u32,
        (points, covariance): &mut (Points, Cholesky),
        weights: &mut [f32],
    ) {
        for window in (0..windows(history.len())).map(|it| window(history.len(), it)) {
            points.gather(self, user, history, window.clone());
            covariance.fit(window.len(), |row, out| {
                points.fill(points.at(row), out);
                out[0] += COVARIANCE.noise;
            });
            covariance.solve(&mut weights[window]);
        }
    }

    /// How far each of `rows`, whose stars are not read, lies from `μ + b_i`: `⟨k, w⟩`.
    /// `beyond` is resized to fit.
    pub fn deviations(
        &self,
        users: &UserSide,
        rows: impl IndexedParallelIterator<Item = Rated>,
        beyond: &mut Vec<f32>,
    ) {
        let of_row = |points: &mut Points, row| self.deviation(users, &row, points);
        rows.map_init(Points::default, of_row)
            .collect_into_vec(beyond);
    }

    /// What users give to `rows`, `μ + b_i + ⟨k, w⟩`, in stars that go on where the scale
    /// ends. `stars` is resized to fit.
    pub fn rate(
        &self,
        users: &UserSide,
        rows: impl IndexedParallelIterator<Item = Rated>,
        stars: &mut Vec<f32>,
    ) {
        let of_row = |points: &mut Points, row: Rated| {
            self.means[row.movie as usize] + self.deviation(users, &row, points)
        };
        rows.map_init(Points::default, of_row)
            .collect_into_vec(stars);
    }

    /// `points` is kept from one row to the next, which may be of the same user.
    fn deviation(&self, users: &UserSide, row: &Rated, points: &mut Points) -> f32 {
        let (user, movie, time) = (row.user, row.movie, self.time(row.timestamp));
        let history = users.histories.row(user);
        if history.is_empty() {
            return 0.0;
        }
        let (length, place) = (history.len(), history.place(movie, time));
        let window = (0..windows(length))
            .map(|it| window(length, it))
            .find(|window| place <= window.end)
            .unwrap_or(0..length);
        let start = users.histories.span(user).start;
        let weights = &users.weights[start + window.start..start + window.end];
        points.turn_to(self, user, history, window);
        let factors = *self.factors.of(user, movie);
        let target = Point::new(self.traits[movie as usize], factors, time);
        let mut covariances = [0.0; WINDOW];
        let covariances = &mut covariances[..weights.len()];
        points.fill((target, 0), covariances);
        dot(covariances, weights)
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_features::Biases;

    use super::*;
    use crate::gaussian_process::covariance::Covariance;

    fn rated(user: u32, movie: u32, stars: f32, timestamp: u32) -> Rated {
        Rated {
            user,
            movie,
            stars,
            timestamp,
        }
    }

    /// Prediction of `target`, its stars unused, in stars beyond mean and bias.
    fn predict(rows: &[Rated], movies: usize, times: bool, target: &Rated) -> f32 {
        let histories = RatedBags::of_users(2, rows.iter().copied());
        let audiences = RatedBags::of_movies(movies, rows.iter().copied());
        let biases = Biases::fit(&histories, &audiences);
        let movies = MovieSide {
            traits: vec![Traits::new(2000.0, &[1]); movies],
            factors: Factors::fit(&histories, &audiences, &biases).into(),
            mean: 0.0,
            means: vec![0.0; movies],
            times,
        };
        let deviation = |movie, stars| biases.of_history(movie, stars) as f32;
        let users = movies.fit(Arc::new(histories), deviation);
        let mut found = Vec::new();
        movies.deviations(&users, rayon::iter::once(*target), &mut found);
        found[0]
    }

    #[test]
    fn one_rating_says_what_its_covariance_says() {
        let rows = [rated(0, 0, 5.0, 1000), rated(1, 1, 3.0, 1000)];
        let target = rated(0, 2, 0.0, 1000);
        let histories = RatedBags::of_users(2, rows.iter().copied());
        let audiences = RatedBags::of_movies(3, rows.iter().copied());
        let deviation = Biases::fit(&histories, &audiences).of_history(0, 5.0) as f32;
        // No movie has factors: nobody else rated one of them.
        let Covariance {
            user,
            years,
            genres,
            moment,
            sitting,
            month,
            noise,
            ..
        } = COVARIANCE;
        let timeless = user + years.variance + genres.variance;
        let of_sitting = sitting.variance + sitting.genres.variance;
        let at_once = moment.variance + of_sitting + month.variance;
        for (times, covariance) in [(false, timeless), (true, timeless + at_once)] {
            let expected = covariance / (covariance + noise) * deviation;
            let found = predict(&rows, 3, times, &target);
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        let later = rated(0, 2, 0.0, 1000 + sitting.length as u32);
        let e = 1f32.exp();
        let covariance = timeless
            + moment.variance * (-sitting.length / moment.length).exp()
            + of_sitting / e
            + month.variance * (-sitting.length / month.length).exp();
        let expected = covariance / (timeless + at_once + noise) * deviation;
        assert!((predict(&rows, 3, true, &later) - expected).abs() < 1e-5);
        // Nobody knows the other user's taste; a user without ratings has none.
        let nobody = rated(1, 2, 0.0, 1000);
        assert_eq!(predict(&rows[..1], 3, true, &nobody), 0.0);
    }

    #[test]
    fn a_long_history_is_cut_into_stretches_that_do_not_see_each_other() {
        let count = 3 * WINDOW as u32;
        // The last stretch alone was rated high.
        let stars = |at| if at < 2 * WINDOW as u32 { 2.0 } else { 4.0 };
        let rows: Vec<Rated> = (0..count)
            .map(|at| rated(0, at, stars(at), at * 60))
            .collect();
        let movies = count as usize + 1;
        let at = |place: u32| predict(&rows, movies, true, &rated(0, count, 0.0, place * 60 + 1));
        assert!(at(WINDOW as u32 / 2) < -0.3, "{}", at(WINDOW as u32 / 2));
        assert!(at(count - 10) > 0.3, "{}", at(count - 10));
        let lengths = (0..windows(1000)).map(|it| window(1000, it).len());
        assert_eq!(lengths.collect::<Vec<_>>(), [250; 4]);
        assert_eq!(
            (windows(0), windows(WINDOW), windows(WINDOW + 1)),
            (0, 1, 2)
        );
    }
}
