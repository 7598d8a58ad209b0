use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use mmdlrm_data::{
    Batches, DataFingerprint, Error, IdMap, Interactions, Modality, Rated, RatedBags,
    RatingsHasher, Result, Shuffle, Split,
};
use mmdlrm_kernels::InstructionSet;

use crate::negatives::Negatives;
use crate::purpose::{Purpose, Rows};
use crate::{ContextConfig, Features, NegativeSampling, TrainingData, UserRows};

/// Ratings in memory with a split, and the [`Features`] of its training rows: of a
/// [`MovieLens`](mmdlrm_data::MovieLens) release, or of anybody's [`Interactions`].
///
/// ```
/// use mmdlrm_data::{ColumnView, MovieLens, Split, generate};
/// use mmdlrm_features::{Dataset, Features, TrainingData};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// for batch in dataset.training_batches(16, 7) {
///     let batch = batch?;
///     assert_eq!(batch.len(), 16);
///     let Some(ColumnView::Dense { width, values }) = batch.column(Features::DENSE) else {
///         unreachable!("all batches of features have it");
///     };
///     assert_eq!(width, mmdlrm_features::DENSE_FEATURES.len());
///     assert_eq!(values.len(), 16 * width);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Dataset {
    features: Arc<Features>,
    rated: Arc<Vec<Rated>>,
    split: Arc<Split>,
    negatives: Option<Arc<Negatives>>,
    user_histories: OnceLock<RatedBags>,
    movie_audiences: OnceLock<RatedBags>,
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("features", &self.features)
            .field("training_rows", &self.training_rows())
            .field("validation_rows", &self.validation_rows())
            .field("test_rows", &self.test_rows())
            .finish_non_exhaustive()
    }
}

impl Dataset {
    /// Numbers users, movies and genres and fits the statistics on the
    /// training rows of `split`.
    ///
    /// # Errors
    /// A split of other ratings, or a rating of a movie that the table of movies lacks.
    pub fn new(
        interactions: impl Into<Interactions>,
        split: Split,
        modalities: Vec<Modality>,
    ) -> Result<Self> {
        let interactions = interactions.into();
        let users = interactions.ratings.user_ids().iter().copied();
        let users = IdMap::from_ids(users).with_names(interactions.users.names().cloned());
        let rated = numbered(&interactions, &split, &users, &interactions.items.index())?;
        let Interactions {
            ratings,
            items,
            users: known,
            pairs,
            ..
        } = interactions;
        let target = ratings.target();
        drop(ratings);
        let features = Features::fit(users, &items, modalities, |take| {
            for rows in split.train().chunks(ROWS_AT_A_TIME) {
                take(&gather(&rated, rows));
            }
            Ok(())
        })?;
        let features = features.with_target(target).with_users(&known)?;
        let features = match pairs.is_empty() {
            true => features,
            false => features.with_pairs(&pairs)?,
        };
        Ok(Self::of(features, rated, split))
    }

    /// The same ratings with features that were made of them before: nothing is fitted.
    ///
    /// # Errors
    /// A split of other ratings, or a rating of a user or movie that the features lack.
    pub fn with_features(
        interactions: impl Into<Interactions>,
        split: Split,
        features: Features,
    ) -> Result<Self> {
        let interactions = interactions.into();
        let rated = numbered(&interactions, &split, features.users(), features.movies())?;
        // What these features know nothing of, they cannot give either.
        let features = match features.knows_pairs() {
            true => features.with_pairs(&interactions.pairs)?,
            false => features,
        };
        Ok(Self::of(features, rated, split))
    }

    fn of(features: Features, rated: Vec<Rated>, split: Split) -> Self {
        Self {
            features: Arc::new(features),
            rated: Arc::new(rated),
            split: Arc::new(split),
            negatives: None,
            user_histories: OnceLock::new(),
            movie_audiences: OnceLock::new(),
        }
    }

    /// Gives batches a context: biases, the ratings that stand near, and the bags
    /// of ratings of users and movies; the dense features are others then. Takes
    /// 24 bytes a training rating.
    ///
    /// # Errors
    /// A configuration that makes no sense, or a modality called `history` or `audience`, as
    /// the columns of those bags.
    pub fn with_context(mut self, config: ContextConfig) -> Result<Self> {
        config.validate()?;
        InstructionSet::in_use().map_err(|error| Error::External(error.into()))?;
        let rows = self.train().map(|rated| config.seen(rated));
        let (users, movies) = (self.features.users().len(), self.features.movies().len());
        let histories = RatedBags::of_users(users, rows.clone());
        let audiences = RatedBags::of_movies(movies, rows);
        // Batches of before may still look at the features of before.
        let mut features = Arc::unwrap_or_clone(self.features);
        features.set_context(config, histories, audiences)?;
        self.features = Arc::new(features);
        Ok(self)
    }

    /// Lets batches to learn from have items beside those of the training rows, as zeros. Takes 4
    /// bytes a training row.
    ///
    /// # Errors
    /// Settings that make no sense, and ratings that are no
    /// [implicit](mmdlrm_data::Target::Implicit) interactions: of such, zeros are known.
    pub fn with_negatives(mut self, sampling: NegativeSampling) -> Result<Self> {
        sampling.check(self.features.target())?;
        let counts = (self.features.users().len(), self.features.movies().len());
        let negatives = Negatives::new(sampling, counts, |take| {
            self.train().for_each(take);
            Ok(())
        })?;
        self.negatives = Some(Arc::new(negatives));
        Ok(self)
    }

    /// The split the statistics were fitted on.
    pub fn split(&self) -> &Split {
        &self.split
    }

    /// A row of the ratings.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn rating(&self, row: u32) -> Rated {
        self.rated[row as usize]
    }

    /// What each user rated in the training set, by dense row. Collected at the
    /// first call, 12 bytes a rating.
    pub fn user_histories(&self) -> &RatedBags {
        let users = self.features.users().len();
        self.user_histories
            .get_or_init(|| RatedBags::of_users(users, self.train()))
    }

    /// Who rated each movie in the training set, by dense row. Collected at the
    /// first call, 12 bytes a rating.
    pub fn movie_audiences(&self) -> &RatedBags {
        let movies = self.features.movies().len();
        self.movie_audiences
            .get_or_init(|| RatedBags::of_movies(movies, self.train()))
    }

    fn held_batches(&self, size: usize, rows: fn(&Split) -> &[u32]) -> Batches {
        let (rated, split) = (Arc::clone(&self.rated), Arc::clone(&self.split));
        let count = rows(&split).len();
        let has_places = self.features.knows_pairs();
        Purpose::Held.batches(&self.features, count, move |take| {
            hand_out(&rated, rows(&split), (size, has_places), take);
            Ok(())
        })
    }

    fn train(&self) -> impl Iterator<Item = Rated> + Clone {
        let rows = self.split.train().iter();
        rows.map(|&row| self.rated[row as usize])
    }
}

/// All ratings by dense rows.
fn numbered(
    interactions: &Interactions,
    split: &Split,
    users: &IdMap,
    movies: &IdMap,
) -> Result<Vec<Rated>> {
    let ratings = &interactions.ratings;
    split.check_ratings(ratings)?;
    let target = ratings.target();
    let pairs = ratings.user_ids().iter().zip(ratings.movie_ids());
    let given = ratings.stars().iter().zip(ratings.timestamps());
    let row = |((&user_id, &movie_id), (&stars, &timestamp))| {
        // A row that was passed over would give all after it another number.
        let movie = movies.row(movie_id).ok_or_else(|| {
            let rule = "the table of movies must have it";
            Error::setting(
                "movie of a rating",
                interactions.name_of_item(movie_id),
                rule,
            )
        })?;
        let user = users.row(user_id).ok_or_else(|| {
            let rule = "the features must know it";
            Error::setting("user of a rating", interactions.name_of_user(user_id), rule)
        })?;
        Ok(Rated {
            user,
            movie,
            stars: target.to_stars(stars),
            timestamp,
        })
    };
    pairs.zip(given).map(row).collect()
}

/// Rows that are gathered at a time, where not by the batch.
const ROWS_AT_A_TIME: usize = 4096;

/// Gathered first and used after: the processor waits for several rows at once.
fn gather(rated: &[Rated], rows: &[u32]) -> Vec<Rated> {
    rows.iter().map(|&row| rated[row as usize]).collect()
}

impl TrainingData for Dataset {
    fn features(&self) -> &Features {
        &self.features
    }

    fn training_rows(&self) -> usize {
        self.split.train().len()
    }

    fn rows_of_epoch(&self) -> usize {
        let rows = self.training_rows();
        self.negatives.as_ref().map_or(rows, |it| it.rows(rows))
    }

    fn validation_rows(&self) -> usize {
        self.split.validation().len()
    }

    fn test_rows(&self) -> usize {
        self.split.test().len()
    }

    fn fingerprint(&self) -> DataFingerprint {
        let (users, movies) = (self.features.users().ids(), self.features.movies().ids());
        let mut ratings = RatingsHasher::new();
        ratings.add(self.rated.iter().map(|rated| {
            let ids = (users[rated.user as usize], movies[rated.movie as usize]);
            (ids.0, ids.1, rated.stars, rated.timestamp)
        }));
        let ratings: DataFingerprint = [ratings.finish()].into_iter().collect();
        let negatives = self.negatives.iter().map(|it| it.sampling.part()).collect();
        let split = self.split.fingerprint().with(negatives);
        ratings.with(self.features.fingerprint()).with(split)
    }

    fn training_batches_from(&self, size: usize, seed: u64, first: usize) -> Batches {
        let (rated, split) = (Arc::clone(&self.rated), Arc::clone(&self.split));
        let purpose = Purpose::Train { seed, first };
        let all = self.rows_of_epoch();
        let passed = first.saturating_mul(size.max(1)).min(all);
        let negatives = self.negatives.clone();
        let has_places = self.features.knows_pairs();
        purpose.batches(&self.features, all - passed, move |take| {
            let train = split.train();
            let rows = Shuffle::new(train.len(), seed).apply(train);
            let Some(negatives) = negatives else {
                hand_out(&rated, &rows[passed..], (size, has_places), take);
                return Ok(());
            };
            for start in (passed..all).step_by(size.max(1)) {
                let places = start..(start + size).min(all);
                let row = |place| negatives.row(seed, place, |at| rated[rows[at] as usize]);
                // What goes with an interaction goes with the items that are drawn beside it.
                let of = |place| rows[negatives.interaction(place)];
                let of_batch = Rows {
                    rated: places.clone().map(row).collect(),
                    places: match has_places {
                        true => places.map(of).collect(),
                        false => Vec::new(),
                    },
                };
                if !take(of_batch) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn validation_batches(&self, size: usize) -> Batches {
        self.held_batches(size, |split| split.validation())
    }

    fn test_batches(&self, size: usize) -> Batches {
        self.held_batches(size, |split| split.test())
    }

    fn users(&self, take: &mut dyn FnMut(UserRows) -> ControlFlow<()>) -> Result<()> {
        let users = self.features.users().len();
        let of = |rows: &[u32]| {
            let rows = rows.iter().map(|&row| self.rating(row));
            RatedBags::of_users(users, rows.collect::<Vec<_>>().into_iter())
        };
        let (validation, test) = (of(self.split.validation()), of(self.split.test()));
        for user in 0..users as u32 {
            let rows = UserRows {
                user,
                trained: self.user_histories().row(user),
                validated: validation.row(user),
                held_out: test.row(user),
            };
            let parts = [rows.trained, rows.validated, rows.held_out];
            if parts.iter().any(|part| !part.is_empty()) && take(rows).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn hand_out(
    rated: &[Rated],
    rows: &[u32],
    (size, has_places): (usize, bool),
    take: &mut dyn FnMut(Rows) -> bool,
) {
    for rows in rows.chunks(size.max(1)) {
        let of_batch = Rows {
            rated: gather(rated, rows),
            places: if has_places {
                rows.to_vec()
            } else {
                Vec::new()
            },
        };
        if !take(of_batch) {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::generate::{self, GeneratorConfig};
    use mmdlrm_data::{Batch, ColumnView, MovieLens};

    use super::*;
    use crate::NewMovie;
    use crate::statistics::WIDTH;

    fn batch_of(dataset: &Dataset, purpose: Purpose, rows: &[u32]) -> Batch {
        let rows = gather(&dataset.rated, rows);
        match purpose {
            Purpose::Train { seed, .. } => dataset.features.training_batch(&rows, seed),
            Purpose::Held => dataset.features.test_batch(&rows),
        }
    }

    fn dense(batch: &Batch) -> &[f32] {
        match batch.column(Features::DENSE) {
            Some(ColumnView::Dense { values, .. }) => values,
            other => panic!("{other:?}"),
        }
    }

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
        let split = Split::new(movielens.ratings.len(), train, test).unwrap();
        Dataset::new(&movielens, split, Vec::new()).unwrap()
    }

    #[test]
    fn features_of_a_training_row_leave_its_own_rating_out() {
        // Two users and two movies with a rating each: without that rating
        // nothing tells them apart.
        let ratings = "1,9,5,100\n2,4,0.5,100\n3,5,3,50\n4,5,2,70\n3,6,1,60\n4,6,4,80\n";
        let dataset = dataset(ratings, (0..6).collect(), vec![]);
        let batch = batch_of(&dataset, Purpose::Train { seed: 1, first: 0 }, &[0, 1]);
        let (high, low) = dense(&batch).split_at(WIDTH);
        assert_eq!(high, low);
        assert_eq!(batch.stars, [5.0, 0.5]);
        // Seen as held-out rows, their ratings count.
        let batch = batch_of(&dataset, Purpose::Held, &[0, 1]);
        let (high, low) = dense(&batch).split_at(WIDTH);
        assert!(high[0] > low[0] && high[2] > low[2]);
    }

    #[test]
    fn batches_hold_dense_rows_and_genre_bags() {
        let dataset = dataset("7,9,5,1\n7,4,3,2\n3,5,4,3\n", vec![0, 2], vec![1]);
        assert_eq!(dataset.features.movies().ids(), [4, 5, 6, 9]);
        assert_eq!(dataset.features.genre_names(), ["Comedy", "Crime"]);
        let batch = batch_of(&dataset, Purpose::Held, &[1, 2, 0]);
        assert_eq!(batch.users, [1, 0, 1]);
        assert_eq!(batch.movies, [0, 1, 3]);
        let (offsets, ids) = (&[0, 2, 2, 3][..], &[0, 1, 1][..]);
        let genres = ColumnView::Bags { offsets, ids };
        assert_eq!(batch.column(Features::GENRE), Some(genres));
        assert_eq!(dataset.user_histories().row(1).ids, [3]);
        assert_eq!(dataset.movie_audiences().row(3).ids, [1]);
        assert_eq!(dataset.features.movie_counts(), [0, 1, 0, 1]);
    }

    #[test]
    fn shuffled_batches_hold_each_training_row_once_in_an_order_of_their_seed() {
        let ratings: String = (0..50).map(|user| format!("{user},9,3,{user}\n")).collect();
        let dataset = dataset(&ratings, (0..40).collect(), (40..50).collect());
        let users = |seed: u64| -> Vec<u32> {
            dataset
                .training_batches(7, seed)
                .flat_map(|batch| batch.unwrap().users)
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
    fn a_rating_of_a_movie_that_the_table_lacks_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let sample = |name: &str, movies| {
            let config = GeneratorConfig {
                movies,
                ratings: 200,
                ..GeneratorConfig::tiny()
            };
            let dir = folder.path().join(name);
            generate::write(&dir, &config, |_| {}).unwrap();
            MovieLens::open(&dir).unwrap()
        };
        let (mut movielens, other) = (sample("all", 30), sample("few", 25));
        movielens.movies = other.movies;
        let split = Split::random(movielens.ratings.len(), 0.2, 1).unwrap();
        let error = Dataset::new(&movielens, split, Vec::new()).err().unwrap();
        assert!(
            error.to_string().contains("movie of a rating is "),
            "{error}"
        );
    }

    #[test]
    fn modalities_that_do_not_fit_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("sample");
        generate::write(&dir, &GeneratorConfig::tiny(), |_| {}).unwrap();
        let movielens = MovieLens::open(&dir).unwrap();
        let movies = movielens.movies.index();
        let last = movies.ids()[movies.len() - 1];
        let others = movies.ids().iter().map(|&id| id + u32::from(id == last));
        let of = |name: &str, movies: &IdMap| {
            let vectors = [(movies.ids()[0], &[1.0][..])];
            Modality::standardized(name, 1, movies, vectors).unwrap()
        };
        let data = |modalities: Vec<Modality>| {
            let split = Split::random(movielens.ratings.len(), 0.2, 1).unwrap();
            Dataset::new(&movielens, split, modalities)
        };
        let refused = |modalities: Vec<Modality>, why: &str| {
            let error = data(modalities).err().unwrap().to_string();
            assert!(error.contains(why), "{error}");
        };
        let sound = of("sound", &movies);
        refused(
            vec![of("sound", &IdMap::from_ids(others))],
            "another catalogue",
        );
        refused(
            vec![sound.clone(), sound.clone()],
            "another one has that name",
        );
        refused(vec![of("genre", &movies)], "another one has that name");
        let of_context = data(vec![of("history", &movies)]).unwrap();
        let error = of_context.with_context(ContextConfig::default());
        let error = error.err().unwrap().to_string();
        assert!(error.contains("another one has that name"), "{error}");
        let data = data(vec![sound, of("price", &movies)]).unwrap();
        let new = |names: &[&str]| {
            let vectors = names.iter().map(|name| (name.to_string(), vec![1.0]));
            data.features().with_new_movie(&NewMovie {
                vectors: vectors.collect(),
                ..NewMovie::default()
            })
        };
        assert!(new(&["sound", "price"]).is_ok());
        let error = new(&["price", "price"]).err().unwrap().to_string();
        assert!(error.contains("has a second"), "{error}");
    }

    #[test]
    fn a_split_of_other_ratings_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("sample");
        generate::write(&dir, &GeneratorConfig::tiny(), |_| {}).unwrap();
        let movielens = MovieLens::open(&dir).unwrap();
        let split = Split::new(301, vec![0, 300], vec![]).unwrap();
        let error = Dataset::new(&movielens, split, Vec::new()).err().unwrap();
        assert!(
            error.to_string().contains("301 where there are 300"),
            "{error}"
        );
    }
}
