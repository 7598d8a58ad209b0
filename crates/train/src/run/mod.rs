//! What a run leaves behind.

mod categories;
mod checkpoint;
mod checkpoints;
mod files;
mod folder;
mod folder_lock;
mod identity;
mod known;
mod model_file;
mod tables;
mod tensorboard;
mod tensors;

pub(crate) use checkpoint::order_of_epoch;
pub use checkpoint::{Checkpoint, Progress};
pub use checkpoints::{CheckpointConfig, Checkpoints, Latest};
pub use folder::{Replacement, RunFolder};
pub use folder_lock::FolderLock;
pub use identity::RunIdentity;
pub use known::Posters;
pub use tensors::{Kept, Tensors};
