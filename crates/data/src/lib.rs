//! MovieLens, posters and plot summaries, from files to rows and batches.
//!
//! Data goes one way. [`MovieLens`] reads the folder of any release into Arrow
//! tables ([`OpenOptions`] has policies and a cache); [`read_posters`] and
//! [`read_summaries`] read what lies beside it. A [`Split`] says which ratings
//! are held out, and [`Candidates`] which movies compete with them.
//!
//! A rating becomes a row, [`Rated`], once users and movies are numbered by an [`IdMap`].
//! Rows become [`Batch`]es, columns that any model can take: [`Batches`] builds them ahead,
//! of any source of rows and by any function, such as those of the crate `mmdlrm-features`,
//! which computes what the rows tell of each other. What another crate computes for the
//! movies (picture and text vectors) joins as a [`Modality`], and so does the [`Genome`].
//!
//! Where ratings do not fit in memory, [`OpenOptions::open_streamed`] leaves them on disk,
//! and a [`StreamedSplit`] gives the rows of the same batches.
//!
//! A [`DataFingerprint`] tells the very same data from any other, and says what changed.
//!
//! With nothing at hand, the module `generate`, of the feature of that name, writes a folder
//! of any size, and `download`, of another, fetches a release.
//!
//! ```
//! use mmdlrm_data::{Batch, Batches, IdMap, MovieLens, Rated, Split, generate};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join("sample");
//! generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
//! let MovieLens { ratings, movies, .. } = MovieLens::open(&folder)?;
//! assert_eq!(ratings.len(), 300);
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
//! assert_eq!(rows.len(), 240);
//!
//! let batches = Batches::new(
//!     rows.len(),
//!     move |take| {
//!         let _ = rows.chunks(64).all(|rows| take(rows.to_vec()));
//!         Ok(())
//!     },
//!     |_number, rows| Batch::of(&rows),
//! );
//! assert_eq!(batches.count(), 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod batch;
mod cache;
#[cfg(feature = "download")]
pub mod download;
mod error;
mod fingerprint;
#[cfg(feature = "generate")]
pub mod generate;
mod ids;
mod movielens;
mod split;
mod text;

pub use batch::{Bags, Batch, BatchBags, Batches, Modality, Rated, RatedBag, RatedBags, Shuffle};
pub use cache::RatingsStream;
pub use error::{Error, Result};
pub use fingerprint::{DataChange, DataFingerprint, DataPart, PartHasher, RatingsHasher};
pub use ids::IdMap;
pub use movielens::{
    Duplicates, Format, Genome, HIGHEST_RATING, LOWEST_RATING, LeftOut, MovieLens, MovieTags,
    Movies, OpenOptions, Poster, Ratings, StreamedMovieLens, Summary, UnknownMovies, read_posters,
    read_summaries,
};
pub use split::{
    Candidates, DropReason, Dropped, RandomSplit, Split, SplitPart, StreamedSplit, UserCandidates,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
