//! CLIP, BERT and ResNet for pictures and texts, on candle, and a store for what
//! they compute.
//!
//! [`ClipEncoder`] loads any CLIP model in Hugging Face layout, from a folder
//! or from the hub, and embeds pictures and texts as transformers does;
//! [`BertEncoder`] embeds texts, [`ResNetEncoder`] pictures. What they have in
//! common are the traits [`ImageEncoder`] and [`TextEncoder`].
//!
//! [`encode_posters`] and [`encode_summaries`] take whole lists, decode on
//! worker threads, and keep the vectors in an [`EmbeddingStore`], a Parquet
//! file: what is in it is not computed again.
//!
//! ```
//! use mmdlrm_encoders::{ClipEncoder, EmbeddingStore, LoadOptions, encode_summaries};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("plots.parquet");
//! let plots = [(1, "A sailor finds the river."), (7, "A robot crosses the bank.")];
//! let texts = plots.map(|(_, text)| text);
//! let clip = ClipEncoder::untrained(42, texts, &LoadOptions::default())?;
//!
//! let mut store = EmbeddingStore::builder(&path).texts(&clip).open()?;
//! let first = encode_summaries(&clip, &plots, &mut store, |_done| {})?;
//! assert_eq!(first.computed, 2);
//! drop(store);
//!
//! let mut store = EmbeddingStore::builder(&path).texts(&clip).open()?;
//! let again = encode_summaries(&clip, &plots, &mut store, |_done| {})?;
//! assert_eq!(again.computed, 0);
//! assert_eq!(again.vectors, first.vectors);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! On a CPU transformers run in this crate's own code, in f32: see
//! `docs/benchmarks.md` for what that is worth. In other number types and on
//! GPUs (features `cuda`, `cudnn`, `metal`) they run by candle's operations.
//!
//! Without the feature `models`, which is on unless default features are off, this crate is
//! the two traits and the store, for encoders of one's own, and neither candle nor
//! tokenizers nor anything for pictures is built.
//!
//! | feature | what it is for |
//! | --- | --- |
//! | `models`, by default | `ClipEncoder`, `BertEncoder`, `ResNetEncoder`, and the hub |
//! | `pictures`, in `models` | `thumbnail` |
//! | `candle`, in `models` | `device` and `dtype` |
//! | `cuda`, `cudnn`, `metal`, `accelerate`, `mkl` | as candle's |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

#[cfg(feature = "candle")]
mod device;
mod encode;
mod encoder;
mod error;
mod files;
#[cfg(feature = "models")]
mod models;
#[cfg(feature = "pictures")]
mod picture;
mod store;

// Who takes tables of a store needs the same version.
pub use arrow_array;
#[cfg(feature = "candle")]
#[cfg_attr(docsrs, doc(cfg(feature = "candle")))]
pub use candle_core::{DType, Device};
#[cfg(feature = "candle")]
#[cfg_attr(docsrs, doc(cfg(feature = "candle")))]
pub use device::{device, dtype};
pub use encode::{Encoded, Failed, encode_posters, encode_summaries};
pub use encoder::{DEFAULT_CLIP, Identity, ImageEncoder, LongTexts, Pooling, TextEncoder};
pub use error::{Error, Result, VectorProblem};
#[cfg(feature = "models")]
#[cfg_attr(docsrs, doc(cfg(feature = "models")))]
pub use models::{
    BertEncoder, ClipEncoder, Dinov2Encoder, LoadOptions, ResNetEncoder, SiglipEncoder, TwoTowers,
    load_image_encoder, load_text_encoder, load_two_towers,
};
#[cfg(feature = "pictures")]
#[cfg_attr(docsrs, doc(cfg(feature = "pictures")))]
pub use picture::thumbnail;
pub use store::{EmbeddingStore, Kind, Precision, StoreBuilder, StoreProblem};

#[cfg(all(doctest, feature = "models"))]
#[doc = include_str!("../README.md")]
struct ReadMe;
