//! Learning rates and what goes with them.

use clap::{Args, ValueEnum};
use mmdlrm::train::{Algorithm, Decay};
use mmdlrm::{ExperimentConfig, Task};

/// Options that only a model of ratings takes, as [`Rates`] calls them.
pub const OF_RATINGS: [&str; 6] = [
    "table_lr",
    "table_weight_decay",
    "warm_up",
    "schedule",
    "clip_norm",
    "optimizer",
];
/// Those of embedding tables.
pub const OF_TABLES: [&str; 2] = ["table_lr", "table_weight_decay"];

/// For `#[command(flatten)]`.
#[derive(Debug, Args)]
pub struct Rates {
    /// Learning rate, of MLPs, towers and embedding tables; where the preset has a rate
    /// of the tables' own (best has), that keeps its proportion to this [default: the
    /// preset's, chosen for adam]
    #[arg(long, value_name = "RATE")]
    lr: Option<f64>,
    /// Learning rate of embedding tables alone [default: see --lr]
    #[arg(long, value_name = "RATE")]
    table_lr: Option<f64>,
    /// Share of a weight, times --lr, that each step takes off; that product is 0.1 at
    /// most [default: the preset's with adam, else 0]
    #[arg(long, value_name = "DECAY")]
    weight_decay: Option<f64>,
    /// The same of the rows of embedding tables that a step touches, times their rate
    /// [default: the preset's with adam, else 0]
    #[arg(long, value_name = "DECAY")]
    table_weight_decay: Option<f64>,
    /// Steps over which the rates rise from 0 [default: 0]
    #[arg(long, value_name = "STEPS")]
    warm_up: Option<u64>,
    /// What the rates do after that [default: cosine]
    #[arg(long, value_enum)]
    schedule: Option<Schedule>,
    /// Scale gradients whose norm is above this down to it
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f64>,
    /// Optimizer; rates and decays of the presets are adam's, so that another wants --lr
    /// and has no decay unless it is named [default: adam]
    #[arg(long, value_enum)]
    optimizer: Option<Optimizer>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Schedule {
    /// Nothing
    Constant,
    /// Fall evenly to 0 at the last step
    Linear,
    /// Fall along half a cosine to 0 at the last step
    Cosine,
}

/// The names of optimizers.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Optimizer {
    Sgd,
    Adagrad,
    /// Adagrad with one number of state a row
    RowWiseAdagrad,
    Adam,
}

impl From<Schedule> for Decay {
    fn from(schedule: Schedule) -> Self {
        match schedule {
            Schedule::Constant => Self::Constant,
            Schedule::Linear => Self::Linear,
            Schedule::Cosine => Self::Cosine,
        }
    }
}

impl From<Optimizer> for Algorithm {
    fn from(optimizer: Optimizer) -> Self {
        match optimizer {
            Optimizer::Sgd => Self::Sgd,
            Optimizer::Adagrad => Self::Adagrad,
            Optimizer::RowWiseAdagrad => Self::RowWiseAdagrad,
            Optimizer::Adam => Self::Adam,
        }
    }
}

impl Rates {
    /// Changes what is named, of the model that `task` trains; the rest stays the
    /// preset's.
    pub fn apply(&self, task: Task, config: &mut ExperimentConfig) {
        if task == Task::Rank {
            let next_item = &mut config.next_item;
            next_item.learning_rate = self.lr.unwrap_or(next_item.learning_rate);
            next_item.weight_decay = self.weight_decay.unwrap_or(next_item.weight_decay);
            return;
        }
        let schedule = &mut config.train.schedule;
        schedule.warmup_steps = self.warm_up.unwrap_or(schedule.warmup_steps);
        schedule.decay = self.schedule.map_or(schedule.decay, Decay::from);
        let mut optimizer = config.train.optimizer.clone();
        if let Some(algorithm) = self.optimizer {
            optimizer = optimizer.with_algorithm(algorithm.into());
        }
        if let Some(rate) = self.lr {
            optimizer = optimizer.with_learning_rate(rate);
        }
        optimizer.table_learning_rate = self.table_lr.or(optimizer.table_learning_rate);
        optimizer.weight_decay = self.weight_decay.unwrap_or(optimizer.weight_decay);
        let of_tables = self.table_weight_decay;
        optimizer.table_weight_decay = of_tables.unwrap_or(optimizer.table_weight_decay);
        optimizer.clip_norm = self.clip_norm;
        config.train.optimizer = optimizer;
    }
}
