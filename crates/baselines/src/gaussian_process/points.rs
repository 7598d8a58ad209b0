//! Ratings without their stars, as covariances look at them.

use std::ops::Range;

use mmdlrm_data::RatedBag;
use mmdlrm_kernels::{add_scaled, dot, vectorize};

use super::covariance::COVARIANCE;
use super::factors::{DIM, Vector};
use super::process::MovieSide;

/// Ratings that are looked at together, at most: a user's history is cut into
/// stretches of about one length, so that the cost grows with its length and not
/// with its cube.
pub(super) const WINDOW: usize = 256;

/// Number of windows of a history.
pub(super) fn windows(length: usize) -> usize {
    length.div_ceil(WINDOW)
}

/// Where a window stands in a history.
pub(super) fn window(length: usize, number: usize) -> Range<usize> {
    let of = |number: usize| number * length / windows(length);
    of(number)..of(number + 1)
}

/// What is known of a movie without any rating.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits {
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

/// A rating without its stars.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    traits: Traits,
    factors: Vector,
    /// `|factors|²`.
    square: f32,
    time: u32,
}

impl Point {
    pub fn new(traits: Traits, factors: Vector, time: u32) -> Self {
        Self {
            traits,
            factors,
            square: square(&factors),
            time,
        }
    }
}

fn square(factors: &Vector) -> f32 {
    dot(factors, factors)
}

/// The ratings of a window, a list a property. Keep one, and with it its memory.
#[derive(Default)]
pub(super) struct Points {
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
    /// Takes the ratings of a window, unless it has those already.
    pub fn turn_to(
        &mut self,
        movies: &MovieSide,
        user: u32,
        history: RatedBag,
        window: Range<usize>,
    ) {
        let of = Some((user, window.start));
        if self.of != of {
            self.gather(movies, user, history, window);
            self.of = of;
        }
    }

    /// Takes the ratings of a window.
    pub fn gather(
        &mut self,
        movies: &MovieSide,
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
            .extend(ids.iter().map(|&id| movies.traits[id as usize]));
        self.years.extend(self.traits.iter().map(|it| it.year));
        self.factors.resize(DIM * ids.len(), 0.0);
        for (number, &id) in ids.iter().enumerate() {
            let factors = movies.factors.of(user, id).iter();
            let column = self.factors[number..].iter_mut().step_by(ids.len());
            column.zip(factors).for_each(|(out, x)| *out = *x);
        }
        let square = |&id: &u32| square(movies.factors.of(user, id));
        self.squares.extend(ids.iter().map(square));
        self.times.extend(&history.timestamps[window]);
        self.has_times = movies.times;
    }

    /// A point, and its number.
    pub fn at(&self, number: usize) -> (Point, usize) {
        let point = Point {
            traits: self.traits[number],
            factors: std::array::from_fn(|it| self.factors[it * self.times.len() + number]),
            square: self.squares[number],
            time: self.times[number],
        };
        (point, number)
    }

    /// Writes the covariances of a point and those from `first` on.
    pub fn fill(&self, (point, first): (Point, usize), out: &mut [f32]) {
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
