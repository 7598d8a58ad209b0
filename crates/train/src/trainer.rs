use std::time::Instant;

use mmdlrm_data::TrainingData;
use mmdlrm_metrics::Regression;
use mmdlrm_model::{Dlrm, Gradients, Loss};
use serde::{Deserialize, Serialize};

use crate::evaluate::predict_test;
use crate::input::Wiring;
use crate::{Error, Optimizer, OptimizerConfig, Result, Schedule};

/// How a model is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Rows a step.
    pub batch_size: usize,
    /// Seed of the order of the rows.
    pub seed: u64,
    /// What a step brings down.
    pub loss: Loss,
    /// How.
    pub optimizer: OptimizerConfig,
    /// How the learning rate moves.
    pub schedule: Schedule,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 1024,
            seed: 42,
            loss: Loss::Mse,
            optimizer: OptimizerConfig::default(),
            schedule: Schedule::default(),
        }
    }
}

impl TrainConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first value that makes no sense.
    pub fn validate(&self) -> Result<()> {
        let counts = [("epochs", self.epochs), ("batch_size", self.batch_size)];
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
        self.optimizer.validate()
    }
}

/// What one epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochMetrics {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the training rows while they were learned from, on
    /// normalised ratings.
    pub train_loss: f64,
    /// Root mean squared error on the held-out rows after the epoch, in
    /// stars. It is shown, and nothing is chosen by it.
    pub test_rmse: f64,
    /// Seconds of training, without the evaluation.
    pub seconds: f64,
    /// Training rows a second.
    pub samples_per_s: f64,
}

/// Trains `model` on the training rows of `data`. `on_step` gets the number
/// of rows of each step as it ends, `on_epoch` the figures of each epoch and
/// the model as it stands.
///
/// The same configuration, data and number of threads give the same model, to
/// the bit.
///
/// # Errors
/// Settings that make no sense, a model that does not fit the data, a loss
/// that diverges, or whatever `on_epoch` returns.
pub fn train(
    model: &mut Dlrm,
    data: &impl TrainingData,
    config: &TrainConfig,
    mut on_step: impl FnMut(usize),
    mut on_epoch: impl FnMut(&EpochMetrics, &Dlrm) -> Result<()>,
) -> Result<()> {
    config.validate()?;
    let wiring = Wiring::new(model.config(), data.features())?;
    let mut optimizer = Optimizer::new(config.optimizer.clone(), model)?;
    let mut gradients = Gradients::default();
    let rows = data.training_rows();
    let total_steps = (rows.div_ceil(config.batch_size) * config.epochs) as u64;
    let mut step = 0;
    for epoch in 1..=config.epochs {
        let start = Instant::now();
        let mut loss_sum = 0.0;
        // Each epoch has an order of its own.
        let order_seed = config
            .seed
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(epoch as u64);
        for batch in data.training_batches(config.batch_size, order_seed) {
            let batch = batch?;
            let loss = wiring.with(&batch, |input| {
                model.gradients(input, &batch.stars, config.loss, &mut gradients)
            })?;
            if !loss.is_finite() {
                return Err(Error::Diverged {
                    loss,
                    step: step + 1,
                    epoch,
                });
            }
            optimizer.step(model, &gradients, config.schedule.factor(step, total_steps));
            step += 1;
            loss_sum += loss * batch.len() as f64;
            on_step(batch.len());
        }
        let seconds = start.elapsed().as_secs_f64();
        let metrics = EpochMetrics {
            epoch,
            train_loss: loss_sum / rows as f64,
            test_rmse: test_rmse(model, data)?,
            seconds,
            samples_per_s: rows as f64 / seconds,
        };
        tracing::debug!(?metrics, "epoch");
        on_epoch(&metrics, model)?;
    }
    Ok(())
}

fn test_rmse(model: &Dlrm, data: &impl TrainingData) -> Result<f64> {
    let mut regression = Regression::default();
    predict_test(model, data, |rated| {
        for rated in rated {
            regression.add(rated.prediction, rated.rating);
        }
        Ok(())
    })?;
    Ok(regression.rmse().unwrap_or(f64::NAN))
}
