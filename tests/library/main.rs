//! The crates together, as a program that depends on them uses them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod baselines;
mod best;
mod clicks;
mod comparison;
mod device;
mod fold_in;
mod gradients;
mod held_out;
mod hub;
mod losses;
mod modalities;
mod next_item;
mod protocols;
mod ranking;
mod recommend;
mod shared_bags;
mod splits;
mod streamed;
mod survive;
mod table_stores;
mod tables;
mod training;
mod two_stage;
mod wishes;

/// A model, ready to be measured on `data`.
fn scorer<'a>(
    model: &'a mmdlrm::model::Dlrm,
    data: &dyn mmdlrm::features::TrainingData,
) -> mmdlrm::train::Scorer<&'a mmdlrm::model::Dlrm> {
    mmdlrm::train::Scorer::new(model, data.features().clone()).unwrap()
}
