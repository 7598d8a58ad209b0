//! Learning what each user rates next.

mod config;
mod data;
mod score;
mod train;

pub use config::NextItemTrainConfig;
pub use data::NextItemData;
pub use score::{CandidateScore, score_candidates};
pub use train::train_next_item;
