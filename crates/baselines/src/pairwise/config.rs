use mmdlrm_train::{OptimizerConfig, Result};
use serde::{Deserialize, Serialize};

use super::bounds::{AT_LEAST_ONE, BATCHES, EPOCHS};

/// How long and how fast a model learns from triples of a user, an item that the user rated, and
/// one that the user did not: Adam, at a constant rate.
///
/// Where the data have validation rows, the model ends with the parameters of the epoch that ranks
/// these best, by nDCG@10 over the whole catalogue.
///
/// ```
/// use mmdlrm_baselines::PairwiseTraining;
///
/// let mut training = PairwiseTraining::default();
/// training.batch_size = 0;
/// let error = training.validate().unwrap_err().to_string();
/// assert!(error.contains("batch_size is 0"), "{error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PairwiseTraining {
    /// Passes over the training pairs, from 1 to 1,000,000.
    pub epochs: usize,
    /// Triples a step, from 1 to 100,000,000.
    pub batch_size: usize,
    /// Learning rate of Adam, above 0, and a number in single precision.
    pub learning_rate: f64,
    /// Epochs without a better one, on the validation rows, after which it ends, 1 or more; `None`
    /// for never. Nothing else can tell when to end: data without validation rows are refused
    /// unless it is `None`.
    pub patience: Option<usize>,
    /// Seed of the initial values, of the order of the pairs and of what is drawn beside them.
    pub seed: u64,
}

impl Default for PairwiseTraining {
    /// 100 epochs of batches of 8,192, at a rate of 0.01.
    fn default() -> Self {
        Self {
            epochs: 100,
            batch_size: 8192,
            learning_rate: 0.01,
            patience: None,
            seed: 42,
        }
    }
}

impl PairwiseTraining {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Setting`](mmdlrm_train::Error::Setting), which names the setting.
    pub fn validate(&self) -> Result<()> {
        EPOCHS.check("epochs", self.epochs)?;
        BATCHES.check("batch_size", self.batch_size)?;
        AT_LEAST_ONE.check("patience", self.patience.unwrap_or(1))?;
        let optimizer = OptimizerConfig {
            learning_rate: self.learning_rate,
            ..OptimizerConfig::default()
        };
        optimizer.validate()
    }
}
