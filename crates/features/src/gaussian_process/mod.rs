//! What a user's other ratings say of one more, by a Gaussian process: how far a
//! rating lies from the mean and the movie's bias is taken to be a smooth function
//! of the moment and of the movie (Rasmussen and Williams, 2006, chapter 2).
//!
//! With the deviations `d` of a window of `n` ratings, their [covariances](covariance) `K`,
//! `[n, n]`, and those of one more rating with them, `k`, `[n]`, its deviation is
//!
//! ```text
//! E[d | d_1 … d_n] = ⟨k, w⟩     w = (K + noise·1)⁻¹·d     [n], once a window
//! ```
//!
//! Two ratings of one user are alike if they were given in one sitting or month, to
//! movies of the same years, genres or [`Factors`]. None of that is fitted to the
//! user's own stars, which are left to decide alone.

mod cholesky;
mod covariance;
mod factors;

use std::ops::Range;
use std::sync::Arc;

use mmdlrm_data::{RatedBag, RatedBags};
use mmdlrm_kernels::{add_scaled, dot, vectorize};
use rayon::prelude::*;

use crate::context::Biases;
use cholesky::Cholesky;
use covariance::COVARIANCE;
use factors::{DIM, Factors, Vector};

/// Ratings that are looked at together, at most: a user's history is cut into
/// stretches of about one length, so that the cost grows with its length and not
/// with its cube.
const WINDOW: usize = 256;

/// What is known of a movie without any rating.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits {
    year: f32,
    /// A bit a genre; two may share one where there are more than 64.
    genres: u64,
    /// One over the root of the number of bits.
    scale: f32,
}

impl Traits {
    pub fn new(year: f32, genres: &[u32]) -> Self {
        let genres = genres
            .iter()
            .fold(0, |bits, genre| bits | 1 << (genre % 64));
        Self {
            year,
            genres,
            scale: (u64::count_ones(genres).max(1) as f32).sqrt().recip(),
        }
    }

    /// The cosine of two movies' genres.
    #[inline(always)]
    fn cosine(&self, other: &Self) -> f32 {
        (self.genres & other.genres).count_ones() as f32 * self.scale * other.scale
    }
}

/// The process, fitted to every user's history.
#[derive(Clone)]
pub(crate) struct GaussianProcess {
    traits: Vec<Traits>,
    factors: Arc<Factors>,
    /// Whether times are looked at.
    times: bool,
    /// `w`, a number a training rating in the order of the histories.
    weights: Arc<Vec<f32>>,
}

impl GaussianProcess {
    /// `traits` has an entry a movie.
    pub fn fit(
        histories: &RatedBags,
        audiences: &RatedBags,
        biases: &Biases,
        traits: Vec<Traits>,
        times: bool,
    ) -> Self {
        let process = Self {
            traits,
            factors: Arc::new(Factors::fit(histories, audiences, biases)),
            times,
            weights: Arc::default(),
        };
        process.for_users(histories, biases)
    }

    /// With a movie more, that nobody has rated.
    pub fn with_movie(mut self, traits: Traits) -> Self {
        self.traits.push(traits);
        self
    }

    /// This process for other users, whose stars its factors have not seen.
    pub fn for_users(self, histories: &RatedBags, biases: &Biases) -> Self {
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
            self.fit_user(histories.row(user), user, biases, scratch, weights);
        });
        Self {
            weights: Arc::new(weights),
            ..self
        }
    }

    fn fit_user(
        &self,
        history: RatedBag,
        user: u32,
        biases: &Biases,
        (points, covariance): &mut (Points, Cholesky),
        weights: &mut [f32],
    ) {
        let ratings = weights.iter_mut().zip(history.ids).zip(history.stars);
        for ((weight, &movie), &stars) in ratings {
            *weight = biases.of_history(movie, stars) as f32;
        }
        for window in (0..windows(history.len())).map(|it| window(history.len(), it)) {
            points.gather(self, user, history, window.clone());
            covariance.fit(window.len(), |row, out| {
                points.fill(points.at(row), out);
                out[0] += COVARIANCE.noise;
            });
            covariance.solve(&mut weights[window]);
        }
    }

    /// How far a rating that the user might give lies from the mean and the movie's
    /// bias, in stars. It would stand at `place` in the history. `points` is kept from
    /// one rating to the next, which may be of the same user.
    pub fn predict(
        &self,
        histories: &RatedBags,
        user: u32,
        (movie, timestamp): (u32, u32),
        place: usize,
        points: &mut Points,
    ) -> f32 {
        let history = histories.row(user);
        if history.is_empty() {
            return 0.0;
        }
        let length = history.len();
        let window = (0..windows(length))
            .map(|it| window(length, it))
            .find(|window| place <= window.end)
            .unwrap_or(0..length);
        let start = histories.span(user).start;
        let weights = &self.weights[start + window.start..start + window.end];
        let of = Some((user, window.start));
        if points.of != of {
            points.gather(self, user, history, window);
            points.of = of;
        }
        let factors = *self.factors.of(user, movie);
        let target = Point {
            traits: self.traits[movie as usize],
            factors,
            square: square(&factors),
            time: timestamp,
        };
        let mut covariances = [0.0; WINDOW];
        let covariances = &mut covariances[..weights.len()];
        points.fill((target, 0), covariances);
        dot(covariances, weights)
    }
}

fn square(factors: &Vector) -> f32 {
    dot(factors, factors)
}

/// Number of windows of a history.
fn windows(length: usize) -> usize {
    length.div_ceil(WINDOW)
}

fn window(length: usize, number: usize) -> Range<usize> {
    let of = |number: usize| number * length / windows(length);
    of(number)..of(number + 1)
}

/// A rating without its stars.
#[derive(Debug, Clone, Copy)]
struct Point {
    traits: Traits,
    factors: Vector,
    /// `|factors|²`.
    square: f32,
    time: u32,
}

/// The ratings of a window, a list a property.
#[derive(Default)]
pub(crate) struct Points {
    /// User and first rating of the window that was predicted from last.
    of: Option<(u32, usize)>,
    traits: Vec<Traits>,
    years: Vec<f32>,
    /// `[DIM, points]`: loops go along the points.
    factors: Vec<f32>,
    squares: Vec<f32>,
    times: Vec<u32>,
    has_times: bool,
}

impl Points {
    fn gather(
        &mut self,
        process: &GaussianProcess,
        user: u32,
        history: RatedBag,
        window: Range<usize>,
    ) {
        self.traits.clear();
        self.years.clear();
        self.squares.clear();
        self.times.clear();
        let ids = &history.ids[window.clone()];
        self.traits
            .extend(ids.iter().map(|&id| process.traits[id as usize]));
        self.years.extend(self.traits.iter().map(|it| it.year));
        self.factors.resize(DIM * ids.len(), 0.0);
        for (number, &id) in ids.iter().enumerate() {
            let factors = process.factors.of(user, id).iter();
            let column = self.factors[number..].iter_mut().step_by(ids.len());
            column.zip(factors).for_each(|(out, x)| *out = *x);
        }
        let square = |&id: &u32| square(process.factors.of(user, id));
        self.squares.extend(ids.iter().map(square));
        self.times.extend(&history.timestamps[window]);
        self.has_times = process.times;
    }

    /// A point, and its number.
    fn at(&self, number: usize) -> (Point, usize) {
        let point = Point {
            traits: self.traits[number],
            factors: std::array::from_fn(|it| self.factors[it * self.times.len() + number]),
            square: self.squares[number],
            time: self.times[number],
        };
        (point, number)
    }

    /// Writes the covariances of a point and those from `first` on.
    fn fill(&self, (point, first): (Point, usize), out: &mut [f32]) {
        let (traits, times) = (&self.traits[first..], &self.times[first..]);
        let (years, squares) = (&self.years[first..], &self.squares[first..]);
        let mut cosines = [0.0; WINDOW];
        let cosines = &mut cosines[..out.len()];
        vectorize(
            #[inline(always)]
            || {
                out.fill(0.0);
                let factors = self.factors.chunks_exact(self.times.len());
                for (factors, &factor) in factors.zip(&point.factors) {
                    add_scaled(out, &factors[first..], factor);
                }
                // Apart from the loops over floats alone, which fill whole registers.
                for (cosine, traits) in cosines.iter_mut().zip(traits) {
                    *cosine = point.traits.cosine(traits);
                }
                let points = out.iter_mut().zip(years).zip(squares).zip(&*cosines);
                for (((out, year), square), cosine) in points {
                    let product = *out;
                    let squares = point.square + square;
                    let years = (point.traits.year - year).abs();
                    *out = COVARIANCE.timeless(product, squares, years, *cosine);
                }
                if !self.has_times {
                    return;
                }
                for ((out, &time), cosine) in out.iter_mut().zip(times).zip(&*cosines) {
                    let seconds = point.time.abs_diff(time) as f32;
                    *out += COVARIANCE.timed(seconds, *cosine);
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mmdlrm_data::Rated;

    use super::covariance::Covariance;

    use crate::testing::rated;

    /// Prediction of `target`, its stars unused, in stars beyond mean and bias.
    fn predict(rows: &[Rated], movies: usize, times: bool, target: &Rated) -> f32 {
        let histories = RatedBags::of_users(2, rows.iter().copied());
        let audiences = RatedBags::of_movies(movies, rows.iter().copied());
        let biases = Biases::fit(&histories, &audiences);
        let traits = vec![Traits::new(2000.0, &[1]); movies];
        let process = GaussianProcess::fit(&histories, &audiences, &biases, traits, times);
        let place = histories
            .row(target.user)
            .place(target.movie, target.timestamp);
        let about = (target.movie, target.timestamp);
        process.predict(
            &histories,
            target.user,
            about,
            place,
            &mut Points::default(),
        )
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
