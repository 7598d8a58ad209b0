//! Multimodal DLRM: a recommender that learns from ratings, genres, posters
//! and plot summaries.
//!
//! [`Experiment`] does the whole job: it reads a MovieLens folder and what
//! lies beside it, encodes posters and plots with CLIP, BERT or ResNet, trains, measures on
//! ratings it never saw, and leaves a run folder behind. A run that was stopped goes on
//! with [`Experiment::resume`]; one that is over answers through a [`Recommender`]. The
//! parts are crates of their own, re-exported here:
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`data`] | loaders into Arrow, splits, features, batches |
//! | [`encoders`] | CLIP, BERT and ResNet on candle, the embedding store |
//! | [`model`] | embedding bags, MLPs, towers, interaction, gradients |
//! | [`train`] | optimizers, the loop, evaluation, run folders |
//! | [`metrics`] | RMSE, MAE, MSE, nDCG |
//!
//! ```
//! use mmdlrm::data::generate::GeneratorConfig;
//! use mmdlrm::{Experiment, ExperimentConfig, Silent, Source};
//!
//! # let folder = tempfile::tempdir()?;
//! # let out = folder.path().join("run");
//! let config = ExperimentConfig {
//!     source: Source::Sample(GeneratorConfig::tiny()),
//!     out,
//!     ..ExperimentConfig::default()
//! };
//! let report = Experiment::new(config)?.run(&mut Silent)?;
//! assert!(report.rmse() > Some(0.0) && report.ndcg_at_10 > 0.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub use mmdlrm_data as data;
pub use mmdlrm_encoders as encoders;
pub use mmdlrm_features as features;
pub use mmdlrm_metrics as metrics;
pub use mmdlrm_model as model;
pub use mmdlrm_train as train;

mod config;
mod error;
mod evaluate;
mod experiment;
mod kinds;
mod made_from;
mod measure;
mod modalities;
mod observer;
mod page;
mod rank;
mod recommend;
mod report;
mod saved;
mod sources;

pub use config::{Clip, EncoderConfig, ExperimentConfig, Source, SplitConfig, Task};
pub use error::{Error, Result};
pub use experiment::Experiment;
pub use kinds::Kinds;
pub use modalities::{Encoders, Modalities, ModalityEncoder};
pub use observer::{Observer, Silent, Stage};
pub use page::Density;
pub use rank::RankingReport;
pub use recommend::{
    Catalogue, Fan, Movie, Newcomer, Query, Reason, Recommendation, Recommender, Similar,
};
pub use report::{
    Errors, FEW_RATINGS, GroupError, GroupNdcg, Inputs, LeftOutRatings, MissingModality,
    RANKING_CUT_OFF, Report, Seconds,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
