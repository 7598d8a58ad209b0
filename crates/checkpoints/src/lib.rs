//! Checkpoints of PyTorch, read safely: nothing in them is run.
//!
//! `torch.save` writes a *pickle*, a program for Python that may call anything. A
//! [`Checkpoint`] follows the program but makes none of its calls: it notes that
//! `torch._utils._rebuild_tensor_v2` would be called, with which arguments, and finds the tensor
//! by them. All that counts is checked before memory is taken for it, so that a file of
//! someone else's is a tensor or an [`Error`], never a panic.
//!
//! Read are the archive that `torch.save` writes since version 1.6, the format before it, and
//! TorchScript's archives, such as those that CLIP was published in; in them state dicts,
//! checkpoints that hold one among other things, and modules that were saved whole.
//!
//! ```no_run
//! use mmdlrm_checkpoints::Checkpoint;
//!
//! // {"epoch": 3, "state_dict": {"module.layer.weight": …}, "optimizer": …}
//! let model = Checkpoint::open("model.pt")?.into_model()?;
//! for (name, info) in model.tensors() {
//!     println!("{name}: {} {:?}", info.dtype(), info.shape());
//! }
//! let weight: Vec<f32> = model.read_f32("layer.weight")?;
//! # Ok::<(), mmdlrm_checkpoints::Error>(())
//! ```
//!
//! # Why not `candle_core::pickle`
//! It reads the newer format alone, lacks instructions that other versions of Python write,
//! panics where a pickle is malformed, passes over tensors that it does not know, and keeps
//! every value that is referred to again as a copy, so that a short file takes any memory.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod archive;
mod checkpoint;
mod dtype;
mod error;
mod legacy;
mod machine;
mod names;
mod pickle;
mod sniff;
mod tensor;
mod tree;

pub use checkpoint::{Checkpoint, Format};
pub use dtype::{Dtype, Number};
pub use error::{Error, Problem, Result};
pub use tensor::TensorInfo;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
