//! Models that learn from ratings, are measured, kept, and asked.
//!
//! [`train`] takes a [`Dlrm`](mmdlrm_model::Dlrm) through the training rows of a
//! [`Dataset`](mmdlrm_features::Dataset), or of whatever else is
//! [`TrainingData`](mmdlrm_features::TrainingData): gradients from the model crate, steps from
//! an [`Optimizer`], by a [`TrainConfig`]; [`train_with`] by a loss, an optimizer's [`Rule`]
//! and a schedule of one's own. A [`Session`] goes along: it keeps [`Checkpoint`]s, from which
//! a run that is killed goes on to the same parameters, and tells of steps and epochs.
//! [`shapes`] has model configurations for data with some features.
//!
//! All that learns by steps goes through one loop, [`learn`], which knows a model as a
//! [`Stepper`]. All that measures or recommends knows one as a [`Ranker`], and as a [`Rater`]
//! where it predicts stars: [`predict_test`] and [`rank_catalogue`] measure on the held-out
//! rows, [`rank_users`] asks several models in one pass, and [`score_candidates`] lets any of
//! them rank what a file names. A [`Scorer`] is a `Dlrm` with its features as such a model, a [`NextItemRanker`] one of
//! what comes next with its sequences. [`Fit`] is how a model is
//! learned, and [`Persist`] how a [`RunFolder`] keeps it, which has all that a run leaves behind,
//! what is [known](mmdlrm_features::Known) of its data included.
//!
//! ```
//! use mmdlrm_data::{MovieLens, Split, generate};
//! use mmdlrm_features::{Dataset, TrainingData};
//! use mmdlrm_model::Dlrm;
//! use mmdlrm_train::{Scorer, Session, TrainConfig, predict_test, shapes, train};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join("sample");
//! generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
//! let movielens = MovieLens::open(&folder)?;
//! let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
//! let dataset = Dataset::new(&movielens, split, Vec::new())?;
//!
//! let mut model = Dlrm::new(shapes::dlrm(dataset.features(), 16), 42)?;
//! let config = TrainConfig { epochs: 2, batch_size: 64, ..TrainConfig::default() };
//! let session = Session::default().on_epoch(|epoch, _model| {
//!     println!("{}: {:.4}", epoch.epoch, epoch.train_loss);
//!     Ok(())
//! });
//! train(&mut model, &dataset, &config, session)?;
//! let scorer = Scorer::new(model, dataset.features().clone())?;
//! let mut predicted = 0;
//! predict_test(&scorer, &dataset, |rated| {
//!     predicted += rated.len();
//!     Ok(())
//! })?;
//! assert_eq!(predicted, 60);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod answers;
mod dlrm;
mod epoch_metrics;
mod error;
mod evaluate;
mod fit;
mod learn;
mod next_item;
mod optimizer;
mod persist;
mod rank;
mod ranker;
mod run;
mod session;
mod stepper;

pub use answers::{best_of, causes_of, check_numbers, check_rows, score_all, shares_of, stars_of};
pub use dlrm::{
    AUDIENCE_TABLE, GENRE_TABLE, HISTORY_TABLE, LabelErrors, ListBatches, ListData, ListScorer,
    MOVIE_TABLE, NewUser, RATED_AUDIENCE_TABLE, RATED_HISTORY_TABLE, Recipe, Scorer, TrainConfig,
    USER_TABLE, predict_samples, shapes, train, train_lists, train_samples, train_with,
};
#[cfg(feature = "candle")]
pub use dlrm::{DeviceOptimizer, train_on};
pub use epoch_metrics::EpochMetrics;
pub use error::{Error, Result};
pub use evaluate::{RatedPrediction, measure, predict_test, predict_validation};
pub use fit::Fit;
pub use learn::{Pace, learn};
pub use next_item::{NextItemData, NextItemRanker, NextItemTrainConfig, train_next_item};
pub use optimizer::{
    Algorithm, Decay, DenseAdam, LearningRate, Optimizer, OptimizerConfig, Rule, Schedule, StepSize,
};
pub use persist::Persist;
pub use rank::{
    CandidateScore, RankedMovie, TopList, UserScores, rank_catalogue, rank_users, score_candidates,
    validation_ndcg,
};
pub use ranker::{
    Cause, Ranker, RateNewcomer, Rater, Share, Visitor, Wanted, Who, keep_within_bounds,
};
pub use run::{
    Checkpoint, CheckpointConfig, Checkpoints, FolderLock, Kept, Latest, Posters, Progress,
    Replacement, RunFolder, RunIdentity, Tensors,
};
pub use session::{Measuring, Session};
pub use stepper::{Measured, Stepper};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
