//! MovieLens, posters and plot summaries, from files to batches.
//!
//! Data goes one way. [`MovieLens`] reads the folder of any release into Arrow
//! tables ([`OpenOptions`] has policies and a cache); [`read_posters`] and
//! [`read_summaries`] read what lies beside it. A [`Split`] says which ratings
//! are held out. [`Dataset`] numbers users and movies, computes [`Features`]
//! from the training rows alone, and hands out [`Batch`]es: columns that any
//! model can take. What another crate computes for the movies (picture and text
//! vectors) joins as a [`Modality`], and so does the [`Genome`].
//!
//! Where ratings do not fit in memory, [`StreamedDataset`] leaves them on disk
//! and gives the same batches; [`TrainingData`] is what the two have in common.
//!
//! A [`DataFingerprint`] tells the very same data from any other, and says what changed.
//!
//! With nothing at hand, [`generate`] writes a folder of any size, and, with
//! the feature `download`, the module `download` fetches a release.
//!
//! ```
//! use mmdlrm_data::{Dataset, MovieLens, Split, TrainingData, generate};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join("sample");
//! generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
//! let movielens = MovieLens::open(&folder)?;
//! assert_eq!(movielens.ratings.len(), 300);
//!
//! let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
//! let dataset = Dataset::new(&movielens, split, Vec::new())?;
//! let mut seen = 0;
//! for batch in dataset.training_batches(64, 1) {
//!     seen += batch?.len();
//! }
//! assert_eq!(seen, 240);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod around;
mod bags;
mod batch;
mod batch_bags;
mod biases;
mod cache;
mod candidates;
mod cholesky;
mod context;
mod dataset;
mod digest;
#[cfg(feature = "download")]
pub mod download;
mod error;
mod factors;
mod features;
mod fingerprint;
mod gaussian_process;
pub mod generate;
mod genome;
mod ids;
mod links;
mod modality;
mod movielens;
mod movies;
mod nearness;
mod neighbours;
mod policy;
mod rated;
mod rated_bags;
mod ratings;
mod ratings_parquet;
mod sampler;
mod sequences;
mod shuffle;
mod side_files;
mod sittings;
mod split;
mod statistics;
mod stream;
mod streamed_dataset;
mod tag_bags;
mod tags;
mod text;
mod training_data;
mod users;
mod verified_file;

pub use bags::Bags;
pub use batch::{Batch, Batches};
pub use batch_bags::BatchBags;
pub use candidates::{Candidates, UserCandidates};
pub use context::ContextConfig;
pub use dataset::Dataset;
pub use error::{Error, Result};
pub use features::{Features, NewMovie};
pub use fingerprint::{DataChange, DataFingerprint, DataPart};
pub use genome::Genome;
pub use ids::IdMap;
pub use modality::Modality;
pub use movielens::{Format, MovieLens, OpenOptions, StreamedMovieLens};
pub use movies::Movies;
pub use nearness::Nearness;
pub use policy::{Duplicates, LeftOut, UnknownMovies};
pub use rated::Rated;
pub use rated_bags::{RatedBag, RatedBags};
pub use ratings::{HIGHEST_RATING, LOWEST_RATING, Ratings};
pub use sequences::{ItemFeatures, Sequence, Sequences};
pub use side_files::{Poster, Summary, read_posters, read_summaries};
pub use split::{DropReason, Dropped, Split};
pub use statistics::{DENSE_FEATURES, MOVIE_FEATURES};
pub use stream::RatingsStream;
pub use streamed_dataset::{RandomSplit, StreamedDataset};
pub use tag_bags::MovieTags;
pub use training_data::{TestUser, TrainingData};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
