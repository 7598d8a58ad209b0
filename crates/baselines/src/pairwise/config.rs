use mmdlrm_train::{Error, OptimizerConfig, Result};
use serde::{Deserialize, Serialize};

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
    /// Passes over the training pairs.
    pub epochs: usize,
    /// Triples a step.
    pub batch_size: usize,
    /// Learning rate of Adam.
    pub learning_rate: f64,
    /// Epochs without a better one, on the validation rows, after which it ends; `None` for
    /// never.
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
    /// [`Error::Setting`], which names the setting.
    pub fn validate(&self) -> Result<()> {
        for (setting, value) in [("epochs", self.epochs), ("batch_size", self.batch_size)] {
            at_least_one(setting, value)?;
        }
        let optimizer = OptimizerConfig {
            learning_rate: self.learning_rate,
            ..OptimizerConfig::default()
        };
        optimizer.validate()
    }
}

/// Refuses 0.
pub(crate) fn at_least_one(setting: &'static str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::Setting {
            setting,
            value: "0".to_owned(),
            rule: "it must be 1 or more",
        }),
        _ => Ok(()),
    }
}

/// Refuses what is no number from 0 on.
pub(crate) fn not_negative(setting: &'static str, value: f64) -> Result<()> {
    match value >= 0.0 && (value as f32).is_finite() {
        true => Ok(()),
        false => Err(Error::Setting {
            setting,
            value: value.to_string(),
            rule: "it must be 0 or more, and a number in single precision",
        }),
    }
}
