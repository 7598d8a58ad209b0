//! Trains and measures a [`Dlrm`](mmdlrm_model::Dlrm) on a
//! [`Dataset`](mmdlrm_features::Dataset), or on whatever else is
//! [`TrainingData`](mmdlrm_features::TrainingData).
//!
//! [`train`] runs the loop: batches from the data crate, gradients from the
//! model crate, steps from an [`Optimizer`]. [`predict_test`] and
//! [`rank_catalogue`] measure on the held-out rows, and a [`RunFolder`] keeps
//! what a run leaves behind. With a [`Session`], a run that is killed goes on from its
//! last [`Checkpoint`], to the same parameters. [`Preset`] names model configurations.
//!
//! ```
//! use mmdlrm_data::{MovieLens, Split, generate};
//! use mmdlrm_features::{Dataset, TrainingData};
//! use mmdlrm_model::Dlrm;
//! use mmdlrm_train::{Preset, Session, TrainConfig, predict_test, train};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join("sample");
//! generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
//! let movielens = MovieLens::open(&folder)?;
//! let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
//! let dataset = Dataset::new(&movielens, split, Vec::new())?;
//!
//! let mut model = Dlrm::new(Preset::Dlrm.config(dataset.features(), 16), 42)?;
//! let config = TrainConfig { epochs: 2, batch_size: 64, ..TrainConfig::default() };
//! train(&mut model, &dataset, &config, Session::default(), |_rows| {}, |epoch, _model| {
//!     println!("{}: {:.4}", epoch.epoch, epoch.train_loss);
//!     Ok(())
//! })?;
//! let mut predicted = 0;
//! predict_test(&model, &dataset, |rated| {
//!     predicted += rated.len();
//!     Ok(())
//! })?;
//! assert_eq!(predicted, 60);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod checkpoint;
mod checkpoints;
#[cfg(feature = "candle")]
mod device;
mod error;
mod evaluate;
mod files;
mod identity;
mod input;
mod model_file;
mod next_item;
mod optimizer;
mod optimizer_config;
mod preset;
mod run_folder;
mod schedule;
mod scorer;
mod session;
mod stepper;
mod tensorboard;
mod trainer;

pub use checkpoint::{Checkpoint, Progress};
pub use checkpoints::{CheckpointConfig, Checkpoints, Latest};
#[cfg(feature = "candle")]
pub use device::DeviceOptimizer;
pub use error::{Error, Result};
pub use evaluate::{RatedPrediction, predict_test, predict_validation, rank_catalogue};
pub use identity::RunIdentity;
pub use input::{MOVIE_TABLE, USER_TABLE};
pub use next_item::{
    CandidateScore, NextItemData, NextItemEpoch, NextItemTrainConfig, score_candidates,
    train_next_item,
};
pub use optimizer::Optimizer;
pub use optimizer_config::{Algorithm, OptimizerConfig};
pub use preset::Preset;
pub use run_folder::{Replacement, RunFolder};
pub use schedule::{Decay, Schedule};
pub use scorer::{NewUser, Scorer};
pub use session::Session;
#[cfg(feature = "candle")]
pub use trainer::train_on;
pub use trainer::{EpochMetrics, TrainConfig, train};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
