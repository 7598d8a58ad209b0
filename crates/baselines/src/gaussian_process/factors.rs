//! Factors of movies: what residuals have in common beyond biases, by probabilistic
//! principal components with missing values (Tipping and Bishop, 1999; Roweis, 1998).
//!
//! A residual is `⟨v_i, z_u⟩` and noise, `z_u` of unit variance. Users are dealt into
//! groups, and each group has factors of its own that are fitted to all the *other*
//! users (cross-fitting): so a user's factors know of the user's own stars only what these
//! have moved the movies' biases by, which residuals are taken from.

use mmdlrm_data::RatedBags;
use mmdlrm_features::Biases;
use mmdlrm_kernels::{add_scaled, vectorize};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::cholesky::Cholesky;

/// Numbers of a factor: a vector register.
pub(super) const DIM: usize = 16;
/// Of expectation and maximization.
const PASSES: usize = 8;
/// Groups of users.
const GROUPS: usize = 5;
/// Variance of the noise, in square stars.
const NOISE: f32 = 0.6;
/// How many ratings of a user of no taste a movie's factors are shrunk by.
const SHRINKAGE: f32 = 20.0;
/// Bound of the uniform distribution that factors begin with.
const FIRST_BOUND: f32 = 0.2;
const SEED: u64 = 0;

/// Factors of one movie.
pub(super) type Vector = [f32; DIM];
/// A symmetric matrix.
type Matrix = [[f32; DIM]; DIM];

/// Factors of all movies, for each group of users.
pub(super) struct Factors {
    /// `[GROUPS, movies]`.
    values: Vec<Vector>,
    movies: usize,
}

/// The tastes of a user: mean of `z` and of `z·zᵀ`.
struct Tastes {
    mean: Vector,
    square: Matrix,
}

impl Factors {
    /// Fits them to what `biases` leave.
    pub fn fit(histories: &RatedBags, audiences: &RatedBags, biases: &Biases) -> Self {
        let fit = |group| {
            let mut random = ChaCha8Rng::seed_from_u64(SEED + group as u64);
            let mut first = || random.random_range(-FIRST_BOUND..FIRST_BOUND);
            let movies = 0..audiences.len();
            let mut factors: Vec<Vector> =
                movies.map(|_| std::array::from_fn(|_| first())).collect();
            for _ in 0..PASSES {
                let tastes = expect(group, histories, biases, &factors);
                factors = maximize(audiences, biases, &tastes);
            }
            factors
        };
        Self {
            values: (0..GROUPS).flat_map(fit).collect(),
            movies: audiences.len(),
        }
    }

    /// How many numbers they are for so many movies.
    pub fn length(movies: usize) -> usize {
        GROUPS * movies * DIM
    }

    /// All of them, `[GROUPS, movies, DIM]`.
    pub fn numbers(&self) -> &[f32] {
        self.values.as_flattened()
    }

    /// The inverse of [`Self::numbers`].
    pub fn of_numbers(numbers: &[f32]) -> Self {
        let values = numbers.as_chunks().0.to_vec();
        Self {
            movies: values.len() / GROUPS,
            values,
        }
    }

    /// Factors of a movie that are not fitted to the user's stars; 0 of a movie that is
    /// new.
    pub fn of(&self, user: u32, movie: u32) -> &Vector {
        let movie = movie as usize;
        match movie < self.movies {
            true => &self.values[group(user) * self.movies + movie],
            false => &[0.0; DIM],
        }
    }
}

fn group(user: u32) -> usize {
    user as usize % GROUPS
}

/// The tastes of all users but those of a group.
fn expect(
    left_out: usize,
    histories: &RatedBags,
    biases: &Biases,
    factors: &[Vector],
) -> Vec<Option<Tastes>> {
    let users = (0..histories.len() as u32).into_par_iter();
    let of_user = |(precision, cholesky): &mut (Matrix, Cholesky), user| {
        let history = histories.row(user);
        if group(user) == left_out || history.is_empty() {
            return None;
        }
        let mut sum = [0.0; DIM];
        *precision = [[0.0; DIM]; DIM];
        let bias = biases.user(user);
        let ratings = history.ids.iter().zip(history.stars);
        vectorize(
            #[inline(always)]
            || {
                for (&movie, &stars) in ratings.clone() {
                    let residual = (biases.of_history(movie, stars) - bias) as f32;
                    let factors = &factors[movie as usize];
                    add_scaled(&mut sum, factors, residual / NOISE);
                    for (row, factor) in precision.iter_mut().zip(factors) {
                        add_scaled(row, factors, factor / NOISE);
                    }
                }
            },
        );
        cholesky.fit(DIM, |row, out| {
            out.copy_from_slice(&precision[row][row..]);
            out[0] += 1.0;
        });
        let mut mean = sum;
        cholesky.solve(&mut mean);
        let square = std::array::from_fn(|row| {
            let mut column: Vector = std::array::from_fn(|it| if it == row { 1.0 } else { 0.0 });
            cholesky.solve(&mut column);
            add_scaled(&mut column, &mean, mean[row]);
            column
        });
        Some(Tastes { mean, square })
    };
    let scratch = || ([[0.0; DIM]; DIM], Cholesky::default());
    users.map_init(scratch, of_user).collect()
}

/// The factors that suit these tastes best.
fn maximize(audiences: &RatedBags, biases: &Biases, tastes: &[Option<Tastes>]) -> Vec<Vector> {
    let movies = (0..audiences.len() as u32).into_par_iter();
    let of_movie = |(squares, cholesky): &mut (Matrix, Cholesky), movie| {
        let audience = audiences.row(movie);
        let mut sum = [0.0; DIM];
        *squares = [[0.0; DIM]; DIM];
        let bias = biases.movie(movie);
        let ratings = audience.ids.iter().zip(audience.stars);
        vectorize(
            #[inline(always)]
            || {
                for (&user, &stars) in ratings.clone() {
                    if let Some(tastes) = &tastes[user as usize] {
                        let residual = (biases.of_audience(user, stars) - bias) as f32;
                        add_scaled(&mut sum, &tastes.mean, residual);
                        for (row, square) in squares.iter_mut().zip(&tastes.square) {
                            add_scaled(row, square, 1.0);
                        }
                    }
                }
            },
        );
        cholesky.fit(DIM, |row, out| {
            out.copy_from_slice(&squares[row][row..]);
            out[0] += SHRINKAGE;
        });
        cholesky.solve(&mut sum);
        sum
    };
    let scratch = || ([[0.0; DIM]; DIM], Cholesky::default());
    movies.map_init(scratch, of_movie).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mmdlrm_data::Rated;

    const USERS: u32 = 60;
    const MOVIES: u32 = 20;

    /// Users like the even movies or the odd ones.
    fn rows() -> Vec<Rated> {
        let pairs = (0..USERS).flat_map(|user| (0..MOVIES).map(move |movie| (user, movie)));
        let of = |(user, movie)| Rated {
            user,
            movie,
            stars: if (user / 10 + movie) % 2 == 0 {
                4.0
            } else {
                2.0
            },
            timestamp: 0,
        };
        pairs.map(of).collect()
    }

    fn bags(rows: &[Rated]) -> (RatedBags, RatedBags) {
        let histories = RatedBags::of_users(USERS as usize, rows.iter().copied());
        let audiences = RatedBags::of_movies(MOVIES as usize + 1, rows.iter().copied());
        (histories, audiences)
    }

    #[test]
    fn movies_that_please_the_same_users_have_like_factors() {
        let (histories, audiences) = bags(&rows());
        let biases = Biases::fit(&histories, &audiences);
        let factors = Factors::fit(&histories, &audiences, &biases);
        let product = |a, b| -> f32 {
            let pairs = factors.of(0, a).iter().zip(factors.of(0, b));
            pairs.map(|(a, b)| a * b).sum()
        };
        // Residuals are 1 and −1; shrinking takes some of it.
        assert!(
            product(0, 2) > 0.1 && product(1, 3) > 0.1,
            "{}",
            product(0, 2)
        );
        assert!(product(0, 1) < -0.1, "{}", product(0, 1));
        assert_eq!(factors.of(0, MOVIES), &[0.0; DIM], "nobody rated it");
    }

    #[test]
    fn a_users_factors_know_nothing_of_the_own_stars() {
        let mut rows = rows();
        let (histories, audiences) = bags(&rows);
        let biases = Biases::fit(&histories, &audiences);
        let before = Factors::fit(&histories, &audiences, &biases);
        for rated in rows.iter_mut().filter(|rated| rated.user == 7) {
            rated.stars = if rated.movie % 3 == 0 { 5.0 } else { 3.0 };
        }
        let (histories, audiences) = bags(&rows);
        let after = Factors::fit(&histories, &audiences, &biases);
        assert_eq!(before.of(7, 3), after.of(7, 3));
        assert_ne!(before.of(8, 3), after.of(8, 3));
    }
}
