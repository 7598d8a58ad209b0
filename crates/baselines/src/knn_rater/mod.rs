//! Stars by what neighbours got or gave.

mod config;
mod neighbourhood;
mod persist;
mod ranker;
mod similar;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use mmdlrm_data::{Rated, RatedBags};
use mmdlrm_features::{Biases, Features, TrainingData};
use mmdlrm_kernels::InstructionSet;
use mmdlrm_train::{Error, Fit, Result, Session, check_rows};
use serde_json::{Value, json};

use crate::Side;
use crate::biases::Baseline;
use crate::memory::{Size, numbers};
use crate::progress::step_is_over;
use crate::training_ratings::TrainingRatings;
use crate::visitor::check_stars;
use crate::whole::LIMIT;
pub use config::{KnnRaterConfig, Similarity};
use similar::{Comparison, Similar};

/// Nearest neighbours that correct a baseline: what the user gave to the movies most like the one
/// in question, or what the users most like them gave to it (Koren, 2010, section 2.2;
/// `KNNBaseline` of Surprise).
///
/// With the baseline `b_ui = μ + b_u + b_i` of a [`BiasModel`](crate::BiasModel), of movies:
///
/// ```text
/// r_ui = b_ui + Σ_j s_ij·e_uj / Σ_j s_ij        over the k movies j most similar that u rated
///
/// e_ui = stars − b_ui
/// s_ij = (n − 1)/(n − 1 + shrinkage) · Σ_u e_ui·e_uj / √(Σ_u e_ui² · Σ_u e_uj²)
/// ```
///
/// the last over the `n` users who rated both. Of users it is the same with the sides exchanged:
/// the `k` most similar users who rated `i`. Only what is similar, `s > 0`, is a neighbour; where
/// there is none stars are the baseline. [`Similarity`] has other `s`.
///
/// | | movies | users |
/// | --- | --- | --- |
/// | fitting, on all threads | `Σ_u n_u²` sums | `Σ_i n_i²` sums |
/// | kept | 4,096 [candidates](KnnRaterConfig::candidates) a movie at most | as many a user |
/// | a user's stars of all movies | of each the candidates up to the `k`-th neighbour | the ratings of the user's candidates |
/// | somebody new | is their ratings, as a user is | is compared with all users |
/// | what [ratings add](mmdlrm_train::Ranker::because) | `s_ij·e_uj / Σ_j s_ij`, which with the baseline are the stars | is not known: the ratings are others' |
///
/// Sums are `f64`, what is kept `f32`; the bits are the same on any number of threads. Times are
/// not looked at. Of a movie that was rated twice both ratings are compared, and the higher one is
/// a neighbour's.
///
/// ```
/// use mmdlrm_baselines::{KnnRater, KnnRaterConfig};
/// use mmdlrm_data::{Rated, RatedBags};
/// use mmdlrm_train::{Ranker, Who};
///
/// // Whoever likes movie 0 likes movie 1; one user rated 0 alone.
/// let rated = [(0, 0, 5.0), (0, 1, 5.0), (1, 0, 1.0), (1, 1, 1.0), (2, 0, 5.0), (2, 2, 3.0)];
/// let rows = rated.map(|(user, movie, stars)| Rated { user, movie, stars, timestamp: 0 });
/// let histories = RatedBags::of_users(3, rows.into_iter());
/// let knn = KnnRater::of(&histories, 3, &KnnRaterConfig::items())?;
///
/// // Its only neighbour says of movie 1 what the baseline leaves of the user's rating of movie 0.
/// let mut scores = Vec::new();
/// knn.score(Who::Users(&[2]), &mut scores)?;
/// let baseline = |movie| knn.baseline(2, movie);
/// assert!((scores[1] - baseline(1) - (5.0 - baseline(0))).abs() < 1e-6);
/// assert_eq!(scores[2], baseline(2));
/// # Ok::<(), mmdlrm_train::Error>(())
/// ```
#[derive(Clone)]
pub struct KnnRater {
    config: KnnRaterConfig,
    baseline: Baseline,
    /// What the baseline leaves of ratings, by user.
    deviations: RatedBags,
    similar: Similar,
    /// Who rated each movie, as users are compared, where these are neighbours.
    audiences: Option<RatedBags>,
}

impl KnnRater {
    /// Fits it to what each user rated, of `movies` movies.
    ///
    /// # Errors
    /// Settings that make no sense, movies that there are not, stars that are no numbers.
    pub fn of(histories: &RatedBags, movies: usize, config: &KnnRaterConfig) -> Result<Self> {
        for user in 0..histories.len() as u32 {
            let bag = histories.row(user);
            check_rows("movie", bag.ids.iter().copied(), movies)?;
            check_stars(bag.stars.iter().copied())?;
        }
        let rows = || {
            rows(histories).map(|rated| Rated {
                timestamp: 0,
                ..rated
            })
        };
        let histories = RatedBags::of_users(histories.len(), rows());
        let audiences = RatedBags::of_movies(movies, rows());
        let ratings = TrainingRatings {
            biases: Cow::Owned(Biases::fit(&histories, &audiences)),
            histories: Arc::new(histories),
            audiences: Arc::new(audiences),
        };
        Self::of_ratings(&ratings, config, Session::default())
    }

    fn of_ratings(
        ratings: &TrainingRatings,
        config: &KnnRaterConfig,
        mut session: Session,
    ) -> Result<Self> {
        let (users, movies) = (ratings.histories.len(), ratings.audiences.len());
        check(users, movies, config)?;
        let baseline = Baseline::new(&ratings.biases, &ratings.histories, movies);
        let deviations = deviations(&ratings.histories, &baseline);
        let compared = compared(&ratings.histories, &deviations, config);
        let audiences = RatedBags::of_movies(movies, rows(compared));
        let (own, others) = match config.side {
            Side::Items => (&audiences, compared),
            Side::Users => (compared, &audiences),
        };
        let comparison = Comparison {
            others,
            count: own.len(),
            config,
        };
        let mut steps = 0;
        let told = |ratings| {
            steps += 1;
            step_is_over(&mut session, steps, ratings)
        };
        Ok(Self {
            config: *config,
            similar: Similar::of(&comparison, own, told)?,
            audiences: (config.side == Side::Users).then_some(audiences),
            baseline,
            deviations,
        })
    }

    /// How it was fitted.
    pub fn config(&self) -> &KnnRaterConfig {
        &self.config
    }

    /// What a user would give to a movie were there no neighbours, `b_ui`, in stars.
    ///
    /// # Panics
    /// Where there is no such user or movie.
    pub fn baseline(&self, user: u32, movie: u32) -> f32 {
        self.baseline
            .stars(self.baseline.users[user as usize], movie)
    }
}

impl Fit for KnnRaterConfig {
    type Model = KnnRater;

    fn check(&self, features: &Features) -> Result<Value> {
        let (users, movies) = (features.users().len(), features.movies().len());
        check(users, movies, self)?;
        Ok(json!({ "users": users, "movies": movies }))
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        data.training_rows()
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        let size = Size::of(data);
        let compared = match self.side {
            Side::Items => size.items,
            Side::Users => size.users,
        };
        let alike = compared * compared.min(self.candidates as u64);
        // Room that a vector grows by included.
        size.both_sides() + size.histories() + numbers(3 * alike)
    }

    /// Biases of a context that looks at no times are taken over, and not fitted again.
    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<KnnRater> {
        self.validate()?;
        KnnRater::of_ratings(&TrainingRatings::of(data, false)?, self, session)
    }
}

/// Refuses what cannot be fitted, or not be kept.
fn check(users: usize, movies: usize, config: &KnnRaterConfig) -> Result<()> {
    InstructionSet::in_use().map_err(|error| mmdlrm_data::Error::External(error.into()))?;
    config.validate()?;
    match users.max(movies) < LIMIT {
        true => Ok(()),
        false => Err(Error::Mismatch(format!(
            "there are {users} users and {movies} movies, and neighbours are kept of fewer than \
             {LIMIT}"
        ))),
    }
}

/// All ratings of some users.
fn rows(histories: &RatedBags) -> impl Iterator<Item = Rated> + Clone + '_ {
    let users = 0..histories.len() as u32;
    users.flat_map(|user| histories.row(user).rows_of(user))
}

/// What the baseline leaves of ratings, in the place of their stars.
fn deviations(histories: &RatedBags, baseline: &Baseline) -> RatedBags {
    let rows = rows(histories).map(|rated| {
        let expected = baseline.stars(baseline.users[rated.user as usize], rated.movie);
        Rated {
            stars: rated.stars - expected,
            ..rated
        }
    });
    RatedBags::of_users(histories.len(), rows)
}

/// Ratings as what users and movies are compared by.
fn compared<'a>(
    histories: &'a RatedBags,
    deviations: &'a RatedBags,
    config: &KnnRaterConfig,
) -> &'a RatedBags {
    match config.similarity {
        Similarity::PearsonBaseline => deviations,
        Similarity::Cosine | Similarity::SquaredDifference => histories,
    }
}

impl fmt::Debug for KnnRater {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("KnnRater")
            .field("config", &self.config)
            .field("users", &self.baseline.users.len())
            .field("movies", &self.baseline.movies.len())
            .finish_non_exhaustive()
    }
}
