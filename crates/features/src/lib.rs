//! What the training rows tell of users, movies and moments: the features of every sample.
//!
//! [`mmdlrm_data`] turns files into rows of ratings; here rows become [`Batch`]es that a model
//! can learn from. [`Dataset`] joins a [`MovieLens`] in memory with a [`Split`];
//! [`StreamedDataset`] does it for ratings that stay on disk, and [`TrainingData`] is what the
//! two have in common: the same ratings, split and seed give the same batches.
//!
//! Both hold [`Features`]: who is numbered how, genres, modalities, and statistics of the
//! training rows alone. The own rating of a training row is left out of the sums that its
//! features are made of. With a [context](ContextConfig) a batch has more: [biases](Biases) of
//! user and movie, ratings that stand near in time, and the bags of what the user rated and who
//! rated the movie.
//!
//! [`Known`] is what is left of the data where a trained model is asked: features, and
//! [`Histories`], each in a file.
//!
//! For what comes next there are [`Sequences`], the ratings of each user in their order, and
//! [`Nearness`], which says how near each movie is to the last of them.
//!
//! [`Affinities`] say what a user's history tells of movies that the user has not rated;
//! [`ColdAffinities`] of those that nobody has, by the movies that are [like](Likeness) them.
//!
//! [`Features::record_batch`] makes a table of a batch, for whatever takes Arrow.
//!
//! ```
//! use mmdlrm_data::arrow_array::RecordBatch;
//! use mmdlrm_data::{MovieLens, Movies, Ratings, Split};
//! use mmdlrm_features::{Dataset, TrainingData};
//!
//! # use mmdlrm_data::generate;
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join("sample");
//! # generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
//! # let MovieLens { ratings, movies, .. } = MovieLens::open(&folder)?;
//! # let ratings_of_anywhere = || RecordBatch::from(&ratings);
//! # let movies_of_anywhere = || RecordBatch::from(&movies);
//! let ratings: RecordBatch = ratings_of_anywhere(); // userId, movieId, rating, timestamp
//! let movies: RecordBatch = movies_of_anywhere(); // movieId, title, year, genres
//! let movielens = MovieLens::new(Ratings::try_from(ratings)?, Movies::try_from(movies)?)?;
//!
//! let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
//! let dataset = Dataset::new(&movielens, split, Vec::new())?;
//! let mut seen = 0;
//! for batch in dataset.training_batches(64, 1) {
//!     let table = dataset.features().record_batch(batch?)?;
//!     assert_eq!(table.schema().field(0).name(), "userId");
//!     seen += table.num_rows();
//! }
//! assert_eq!(seen, 240);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Batch`]: mmdlrm_data::Batch
//! [`MovieLens`]: mmdlrm_data::MovieLens
//! [`Split`]: mmdlrm_data::Split
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod affinity;
mod context;
mod dataset;
mod features;
mod known;
mod likeness;
mod negatives;
mod purpose;
mod record_batch;
mod sequences;
mod statistics;
mod streamed_dataset;
#[cfg(test)]
mod testing;
mod training_data;

pub use affinity::{Affinities, BesideUser, ColdAffinities, UserAffinity};
pub use context::{Biases, Context, ContextConfig};
pub use dataset::Dataset;
pub use features::{Features, NewMovie};
pub use known::{Histories, Known, UserRatings};
pub use likeness::Likeness;
pub use negatives::{DrawnBy, NegativeSampling};
// What fails is, nearly always, what was read.
pub use mmdlrm_data::{Error, Result};
pub use sequences::{ItemFeatures, Nearness, Sequences};
pub use statistics::{DENSE_FEATURES, MOVIE_FEATURES};
pub use streamed_dataset::StreamedDataset;
pub use training_data::{TrainingData, UserRows};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
