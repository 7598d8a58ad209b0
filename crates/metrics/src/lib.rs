//! Metrics for recommenders, in `f64`, as accumulators that stream and merge.
//!
//! [`Regression`] takes pairs of predicted and true ratings and answers MSE,
//! RMSE and MAE. [`ndcg_at_k`] scores one ranked list; [`Ranking`] takes one
//! such score a user and answers the mean. Nothing here knows where the
//! numbers come from: the training crate feeds them, and so can any program.
//!
//! ```
//! use mmdlrm_metrics::{Ranking, Regression, ndcg_at_k};
//!
//! let mut regression = Regression::default();
//! for (prediction, rating) in [(3.5, 4.0), (2.0, 3.0)] {
//!     regression.add(prediction, rating);
//! }
//! assert_eq!(regression.mse(), Some(0.625));
//! assert_eq!(regression.mae(), Some(0.75));
//!
//! // One user: three movies, held-out ratings as graded relevance.
//! let mut ranking = Ranking::default();
//! ranking.add(ndcg_at_k(&[5.0, 0.0, 3.0], &[0.9, 0.8, 0.7], 10)?);
//! assert!((ranking.mean().unwrap() - 0.9430).abs() < 1e-4);
//! # Ok::<(), mmdlrm_metrics::Error>(())
//! ```
#![deny(missing_docs)]

mod error;
mod ndcg;
mod ranking;
mod regression;

pub use error::{Error, Result};
pub use ndcg::{dcg_at_k, ndcg_at_k};
pub use ranking::Ranking;
pub use regression::Regression;
