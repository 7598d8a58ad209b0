use std::collections::BTreeSet;
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::features::{Rated, Statistics, WIDTH};
use crate::{Bags, Batch, Batches, IdMap, Modality, MovieLens, Result, Split};

/// Ratings with dense ids, a split, and features that know the training rows
/// alone; makes [`Batch`]es.
///
/// ```
/// use mmdlrm_data::{Dataset, MovieLens, Split, sample};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// sample::write(&folder, &sample::SampleConfig::tiny())?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let batch = dataset.test_batch(&dataset.split().test[..16]);
/// assert_eq!(batch.len(), 16);
/// assert_eq!(batch.dense.len(), 16 * mmdlrm_data::DENSE_FEATURES.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Dataset {
    users: IdMap,
    movies: IdMap,
    genre_names: Vec<String>,
    genres: Bags,
    rated: Vec<Rated>,
    split: Split,
    statistics: Statistics,
    history: Bags,
    modalities: Vec<Modality>,
}

impl Dataset {
    /// Numbers users, movies and genres and fits the statistics on the
    /// training rows of `split`.
    ///
    /// # Errors
    /// A split without training rows, or with rows that `movielens` lacks.
    pub fn new(movielens: &MovieLens, split: Split, modalities: Vec<Modality>) -> Result<Self> {
        let ratings = &movielens.ratings;
        split.check(ratings.len())?;
        let users = IdMap::from_ids(ratings.user_ids().iter().copied());
        let movies = movielens.movies.index();
        let (genre_names, genres) = genre_bags(movielens, &movies);
        let mut years = vec![None; movies.len()];
        for (row, &id) in movielens.movies.ids().iter().enumerate() {
            if let Some(movie) = movies.row(id) {
                years[movie as usize] = movielens.movies.year(row);
            }
        }
        let rated: Vec<Rated> = ratings
            .user_ids()
            .iter()
            .zip(ratings.movie_ids())
            .zip(ratings.stars().iter().zip(ratings.timestamps()))
            .filter_map(|((&user, &movie), (&stars, &timestamp))| {
                Some(Rated {
                    user: users.row(user)?,
                    movie: movies.row(movie)?,
                    stars,
                    timestamp,
                })
            })
            .collect();
        let train = split.train.iter().map(|&row| rated[row as usize]);
        let statistics = Statistics::fit(users.len(), &years, train.clone());
        let history = Bags::from_pairs(users.len(), train.map(|rated| (rated.user, rated.movie)));
        Ok(Self {
            users,
            movies,
            genre_names,
            genres,
            rated,
            split,
            statistics,
            history,
            modalities,
        })
    }

    /// Users by dense row: everybody who rated anything.
    pub fn users(&self) -> &IdMap {
        &self.users
    }

    /// Movies by dense row: the whole catalogue.
    pub fn movies(&self) -> &IdMap {
        &self.movies
    }

    /// Names of the genres, by genre id.
    pub fn genre_names(&self) -> &[String] {
        &self.genre_names
    }

    /// The modalities, in the order of [`Batch::modality_rows`].
    pub fn modalities(&self) -> &[Modality] {
        &self.modalities
    }

    /// The split the statistics were fitted on.
    pub fn split(&self) -> &Split {
        &self.split
    }

    /// Movie rows that a user rated in the training set.
    pub fn history(&self, user: u32) -> &[u32] {
        self.history.row(user)
    }

    /// Mean and standard deviation of the training ratings, in stars.
    pub fn rating_scale(&self) -> (f32, f32) {
        (
            self.statistics.mean as f32,
            self.statistics.deviation as f32,
        )
    }

    /// Training ratings of each movie, by dense row.
    pub fn movie_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.movies.len()];
        for &row in &self.split.train {
            counts[self.rated[row as usize].movie as usize] += 1;
        }
        counts
    }

    /// User row, movie row and stars of a row of `ratings.csv`.
    ///
    /// # Panics
    /// Where `ratings.csv` has no such row, as every method here that takes
    /// rows.
    pub fn rating(&self, row: u32) -> (u32, u32, f32) {
        let Rated {
            user, movie, stars, ..
        } = self.rated[row as usize];
        (user, movie, stars)
    }

    /// A batch of training rows; each row's own rating is left out of its
    /// features.
    pub fn training_batch(&self, rows: &[u32]) -> Batch {
        self.rows_batch(rows, |rated| Some(rated.stars))
    }

    /// A batch of held-out rows.
    pub fn test_batch(&self, rows: &[u32]) -> Batch {
        self.rows_batch(rows, |_| None)
    }

    /// All movies for one user, in the order of their rows, at the time of the
    /// user's last training rating (the latest of anybody's where there is
    /// none): when a movie would be rated is not known beforehand.
    pub fn catalogue_batch(&self, user: u32) -> Batch {
        let timestamp = self.statistics.last_seen[user as usize];
        let movies = 0..self.movies.len() as u32;
        self.batch(movies.map(|movie| {
            (
                Rated {
                    user,
                    movie,
                    stars: 0.0,
                    timestamp,
                },
                None,
            )
        }))
    }

    /// Turns a [`Self::catalogue_batch`] to another user. Only what depends on
    /// the user is written: what depends on the movies stays as it was
    /// computed.
    pub fn retarget(&self, catalogue: &mut Batch, user: u32) {
        catalogue.users.fill(user);
        let timestamp = self.statistics.last_seen[user as usize];
        for features in catalogue.dense.chunks_exact_mut(WIDTH) {
            self.statistics.fill_user(user, timestamp, features);
        }
    }

    /// Training batches of `size` rows in an order shuffled by `seed`, built
    /// ahead on another thread.
    pub fn shuffled_batches(self: &Arc<Self>, size: usize, seed: u64) -> Batches {
        let mut rows = self.split.train.clone();
        rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        Batches::new(Arc::clone(self), rows, size)
    }

    fn rows_batch(&self, rows: &[u32], own: impl Fn(&Rated) -> Option<f32>) -> Batch {
        let rated = || rows.iter().map(|&row| self.rated[row as usize]);
        let mut batch = self.batch(rated().map(|rated| (rated, own(&rated))));
        batch.stars.extend(rated().map(|rated| rated.stars));
        batch
    }

    fn batch(&self, samples: impl ExactSizeIterator<Item = (Rated, Option<f32>)>) -> Batch {
        let mut batch = Batch {
            dense: vec![0.0; samples.len() * WIDTH],
            modality_rows: vec![Vec::with_capacity(samples.len()); self.modalities.len()],
            genre_offsets: vec![0],
            ..Batch::default()
        };
        let mut dense = batch.dense.chunks_exact_mut(WIDTH);
        for (
            Rated {
                user,
                movie,
                timestamp,
                ..
            },
            own,
        ) in samples
        {
            batch.users.push(user);
            batch.movies.push(movie);
            batch.genre_ids.extend_from_slice(self.genres.row(movie));
            batch.genre_offsets.push(batch.genre_ids.len() as u32);
            for (rows, modality) in batch.modality_rows.iter_mut().zip(&self.modalities) {
                rows.push(modality.row_of_movie()[movie as usize]);
            }
            if let Some(out) = dense.next() {
                self.statistics.fill(user, movie, timestamp, own, out);
            }
        }
        batch
    }
}

fn genre_bags(movielens: &MovieLens, movies: &IdMap) -> (Vec<String>, Bags) {
    let table = &movielens.movies;
    let names: BTreeSet<String> = (0..table.len()).flat_map(|row| table.genres(row)).collect();
    let names: Vec<String> = names.into_iter().collect();
    let pairs: Vec<(u32, u32)> = (0..table.len())
        .flat_map(|row| {
            table
                .genres(row)
                .map(move |genre| (table.ids()[row], genre))
        })
        .filter_map(|(id, genre)| Some((movies.row(id)?, names.binary_search(&genre).ok()? as u32)))
        .collect();
    let bags = Bags::from_pairs(movies.len(), pairs);
    (names, bags)
}
