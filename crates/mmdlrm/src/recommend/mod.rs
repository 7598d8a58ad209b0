//! What a trained model says to people.

mod catalogue;
mod newcomer;
mod query;
mod reasons;
mod similar;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use mmdlrm_data::{Features, Rated, RatedBags, TrainingData};
use mmdlrm_model::{Dlrm, top_k};
use mmdlrm_train::{MOVIE_TABLE, Scorer, USER_TABLE};

pub use catalogue::{Catalogue, Movie};
pub use query::{Fan, Newcomer, Query, Reason, Recommendation, Similar};

use crate::modalities::Encoders;
use crate::saved::SavedRun;
use crate::sources::dataset;
use crate::{Error, ExperimentConfig, Observer, Result};

/// A trained model that answers: what a user would like and why, what is like a movie,
/// what somebody new would like, who would like a new movie.
///
/// It knows what the run in its folder was trained on: statistics and histories are
/// those of the training ratings. Many threads may ask at once.
///
/// ```
/// use mmdlrm::data::generate::GeneratorConfig;
/// use mmdlrm::{Experiment, ExperimentConfig, Query, Recommender, Silent, Source};
///
/// # let folder = tempfile::tempdir()?;
/// let mut config = ExperimentConfig {
///     source: Source::Sample(GeneratorConfig::tiny()),
///     out: folder.path().join("run"),
///     ..ExperimentConfig::default()
/// };
/// config.train.epochs = 1;
/// Experiment::new(config.clone())?.run(&mut Silent)?;
///
/// let recommender = Recommender::load(&config.out, &mut Silent)?;
/// let user = recommender.user_ids()[0];
/// for found in recommender.recommend(user, &Query::default())? {
///     let movie = recommender.catalogue().movie(found.movie_id)?;
///     println!("{} {:.1}", movie.title, found.stars());
/// }
/// // Somebody who liked the first movie of the catalogue and not the second.
/// let movies = recommender.catalogue().ids();
/// let ratings = [(movies[0], 5.0), (movies[1], 1.0)];
/// assert_eq!(recommender.recommend_to_visitor(&ratings, &Query::default())?.len(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Recommender {
    config: ExperimentConfig,
    catalogue: Catalogue,
    scorer: Scorer<Dlrm>,
    /// The same model with one user, for those who are new: each in turn.
    visitors: Option<Mutex<Scorer<Dlrm>>>,
    /// All that each user rated, held out or not, by dense rows.
    rated: RatedBags,
    encoders: Option<Encoders>,
    /// Vectors of the movies, for [`Self::similar`]; made when first needed.
    directions: OnceLock<similar::Directions>,
}

impl Recommender {
    /// Loads the run in `folder`, and reads what it was trained on from where that was.
    ///
    /// # Errors
    /// A folder without a run that predicts ratings, or whose training has not ended an
    /// epoch; data that are gone, or others than it was trained on.
    pub fn load(folder: impl AsRef<Path>, observer: &mut dyn Observer) -> Result<Self> {
        let SavedRun {
            config,
            model,
            movielens,
            split,
            modalities,
            posters,
            encoder,
        } = SavedRun::load(folder.as_ref(), observer)?;
        let catalogue = Catalogue::new(&movielens.movies, posters);
        let data = dataset(&config, movielens, split, modalities.list)?;
        let features = data.features().clone();
        let rated = data.all_rated();
        let model = with_room_for_a_movie(model, &features)?;
        let visitors = match has_table(&model, USER_TABLE) {
            true => {
                let model = model.clone().with_rows(USER_TABLE, 1)?;
                let features = features.for_new_user(&[]);
                Some(Mutex::new(Scorer::new(model, features)?))
            }
            false => None,
        };
        Ok(Self {
            catalogue,
            scorer: Scorer::new(model, features)?,
            visitors,
            rated,
            encoders: encoder.map(|encoder| encoder.into_encoders()),
            directions: OnceLock::new(),
            config,
        })
    }

    /// Computes what would otherwise be computed for the first who ask.
    ///
    /// # Errors
    /// As [`Self::recommend`].
    pub fn warm_up(&self) -> Result<()> {
        if let (Some(&user), Some(&movie)) = (self.user_ids().first(), self.catalogue.ids().first())
        {
            self.recommend(user, &Query::default())?;
            self.recommend_to_visitor(&[(movie, mmdlrm_data::HIGHEST_RATING)], &Query::default())?;
            self.similar(movie, 1)?;
        }
        Ok(())
    }

    /// The configuration of the run.
    pub fn config(&self) -> &ExperimentConfig {
        &self.config
    }

    /// The movies.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Raw ids of the users, ascending.
    pub fn user_ids(&self) -> &[u32] {
        self.features().users().ids()
    }

    /// How many of a user's ratings the model was trained on.
    ///
    /// # Errors
    /// A user that there is not.
    pub fn trained_on(&self, user_id: u32) -> Result<u32> {
        let user = self.user(user_id)? as usize;
        Ok(self.features().user_counts()[user])
    }

    /// What a user has rated, in the training set or not, the oldest first: raw movie id
    /// and stars.
    ///
    /// # Errors
    /// A user that there is not.
    pub fn rated_by(&self, user_id: u32) -> Result<Vec<(u32, f32)>> {
        let rated = self.rated.row(self.user(user_id)?);
        let ids = rated
            .ids
            .iter()
            .map(|&it| self.catalogue.ids()[it as usize]);
        Ok(ids.zip(rated.stars.iter().copied()).collect())
    }

    /// The movies that a user would like best.
    ///
    /// # Errors
    /// A user that there is not, or a genre that no movie has.
    pub fn recommend(&self, user_id: u32, query: &Query) -> Result<Vec<Recommendation>> {
        let user = self.user(user_id)?;
        let mut scores = Vec::new();
        self.scorer.score(&[user], &mut scores)?;
        let best = self.best(&scores, self.rated.row(user).ids, query)?;
        self.explained(&self.scorer, self.features(), user, best, query)
    }

    /// The movies that somebody new would like best, from a handful of ratings: raw movie
    /// id and stars from 0.5 to 5.
    ///
    /// # Errors
    /// A movie that there is not, one that is rated twice, stars that are none, or a genre
    /// that no movie has.
    pub fn recommend_to_visitor(
        &self,
        ratings: &[(u32, f32)],
        query: &Query,
    ) -> Result<Vec<Recommendation>> {
        let (features, rated) = self.visitor(ratings)?;
        let seen: Vec<u32> = rated.iter().map(|rated| rated.movie).collect();
        let mut scores = Vec::new();
        let mut answer = |scorer: &Scorer<Dlrm>| {
            scorer.score_for(&features, &[0], &mut scores)?;
            let best = self.best(&scores, &seen, query)?;
            self.explained(scorer, &features, 0, best, query)
        };
        match self.folded_in(&features, &rated)? {
            Some(scorer) => answer(&scorer),
            None => answer(&self.scorer),
        }
    }

    /// Stars that a user would give to a movie, from 0.5 to 5, at the time of the user's
    /// last training rating.
    ///
    /// # Errors
    /// A user or a movie that there is not.
    pub fn predict(&self, user_id: u32, movie_id: u32) -> Result<f32> {
        let (user, movie) = (self.user(user_id)?, self.catalogue.row(movie_id)?);
        let mut predictions = Vec::new();
        let row = self.features().unrated(user, movie);
        let batch = self.features().test_batch(&[row]);
        self.scorer.predict(&batch, &mut predictions)?;
        Ok(predictions[0])
    }

    /// Stars that somebody new would give to each of `movie_ids`.
    ///
    /// # Errors
    /// As [`Self::recommend_to_visitor`].
    pub fn predict_for_visitor(
        &self,
        ratings: &[(u32, f32)],
        movie_ids: &[u32],
    ) -> Result<Vec<f32>> {
        let (features, rated) = self.visitor(ratings)?;
        let row = |&id: &u32| Ok(features.unrated(0, self.catalogue.row(id)?));
        let rows: Vec<Rated> = movie_ids.iter().map(row).collect::<Result<_>>()?;
        let batch = features.test_batch(&rows);
        let mut predictions = Vec::new();
        match self.folded_in(&features, &rated)? {
            Some(scorer) => scorer.predict_for(&features, &batch, &mut predictions)?,
            None => self
                .scorer
                .predict_for(&features, &batch, &mut predictions)?,
        }
        Ok(predictions)
    }

    fn features(&self) -> &Features {
        self.scorer.features()
    }

    fn user(&self, user_id: u32) -> Result<u32> {
        let user = self.features().users().row(user_id);
        user.ok_or(Error::UnknownUser(user_id))
    }

    /// Features of somebody new, and their ratings by dense rows, at the latest time that
    /// the model knows.
    fn visitor(&self, ratings: &[(u32, f32)]) -> Result<(Features, Vec<Rated>)> {
        let timestamp = self.features().latest();
        let mut rated: Vec<Rated> = Vec::with_capacity(ratings.len());
        for &(movie_id, stars) in ratings {
            let movie = self.catalogue.row(movie_id)?;
            if !(mmdlrm_data::LOWEST_RATING..=mmdlrm_data::HIGHEST_RATING).contains(&stars) {
                return Err(Error::Setting {
                    setting: "rating",
                    value: stars.to_string(),
                    rule: "stars are from 0.5 to 5",
                });
            }
            if rated.iter().any(|other| other.movie == movie) {
                return Err(Error::Setting {
                    setting: "movie",
                    value: movie_id.to_string(),
                    rule: "each can be rated once",
                });
            }
            rated.push(Rated {
                user: 0,
                movie,
                stars,
                timestamp,
            });
        }
        Ok((self.features().for_new_user(&rated), rated))
    }

    /// The model of a visitor, where it has something to learn of one.
    fn folded_in(
        &self,
        features: &Features,
        rated: &[Rated],
    ) -> Result<Option<MutexGuard<'_, Scorer<Dlrm>>>> {
        let Some(visitors) = &self.visitors else {
            return Ok(None);
        };
        // Each visitor begins with a row of zeros, whatever the one before left.
        let mut scorer = visitors.lock().unwrap_or_else(PoisonError::into_inner);
        scorer.fold_in(features, rated)?;
        Ok(Some(scorer))
    }

    /// The best of the movies that the query wants, by dense row.
    fn best(&self, scores: &[f32], seen: &[u32], query: &Query) -> Result<Vec<(u32, f32)>> {
        let mut excluded = self.catalogue.unwanted(query)?;
        if query.unseen_only {
            excluded.extend_from_slice(seen);
        }
        Ok(top_k(scores, query.count, &excluded))
    }

    fn explained(
        &self,
        scorer: &Scorer<Dlrm>,
        features: &Features,
        user: u32,
        best: Vec<(u32, f32)>,
        query: &Query,
    ) -> Result<Vec<Recommendation>> {
        let movies: Vec<u32> = best.iter().map(|&(movie, _)| movie).collect();
        let reasons = reasons::reasons(scorer, features, user, &movies, query.reasons)?;
        let found = best.into_iter().zip(reasons);
        let found = found.map(|((movie, score), reasons)| Recommendation {
            movie_id: self.catalogue.ids()[movie as usize],
            score,
            reasons,
        });
        Ok(found.collect())
    }
}

fn has_table(model: &Dlrm, name: &str) -> bool {
    model.config().tables.iter().any(|table| table.name == name)
}

/// The model with a row of zeros for a movie that nobody has rated, behind the others.
fn with_room_for_a_movie(model: Dlrm, features: &Features) -> Result<Dlrm> {
    match has_table(&model, MOVIE_TABLE) {
        true => Ok(model.with_rows(MOVIE_TABLE, features.movies().len() + 1)?),
        false => Ok(model),
    }
}
