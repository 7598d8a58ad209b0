//! `μ + b_u + b_i`: what models of deviations begin with.

use mmdlrm_data::RatedBags;
use mmdlrm_features::{Biases, Features};
use mmdlrm_train::{Kept, Result, Tensors};
use rayon::prelude::*;

/// How many ratings of the average a user's bias is shrunk by, as [`Biases`] shrink it.
const SHRINKAGE: f64 = 4.0;

/// Mean and biases, in stars.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Baseline {
    /// `μ`.
    pub mean: f32,
    /// `b_u`, `[users]`.
    pub users: Vec<f32>,
    /// `b_i`, `[movies]`.
    pub movies: Vec<f32>,
}

impl Baseline {
    /// Of biases that were fitted to `histories` and the audiences of `movies` movies. Users' are
    /// those that visitors of the same ratings have.
    pub fn new(biases: &Biases, histories: &RatedBags, movies: usize) -> Self {
        let of_movie = |movie| biases.movie(movie) as f32;
        let mut baseline = Self {
            mean: biases.mean() as f32,
            users: Vec::new(),
            movies: (0..movies as u32).map(of_movie).collect(),
        };
        let users = (0..histories.len() as u32).into_par_iter();
        let of_user = |user| baseline.of_history(histories.row(user).stars_by_id());
        baseline.users = users.map(of_user).collect();
        baseline
    }

    /// `b_u` of whoever gave these stars to these movies.
    pub fn of_history(&self, ratings: impl Iterator<Item = (u32, f32)>) -> f32 {
        let (mut count, mut sum) = (0, 0.0);
        for (movie, stars) in ratings {
            let unbiased = f64::from(self.mean) + f64::from(self.movies[movie as usize]);
            count += 1;
            sum += f64::from(stars) - unbiased;
        }
        (sum / (f64::from(count) + SHRINKAGE)) as f32
    }

    /// Stars that somebody of this bias gives to a movie.
    pub fn stars(&self, bias: f32, movie: u32) -> f32 {
        self.mean + bias + self.movies[movie as usize]
    }

    /// How many numbers it has.
    pub fn parameters(&self) -> usize {
        1 + self.users.len() + self.movies.len()
    }

    /// Hands over what [`Self::load`] reads.
    pub fn put<'a>(&'a self, tensors: &mut Tensors<'a>) {
        tensors.put("mean", vec![self.mean]);
        tensors.put("users", &self.users);
        tensors.put("movies", &self.movies);
    }

    /// The inverse of [`Self::put`].
    ///
    /// # Errors
    /// Numbers that are missing, or of other users or movies.
    pub fn load(kept: &Kept, features: &Features) -> Result<Self> {
        let numbers = |name, count| {
            let mut numbers = vec![0.0; count];
            kept.load(name, &mut numbers).map(|()| numbers)
        };
        Ok(Self {
            mean: numbers("mean", 1)?[0],
            users: numbers("users", features.users().len())?,
            movies: numbers("movies", features.movies().len())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::Rated;

    use super::*;

    #[test]
    fn biases_of_users_are_shrunk_as_biases_shrink_them() {
        let rows = (0..90u32).map(|at| Rated {
            user: at % 7,
            movie: at * 31 % 11,
            stars: (at * 5 % 10 + 1) as f32 / 2.0,
            timestamp: 0,
        });
        let histories = RatedBags::of_users(7, rows.clone());
        let biases = Biases::fit(&histories, &RatedBags::of_movies(11, rows));
        let baseline = Baseline::new(&biases, &histories, 11);
        for user in 0..7 {
            let expected = biases.of_ratings(histories.row(user).stars_by_id());
            let found = f64::from(baseline.users[user as usize]);
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            assert!((biases.user(user) - expected).abs() < 1e-4);
        }
    }
}
