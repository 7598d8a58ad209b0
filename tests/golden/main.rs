//! Comparisons with references that nobody here wrote: Meta's DLRM, Hugging
//! Face's transformers, scikit-learn. `cargo test golden` runs them all; they
//! skip where the folder of golden values is not there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod clip;
mod dlrm;
mod metrics;
