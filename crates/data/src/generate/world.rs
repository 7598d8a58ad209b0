//! Hidden traits, tastes, and the ratings that follow from them.

use rand::seq::SliceRandom;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::GeneratorConfig;
use super::plot;
use super::shape::{Draw, Popularity, RATING_COUNTS, activity};

/// Number of hidden traits of a movie.
pub(super) const TRAITS: usize = 4;
/// Traits of a movie, each of −1 to 1.
pub(super) type Traits = [f32; TRAITS];

/// Share of movies that have a poster, and of those that have a plot.
const COVERED: f64 = 0.95;
/// Standard deviations, against one another, of what makes up a rating: taste
/// for one trait in full, the user's leaning, the movie's, and chance.
const TASTE: f32 = 0.75;
const USER_LEANING: f32 = 0.3;
const MOVIE_LEANING: f32 = 0.2;
const CHANCE: f32 = 0.45;
/// Ratings that are drawn to learn where the ratings' quantiles lie.
const PILOT_RATINGS: usize = 2_000_000;

/// The span of ml-25m: 9 January 1995 to 21 November 2019.
const FIRST_TIMESTAMP: u32 = 789_609_600;
const LAST_TIMESTAMP: u32 = 1_574_294_400;
/// Ratings that a user gives at one sitting, and how long one takes.
const SITTING_RATINGS: u32 = 40;
const SITTING_SECONDS: u32 = 2400;
/// The longest time between two sittings.
const PAUSE_SECONDS: u32 = 90 * 86_400;

/// Streams of random numbers: users have those from 0 to 2³² − 1.
const MOVIES_STREAM: u64 = 1 << 32;
const CONTENT_STREAM: u64 = 1 << 33;

pub(super) struct GeneratedMovie {
    pub id: u32,
    pub title: String,
    pub year: i32,
    pub genres: String,
    pub traits: Traits,
    pub has_poster: bool,
    pub has_plot: bool,
    leaning: f32,
}

#[derive(Clone, Copy)]
pub(super) struct GeneratedRating {
    /// Place in [`World::movies`].
    pub movie: u32,
    /// 1 to 10.
    pub half_stars: u8,
    pub timestamp: u32,
}

/// All that is drawn before the ratings.
pub(super) struct World {
    seed: u64,
    pub movies: Vec<GeneratedMovie>,
    /// Ratings of each user.
    pub activity: Vec<u32>,
    popularity: Popularity,
    /// Scores from which on a rating is 1, 1.5, … 5 stars.
    thresholds: [f32; RATING_COUNTS.len() - 1],
}

impl World {
    pub fn draw(config: &GeneratorConfig) -> Self {
        let mut random = stream(config.seed, MOVIES_STREAM);
        let mut id = 0;
        let movies: Vec<GeneratedMovie> = (0..config.movies)
            .map(|_| {
                // Raw ids have gaps, as in every MovieLens.
                id += random.random_range(1..4);
                draw_movie(id, &mut random)
            })
            .collect();
        let mut ranks: Vec<u32> = (0..config.movies).collect();
        ranks.shuffle(&mut random);
        let activity = activity(config.users, config.movies, config.ratings, &mut random);
        let mut world = Self {
            seed: config.seed,
            movies,
            activity,
            popularity: Popularity::new(&ranks),
            thresholds: [0.0; RATING_COUNTS.len() - 1],
        };
        world.thresholds = world.find_thresholds(config);
        world
    }

    /// Ratings of a user, by movie.
    pub fn rate(&self, user: u32, draw: &mut Draw, ratings: &mut Vec<GeneratedRating>) {
        ratings.clear();
        let mut timestamps = None;
        self.score(user, draw, |movie, score, random| {
            let timestamps = timestamps
                .get_or_insert_with(|| Sittings::draw(self.activity[user as usize], random));
            let above = self.thresholds.iter().filter(|&&it| it <= score).count();
            ratings.push(GeneratedRating {
                movie,
                half_stars: above as u8 + 1,
                timestamp: timestamps.next(random),
            });
        });
    }

    /// Random numbers for the poster and the plot of the movie at `place`.
    pub fn content_random(&self, place: usize) -> ChaCha8Rng {
        stream(self.seed, CONTENT_STREAM + place as u64)
    }

    /// Hands out the movies of a user and how much they are liked.
    fn score(&self, user: u32, draw: &mut Draw, mut take: impl FnMut(u32, f32, &mut ChaCha8Rng)) {
        let mut random = stream(self.seed, u64::from(user));
        let tastes: Traits = std::array::from_fn(|_| TASTE * bell(&mut random));
        let leaning = USER_LEANING * bell(&mut random);
        let count = self.activity[user as usize] as usize;
        self.popularity.draw(user, count, &mut random, draw);
        for &place in &draw.movies {
            let movie = &self.movies[place as usize];
            let taste: f32 = tastes.iter().zip(&movie.traits).map(|(a, b)| a * b).sum();
            let chance = CHANCE * bell(&mut random);
            take(place, leaning + movie.leaning + taste + chance, &mut random);
        }
    }

    /// The scores that give [`RATING_COUNTS`], from users spread evenly.
    fn find_thresholds(&self, config: &GeneratorConfig) -> [f32; RATING_COUNTS.len() - 1] {
        let step = (config.ratings as usize / PILOT_RATINGS).max(1);
        let mut scores = Vec::new();
        let mut draw = Draw::default();
        for user in (0..config.users).step_by(step) {
            self.score(user, &mut draw, |_, score, _| scores.push(score));
        }
        scores.sort_unstable_by(f32::total_cmp);
        let all: u64 = RATING_COUNTS.iter().map(|&count| u64::from(count)).sum();
        let mut below = 0;
        std::array::from_fn(|rating| {
            below += u64::from(RATING_COUNTS[rating]);
            scores[(below * (scores.len() as u64 - 1) / all) as usize]
        })
    }
}

/// When a user rates: some sittings, with pauses between them.
struct Sittings {
    first: u32,
    pause: u32,
    sittings: u32,
}

impl Sittings {
    fn draw(ratings: u32, random: &mut ChaCha8Rng) -> Self {
        let sittings = ratings.div_ceil(SITTING_RATINGS).max(1);
        let first = random.random_range(FIRST_TIMESTAMP..LAST_TIMESTAMP - SITTING_SECONDS);
        // The last sitting ends before time does.
        let room = (LAST_TIMESTAMP - SITTING_SECONDS - first) / sittings;
        Self {
            first,
            pause: random.random_range(0..=room.min(PAUSE_SECONDS)),
            sittings,
        }
    }

    fn next(&self, random: &mut ChaCha8Rng) -> u32 {
        let bits = random.next_u64();
        let sitting = ((bits >> 32) * u64::from(self.sittings)) >> 32;
        let within = ((bits & 0xffff_ffff) * u64::from(SITTING_SECONDS)) >> 32;
        self.first + sitting as u32 * self.pause + within as u32
    }
}

fn draw_movie(id: u32, random: &mut ChaCha8Rng) -> GeneratedMovie {
    let traits: Traits = std::array::from_fn(|_| random.random_range(-1.0..1.0));
    GeneratedMovie {
        id,
        title: plot::title(random),
        year: random.random_range(1950..2020),
        genres: plot::genres(&traits, random),
        traits,
        has_poster: random.random_bool(COVERED),
        has_plot: random.random_bool(COVERED),
        leaning: MOVIE_LEANING * bell(random),
    }
}

/// Each user and each movie has a stream of its own, so that it does not matter
/// which thread draws what.
fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(number);
    random
}

/// Nearly a standard normal number: four uniform ones of 16 bits added up.
/// Whole numbers, so that every machine gets the same.
fn bell(random: &mut ChaCha8Rng) -> f32 {
    /// Deviation of the sum: four times a variance of (2³² − 1) / 12.
    const DEVIATION: f32 = 37_837.23;
    let bits = random.next_u64();
    let sum: i32 = (0..4)
        .map(|part| (bits >> (16 * part)) as u16)
        .map(i32::from)
        .sum();
    (sum - 2 * 0xffff) as f32 / DEVIATION
}
