//! How any model is trained, and where the run goes.

use std::path::PathBuf;

use clap::Args;
use mmdlrm::ExperimentConfig;
use mmdlrm::train::CheckpointConfig;

use super::SourceOptions;

/// For `#[command(flatten)]`.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Passes over the training ratings [default: the preset's]
    #[arg(long)]
    epochs: Option<usize>,
    /// Ratings a step [default: the preset's]
    #[arg(long)]
    batch_size: Option<usize>,
    /// Length of an embedding [default: the preset's]
    #[arg(long)]
    dim: Option<usize>,
    /// Seed of split, parameters, order of the ratings, what dropout drops, and sample
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Threads, at most 16 for each core [default: one a core]
    #[arg(long)]
    pub threads: Option<usize>,
    /// Where posters and plots are encoded and the model is trained; one that ranks is
    /// trained on the CPU
    #[arg(long, default_value = "cpu", value_parser = ["cpu", "cuda", "metal"])]
    device: String,
    /// Steps from one checkpoint to the next; 0 for one an epoch
    #[arg(long, value_name = "STEPS", default_value_t = CheckpointConfig::default().every_steps)]
    checkpoint_steps: u64,
    /// How many of the latest checkpoints to keep
    #[arg(long, value_name = "COUNT", default_value_t = CheckpointConfig::default().keep)]
    keep_checkpoints: usize,
    /// Go on with the run in this folder, by its own settings
    #[arg(long, value_name = "DIR", exclusive = true)]
    pub resume: Option<PathBuf>,
    /// Folder to leave the run in [default: runs/sample, or runs/ and the
    /// data folder's name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the run that is in that folder, once this one begins to train
    #[arg(long)]
    overwrite: bool,
}

impl RunOptions {
    /// Writes down what is named, of the data too; the rest stays the preset's.
    pub fn apply(self, source: SourceOptions, config: &mut ExperimentConfig) {
        config.out = self.out.unwrap_or_else(|| source.usual_out());
        config.overwrite = self.overwrite;
        source.apply(self.seed, config);
        config.checkpoints = CheckpointConfig {
            every_steps: self.checkpoint_steps,
            keep: self.keep_checkpoints,
        };
        config.dim = self.dim.unwrap_or(config.dim);
        config.device = self.device;
        config.seed = self.seed;
        config.train.seed = self.seed;
        config.next_item.seed = self.seed;
        let next_item = &mut config.next_item;
        next_item.epochs = self.epochs.unwrap_or(next_item.epochs);
        next_item.batch_size = self.batch_size.unwrap_or(next_item.batch_size);
        let train = &mut config.train;
        train.epochs = self.epochs.unwrap_or(train.epochs);
        train.batch_size = self.batch_size.unwrap_or(train.batch_size);
    }
}
