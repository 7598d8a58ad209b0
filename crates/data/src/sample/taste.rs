//! Hidden traits, tastes, and the ratings that follow from them.

use std::collections::HashSet;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::SampleConfig;
use super::plot;

/// Number of hidden traits of a movie.
pub(super) const TRAITS: usize = 4;
/// Traits of a movie, each of −1 to 1.
pub(super) type Traits = [f32; TRAITS];

/// Share of movies that have a poster, and of those that have a plot.
const COVERED: f64 = 0.95;
/// How far taste moves a rating, in stars, for one trait in full.
const TASTE_STARS: f64 = 0.75;
/// The higher, the more of the ratings go to the most popular movies.
const POPULARITY_POWER: i32 = 6;
/// Deviation of what nothing explains, in stars.
const NOISE_STARS: f64 = 0.45;
/// 1 January 2015 and the five years after it, in seconds.
const FIRST_TIMESTAMP: i64 = 1_420_070_400;
const TIME_SPAN: i64 = 5 * 365 * 86_400;

pub(super) struct SampleMovie {
    pub id: u32,
    pub title: String,
    pub year: i32,
    pub genres: String,
    pub traits: Traits,
    pub has_poster: bool,
    pub has_plot: bool,
    leaning: f64,
}

#[derive(Clone, Copy)]
pub(super) struct SampleRating {
    pub user: u32,
    /// Place in [`World::movies`].
    pub movie: usize,
    pub half_stars: u8,
    pub timestamp: i64,
}

/// All that is drawn before any file is written.
pub(super) struct World {
    pub movies: Vec<SampleMovie>,
    /// By user, then time.
    pub ratings: Vec<SampleRating>,
}

impl World {
    pub fn draw(config: &SampleConfig, random: &mut ChaCha8Rng) -> Self {
        let mut id = 0;
        let movies: Vec<SampleMovie> = (0..config.movies)
            .map(|_| {
                // Raw ids have gaps, as in every MovieLens.
                id += random.random_range(1..4);
                draw_movie(id, random)
            })
            .collect();
        let mut ratings = Vec::with_capacity(config.ratings as usize);
        for user in 0..config.users {
            let end = u64::from(config.ratings) * u64::from(user + 1) / u64::from(config.users);
            let wanted = end as usize - ratings.len();
            rate(user + 1, wanted, &movies, &mut ratings, random);
        }
        Self { movies, ratings }
    }
}

fn draw_movie(id: u32, random: &mut ChaCha8Rng) -> SampleMovie {
    let traits: Traits = std::array::from_fn(|_| random.random_range(-1.0..1.0));
    let normal = |random: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(random) };
    SampleMovie {
        id,
        title: plot::title(random),
        year: random.random_range(1950..2020),
        genres: plot::genres(&traits, random),
        traits,
        has_poster: random.random_bool(COVERED),
        has_plot: random.random_bool(COVERED),
        leaning: 0.2 * normal(random),
    }
}

/// Draws the ratings of one user: popular movies more often, none twice.
fn rate(
    user: u32,
    wanted: usize,
    movies: &[SampleMovie],
    ratings: &mut Vec<SampleRating>,
    random: &mut ChaCha8Rng,
) {
    let tastes: [f64; TRAITS] = std::array::from_fn(|_| StandardNormal.sample(random));
    let leaning: f64 = 0.3 * Distribution::<f64>::sample(&StandardNormal, random);
    let mut timestamp = FIRST_TIMESTAMP + random.random_range(0..TIME_SPAN);
    let mut seen = HashSet::new();
    while seen.len() < wanted.min(movies.len()) {
        // A power of a uniform number piles up at the first movies and leaves
        // a long tail that few have seen.
        let place = random.random::<f64>().powi(POPULARITY_POWER);
        let movie = (place * movies.len() as f64) as usize;
        if !seen.insert(movie) {
            continue;
        }
        let taste: f64 = tastes
            .iter()
            .zip(&movies[movie].traits)
            .map(|(taste, &value)| taste * f64::from(value))
            .sum();
        let stars = 3.4
            + leaning
            + movies[movie].leaning
            + TASTE_STARS * taste
            + NOISE_STARS * Distribution::<f64>::sample(&StandardNormal, random);
        timestamp += random.random_range(20..4000);
        ratings.push(SampleRating {
            user,
            movie,
            half_stars: (stars * 2.0).round().clamp(1.0, 10.0) as u8,
            timestamp,
        });
    }
}
