//! Learning what each user rates next.

mod config;
mod data;
mod file;
mod ranker;
mod score;
#[cfg(test)]
mod tests;
mod train;

pub use config::NextItemTrainConfig;
pub use data::NextItemData;
pub use ranker::NextItemRanker;
pub use train::train_next_item;
