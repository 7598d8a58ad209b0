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
/// use mmdlrm_data::{Dataset, MovieLens, Split, generate};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(ratings: &str, train: Vec<u32>, test: Vec<u32>) -> Dataset {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        let movies = "movieId,title,genres\n9,Heat (1995),Crime\n4,Big (1995),Comedy|Crime\n\
                      5,Up,(no genres listed)\n6,Tron (1982),\n";
        write("movies.csv", movies).unwrap();
        write(
            "ratings.csv",
            &format!("userId,movieId,rating,timestamp\n{ratings}"),
        )
        .unwrap();
        let movielens = MovieLens::open(folder.path()).unwrap();
        Dataset::new(&movielens, Split { train, test }, Vec::new()).unwrap()
    }

    #[test]
    fn features_of_a_training_row_leave_its_own_rating_out() {
        // Two users and two movies with a rating each: without that rating
        // nothing tells them apart.
        let ratings = "1,9,5,100\n2,4,0.5,100\n3,5,3,50\n4,5,2,70\n3,6,1,60\n4,6,4,80\n";
        let dataset = dataset(ratings, (0..6).collect(), vec![]);
        let batch = dataset.training_batch(&[0, 1]);
        let (high, low) = batch.dense.split_at(WIDTH);
        assert_eq!(high, low);
        assert_eq!(batch.stars, [5.0, 0.5]);
        // Seen as held-out rows, their ratings count.
        let batch = dataset.test_batch(&[0, 1]);
        let (high, low) = batch.dense.split_at(WIDTH);
        assert!(high[0] > low[0] && high[2] > low[2]);
    }

    #[test]
    fn batches_hold_dense_rows_and_genre_bags() {
        let dataset = dataset("7,9,5,1\n7,4,3,2\n3,5,4,3\n", vec![0, 2], vec![1]);
        assert_eq!(dataset.movies().ids(), [4, 5, 6, 9]);
        assert_eq!(dataset.genre_names(), ["Comedy", "Crime"]);
        let batch = dataset.test_batch(&[1, 2, 0]);
        assert_eq!(batch.users, [1, 0, 1]);
        assert_eq!(batch.movies, [0, 1, 3]);
        assert_eq!(batch.genre_offsets, [0, 2, 2, 3]);
        assert_eq!(batch.genre_ids, [0, 1, 1]);
        assert_eq!(dataset.history(1), [3]);
        assert_eq!(dataset.movie_counts(), [0, 1, 0, 1]);
    }

    #[test]
    fn shuffled_batches_hold_each_training_row_once_in_an_order_of_their_seed() {
        let ratings: String = (0..50).map(|user| format!("{user},9,3,{user}\n")).collect();
        let dataset = Arc::new(dataset(&ratings, (0..40).collect(), (40..50).collect()));
        let users = |seed: u64| -> Vec<u32> {
            dataset
                .shuffled_batches(7, seed)
                .flat_map(|batch| batch.users)
                .collect()
        };
        let first = users(1);
        assert_eq!(first, users(1));
        assert_ne!(first, users(2));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn a_split_that_does_not_fit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("sample");
        crate::generate::write(&dir, &crate::generate::GeneratorConfig::tiny(), |_| {}).unwrap();
        let movielens = MovieLens::open(&dir).unwrap();
        for (train, test) in [
            (vec![], vec![1]),
            (vec![0, 300], vec![]),
            (vec![0], vec![300]),
        ] {
            assert!(Dataset::new(&movielens, Split { train, test }, Vec::new()).is_err());
        }
    }
}
