//! What a trained model says to people.

mod catalogue;
mod choice;
mod newcomer;
mod query;
mod reasons;
mod shelves;
mod similar;
mod titles;

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use mmdlrm_data::{Rated, Target};
use mmdlrm_features::Known;
use mmdlrm_train::{Ranker, Rater, Visitor, Who, check_numbers, stars_of};

pub use catalogue::{Catalogue, Movie};
pub use query::{Fan, Newcomer, Query, Reason, Recommendation, Similar};
pub use shelves::Shelf;

use crate::made_from::Learned;
use crate::saved::{SavedConfig, SavedRun};
use crate::{Error, ExperimentConfig, Kinds, Observer, Preset, Result, Words};
use choice::Popularity;
use newcomer::LazyEncoders;
use reasons::Found;

/// A trained model that answers: what a user would like and why, what is like a movie,
/// what somebody new would like, who would like a new movie.
///
/// It knows what the run was trained on: statistics and histories are those of the training
/// ratings. Nothing of it changes by being asked, about somebody new
/// neither: any number of threads may ask at once, and none waits for another. Clones share
/// what was loaded.
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
///     println!("{} {:?}", movie.title, found.stars);
/// }
/// // Somebody who liked the first movie of the catalogue and not the second.
/// let movies = recommender.catalogue().ids();
/// let ratings = [(movies[0], 5.0), (movies[1], 1.0)];
/// assert_eq!(recommender.recommend_to_visitor(&ratings, &Query::default())?.len(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Recommender {
    loaded: Arc<Loaded>,
    /// Calls off what is being worked on.
    stop: Option<Arc<AtomicBool>>,
}

/// What was loaded.
struct Loaded {
    config: ExperimentConfig,
    words: Words,
    catalogue: Catalogue,
    name: String,
    model: Box<dyn Ranker>,
    known: Known,
    /// Training ratings of each user.
    trained: Vec<u32>,
    /// When anybody rated last in the training set.
    latest: u32,
    encoders: LazyEncoders,
    /// Vectors of the movies, for [`Recommender::similar`]; made when first needed.
    directions: OnceLock<similar::Directions>,
    /// The same by what people see of movies, where the model has none.
    looks: OnceLock<similar::Directions>,
    popularity: Popularity,
}

impl Recommender {
    /// Opens the run in `folder`, which has all that it takes: what it was trained on need
    /// not be there any more. Only what encodes posters and plots is read from where it was,
    /// when somebody comes with one.
    ///
    /// # Errors
    /// A folder without a run, or whose training has not ended an epoch; files of another run,
    /// or that are damaged; a model of a kind that only [`Kinds`] with it knows.
    pub fn load(folder: impl AsRef<Path>, observer: &mut dyn Observer) -> Result<Self> {
        Kinds::default().load(folder, observer)
    }
}

impl Kinds {
    /// As [`Recommender::load`], of a run of any of these kinds.
    ///
    /// # Errors
    /// The same, and a run of another kind.
    pub fn load(
        &self,
        folder: impl AsRef<Path>,
        observer: &mut dyn Observer,
    ) -> Result<Recommender> {
        let SavedRun {
            config,
            movies,
            posters,
            known,
            model,
        } = SavedRun::open(folder.as_ref(), self, observer)?;
        let target = known.features().target();
        let loaded = Loaded {
            words: Words::of(&config.experiment.source, target),
            catalogue: Catalogue::new(&movies, posters),
            name: name(&config),
            model,
            trained: known.features().user_counts(),
            latest: known.features().latest(),
            popularity: Popularity::new(&known.features().movie_counts()),
            known,
            encoders: LazyEncoders::new(&config),
            directions: OnceLock::new(),
            looks: OnceLock::new(),
            config: config.experiment,
        };
        Ok(Recommender {
            loaded: Arc::new(loaded),
            stop: None,
        })
    }
}

impl Recommender {
    /// The same recommender, for a question that may be called off: when `stop` becomes
    /// true, what is being worked on ends with [`mmdlrm_train::Error::CalledOff`], between
    /// two steps of its work: one pass over the catalogue, one of folding in, or one block
    /// of users. Pictures and plots go through their encoder to the end.
    #[must_use]
    pub fn stop_when(&self, stop: Arc<AtomicBool>) -> Self {
        Self {
            loaded: Arc::clone(&self.loaded),
            stop: Some(stop),
        }
    }

    /// Computes what would otherwise be computed for the first who ask.
    ///
    /// # Errors
    /// As [`Self::recommend`].
    pub fn warm_up(&self) -> Result<()> {
        if let (Some(&user), Some(&movie)) =
            (self.user_ids().first(), self.catalogue().ids().first())
        {
            self.recommend(user, &Query::default())?;
            let most = self.words().target.bounds().1;
            self.recommend_to_visitor(&[(movie, most)], &Query::default())?;
            self.directions_of_any()?;
        }
        Ok(())
    }

    /// What the model is called: its kind, or the preset of one that the configuration
    /// describes.
    pub fn model(&self) -> &str {
        &self.loaded.name
    }

    /// What items, ratings and their unit are called.
    pub fn words(&self) -> &Words {
        &self.loaded.words
    }

    /// The id of a user by what the data call them: by their digits, or the text that they have
    /// there.
    ///
    /// # Errors
    /// [`Error::NobodyNamed`].
    pub fn user_named(&self, name: &str) -> Result<u32> {
        let users = self.loaded.known.features().users();
        let found = users.find(name).and_then(|row| users.id(row));
        found.ok_or_else(|| match (users.names(), name.trim().parse()) {
            (None, Ok(id)) => Error::UnknownUser(id),
            _ => Error::NobodyNamed(name.to_owned()),
        })
    }

    /// What the data call a user.
    ///
    /// # Errors
    /// A user that there is not.
    pub fn name_of_user(&self, user_id: u32) -> Result<String> {
        let users = self.loaded.known.features().users();
        let name = users.name(self.user(user_id)?);
        Ok(name.unwrap_or_default().into_owned())
    }

    /// The configuration of the run.
    pub fn config(&self) -> &ExperimentConfig {
        &self.loaded.config
    }

    /// The movies.
    pub fn catalogue(&self) -> &Catalogue {
        &self.loaded.catalogue
    }

    /// The one movie that is called `title`, as [`Catalogue::by_title`] finds it.
    ///
    /// # Errors
    /// The same, and a question that was called off.
    pub fn movie_by_title(&self, title: &str) -> Result<&Movie> {
        self.is_wanted()?;
        self.catalogue().by_title(title)
    }

    /// Raw ids of the users, ascending.
    pub fn user_ids(&self) -> &[u32] {
        self.loaded.known.features().users().ids()
    }

    /// A user whose history is worth looking at: the first of those who have nearest to a hundred
    /// training ratings; `None` where there are no users.
    pub fn example_user(&self) -> Option<u32> {
        const WORTH_LOOKING_AT: u32 = 100;
        let users = self.user_ids().iter().zip(&self.loaded.trained);
        let nearest = users.min_by_key(|(_, count)| count.abs_diff(WORTH_LOOKING_AT));
        nearest.map(|(&user, _)| user)
    }

    /// How many of a user's ratings the model was trained on.
    ///
    /// # Errors
    /// A user that there is not.
    pub fn trained_on(&self, user_id: u32) -> Result<u32> {
        let user = self.user(user_id)? as usize;
        Ok(self.loaded.trained[user])
    }

    /// What a user has rated, in the training set or not, the oldest first: raw movie id
    /// and stars, or what else the target is.
    ///
    /// # Errors
    /// A user that there is not.
    pub fn rated_by(&self, user_id: u32) -> Result<Vec<(u32, f32)>> {
        let rated = self.rated_by_row(self.user(user_id)?)?;
        let movies = self.catalogue().ids();
        let rated = rated.into_iter();
        Ok(rated
            .map(|(row, stars)| (movies[row as usize], self.told(stars)))
            .collect())
    }

    /// Stars as what the data count in.
    fn told(&self, stars: f32) -> f32 {
        self.words().target.from_stars(f64::from(stars)) as f32
    }

    /// The movies that a user would like best, among those that the query wants: what it leaves
    /// out is left out before the model chooses.
    ///
    /// With [variety](Query::variety) `v` each is, among the ten times as many best (400 at most,
    /// or as many as are asked for), what has the most of
    ///
    /// ```text
    /// (1 − v)·s' − v·max cos            MMR: Carbonell and Goldstein, 1998
    /// ```
    ///
    /// with `s'` its score, from 0 for the last of them to 1 for the first, and `cos` its likeness
    /// to each of those before it: by the model's vectors, as in [`Self::similar`], or where it
    /// has none by genres and year.
    ///
    /// # Errors
    /// A user that there is not, a genre that no movie has, or a variety that is not from 0 to 1.
    pub fn recommend(&self, user_id: u32, query: &Query) -> Result<Vec<Recommendation>> {
        let user = self.user(user_id)?;
        let who = Who::Users(&[user]);
        let rated = self.rated_by_row(user)?;
        let best = self.best(who, &rated, query)?;
        self.is_wanted()?;
        self.explained(who, best, &rated, &Found::default(), query)
    }

    /// The movies that somebody new would like best, from a handful of ratings: raw movie
    /// id and stars from 0.5 to 5, or what else the target is (1, where there is none).
    ///
    /// # Errors
    /// A movie that there is not, one that is rated twice, stars that are none, and as
    /// [`Self::recommend`].
    pub fn recommend_to_visitor(
        &self,
        ratings: &[(u32, f32)],
        query: &Query,
    ) -> Result<Vec<Recommendation>> {
        let (visitor, rated) = self.meet(ratings)?;
        let who = Who::Visitor(&visitor);
        let best = self.best(who, &rated, query)?;
        self.is_wanted()?;
        self.explained(who, best, &rated, &Found::default(), query)
    }

    /// Stars that a user would give to a movie, from 0.5 to 5, or what on the scale of the data
    /// stands for them, at the time of the user's last training rating.
    ///
    /// # Errors
    /// A user or a movie that there is not.
    pub fn predict(&self, user_id: u32, movie_id: u32) -> Result<f32> {
        let (user, movie) = (self.user(user_id)?, self.catalogue().row(movie_id)?);
        let mut stars = Vec::new();
        self.rater()?
            .rate_items(Who::Users(&[user]), &[movie], &mut stars)?;
        check_numbers("predictions", &stars, 1)?;
        Ok(self.told(stars[0]))
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
        let rated = self.rated(ratings)?;
        let rater = self.rater()?;
        let movies = movie_ids.iter().map(|&id| self.catalogue().row(id));
        let movies: Vec<u32> = movies.collect::<Result<_>>()?;
        let visitor = rater.meet(&rated, self.stop.as_deref())?;
        let mut stars = Vec::new();
        rater.rate_items(Who::Visitor(&visitor), &movies, &mut stars)?;
        check_numbers("predictions", &stars, movies.len())?;
        Ok(stars.into_iter().map(|stars| self.told(stars)).collect())
    }

    /// Gets to know somebody new; what they rated by dense rows.
    fn meet(&self, ratings: &[(u32, f32)]) -> Result<(Visitor, Vec<(u32, f32)>)> {
        let rated = self.rated(ratings)?;
        let visitor = self.loaded.model.meet(&rated, self.stop.as_deref())?;
        let rated = rated.iter().map(|it| (it.movie, it.stars)).collect();
        Ok((visitor, rated))
    }

    fn rater(&self) -> Result<&dyn Rater> {
        let rater = self.loaded.model.rater();
        rater.ok_or(Error::CannotTell("how many stars a user would give"))
    }

    /// Ends the work on a question that was called off.
    fn is_wanted(&self) -> Result<()> {
        match &self.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => {
                Err(mmdlrm_train::Error::CalledOff.into())
            }
            _ => Ok(()),
        }
    }

    fn user(&self, user_id: u32) -> Result<u32> {
        let user = self.loaded.known.features().users().row(user_id);
        user.ok_or(Error::UnknownUser(user_id))
    }

    /// What a user has rated, by dense rows, the oldest first.
    fn rated_by_row(&self, user: u32) -> Result<Vec<(u32, f32)>> {
        Ok(self.loaded.known.histories().user(user)?.all())
    }

    /// Ratings of somebody new by dense rows, at the latest time that the model knows.
    fn rated(&self, ratings: &[(u32, f32)]) -> Result<Vec<Rated>> {
        let timestamp = self.loaded.latest;
        let target = self.words().target;
        let (lowest, highest) = match target {
            // Who interacted with nothing, tells of nothing.
            Target::Implicit => (1.0, 1.0),
            _ => target.bounds(),
        };
        let mut movies = HashSet::with_capacity(ratings.len());
        let rated = ratings.iter().map(|&(movie_id, stars)| {
            let movie = self.catalogue().row(movie_id)?;
            if !(lowest..=highest).contains(&stars) {
                return Err(Error::Scale {
                    value: stars,
                    unit: self.words().unit.clone(),
                    lowest,
                    highest,
                });
            }
            if !movies.insert(movie) {
                let named = &self.catalogue().movies()[movie as usize].named;
                return Err(Error::Setting {
                    setting: if named.is_some() { "item" } else { "movie" },
                    value: named.clone().unwrap_or_else(|| movie_id.to_string()),
                    rule: "each can be rated once",
                });
            }
            Ok(Rated {
                user: 0,
                movie,
                stars: target.to_stars(stars),
                timestamp,
            })
        });
        rated.collect()
    }

    fn explained(
        &self,
        who: Who,
        best: Vec<(u32, f32)>,
        rated: &[(u32, f32)],
        found: &Found,
        query: &Query,
    ) -> Result<Vec<Recommendation>> {
        let movies: Vec<u32> = best.iter().map(|&(movie, _)| movie).collect();
        let model = &*self.loaded.model;
        let stars = stars_of(model, who, &movies)?;
        let rated = reasons::Rated::new(self.catalogue(), self.words(), rated);
        let mut reasons = reasons::reasons(model, who, &movies, &rated, found, query.reasons)?;
        if stars.is_some() {
            let of_a_star = self.words().target.of_a_star() as f32;
            for reason in reasons.iter_mut().flatten() {
                reason.stars = reason.stars.map(|stars| stars * of_a_star);
            }
        }
        let found = best.into_iter().zip(reasons).enumerate();
        let found = found.map(|(place, ((movie, score), reasons))| Recommendation {
            movie_id: self.catalogue().ids()[movie as usize],
            score,
            stars: stars.as_ref().map(|stars| self.told(stars[place])),
            reasons,
        });
        Ok(found.collect())
    }
}

impl fmt::Debug for Recommender {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Recommender")
            .field("model", &self.model())
            .field("users", &self.user_ids().len())
            .field("movies", &self.catalogue().ids().len())
            .finish_non_exhaustive()
    }
}

/// What people call the model of a run.
fn name(config: &SavedConfig) -> String {
    if config.learned != Learned::of_preset(config.experiment.preset) {
        return config.learned.kind.clone();
    }
    let mut presets = Preset::ALL.iter();
    let preset = presets.find(|(_, preset)| *preset == config.experiment.preset);
    preset.map_or(String::new(), |(name, _)| (*name).to_owned())
}
