//! MovieLens, posters and plot summaries, from files to rows and batches.
//!
//! Data goes one way. [`MovieLens`] reads the folder of any release into Arrow
//! tables ([`OpenOptions`] has policies and a cache); [`read_posters`] and
//! [`read_summaries`] read what lies beside it. A [`Split`] says which ratings
//! are held out, and [`Candidates`] which movies compete with them.
//!
//! A rating becomes a row, [`Rated`], once users and movies are numbered by an [`IdMap`].
//! Rows become [`Batch`]es, named columns that any model can take: [`Batches`] builds them
//! ahead, of any source of rows and by any function, such as those of the crate
//! `mmdlrm-features`, which computes what the rows tell of each other. A [`BatchSchema`] says
//! which columns they have, so that the data behind them may be anybody's. What another crate
//! computes for the movies (picture and text vectors) joins as a [`Modality`], and so do the
//! [`Genome`] and [`Credits`].
//!
//! Where ratings do not fit in memory, [`OpenOptions::open_streamed`] leaves them on disk,
//! and a [`StreamedSplit`] gives the rows of the same batches.
//!
//! A [`DataFingerprint`] tells the very same data from any other, and says what changed.
//!
//! With nothing at hand, the module `generate`, of the feature of that name, writes a folder
//! of any size, and `download`, of another, fetches a release.
//!
//! # Arrow
//!
//! All tables are Arrow's, and that is how they come and go. [`Ratings`], [`Movies`], posters
//! and plots convert to a `RecordBatch` and, checked, from one, without a copy where the types
//! are the same; [`RatingsStream::record_batches`] is a `RecordBatchReader`. A
//! [`Batch`] converts to a table too, and [`Modality::from_record_batch`] takes vectors that
//! were computed elsewhere. Ids are `UInt32` in memory, and are taken as any integers. The
//! versions of [`arrow_array`] and [`arrow_schema`] that this holds for are re-exported.
//!
//! ```
//! use std::sync::Arc;
//!
//! use mmdlrm_data::arrow_array::{
//!     ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray,
//! };
//! use mmdlrm_data::{Batch, Batches, IdMap, MovieLens, Movies, Rated, Ratings, Split};
//!
//! // As pandas or a database has them. `MovieLens::open` reads a folder instead.
//! let ids = |ids: &[i64]| Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef;
//! let ratings = RecordBatch::try_from_iter([
//!     ("userId", ids(&[1, 1, 2, 2, 3])),
//!     ("movieId", ids(&[10, 20, 10, 30, 20])),
//!     ("rating", Arc::new(Float64Array::from(vec![4.0, 3.0, 5.0, 0.5, 2.5]))),
//!     ("timestamp", ids(&[964982703, 964981247, 847434962, 847434963, 944250080])),
//! ])?;
//! let movies = RecordBatch::try_from_iter([
//!     ("movieId", ids(&[10, 20, 30])),
//!     ("title", Arc::new(StringArray::from(vec!["Heat (1995)", "Big (1988)", "Up"]))),
//!     ("genres", Arc::new(StringArray::from(vec!["Crime|Drama", "Comedy", ""]))),
//! ])?;
//! let movielens = MovieLens::new(Ratings::try_from(ratings)?, Movies::try_from(movies)?)?;
//! let MovieLens { ratings, movies, .. } = movielens;
//! assert_eq!(movies.year(0), Some(1995));
//!
//! let split = Split::random(ratings.len(), 0.2, 42)?;
//! let users = IdMap::from_ids(ratings.user_ids().iter().copied());
//! let movies = movies.index();
//! let rated = |&row: &u32| {
//!     let row = row as usize;
//!     Some(Rated {
//!         user: users.row(ratings.user_ids()[row])?,
//!         movie: movies.row(ratings.movie_ids()[row])?,
//!         stars: ratings.stars()[row],
//!         timestamp: ratings.timestamps()[row],
//!     })
//! };
//! let rows: Vec<Rated> = split.train().iter().filter_map(rated).collect();
//! assert_eq!(rows.len(), 4);
//!
//! let batches = Batches::new(
//!     rows.len(),
//!     move |take| {
//!         let _ = rows.chunks(2).all(|rows| take(rows.to_vec()));
//!         Ok(())
//!     },
//!     |_number, rows| Batch::of(&rows),
//! );
//! for batch in batches {
//!     let table = RecordBatch::try_from(batch?)?;
//!     assert_eq!((table.num_rows(), table.num_columns()), (2, 4));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

#[cfg(feature = "archives")]
mod archive;
mod batch;
mod cache;
pub mod clicks;
#[cfg(feature = "download")]
pub mod download;
mod error;
mod fingerprint;
#[cfg(feature = "generate")]
pub mod generate;
mod ids;
mod interactions;
mod movielens;
mod split;
mod tables;
mod text;

// Who hands tables over or takes them needs the same versions.
pub use arrow_array;
pub use arrow_schema;
pub use batch::{
    Bags, Batch, BatchBags, BatchSchema, Batches, Column, ColumnField, ColumnKind, ColumnView,
    Modality, ModalityParts, Rated, RatedBag, RatedBags, Samples, Shuffle,
};
pub use cache::{RatingsBatches, RatingsStream};
pub use error::{Error, Result};
pub use fingerprint::{DataChange, DataFingerprint, DataPart, PartHasher, RatingsHasher};
pub use ids::IdMap;
pub use interactions::{
    Category, ColumnDescription, IdNames, InteractionFiles, InteractionOptions, Interactions,
    Measure, Role, Schema, Side, StreamedInteractions, TableDescription, Target, Traits, Unmatched,
    Users, describe,
};
pub use movielens::{
    Credit, Credits, Duplicates, Format, Genome, HIGHEST_RATING, LOWEST_RATING, LeftOut,
    LeftOutBecause, LeftOutRows, MovieLens, MovieTags, Movies, OpenOptions, Poster, Ratings,
    ReleaseFiles, SideRows, StreamedMovieLens, Summary, UnknownMovies, read_posters,
    read_summaries,
};
pub use split::{
    Candidates, DiskSplit, DropReason, Dropped, RandomSplit, Split, SplitPart, StreamedSplit,
    TemporalSplit, UserCandidates,
};
pub use text::{read_exact_at, write_all_at};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
