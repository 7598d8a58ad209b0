//! Matrix products of `f32` and vectorized loops, on one thread.
//!
//! Threads are given different rows by the caller, not parts of one product:
//! products of a model's layers are too small to share.
//!
//! - [`Panels`] holds a right-hand side that is used many times, a layer's
//!   weights, and [multiplies](Panels::multiply) [`Rows`] by it: `out = A · B`. A
//!   [`Finish`] adds a bias and applies an activation while the sums are in the
//!   first-level cache.
//! - [`add_transposed`] sums outer products, `out += Aᵀ · B`: a layer's weight
//!   gradient.
//! - [`pair_products`] multiplies the vectors of a sample with each other, DLRM's dot
//!   interaction, and [`pair_gradients`] goes the way back.
//! - [`prefetch`] asks for memory that will be read soon.
//! - [`widen_halves`] reads numbers that are kept in half precision.
//! - [`exp`] and [`ln`] have no branch, for loops of them; [`dot`] and [`add_scaled`]
//!   are loops over two vectors.
//! - [`vectorize`] runs plain loops compiled for the widest registers, and [`dispatch`]
//!   what is written for registers of any width.
//! - [`InstructionSet`] says which those are; `MMDLRM_SIMD` chooses others.
//!
//! A tile of rows keeps its sums in registers from the first product to the
//! last (Goto and van de Geijn, 2008). No row depends on its neighbours: it is
//! the same to the bit among any others.
//!
//! ```
//! use mmdlrm_kernels::{Finish, Panels, copy_rows};
//!
//! // A linear layer of two inputs and three outputs, two rows.
//! let weight = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
//! let panels = Panels::of_transposed(&weight, 3, 2);
//! let relu = Finish::new(
//!     Some(&[0.5, 0.5, 0.5]),
//!     false,
//!     #[inline(always)]
//!     |_row, _column, x: &mut [f32]| x.iter_mut().for_each(|x| *x = x.max(0.0)),
//! );
//! let rows = copy_rows(&[1.0, 2.0, 3.0, -4.0], 2);
//! let mut out = [0.0; 6];
//! panels.multiply(rows, 2, (&mut out, 3), relu, &mut Vec::new());
//! assert_eq!(out, [1.5, 2.5, 3.5, 3.5, 0.0, 0.0]);
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs, unsafe_code)]

mod elementary;
mod half;
mod instructions;
mod multiply;
mod outer;
mod pairs;
mod panels;
#[allow(
    unsafe_code,
    reason = "a hint to the processor, measured in docs/benchmarks.md"
)]
mod prefetch;
mod rows;
#[cfg(test)]
mod tests;
mod tile;
mod vectorize;
mod vectors;

pub use elementary::{exp, ln};
pub use half::widen_halves;
pub use instructions::{InstructionSet, InstructionsError, dispatch};
pub use multiply::{Finish, store};
pub use outer::add_transposed;
pub use pairs::{pair_gradients, pair_products};
pub use panels::Panels;
pub use prefetch::prefetch;
pub use rows::{RowMajor, Rows, copy_rows};
pub use vectorize::vectorize;
pub use vectors::{add_scaled, dot};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
