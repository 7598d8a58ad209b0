use mmdlrm_model::{ListSoftmax, Loss, Objective};
use serde::{Deserialize, Serialize};

use crate::run::order_of_epoch;
use crate::{Error, OptimizerConfig, Result, Schedule};

/// How a model is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Rows a step.
    pub batch_size: usize,
    /// Seed of the order of the rows, and of what dropout drops.
    pub seed: u64,
    /// What a step brings down; not [`Loss::Bpr`], whose pairs must be of one user
    /// each, where a step takes rows of all users. [`Loss::Lists`] is for
    /// [`train_lists`](crate::train_lists) alone.
    pub loss: Loss,
    /// How.
    pub optimizer: OptimizerConfig,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Epochs without a better one, on the validation rows, after which training ends;
    /// `None` for never.
    pub patience: Option<usize>,
}

/// No run has more epochs, so that no number of rows or steps overflows.
pub(crate) const MOST_EPOCHS: usize = 1_000_000;

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 1024,
            seed: 42,
            loss: Loss::Mse,
            optimizer: OptimizerConfig::default(),
            schedule: Schedule::default(),
            patience: None,
        }
    }
}

impl TrainConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first value that makes no sense.
    pub fn validate(&self) -> Result<()> {
        check_epochs(self.epochs)?;
        let counts = [
            ("batch_size", self.batch_size),
            ("patience", self.patience.unwrap_or(1)),
        ];
        for (setting, value) in counts {
            if value == 0 {
                let rule = "it must be 1 or more";
                return Err(Error::Setting {
                    setting,
                    value: value.to_string(),
                    rule,
                });
            }
        }
        match self.loss {
            Loss::Lists { length, power } => drop(ListSoftmax::new(length, power)?),
            _ => check_loss(&self.loss)?,
        }
        self.optimizer.validate()
    }
}

impl TrainConfig {
    /// The number that an epoch, from 1, is drawn by: those of epochs that follow each other are
    /// consecutive.
    pub fn draw_of_epoch(&self, epoch: usize) -> u64 {
        order_of_epoch(self.seed, epoch)
    }

    /// Checks every setting for lists of `length`: what [`train_lists`](crate::train_lists) refuses.
    ///
    /// # Errors
    /// As [`Self::validate`]; a loss of other lists or none, a step of lists that are not whole,
    /// patience.
    pub fn validate_for_lists(&self, length: usize) -> Result<()> {
        self.validate()?;
        let refused = |setting, value: String, rule| {
            Err(Error::Setting {
                setting,
                value,
                rule,
            })
        };
        if !matches!(self.loss, Loss::Lists { length: found, .. } if found == length) {
            let value = format!("{:?}, of lists of {length}", self.loss);
            return refused("loss", value, "it must be one of lists of that length");
        }
        if !self.batch_size.is_multiple_of(length) {
            let value = format!("{} of lists of {length}", self.batch_size);
            return refused("batch_size", value, "a step takes whole lists");
        }
        match self.patience {
            None => Ok(()),
            Some(patience) => refused(
                "patience",
                patience.to_string(),
                "lists are drawn anew each epoch and have no validation rows",
            ),
        }
    }
}

/// Refuses a loss that compares samples with each other.
pub(super) fn check_loss(loss: &dyn Objective) -> Result<()> {
    match loss.samples_together() {
        1 => Ok(()),
        _ => Err(Error::Setting {
            setting: "loss",
            value: "one of pairs, as bpr, or of lists".to_owned(),
            rule: "it compares samples of one user, and a step takes rows of all users; train on \
                   lists, or pass pairs to Dlrm::gradients yourself",
        }),
    }
}

pub(crate) fn check_epochs(epochs: usize) -> Result<()> {
    if (1..=MOST_EPOCHS).contains(&epochs) {
        return Ok(());
    }
    Err(Error::Setting {
        setting: "epochs",
        value: epochs.to_string(),
        rule: "it must be from 1 to 1,000,000",
    })
}
