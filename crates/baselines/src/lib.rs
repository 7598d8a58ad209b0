//! Models beside the DLRM: each a file or a folder of its own, behind the same seam, so that
//! evaluation, reports, recommendations and the server know no difference.
//!
//! | settings, a [`Fit`] | model, a [`Ranker`] that a run's folder keeps | what it is |
//! | --- | --- | --- |
//! | [`GaussianProcessConfig`] | [`GaussianProcess`] | a user's ratings as a smooth function of movie and moment |
//! | [`BayesianConfig`] | [`BayesianFactorization`] | matrix factorization or SVD++, averaged over draws of all weights |
//! | [`EaseConfig`] | [`Ease`] | a linear model of what is rated together, in closed form |
//! | [`KnnConfig`] | [`Knn`] | what the nearest neighbours say, of items or of users |
//! | [`IalsConfig`] | [`Ials`] | vectors of users and items, by alternating least squares |
//! | [`BprMfConfig`] | [`BprMf`] | vectors whose products put what was rated before what was not |
//! | [`LightGcnConfig`] | [`LightGcn`] | the same, summed over neighbours in the graph of users and items |
//! | [`VbprConfig`] | [`Vbpr`] | vectors of movies, of which a part is made of their content |
//! | [`FreedomConfig`] | [`Freedom`] | that graph, thinned, beside one of movies whose content is alike |
//! | [`Bm3Config`] | [`Bm3`] | vectors that are to foretell each other, without what was not rated |
//! | [`LightGtConfig`] | [`LightGt`] | attention over the content of what a user rated, by positions in that graph |
//! | [`MatrixFactorizationConfig`] | [`MatrixFactorization`] | SVD and SVD++: biases, and products of vectors |
//! | [`KnnRaterConfig`] | [`KnnRater`] | biases, corrected by the nearest movies or users |
//! | [`PeaConfig`] | [`Pea`] | sums along metapaths over users, movies, genres, people and tags: PEAGAT, PEAGCN, PEASage |
//! | [`BiasConfig`] | [`BiasModel`] | biases of users and movies |
//! | [`PopularityConfig`] | [`Popularity`] | what most rated |
//!
//! A [`Blend`] is several models' weighted mean, of these and of any others, and [`BlendFile`]
//! keeps them in one file.
//!
//! ```
//! use mmdlrm_baselines::GaussianProcessConfig;
//! use mmdlrm_data::{MovieLens, Split, generate};
//! use mmdlrm_features::Dataset;
//! use mmdlrm_train::{Fit, Session, measure};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join("sample");
//! generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
//! let movielens = MovieLens::open(&folder)?;
//! let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
//! let dataset = Dataset::new(&movielens, split, Vec::new())?;
//! let process = GaussianProcessConfig::default().fit(&dataset, Session::default())?;
//! assert!(measure(&process, &dataset)?.test_rmse < Some(1.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Fit`]: mmdlrm_train::Fit
//! [`Ranker`]: mmdlrm_train::Ranker
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod bayesian;
mod biases;
mod blend;
mod bm3;
mod bpr_mf;
mod ease;
mod freedom;
mod gaussian_process;
#[cfg(test)]
mod golden;
mod graph;
mod ials;
mod incidence;
mod item_features;
mod knn;
mod knn_rater;
mod light_gcn;
mod light_gt;
mod linear;
mod matrix_factorization;
mod memory;
mod pairs;
mod pairwise;
mod parameters;
mod pea;
mod popularity;
mod progress;
mod side;
mod sparse;
mod training_ratings;
mod vbpr;
mod visitor;
mod whole;

pub use bayesian::{BayesianConfig, BayesianFactorization};
pub use biases::{BiasConfig, BiasModel};
pub use blend::{Blend, BlendFile};
pub use bm3::{Bm3, Bm3Config};
pub use bpr_mf::{BprMf, BprMfConfig};
pub use ease::{Ease, EaseConfig};
pub use freedom::{Freedom, FreedomConfig};
pub use gaussian_process::{GaussianProcess, GaussianProcessConfig};
pub use ials::{Ials, IalsConfig};
pub use knn::{Knn, KnnConfig};
pub use knn_rater::{KnnRater, KnnRaterConfig, Similarity};
pub use light_gcn::{LightGcn, LightGcnConfig};
pub use light_gt::{LightGt, LightGtConfig};
pub use matrix_factorization::{MatrixFactorization, MatrixFactorizationConfig};
pub use pairwise::{FactorModel, PairwiseTraining};
pub use pea::{Entities, EntitySign, Pea, PeaConfig, PeaFit, PeaFusion, PeaLayer, Role};
pub use popularity::{Popularity, PopularityConfig};
pub use side::Side;
pub use vbpr::{Vbpr, VbprConfig};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
