//! Multimodal DLRM: a recommender that learns from ratings, genres, posters
//! and plot summaries.
//!
//! [`Experiment`] does the whole job: it reads a MovieLens folder and what
//! lies beside it, encodes posters and plots with CLIP, BERT or ResNet, trains, measures on
//! ratings it never saw, and leaves a run folder behind. A run that was stopped goes on
//! with [`Experiment::resume`]; one that is over answers through a [`Recommender`].
//!
//! [`Experiment::run`] learns the model that the configuration describes. A model of one's own
//! goes the same way: [`Experiment::fit`] takes a [`Fit`](train::Fit), whose model is a
//! [`Ranker`](train::Ranker) that a folder can keep, and [`Kinds`] opens its runs. The parts are
//! crates of their own, re-exported here:
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`data`] | loaders into Arrow and from it, splits, rows, batches |
//! | [`features`] | what the training rows tell of users, movies and moments |
//! | [`encoders`] | CLIP, BERT and ResNet on candle, the embedding store |
//! | [`model`] | embedding bags, MLPs, towers, interaction, gradients |
//! | [`train`] | optimizers, the loop, the seam, evaluation, run folders |
//! | [`baselines`] | models beside the DLRM, and blends of models |
//! | [`metrics`] | RMSE, MAE, MSE, nDCG |
//!
//! All features but those of GPUs are on by default. What only trains and asks, on ratings and
//! genres, needs none (`default-features = false`), and builds neither candle nor tokenizers,
//! nor anything for pictures, pages or the network:
//!
//! | feature | with it | without it |
//! | --- | --- | --- |
//! | `encoders` | posters and plots are encoded; samples have some | [`Error::NeedsFeature`] where the model would look at them, and of a sample with [contents](data::generate::GeneratorConfig::contents) |
//! | `device`, in `encoders` | candle's devices to train on | `cpu` alone |
//! | `pytorch`, in `device` | a DLRM [from PyTorch's checkpoints](model::Dlrm::from_pytorch), [any of them](checkpoints) read safely | |
//! | `report` | a run leaves `report.html` | it does not; all figures are in `metrics.jsonl` |
//! | `download` | `data::download` | |
//! | `cuda`, `cudnn`, `metal` | GPUs | `cpu` alone |
//! | `accelerate`, `mkl` | candle's matrix products by these | by its own |
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
//! assert!(report.rmse() > Some(0.0) && report.ndcg_at_10() > Some(0.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub use mmdlrm_baselines as baselines;
#[cfg(feature = "pytorch")]
pub use mmdlrm_checkpoints as checkpoints;
pub use mmdlrm_data as data;
pub use mmdlrm_encoders as encoders;
pub use mmdlrm_features as features;
pub use mmdlrm_metrics as metrics;
pub use mmdlrm_model as model;
pub use mmdlrm_train as train;

mod best;
mod clicks;
mod comparison;
mod config;
mod density;
#[cfg_attr(not(feature = "device"), path = "no_device.rs")]
mod device;
mod error;
mod evaluate;
mod experiment;
mod kinds;
#[cfg_attr(not(feature = "encoders"), path = "no_load.rs")]
mod load;
mod made_from;
mod measure;
mod modalities;
mod observer;
mod own_fit;
#[cfg_attr(not(feature = "report"), path = "no_page.rs")]
mod page;
mod preset;
mod rank;
mod rankings;
mod recommend;
mod release;
mod report;
mod saved;
mod sources;
mod training;
mod two_stage;
mod vectors;
mod words;

pub use best::{Best, BestContext, BestModel};
pub use clicks::{ClickConfig, ClickExperiment, ClickReport};
pub use comparison::{Compared, Comparison, ComparisonReport, ComparisonTable, Estimate};
pub use config::{Clip, EncoderConfig, ExperimentConfig, Source, SplitConfig, Task};
pub use density::Density;
pub use error::{Error, Result};
pub use evaluate::EvaluationConfig;
pub use experiment::Experiment;
pub use kinds::Kinds;
pub use modalities::{Encoders, Modalities, ModalityEncoder};
pub use observer::{Observer, Silent, Stage};
pub use preset::Preset;
pub use rank::RankingReport;
pub use rankings::{
    BaselineFigure, GroupNdcg, RANKING_CUT_OFF, RankedUsers, Ranking, RankingFigure, Rankings,
};
pub use recommend::{
    Catalogue, Fan, Movie, Newcomer, Query, Reason, Recommendation, Recommender, Shelf, Similar,
};
pub use report::{
    Errors, FEW_RATINGS, GroupError, Inputs, LeftOutRatings, MissingModality, Report, Seconds,
};
pub use two_stage::{ToFind, TwoStage, TwoStageModel};
pub use vectors::VectorsFile;
pub use words::{Words, told};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
