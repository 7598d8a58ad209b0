//! The ranker: one model proposes movies, another puts them in order.

mod cold;
mod columns;
mod lists;
mod model;
mod orders;
mod shortlist;
mod task;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mmdlrm_baselines::EaseConfig;
use mmdlrm_data::RatedBags;
use mmdlrm_features::{Features, Likeness, TrainingData};
use mmdlrm_model::{Dlrm, DlrmConfig, Loss};
use mmdlrm_train::{
    Decay, Error, Fit, OptimizerConfig, Result, Schedule, Session, TrainConfig, train_lists,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use model::TwoStageModel;

#[cfg(doc)]
use crate::BestContext;
use crate::own_fit::memory_of;
use crate::{Best, BestModel, ExperimentConfig, SplitConfig};

use cold::{ColdShortlist, Unrated};
use lists::Lists;
use model::Cold;
use orders::Orders;
use shortlist::Shortlist;
use task::{Rated, Task};

const LISTS_A_STEP: usize = 16;
/// Of [`Loss::Lists`]: users with more to find count for more.
const POWER: f32 = 0.3;
/// Most movies that are proposed.
const MOST_CANDIDATES: usize = 1 << 16;

/// Recommends in two stages (Covington et al., 2016): [EASE](EaseConfig) proposes the
/// `candidates` movies that go best with what the user rated, and a DLRM puts them in order.
///
/// The DLRM looks at the [affinities](mmdlrm_features::Affinities) of user and movie, through a
/// bottom MLP and past it, at the movie's genres, and at a tower of each modality. It learns to
/// find ratings that were held back: for each epoch a share of each user's is drawn, as
/// [`ToFind`] says, the first stage is fitted to the rest, and what was held back is to come
/// before the other candidates, by [`ListSoftmax`](mmdlrm_model::ListSoftmax). So it meets in training what it meets when it is
/// asked: candidates of a first stage that has not seen which are right.
///
/// Stars are another model's, where there is a `rater`: what a user watches and how much they
/// like it are different questions.
///
/// ```
/// use mmdlrm::TwoStage;
/// use mmdlrm::data::{MovieLens, Split, generate};
/// use mmdlrm::features::Dataset;
/// use mmdlrm::train::{Fit, Ranker, Session, Who};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let mut two_stage = TwoStage::default();
/// two_stage.train.epochs = 2;
/// let model = two_stage.fit(&dataset, Session::default())?;
/// let mut scores = Vec::new();
/// model.score(Who::Users(&[0]), &mut scores)?;
/// assert_eq!(scores.len(), movielens.movies.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwoStage {
    /// How the first stage is fitted.
    pub ease: EaseConfig,
    /// How many movies it proposes.
    pub candidates: usize,
    /// Which ratings it learns to find.
    pub to_find: ToFind,
    /// Share of each user's ratings that is held back in an epoch, or the most of it; above 0 and
    /// below 1.
    pub held_back: f64,
    /// Users an epoch, at most: where there are more, several epochs go over all of them, and
    /// share a draw.
    pub lists_an_epoch: usize,
    /// Length of the vectors that interact in the DLRM.
    pub dim: usize,
    /// Seed of its parameters.
    pub seed: u64,
    /// How it learns.
    pub train: TrainConfig,
    /// What predicts stars beside it, and wants data with its own
    /// [context](BestContext::of_batches); `None` for nothing.
    pub rater: Option<Best>,
}

/// Which ratings a draw holds back, to be found by the others: those that a split would hold out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ToFind {
    /// Any of the user's, each as likely as another.
    #[default]
    Any,
    /// The user's latest, so many of them as a draw says.
    Latest,
    /// Of these the first alone: what comes next.
    Next,
}

impl ToFind {
    /// What suits the ratings that a split holds out.
    fn of(split: &SplitConfig) -> Self {
        match split {
            SplitConfig::Temporal { .. } => Self::Latest,
            SplitConfig::LeaveLastOut { count: 1 } | SplitConfig::Candidates(_) => Self::Next,
            SplitConfig::LeaveLastOut { .. } => Self::Latest,
            _ => Self::Any,
        }
    }
}

impl Default for TwoStage {
    /// As it was chosen on ml-latest-small; `docs/accuracy.md` has the figures.
    fn default() -> Self {
        Self {
            ease: EaseConfig::default(),
            candidates: 400,
            to_find: ToFind::Any,
            held_back: 0.2,
            lists_an_epoch: 4096,
            dim: 16,
            seed: 42,
            train: TrainConfig {
                epochs: 36,
                batch_size: LISTS_A_STEP * lists::LENGTH,
                loss: Loss::Lists {
                    length: lists::LENGTH,
                    power: POWER,
                },
                optimizer: OptimizerConfig {
                    learning_rate: 4e-3,
                    weight_decay: 1e-3,
                    ..OptimizerConfig::default()
                },
                schedule: Schedule {
                    decay: Decay::Cosine,
                    ..Schedule::default()
                },
                ..TrainConfig::default()
            },
            rater: None,
        }
    }
}

impl TwoStage {
    /// The settings that a configuration says.
    pub(crate) fn of(config: ExperimentConfig) -> Self {
        let rater = config.rater.then(|| {
            let mut best = Best {
                seed: config.seed,
                ..Best::default()
            };
            best.train.seed = config.train.seed;
            best
        });
        Self {
            rater,
            to_find: ToFind::of(&config.split),
            dim: config.dim,
            seed: config.seed,
            train: config.train,
            ..Self::default()
        }
    }

    /// The shape of the DLRM, for data with `features` and vectors of `dim`.
    pub fn shape(features: &Features, dim: usize) -> DlrmConfig {
        columns::shape(features, &Shortlist::inputs(), dim)
    }

    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// [`Error::Setting`], which names the first.
    pub fn validate(&self) -> Result<()> {
        self.ease.validate()?;
        self.train.validate_for_lists(lists::LENGTH)?;
        check_candidates(self.candidates)?;
        if !(self.held_back > 0.0 && self.held_back < 1.0) {
            return Err(Error::Setting {
                setting: "held_back",
                value: self.held_back.to_string(),
                rule: "it must be above 0 and below 1",
            });
        }
        if self.lists_an_epoch == 0 {
            return Err(Error::Setting {
                setting: "lists_an_epoch",
                value: "0".to_owned(),
                rule: "an epoch has one or more",
            });
        }
        Ok(())
    }
}

impl Fit for TwoStage {
    type Model = TwoStageModel;

    fn check(&self, features: &Features) -> Result<Value> {
        self.validate()?;
        self.check_data(features)?;
        if let Some(rater) = &self.rater {
            rater.check(features)?;
        }
        let shape = Self::shape(features, self.dim);
        shape.validate()?;
        Ok(serde_json::to_value(shape)?)
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        let counts = data.features().user_counts();
        let users = counts.into_iter().filter(|&count| count > 1).count();
        users.min(self.lists_an_epoch) * lists::LENGTH * self.train.epochs
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        let dlrm = memory_of(&Self::shape(data.features(), self.dim));
        let rater = self.rater.as_ref().map_or(0, |it| it.memory(data));
        dlrm + self.ease.memory(data) + rater
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<TwoStageModel> {
        self.validate()?;
        self.check_data(data.features())?;
        let stop = session.stop;
        let features = data.features();
        let histories = data.training_histories()?;
        let fingerprint = data.fingerprint();
        let task = Rated {
            config: self,
            features,
        };
        let lists = Lists::new(&task, self, features, Arc::clone(&histories), fingerprint)?;
        let shortlist = Shortlist::fit(Arc::clone(&histories), features, &self.ease)?;
        let mut dlrm = Dlrm::new(Self::shape(features, self.dim), self.seed)?;
        let session = model::kept_whole(self, &shortlist, &lists.scales, session);
        train_lists(&mut dlrm, &lists, &self.train, session)?;
        let orders = Orders::new(dlrm, lists.scales.clone(), task.inputs(), features)?;
        // Its last draw is as large as the model.
        drop(lists);
        let cold = self.fit_cold(data, histories, &shortlist, stop)?;
        let model = TwoStageModel::new(self.candidates, shortlist, orders, features.clone());
        let rater = self.fit_rater(data, stop)?;
        Ok(model.with_cold(cold).with_rater(rater))
    }
}

impl TwoStage {
    /// Refuses data that there is nothing to draw lists from, or that say no times.
    fn check_data(&self, features: &Features) -> Result<()> {
        if features.user_counts().iter().all(|&count| count < 2) {
            return Err(lists::too_few_ratings());
        }
        match features
            .context()
            .map(|context| context.config().timestamps)
        {
            Some(false) => Err(Error::Mismatch(
                "a ranker in two stages looks at times, and the data are without; make them with \
                 a context that has timestamps"
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// What puts movies in order that nobody has rated; `None` where there is no such movie, or
    /// less than two are rated, so that none can be held back. As the rater from its beginning, after the lists of a run's
    /// checkpoints.
    fn fit_cold(
        &self,
        data: &dyn TrainingData,
        histories: Arc<RatedBags>,
        shortlist: &Shortlist,
        stop: Option<&AtomicBool>,
    ) -> Result<Option<Cold>> {
        let features = data.features();
        let counts = features.movie_counts();
        let rated = counts.iter().filter(|&&count| count > 0).count();
        if rated < 2 || rated == counts.len() {
            return Ok(None);
        }
        let task = Unrated {
            config: self,
            features,
            likeness: Likeness::of(features, |_| true),
        };
        let lists = Lists::new(&task, self, features, histories, data.fingerprint())?;
        let inputs = task.inputs();
        let mut dlrm = Dlrm::new(columns::shape(features, &inputs, self.dim), self.seed)?;
        let session = Session {
            stop,
            ..Session::default()
        };
        train_lists(&mut dlrm, &lists, &self.train, session)?;
        let (ease, unrated) = (Arc::clone(&shortlist.ease), shortlist.unrated.clone());
        Ok(Some(Cold {
            shortlist: ColdShortlist::of(ease, &task.likeness, features, unrated),
            orders: Orders::new(dlrm, lists.scales.clone(), inputs, features)?,
        }))
    }

    /// The rater, from its beginning and last: the checkpoints of a run are those of the lists,
    /// and a run that is stopped meanwhile learns none of them again.
    fn fit_rater(
        &self,
        data: &dyn TrainingData,
        stop: Option<&AtomicBool>,
    ) -> Result<Option<BestModel>> {
        let Some(rater) = &self.rater else {
            return Ok(None);
        };
        let session = Session {
            stop,
            ..Session::default()
        };
        Ok(Some(rater.fit(data, session)?))
    }
}

fn check_candidates(candidates: usize) -> Result<()> {
    match (1..=MOST_CANDIDATES).contains(&candidates) {
        true => Ok(()),
        false => Err(Error::Setting {
            setting: "candidates",
            value: candidates.to_string(),
            rule: "it must be from 1 to 65,536",
        }),
    }
}
