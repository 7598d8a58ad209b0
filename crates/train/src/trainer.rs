use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Instant;

use mmdlrm_data::{Batch, TrainingData};
use mmdlrm_metrics::Regression;
use mmdlrm_model::{Dlrm, Loss};
use serde::{Deserialize, Serialize};

use crate::evaluate::predict_test;
use crate::input::Wiring;
use crate::stepper::{CpuStepper, Stepper};
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
/// The same configuration and data give the same model, to the bit, on any number
/// of threads.
///
/// # Errors
/// Settings that make no sense, a model that does not fit the data, a loss
/// that diverges, or whatever `on_epoch` returns.
pub fn train(
    model: &mut Dlrm,
    data: &impl TrainingData,
    config: &TrainConfig,
    on_step: impl FnMut(usize),
    on_epoch: impl FnMut(&EpochMetrics, &Dlrm) -> Result<()>,
) -> Result<()> {
    config.validate()?;
    let wiring = Wiring::new(model.config(), data.features())?;
    let optimizer = Optimizer::new(config.optimizer.clone(), model)?;
    let stepper = CpuStepper::new(model, optimizer, config.loss);
    run(stepper, &wiring, data, config, on_step, on_epoch)
}

/// As [`train`], on a device of candle's: the parameters go there at the
/// beginning and come back after each epoch; in between they stay, and losses
/// are looked at every hundred steps. On a CPU, [`train`] is far quicker.
///
/// # Errors
/// As [`train`], and a device that fails.
#[cfg(feature = "candle")]
pub fn train_on(
    device: &candle_core::Device,
    model: &mut Dlrm,
    data: &impl TrainingData,
    config: &TrainConfig,
    on_step: impl FnMut(usize),
    on_epoch: impl FnMut(&EpochMetrics, &Dlrm) -> Result<()>,
) -> Result<()> {
    use crate::device::{DeviceOptimizer, DeviceStepper};

    config.validate()?;
    let wiring = Wiring::new(model.config(), data.features())?;
    if !device.is_cpu() {
        // Of dropout; candle's CPU cannot be seeded.
        device.set_seed(config.seed)?;
    }
    let on_device = mmdlrm_model::DeviceDlrm::new(model, &wiring.vectors(), device)?;
    let stepper = DeviceStepper {
        optimizer: DeviceOptimizer::new(config.optimizer.clone(), &on_device)?,
        model: on_device,
        host: model,
        loss: config.loss,
        unseen: Vec::new(),
    };
    run(stepper, &wiring, data, config, on_step, on_epoch)
}

fn run(
    mut stepper: impl Stepper,
    wiring: &Wiring,
    data: &impl TrainingData,
    config: &TrainConfig,
    mut on_step: impl FnMut(usize),
    mut on_epoch: impl FnMut(&EpochMetrics, &Dlrm) -> Result<()>,
) -> Result<()> {
    let rows = data.training_rows();
    let total_steps = (rows.div_ceil(config.batch_size) * config.epochs) as u64;
    let (mut step, mut seen_steps) = (0, 0);
    for epoch in 1..=config.epochs {
        let start = Instant::now();
        let mut losses = EpochLoss::default();
        // Each epoch has an order of its own.
        let order_seed = config
            .seed
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(epoch as u64);
        let mut check = |stepper: &mut dyn Stepper, losses: &mut EpochLoss, all: bool| {
            for loss in stepper.losses(all)? {
                seen_steps += 1;
                if !loss.is_finite() {
                    return Err(diverged(stepper.model()?, loss, seen_steps, epoch));
                }
                losses.add(loss);
            }
            Ok(())
        };
        for batch in data.training_batches(config.batch_size, order_seed) {
            let batch = batch?;
            losses.batch_sizes.push_back(batch.len());
            let factor = config.schedule.factor(step, total_steps);
            let targets = beyond_base(&batch);
            wiring.with(&batch, |input| stepper.step(input, &targets, factor))?;
            step += 1;
            check(&mut stepper, &mut losses, false)?;
            on_step(batch.len());
        }
        check(&mut stepper, &mut losses, true)?;
        let seconds = start.elapsed().as_secs_f64();
        let train_loss = losses.sum / rows as f64;
        let model = stepper.model()?;
        // Its last step may have been one too many: nobody should keep it then.
        if !model.extreme_parameter().1.is_finite() {
            return Err(diverged(model, train_loss, step, epoch));
        }
        let metrics = EpochMetrics {
            epoch,
            train_loss,
            test_rmse: test_rmse(model, data)?,
            seconds,
            samples_per_s: rows as f64 / seconds,
        };
        tracing::debug!(?metrics, "epoch");
        on_epoch(&metrics, model)?;
    }
    Ok(())
}

/// What the model learns: the stars, or what biases leave of them.
fn beyond_base(batch: &Batch) -> Cow<'_, [f32]> {
    if batch.base.is_empty() {
        return Cow::Borrowed(&batch.stars);
    }
    let pairs = batch.stars.iter().zip(&batch.base);
    Cow::Owned(pairs.map(|(stars, base)| stars - base).collect())
}

/// The losses of an epoch, which may come later than their batches.
#[derive(Default)]
struct EpochLoss {
    batch_sizes: VecDeque<usize>,
    sum: f64,
}

impl EpochLoss {
    fn add(&mut self, loss: f64) {
        let rows = self.batch_sizes.pop_front().unwrap_or(0);
        self.sum += loss * rows as f64;
    }
}

fn diverged(model: &Dlrm, loss: f64, step: u64, epoch: usize) -> Error {
    let (parameter, value) = model.extreme_parameter();
    Error::Diverged {
        loss,
        step,
        epoch,
        parameter,
        value,
    }
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
