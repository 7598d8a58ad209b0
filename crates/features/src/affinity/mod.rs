//! What a user's history says of movies that the user has not rated.

mod beside;
mod cold;
mod months;
mod tastes;

use mmdlrm_data::{RatedBag, RatedBags};

use crate::{Biases, Features};
use beside::Beside;
use months::Months;
use tastes::{Taste, Tastes};

pub use beside::BesideUser;
pub use cold::ColdAffinities;

/// Names of the features, in their order.
const NAMES: [&str; AFFINITY_FEATURES] = [
    "score of the first stage",
    "ratings of the user",
    "ratings of the movie",
    "bias of the user",
    "bias of the movie",
    "genres",
    "years",
    "years since release",
    "since first rated",
    "rated in the user's months",
    "share in the user's months",
    "mean within 1 place",
    "sum within 1 place",
    "most within 1 place",
    "sum of the last few within 1 place",
    "sum of the last ten within 1 place",
    "mean within 3 places",
    "sum within 3 places",
    "most within 3 places",
    "sum of the last few within 3 places",
    "sum of the last ten within 3 places",
    "mean within 10 places",
    "sum within 10 places",
    "most within 10 places",
    "sum of the last few within 10 places",
    "sum of the last ten within 10 places",
    "mean after within 10 places",
    "sum after within 10 places",
    "most after within 10 places",
    "sum of the last few after within 10 places",
    "sum of the last ten after within 10 places",
];
const AFFINITY_FEATURES: usize = 31;
/// How many of them are of the pair alone; the others are what was rated beside, five a way to be.
const OF_PAIR: usize = 11;

/// What is added to a score of the first stage before its logarithm is taken, …
const LEAST_SCORE: f32 = 0.02;
/// … and the least that it is taken to be.
const LOWEST_SCORE: f32 = 1e-3;
/// What is added to what other users rated beside, before its logarithm is taken.
const LEAST_BESIDE: f32 = 0.01;
/// Days in which what lies between two dates counts for one, before its logarithm is taken.
const MONTH: f32 = 30.0;
/// Days before a movie's first rating, and after it, that are told apart.
const DAYS: std::ops::RangeInclusive<f32> = -2000.0..=4000.0;

/// Features of pairs of a user and a movie that the user has not rated, out of histories alone:
/// what other users rated beside what the user rated, in which months, of which genres and
/// years, how much is rated and how well liked.
///
/// With `n_i` the ratings of movie `i`, `n_u` those of user `u`, `a_i` how many of these came after
/// that of `i`, and `c_w(i, j)` how many users rated `i` and `j` within `w` places and six hours of
/// each other, for `w` of 1, 3 and 10, and `j` after `i` within 10,
///
/// ```text
/// mean_w(u, j) = Σ_{i of u} c_w(i, j) / √((n_j + 3)·(n_u + 1))
/// sum_w(u, j)  = Σ_{i of u} c_w(i, j) / (n_i + 3)
/// most_w(u, j) = max_{i of u} c_w(i, j) / (n_i + 3)
/// last_w(u, j) = Σ_{i of u} e^(−a_i / r)·c_w(i, j) / (n_i + 3)       for r of 1.5 and 6
/// ```
///
/// All go in as logarithms, as does the score that a first stage gives to the pair.
///
/// Rows that are to be told from others may not be in the histories: a rating is beside itself.
///
/// ```
/// use mmdlrm_data::{MovieLens, Split, generate};
/// use mmdlrm_features::{Affinities, Dataset, Known, TrainingData, UserAffinity};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let histories = Known::of(&dataset)?.histories().trained()?;
/// let affinities = Affinities::fit(&histories, dataset.features(), 256);
///
/// let (mut user, mut features) = (UserAffinity::default(), [0.0; 31]);
/// affinities.look_at(histories.row(0), &[7], &mut user);
/// affinities.fill(&user, 7, 0.5, &mut features);
/// let ratings = Affinities::names().iter().position(|&it| it == "ratings of the user");
/// assert_eq!(features[ratings.unwrap()], (histories.row(0).len() as f32).ln_1p());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Affinities {
    biases: Biases,
    beside: Beside,
    months: Months,
    tastes: Tastes,
    /// Ratings of each movie.
    counts: Vec<u32>,
    /// Year of release of each movie.
    years: Vec<f32>,
}

/// What is known of one user and some movies together; keep it from one user to the next.
#[derive(Debug, Default)]
pub struct UserAffinity {
    beside: BesideUser,
    taste: Taste,
    /// Months of the user's ratings, and which share of them each has.
    months: Vec<(usize, f32)>,
    /// `ln(1 + n_u)`.
    count: f32,
    /// `√(n_u + 1)`.
    root: f32,
    bias: f32,
    /// The user's last day, in days since 1970.
    last: f32,
}

impl Affinities {
    /// Of what users rated; `features` say genres and years of the movies. Of each movie the
    /// `neighbours` that are beside it most often are kept.
    ///
    /// # Panics
    /// Where a history names a movie that the features do not have.
    pub fn fit(histories: &RatedBags, features: &Features, neighbours: usize) -> Self {
        let movies = features.movies().len();
        let rows = (0..histories.len() as u32).flat_map(|user| histories.row(user).rows_of(user));
        let audiences = RatedBags::of_movies(movies, rows);
        let counts = (0..movies as u32).map(|movie| audiences.row(movie).len() as u32);
        Self {
            biases: Biases::fit(histories, &audiences),
            beside: Beside::fit(histories, &audiences, neighbours),
            months: Months::fit(&audiences),
            tastes: Tastes::fit(&audiences, features),
            counts: counts.collect(),
            years: features.years().to_vec(),
        }
    }

    /// Names of the features.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// Looks at what a user, or somebody new, rated, for the features of `movies`.
    ///
    /// # Panics
    /// Where there is no such movie.
    pub fn look_at(&self, history: RatedBag, movies: &[u32], user: &mut UserAffinity) {
        let count = history.len() as f32;
        user.count = count.ln_1p();
        user.root = (count + 1.0).sqrt();
        user.bias = self.biases.of_ratings(history.stars_by_id()) as f32;
        user.last = history.timestamps.last().map_or(0.0, |&last| days(last));
        self.beside.look_at(history.ids, movies, &mut user.beside);
        self.tastes.look_at(history.ids, &mut user.taste);
        self.months.look_at(history.timestamps, &mut user.months);
    }

    /// Writes the features, `[features]`, of one of the movies that were looked at, for their user;
    /// `score` is what the first stage says of the two.
    ///
    /// # Panics
    /// Where `out` has another length, or the movie was not looked at.
    pub fn fill(&self, user: &UserAffinity, movie: u32, score: f32, out: &mut [f32]) {
        let at = movie as usize;
        let count = self.counts[at] as f32;
        let [rated, share] = self.months.of(&user.months, at);
        let first = self.months.first_rated(at);
        let since_first = (user.last - first).clamp(*DAYS.start(), *DAYS.end());
        let (genres, years) = self.tastes.of(&user.taste, at);
        let (of_pair, beside) = out.split_at_mut(OF_PAIR);
        of_pair.copy_from_slice(&[
            (score.max(LOWEST_SCORE) + LEAST_SCORE).ln(),
            user.count,
            count.ln_1p(),
            user.bias,
            self.biases.movie(movie) as f32,
            genres,
            years,
            year(user.last) - self.years[at],
            since_first.signum() * (since_first.abs() / MONTH).ln_1p(),
            rated.ln_1p(),
            share,
        ]);
        let root = (count + 3.0).sqrt() * user.root;
        let near = user.beside.of(at);
        for (kind, out) in beside.chunks_exact_mut(5).enumerate() {
            let [recent, lately] = near.recent.map(|recent| recent[kind]);
            let mean = near.count[kind] / root;
            let sums = [mean, near.sum[kind], near.most[kind], recent, lately];
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = (sum + LEAST_BESIDE).ln();
            }
        }
    }
}

fn days(timestamp: u32) -> f32 {
    (f64::from(timestamp) / 86_400.0) as f32
}

fn year(days: f32) -> f32 {
    1970.0 + days / 365.25
}
