//! [`Dlrm`](mmdlrm_model::Dlrm)s: trained, and behind the seam.

mod config;
#[cfg(feature = "candle")]
mod device;
mod input;
mod preset;
mod ranker;
mod scorer;
mod shares;
mod trainer;

pub use config::TrainConfig;
pub(crate) use config::check_epochs;
#[cfg(feature = "candle")]
pub use device::DeviceOptimizer;
pub use input::{MOVIE_TABLE, USER_TABLE};
pub use preset::Preset;
pub(crate) use scorer::unsound;
pub use scorer::{NewUser, Scorer};
#[cfg(feature = "candle")]
pub use trainer::train_on;
pub use trainer::{Recipe, train, train_with};
