//! [`Dlrm`](mmdlrm_model::Dlrm)s: trained, and behind the seam.

mod config;
mod cpu;
#[cfg(feature = "candle")]
mod device;
mod input;
mod lists;
mod ranker;
mod samples;
mod scorer;
pub mod shapes;
mod shares;
mod tensors;
mod trainer;

pub use config::TrainConfig;
pub(crate) use config::check_epochs;
#[cfg(feature = "candle")]
pub use device::DeviceOptimizer;
pub use input::{
    AUDIENCE_TABLE, GENRE_TABLE, HISTORY_TABLE, MOVIE_TABLE, RATED_AUDIENCE_TABLE,
    RATED_HISTORY_TABLE, USER_TABLE,
};
pub use lists::{ListBatches, ListData, ListScorer, train_lists};
pub use samples::{LabelErrors, predict_samples, train_samples};
pub(crate) use scorer::unsound;
pub use scorer::{NewUser, Scorer};
#[cfg(feature = "candle")]
pub use trainer::train_on;
pub use trainer::{Recipe, train, train_with};
