//! Metrics for recommenders, in `f64`, as accumulators that stream and merge.
//!
//! - Ratings: [`Regression`] (MSE, RMSE, MAE, R²).
//! - Ranked lists: [`ndcg_at_k`] and [`Ndcg`]; [`TopK`] (precision, recall, hit
//!   rate, MRR, MAP); [`Standings`], the same of a catalogue of any size by the places of the
//!   relevant items alone; each figure, a [`RankingMetric`], under a [`Protocol`].
//! - Yes and no: [`roc_auc`], [`average_precision`], [`GroupedAuc`],
//!   [`Probabilities`] (log loss, calibration).
//! - Beyond being right: [`Recommended`] (coverage, novelty),
//!   [`intra_list_diversity`].
//! - [`PerUser`] averages over users and gives confidence intervals, those of the difference
//!   of two models on the same users too, [`student_t`] those of few values, [`Breakdown`] tells groups apart.
//!
//! No figure is NaN: what would make it so is refused where it is added.
//!
//! What scikit-learn has is equal to it. Nothing here knows where the numbers come
//! from: the training crate feeds them, and so can any program.
//!
//! ```
//! use mmdlrm_metrics::{PerUser, Regression, ndcg_at_k};
//!
//! let mut regression = Regression::default();
//! for (prediction, rating) in [(3.5, 4.0), (2.0, 3.0)] {
//!     regression.add(prediction, rating)?;
//! }
//! assert_eq!(regression.mse(), Some(0.625));
//! assert_eq!(regression.mae(), Some(0.75));
//!
//! // One user: three movies, held-out ratings as graded relevance.
//! let mut ndcg = PerUser::default();
//! ndcg.add(ndcg_at_k(&[5.0, 0.0, 3.0], &[0.9, 0.8, 0.7], 10)?)?;
//! assert!((ndcg.mean().unwrap() - 0.9430).abs() < 1e-4);
//! # Ok::<(), mmdlrm_metrics::Error>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod breakdown;
mod catalogue;
mod classification;
mod error;
mod ndcg;
mod per_user;
mod protocol;
mod ranking_metric;
mod regression;
mod standings;
mod student;
mod top_k;

pub use breakdown::Breakdown;
pub use catalogue::{Recommended, intra_list_diversity};
pub use classification::{GroupedAuc, Probabilities, average_precision, roc_auc};
pub use error::{Error, Result};
pub use ndcg::{Gain, Ndcg, Ties, dcg_at_k, ndcg_at_k};
pub use per_user::PerUser;
pub use protocol::Protocol;
pub use ranking_metric::RankingMetric;
pub use regression::Regression;
pub use standings::{Standing, Standings};
pub use student::student_t;
pub use top_k::TopK;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
