//! DLRM for several modalities, on the CPU, with explicit gradients.
//!
//! A [`DlrmConfig`] says what a model looks like, [`Dlrm`] is one. It takes a
//! [`Inputs`] of borrowed columns and [predicts](Dlrm::predict), computes
//! [`Gradients`] for an optimizer of the caller's choice (the train crate has
//! some), or [scores](Dlrm::score_items) a whole catalogue for some users. It
//! knows no files: parameters go [to](Dlrm::to_safetensors) and
//! [from](Dlrm::from_safetensors) bytes.
//!
//! Gradients of embedding tables are sparse, [`RowGradients`]: a step costs
//! what the rows it touches cost, whatever the height of the tables. Their rows lie in memory,
//! or wherever a [`TableStore`] keeps them.
//!
//! ```
//! use mmdlrm_model::{TableInput, Inputs, Dlrm, DlrmConfig, Gradients, Loss, Side, TableConfig};
//!
//! let config = DlrmConfig {
//!     tables: vec![
//!         TableConfig::new("user", 2, Side::User),
//!         TableConfig::new("movie", 3, Side::Item),
//!     ],
//!     ..DlrmConfig::default()
//! };
//! let mut model = Dlrm::new(config, 42)?;
//! let batch = Inputs {
//!     dense: &[0.1, -0.3],
//!     tables: &[TableInput::Single(&[0, 1]), TableInput::Single(&[2, 2])],
//!     modalities: &[],
//! };
//!
//! // Gradient descent, by hand.
//! let mut gradients = Gradients::default();
//! let before = model.gradients(&batch, &[1.0, 0.0], Loss::Mse, &mut gradients)?;
//! for (x, g) in model.parameters_mut().dense.iter_mut().zip(&gradients.dense) {
//!     *x -= 0.01 * g;
//! }
//! let after = model.gradients(&batch, &[1.0, 0.0], Loss::Mse, &mut gradients)?;
//! assert!(after < before);
//! # Ok::<(), mmdlrm_model::Error>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod config;
#[cfg(feature = "candle")]
mod device;
mod dlrm;
mod dropout;
mod embedding_bag;
mod error;
mod explain;
mod forward;
mod given;
mod gradients;
mod grouped;
mod input;
mod interaction;
mod layout;
mod list_softmax;
mod lookup;
mod loss;
mod mlp;
mod next_item;
mod parameters;
mod part_size;
mod per_thread;
mod predict;
#[cfg(feature = "pytorch")]
mod pytorch;
mod ranking;
mod shared_bags;
mod step_part;
mod table_rows;
mod table_store;
mod top_k;
mod towers;
mod waves;
mod weights;

pub use config::{
    Activation, BottomConfig, Combine, Compression, DlrmConfig, Interaction, ModalityConfig,
    Output, OutputActivation, Pooling, Side, TableConfig, mixed_dims,
};
#[cfg(feature = "candle")]
pub use device::{DeviceDlrm, DeviceGradients};
pub use dlrm::Dlrm;
pub use embedding_bag::RowGradients;
pub use error::{Error, Result};
pub use explain::Part;
pub use gradients::Gradients;
pub use input::{Inputs, ModalityInput, TableInput, Vectors};
pub use list_softmax::ListSoftmax;
pub use loss::{Loss, Objective};
pub use next_item::{
    ItemInputs, NextItem, NextItemConfig, NextItemExample, NextItemGradients, NoPairFeatures,
    PairFeatures, RecencyBag,
};
pub use parameters::{Parameters, Segment, Table};
pub use predict::Predictor;
pub use ranking::Items;
pub use shared_bags::SharedBags;
pub use step_part::StepPart;
pub use table_store::{RowStep, RowUpdate, StoreError, TableStore};
pub use top_k::top_k;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
