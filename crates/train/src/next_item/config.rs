use serde::{Deserialize, Serialize};

use crate::dlrm::check_epochs;
use crate::{Error, OptimizerConfig, Result};

/// How a [`NextItem`](mmdlrm_model::NextItem) is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NextItemTrainConfig {
    /// Passes over the training ratings.
    pub epochs: usize,
    /// Ratings a step.
    pub batch_size: usize,
    /// Seed of their order, and of what is dropped.
    pub seed: u64,
    /// Learning rate of Adam; it rises over the first tenth of the steps, and falls
    /// along half a cosine.
    pub learning_rate: f64,
    /// Share of a parameter, times the learning rate, that is taken off each step;
    /// that product may be 0.1 at most.
    pub weight_decay: f64,
}

impl Default for NextItemTrainConfig {
    /// Chosen on ratings before the held-out ones; `docs/accuracy.md` has the
    /// figures.
    fn default() -> Self {
        Self {
            epochs: 5,
            batch_size: 512,
            seed: 42,
            learning_rate: 3e-3,
            weight_decay: 1e-2,
        }
    }
}

impl NextItemTrainConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first value that makes no sense.
    pub fn validate(&self) -> Result<()> {
        check_epochs(self.epochs)?;
        if self.batch_size == 0 {
            return Err(Error::Setting {
                setting: "batch_size",
                value: "0".to_owned(),
                rule: "it must be 1 or more",
            });
        }
        self.optimizer().validate()
    }

    /// As the one of other models.
    fn optimizer(&self) -> OptimizerConfig {
        OptimizerConfig {
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            ..OptimizerConfig::default()
        }
    }
}
