//! Stochastic gradient descent, user by user.
//!
//! With `z_u = p_u + S_u`, `S_u = Σ_j y_j / √m` over the `m` movies of the history, and `e` the
//! error of a rating, a step is
//!
//! ```text
//! b_u ← b_u + γ(e − λb_u)     p_u ← (1 − γλ)·p_u + γe·q_i     q_i ← (1 − γλ)·q_i + γe·z_u
//! b_i ← b_i + γ(e − λb_i)     y_j ← (1 − γλ)·y_j + γe·q_i/√m     for all j of the history
//! ```
//!
//! all of it with the values of before. All `y_j` of one user change alike, and their sum as `p_u`
//! does:
//!
//! ```text
//! S_u ← (1 − γλ)·S_u + γe·q_i        z_u ← (1 − γλ)·z_u + 2γe·q_i
//! ```
//!
//! so that the steps of a user need `z_u` alone. After `n` of them, with `a = (1 − γλ)ⁿ`, each of
//! the two was given `g = (z_u − a·z_u of before)/2`, and each `y_j` its part of that:
//!
//! ```text
//! p_u ← a·p_u + g        y_j ← a·y_j + g/√m
//! ```
//!
//! Equal to the steps one by one but for rounding, and `O(n·D)` where those are `O(n²·D)`.

use mmdlrm_data::{Rated, RatedBag, RatedBags};
use mmdlrm_kernels::{prefetch, vectorize};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::vectors::{Block, Vectors, blend, dot, scaled_sum};
use super::{MatrixFactorizationConfig, Table};

/// Movies that are asked for ahead of their turn.
const AHEAD: usize = 4;
/// What is drawn of a seed beside the first numbers.
const ORDER: u64 = 1;

/// What steps do to a vector.
#[derive(Debug, Clone, Copy)]
struct Rates {
    /// `1 − γλ`.
    decay: f32,
    /// `γ`.
    movie: f32,
    /// `γ`, or `2γ` where what users rated counts.
    user: f32,
}

/// All that a pass changes.
pub(super) struct Descent<'a> {
    pub config: &'a MatrixFactorizationConfig,
    /// `μ`.
    pub mean: f32,
    /// `z`, or `p` where what users rated does not count.
    pub users: &'a mut Table,
    pub movies: &'a mut Table,
    pub implicit: Option<Implicit<'a>>,
}

/// What `z` is made of.
pub(super) struct Implicit<'a> {
    /// `p`, `[users, D]`.
    pub own: &'a mut Vectors,
    /// `y`, `[movies, D]`.
    pub movies: &'a mut Vectors,
}

impl Descent<'_> {
    /// Goes over the ratings of one user in the order of `steps`; `rated` are the movies, those
    /// that are one side by side. Returns the sum of the squared errors.
    pub fn learn(&mut self, user: u32, rated: &[u32], steps: RatedBag) -> f64 {
        vectorize(
            #[inline(always)]
            || {
                let Some(implicit) = &self.implicit else {
                    return self.steps(user, steps);
                };
                implicit.gather(user, rated, self.users.vectors.row_mut(user));
                let before = self.users.vectors.row(user).to_vec();
                let loss = self.steps(user, steps);
                let decay = self.config.decay().powi(steps.len() as i32) as f32;
                // What each of the two parts was given.
                let mut given = before;
                blend(&mut given, -0.5 * decay, self.users.vectors.row(user), 0.5);
                if let Some(implicit) = &mut self.implicit {
                    implicit.spread(user, rated, decay, &given);
                }
                loss
            },
        )
    }

    #[inline(always)]
    fn steps(&mut self, user: u32, steps: RatedBag) -> f64 {
        let rates = Rates::new(self.config, self.implicit.is_some());
        let vector = self.users.vectors.row_mut(user);
        let bias = &mut self.users.biases[user as usize];
        let mut loss = 0.0;
        for (at, (movie, stars)) in steps.stars_by_id().enumerate() {
            if let Some(&next) = steps.ids.get(at + AHEAD) {
                prefetch(self.movies.vectors.row(next));
            }
            let of_movie = self.movies.vectors.row_mut(movie);
            let movie_bias = &mut self.movies.biases[movie as usize];
            let error = stars - (self.mean + *bias + *movie_bias + dot(vector, of_movie));
            loss += f64::from(error) * f64::from(error);
            *bias = rates.decay * *bias + rates.movie * error;
            *movie_bias = rates.decay * *movie_bias + rates.movie * error;
            rates.step(error, vector, of_movie);
        }
        loss
    }
}

impl Implicit<'_> {
    /// `z ← p + Σ_j y_j / √m`.
    #[inline(always)]
    fn gather(&self, user: u32, movies: &[u32], vector: &mut [Block]) {
        write_implicit(movies, self.movies, vector);
        blend(vector, 1.0, self.own.row(user), 1.0);
    }

    /// `p ← decay·p + given`, and each `y_j` its part.
    #[inline(always)]
    fn spread(&mut self, user: u32, movies: &[u32], decay: f32, given: &[Block]) {
        blend(self.own.row_mut(user), decay, given, 1.0);
        let share = share(movies);
        for movie in distinct(movies) {
            blend(self.movies.row_mut(movie), decay, given, share);
        }
    }
}

impl Rates {
    fn new(config: &MatrixFactorizationConfig, implicit: bool) -> Self {
        let rate = config.learning_rate as f32;
        Self {
            decay: config.decay() as f32,
            movie: rate,
            user: if implicit { 2.0 * rate } else { rate },
        }
    }

    #[inline(always)]
    fn step(self, error: f32, user: &mut [Block], movie: &mut [Block]) {
        let (to_user, to_movie) = (self.user * error, self.movie * error);
        for (user, movie) in user.iter_mut().zip(movie) {
            // Both are read before one is written, for whole registers to be.
            let (z, q) = (*user, *movie);
            *user = scaled_sum(self.decay, &z, to_user, &q);
            *movie = scaled_sum(self.decay, &q, to_movie, &z);
        }
    }
}

/// The ratings of each user in an order that is drawn. By movie, which is by age, RMSE on
/// ml-latest-small is 0.005 more.
pub(super) fn drawn_order(histories: &RatedBags, seed: u64) -> RatedBags {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(ORDER);
    let users = 0..histories.len() as u32;
    let rows = users.flat_map(|user| histories.row(user).rows_of(user));
    // In the place of times, by which a user's ratings are put in order.
    let rows = rows.map(|rated| Rated {
        timestamp: random.random(),
        ..rated
    });
    let rows: Vec<Rated> = rows.collect();
    RatedBags::of_users(histories.len(), rows.into_iter())
}

/// Bias and `z` of the one user of `histories`, whose ratings change nothing else: `b_u` and `p_u`
/// go from 0 through as many passes as those of users went.
pub(super) fn fold_in(
    config: &MatrixFactorizationConfig,
    mean: f32,
    movies: &Table,
    implicit: Option<&Vectors>,
    histories: &RatedBags,
) -> (f32, Vec<Block>) {
    let order = drawn_order(histories, config.seed);
    let (rated, steps) = (histories.row(0).ids, order.row(0));
    let rates = Rates::new(config, false);
    let mut bias = 0.0;
    let mut vector = movies.vectors.zero();
    vectorize(
        #[inline(always)]
        || {
            if let Some(implicit) = implicit {
                write_implicit(rated, implicit, &mut vector);
            }
            let mut own = movies.vectors.zero();
            for _ in 0..config.epochs {
                for (movie, stars) in steps.stars_by_id() {
                    let of_movie = movies.vectors.row(movie);
                    let met = dot(&own, of_movie) + dot(&vector, of_movie);
                    let expected = mean + bias + movies.biases[movie as usize] + met;
                    let step = rates.user * (stars - expected);
                    bias = rates.decay * bias + step;
                    blend(&mut own, rates.decay, of_movie, step);
                }
            }
            blend(&mut vector, 1.0, &own, 1.0);
        },
    );
    (bias, vector)
}

/// `z` of all users, of `p` and `y` as they stand.
pub(super) fn gather_all(implicit: &Implicit, histories: &RatedBags, users: &mut Vectors) {
    vectorize(
        #[inline(always)]
        || {
            for user in 0..histories.len() as u32 {
                implicit.gather(user, histories.row(user).ids, users.row_mut(user));
            }
        },
    );
}

/// `S = Σ_j y_j / √m` of some movies, those of one kind standing side by side.
#[inline(always)]
fn write_implicit(movies: &[u32], implicit: &Vectors, out: &mut [Block]) {
    out.as_flattened_mut().fill(0.0);
    for movie in distinct(movies) {
        blend(out, 1.0, implicit.row(movie), 1.0);
    }
    let share = share(movies);
    out.as_flattened_mut().iter_mut().for_each(|x| *x *= share);
}

/// `1/√m`; 0 of no movies.
#[inline(always)]
fn share(movies: &[u32]) -> f32 {
    match distinct(movies).count() {
        0 => 0.0,
        count => 1.0 / (count as f32).sqrt(),
    }
}

/// Each of some movies once, those of one kind standing side by side.
#[inline(always)]
fn distinct(movies: &[u32]) -> impl Iterator<Item = u32> + '_ {
    let same = movies.chunk_by(|a, b| a == b);
    same.map(|same| same[0])
}
