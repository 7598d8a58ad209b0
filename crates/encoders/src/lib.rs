//! CLIP for pictures and texts, on candle, and a store for what it computes.
//!
//! [`ClipEncoder`] loads any CLIP model in Hugging Face layout, from a folder
//! or from the hub, and embeds pictures and texts as transformers does.
//! [`ClipEncoder::encode_posters`] and [`ClipEncoder::encode_summaries`] take
//! whole lists of them, decode on worker threads, and keep the vectors in an
//! [`EmbeddingStore`], a Parquet file: what is in it is not computed again.
//!
//! ```
//! use mmdlrm_encoders::{ClipEncoder, Device, EmbeddingStore};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let plots = [(1, "A sailor finds the river."), (7, "A robot crosses the bank.")];
//! let clip = ClipEncoder::untrained(42, plots.map(|(_, text)| text), &Device::Cpu)?;
//!
//! let mut store = EmbeddingStore::open(folder.join("plots.parquet"), &clip)?;
//! let first = clip.encode_summaries(&plots, &mut store, |_done| {})?;
//! assert_eq!(first.computed, 2);
//!
//! let mut store = EmbeddingStore::open(folder.join("plots.parquet"), &clip)?;
//! let again = clip.encode_summaries(&plots, &mut store, |_done| {})?;
//! assert_eq!(again.computed, 0);
//! assert_eq!(again.vectors, first.vectors);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]

mod clip;
mod clip_model;
mod config;
mod device;
mod encode;
mod error;
mod picture;
mod source;
mod store;
mod tokens;
mod transformer;
mod untrained;

pub use candle_core::Device;
pub use clip::ClipEncoder;
pub use device::device;
pub use encode::{Encoded, FailedPicture};
pub use error::{Error, Result};
pub use source::DEFAULT_CLIP;
pub use store::{EmbeddingStore, Kind};
