//! Biases of users and movies, and what they leave of a rating.

use mmdlrm_data::{Rated, RatedBags};
use rayon::prelude::*;

use crate::known::tensors::{Columns, Source, Stored};

/// How many ratings of the average a bias is shrunk by.
const SHRINKAGE: f64 = 4.0;
/// Times that biases of users and movies are fitted to each other: more change
/// nothing that matters.
const PASSES: usize = 10;
/// What is added to a variance, for it to have a root worth the name where there
/// are few ratings.
const SPREAD_FLOOR: f64 = 0.3;

/// Biases of users and movies: what is known of a rating from who gave it and what it is
/// given to, each by itself (Koren, Bell and Volinsky, 2009).
///
/// ```text
/// r ≈ μ + b_u + b_i        b_u = Σ_i (r − μ − b_i) / (n_u + 4)        b_i = Σ_u (r − μ − b_u) / (n_i + 4)
/// ```
///
/// `μ` is the mean of all ratings, `n_u` and `n_i` are the numbers of the user's and of the
/// movie's; the two sides are fitted to each other ten times. All are `f64`, in stars.
///
/// ```
/// use mmdlrm_data::{Rated, RatedBags};
/// use mmdlrm_features::Biases;
///
/// let rated = |user, movie, stars| Rated { user, movie, stars, timestamp: 0 };
/// let rows = [rated(0, 0, 5.0), rated(0, 1, 4.0), rated(1, 0, 3.0), rated(1, 1, 2.0)];
/// let histories = RatedBags::of_users(2, rows.iter().copied());
/// let audiences = RatedBags::of_movies(2, rows.iter().copied());
/// let biases = Biases::fit(&histories, &audiences);
/// assert_eq!(biases.mean(), 3.5);
/// // The first user's two ratings are 1 above the mean: 2 · 1 / (2 + 4).
/// assert!((biases.user(0) - 1.0 / 3.0).abs() < 1e-6);
/// assert!((biases.movie(0) - 1.0 / 6.0).abs() < 1e-6);
/// ```
///
/// A rating of the training set is predicted without itself: its own part is
/// taken out of the two means (leave-one-out), for the model to be trained on
/// residuals like those it will meet. That is right to first order: `μ`, and the biases
/// of the other side that deviations are taken from, were fitted with the rating. On
/// ml-latest-small that is less than a tenth of what a prediction by biases moves by where
/// a rating is really left out and all is fitted again; a test prints both.
#[derive(Debug, Clone)]
pub struct Biases {
    pub(super) mean: f64,
    /// The biases that the sums of the other side are taken with.
    user_biases: Vec<f64>,
    movie_biases: Vec<f64>,
    users: Vec<Sums>,
    movies: Vec<Sums>,
}

/// Deviations of somebody's ratings from what the others' biases say.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: f64,
    sum: f64,
    squares: f64,
}

/// What is known of a user, or of a movie, from ratings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bias {
    pub count: f64,
    /// In stars.
    pub bias: f64,
    /// How far ratings stray from it, in stars.
    pub spread: f64,
}

impl Sums {
    fn add(&mut self, deviation: f64) {
        self.count += 1.0;
        self.sum += deviation;
        self.squares += deviation * deviation;
    }

    fn without(self, deviation: f64) -> Self {
        Self {
            count: self.count - 1.0,
            sum: self.sum - deviation,
            squares: self.squares - deviation * deviation,
        }
    }

    fn bias(self) -> f64 {
        self.sum / (self.count + SHRINKAGE)
    }

    fn finish(self) -> Bias {
        let bias = self.bias();
        let variance = self.squares / (self.count + SHRINKAGE) - bias * bias;
        Bias {
            count: self.count,
            bias,
            spread: (variance.max(0.0) + SPREAD_FLOOR).sqrt(),
        }
    }
}

impl Biases {
    /// Fits them to what users rated and to who rated movies, on all threads. Goes ten times
    /// over both.
    ///
    /// # Panics
    /// Where a history names a movie that has no audience, or an audience a user without a
    /// history: the two are of the same ratings.
    pub fn fit(histories: &RatedBags, audiences: &RatedBags) -> Self {
        let (count, sum) = (0..histories.len() as u32).fold((0, 0.0), |(count, sum), user| {
            let stars = histories.row(user).stars;
            let own: f64 = stars.iter().map(|&stars| f64::from(stars)).sum();
            (count + stars.len(), sum + own)
        });
        let mean = sum / count.max(1) as f64;
        let of = |sums: Vec<Sums>| sums.into_iter().map(Sums::bias).collect::<Vec<_>>();
        let mut user_biases = Vec::new();
        let mut movie_biases = vec![0.0; audiences.len()];
        for _ in 0..PASSES {
            user_biases = of(deviations(mean, histories, &movie_biases));
            movie_biases = of(deviations(mean, audiences, &user_biases));
        }
        Self {
            mean,
            users: deviations(mean, histories, &movie_biases),
            movies: deviations(mean, audiences, &user_biases),
            user_biases,
            movie_biases,
        }
    }

    /// Keeps what [`Self::get`] needs.
    pub(crate) fn put(&self, columns: &mut Columns) {
        let triples = |sums: &[Sums]| -> Vec<f64> {
            let sums = sums.iter();
            sums.flat_map(|it| [it.count, it.sum, it.squares]).collect()
        };
        columns.put("biases.mean", &[self.mean]);
        columns.put("biases.users", &self.user_biases);
        columns.put("biases.movies", &self.movie_biases);
        columns.put("biases.user_sums", &triples(&self.users));
        columns.put("biases.movie_sums", &triples(&self.movies));
    }

    /// What [`Self::put`] kept.
    pub(crate) fn get(stored: &Stored, users: usize, movies: usize) -> Result<Self, Source> {
        let sums = |name: &str, count: usize| {
            let triples = stored.get::<f64>(name, 3 * count)?;
            let triples = triples.as_chunks().0.iter();
            let sums = triples.map(|&[count, sum, squares]| Sums {
                count,
                sum,
                squares,
            });
            Ok::<_, Source>(sums.collect())
        };
        Ok(Self {
            mean: stored.get("biases.mean", 1)?[0],
            user_biases: stored.get("biases.users", users)?,
            movie_biases: stored.get("biases.movies", movies)?,
            users: sums("biases.user_sums", users)?,
            movies: sums("biases.movie_sums", movies)?,
        })
    }

    /// Adds a movie that nobody has rated.
    pub(super) fn add_movie(&mut self) {
        self.movies.push(Sums::default());
        self.movie_biases.push(0.0);
    }

    /// The same for other users, as far as rows are predicted.
    pub(super) fn for_users(self, histories: &RatedBags) -> Self {
        Self {
            users: deviations(self.mean, histories, &self.movie_biases),
            ..self
        }
    }

    /// The mean of all ratings, `μ`.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// A rating of the user less mean and movie's bias, `r − μ − b_i`.
    ///
    /// # Panics
    /// Where the movie is no dense row; so do the methods that follow.
    pub fn of_history(&self, movie: u32, stars: f32) -> f64 {
        f64::from(stars) - self.mean - self.movie_biases[movie as usize]
    }

    /// A rating of the movie less mean and user's bias, `r − μ − b_u`.
    pub fn of_audience(&self, user: u32, stars: f32) -> f64 {
        f64::from(stars) - self.mean - self.user_biases[user as usize]
    }

    /// Bias of a movie, `b_i`, its own ratings all counted.
    pub fn movie(&self, movie: u32) -> f64 {
        self.movie_biases[movie as usize]
    }

    /// Bias of a user, `b_u`, the own ratings all counted.
    pub fn user(&self, user: u32) -> f64 {
        self.user_biases[user as usize]
    }

    /// Bias of somebody who gave these stars to these movies, as that of a user.
    pub fn of_ratings(&self, ratings: impl Iterator<Item = (u32, f32)>) -> f64 {
        let mut sums = Sums::default();
        for (movie, stars) in ratings {
            sums.add(self.of_history(movie, stars));
        }
        sums.bias()
    }

    /// What is known of the user and the movie of a row, without its rating where
    /// the row is in the training set.
    pub(super) fn of_row(&self, rated: &Rated, leave_own_out: bool) -> (Bias, Bias) {
        let user = self.users[rated.user as usize];
        let movie = self.movies[rated.movie as usize];
        if !leave_own_out {
            return (user.finish(), movie.finish());
        }
        let user = user.without(self.of_history(rated.movie, rated.stars));
        let movie = movie.without(self.of_audience(rated.user, rated.stars));
        (user.finish(), movie.finish())
    }
}

fn deviations(mean: f64, bags: &RatedBags, others: &[f64]) -> Vec<Sums> {
    let of_bag = |bag: usize| {
        let bag = bags.row(bag as u32);
        let mut sums = Sums::default();
        for (&id, &stars) in bag.ids.iter().zip(bag.stars) {
            let deviation = f64::from(stars) - mean - others[id as usize];
            sums.add(deviation);
        }
        sums
    };
    (0..bags.len()).into_par_iter().map(of_bag).collect()
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::IdMap;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn fit(rows: &[Rated]) -> Biases {
        let histories = RatedBags::of_users(3, rows.iter().copied());
        let audiences = RatedBags::of_movies(3, rows.iter().copied());
        Biases::fit(&histories, &audiences)
    }

    fn rows() -> Vec<Rated> {
        let of = |(user, movie, stars)| Rated {
            user,
            movie,
            stars,
            timestamp: 0,
        };
        let rows = [
            (0, 0, 5.0),
            (0, 1, 3.0),
            (1, 0, 4.0),
            (1, 1, 1.0),
            (2, 1, 2.0),
        ];
        rows.map(of).to_vec()
    }

    #[test]
    fn biases_solve_their_equations() {
        let rows = rows();
        let biases = fit(&rows);
        assert!((biases.mean - 3.0).abs() < 1e-12);
        // b_u = Σ (r − μ − b_i) / (n + 4), and the same with the sides exchanged.
        let user = (2.0 - biases.movie(0) + 0.0 - biases.movie(1)) / 6.0;
        let (of_user, of_movie) = biases.of_row(&rows[0], false);
        assert!((of_user.bias - user).abs() < 1e-6);
        let other = biases.of_row(&rows[2], false).0.bias;
        assert!((of_movie.bias - (2.0 - user + 1.0 - other) / 6.0).abs() < 1e-6);
    }

    #[test]
    fn a_row_is_left_out_of_its_own_biases() {
        let rows = rows();
        let biases = fit(&rows);
        let (user, movie) = biases.of_row(&rows[0], true);
        assert_eq!((user.count, movie.count), (1.0, 1.0));
        let left = biases.of_history(1, 3.0);
        assert!((user.bias - left / 5.0).abs() < 1e-12);
        assert!((movie.bias - biases.of_audience(1, 4.0) / 5.0).abs() < 1e-12);
    }

    /// How far the prediction `μ + b_u + b_i` of a row moves when all is fitted again
    /// without the row, and how far what [`Biases::of_row`] takes out is from that:
    /// root mean squares over every `step`-th row.
    fn of_leaving_out(rows: &[Rated], step: usize) -> (f64, f64) {
        let most =
            |of: fn(&Rated) -> u32| rows.iter().map(of).max().map_or(0, |it| it as usize + 1);
        let (users, movies) = (most(|rated| rated.user), most(|rated| rated.movie));
        let fit = |left_out: Option<usize>| {
            let kept = (0..rows.len()).filter(|&row| Some(row) != left_out);
            let kept = kept.map(|row| rows[row]);
            let histories = RatedBags::of_users(users, kept.clone());
            Biases::fit(&histories, &RatedBags::of_movies(movies, kept))
        };
        let predict = |biases: &Biases, row: &Rated, leave_own_out| {
            let (user, movie) = biases.of_row(row, leave_own_out);
            biases.mean + user.bias + movie.bias
        };
        let whole = fit(None);
        let looked_at: Vec<usize> = (0..rows.len()).step_by(step).collect();
        let squares = looked_at.par_iter().map(|&row| {
            let own = &rows[row];
            let refitted = predict(&fit(Some(row)), own, false);
            let moves = predict(&whole, own, false) - refitted;
            let misses = predict(&whole, own, true) - refitted;
            (moves * moves, misses * misses)
        });
        let sums = squares.reduce(|| (0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        let root = |sum: f64| (sum / looked_at.len() as f64).sqrt();
        (root(sums.0), root(sums.1))
    }

    #[test]
    fn leaving_a_row_out_is_right_to_first_order() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let rows: Vec<Rated> = (0..40)
            .flat_map(|user| (0..60).map(move |movie| (user, movie)))
            .filter_map(|(user, movie)| {
                let stars = f32::from(random.random_range(1u8..=10)) / 2.0;
                random.random_bool(0.3).then_some(Rated {
                    user,
                    movie,
                    stars,
                    timestamp: 0,
                })
            })
            .collect();
        let (moves, misses) = of_leaving_out(&rows, 7);
        assert!(misses < moves / 10.0, "{misses} of {moves}");
        // Not exactly, as one might think.
        assert!(misses > 1e-6, "{misses}");
    }

    /// Prints the figures with `--nocapture`.
    #[test]
    fn leaving_a_row_out_of_ml_latest_small_is_right_to_first_order() {
        let shared = std::env::var_os("MMDLRM_SHARED").map_or_else(
            || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into(),
            std::path::PathBuf::from,
        );
        let folder = shared.join("data/ml-latest-small");
        if !folder.is_dir() {
            // Straight to standard error: the test harness hides what macros print.
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "skipped: no {}", folder.display());
            return;
        }
        let ratings = mmdlrm_data::MovieLens::open(&folder).unwrap().ratings;
        let users = IdMap::from_ids(ratings.user_ids().iter().copied());
        let movies = IdMap::from_ids(ratings.movie_ids().iter().copied());
        let rows = (0..ratings.len()).map(|row| Rated {
            user: users.row(ratings.user_ids()[row]).unwrap(),
            movie: movies.row(ratings.movie_ids()[row]).unwrap(),
            stars: ratings.stars()[row],
            timestamp: 0,
        });
        let (moves, misses) = of_leaving_out(&rows.collect::<Vec<_>>(), 1009);
        println!("moves {moves:.4} stars, misses {misses:.5}");
        assert!(misses < moves / 10.0, "{misses} of {moves}");
    }
}
