use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Instant;

use mmdlrm_data::Batch;
use mmdlrm_features::TrainingData;
use mmdlrm_metrics::Regression;
use mmdlrm_model::{Dlrm, DlrmConfig, Loss, Parameters};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, Progress, Tensors};
use crate::evaluate::{RatedPrediction, all_came, predict_test, predict_validation};
use crate::input::Wiring;
use crate::stepper::{CpuStepper, Stepper};
use crate::{Error, Optimizer, OptimizerConfig, Result, Schedule, Session};

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
    /// each, where a step takes rows of all users.
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
        if self.loss == Loss::Bpr {
            return Err(Error::Setting {
                setting: "loss",
                value: "bpr".to_owned(),
                rule: "it compares pairs of one user's samples, and a step takes rows of all users; \
                       pass pairs to Dlrm::gradients yourself",
            });
        }
        self.optimizer.validate()
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

/// What one epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochMetrics {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the training rows while they were learned from, on
    /// normalised ratings.
    pub train_loss: f64,
    /// Root mean squared error on the validation rows after the epoch, in stars; `None`
    /// where there are none. The epoch with the least is kept.
    pub validation_rmse: Option<f64>,
    /// The same on the held-out rows. It is shown, and nothing is chosen by it.
    pub test_rmse: Option<f64>,
    /// Seconds of training, without the evaluation.
    pub seconds: f64,
    /// Training rows a second.
    pub samples_per_s: f64,
}

/// Trains `model` on the training rows of `data`. `session` says whether the run goes on
/// from a checkpoint and writes some. `on_step` gets the number of rows of each step as
/// it ends, `on_epoch` the figures of each epoch and the model as it stands.
///
/// With validation rows, the model ends with the parameters of the epoch that has the
/// least error on them, and training ends early where the configuration's `patience`
/// says so.
///
/// The same configuration and data give the same model, to the bit, on any number
/// of threads, and however often the run was stopped and gone on with.
///
/// # Errors
/// Settings that make no sense, a model that does not fit the data, a checkpoint of
/// another run, a loss that diverges, [`Error::Stopped`], or whatever `on_epoch`
/// returns.
pub fn train(
    model: &mut Dlrm,
    data: &impl TrainingData,
    config: &TrainConfig,
    session: Session<EpochMetrics>,
    on_step: impl FnMut(usize),
    on_epoch: impl FnMut(&EpochMetrics, &Dlrm) -> Result<()>,
) -> Result<()> {
    config.validate()?;
    let wiring = Wiring::new(model.config(), data.features())?;
    let mut run = Run::begin(model, data, config, &wiring, session)?;
    let optimizer = Optimizer::new(config.optimizer.clone(), model)?;
    run.go(
        CpuStepper::new(model, optimizer, config.loss, config.seed),
        on_step,
        on_epoch,
    )?;
    run.restore_best(model);
    Ok(())
}

/// As [`train`], on a device of candle's: the parameters go there at the
/// beginning and come back after each epoch; in between they stay, and losses
/// are looked at every hundred steps. On a CPU, [`train`] is far quicker.
///
/// Dropout there is drawn by the device, anew in a run that is gone on with.
///
/// # Errors
/// As [`train`], and a device that fails.
#[cfg(feature = "candle")]
pub fn train_on(
    device: &candle_core::Device,
    model: &mut Dlrm,
    data: &impl TrainingData,
    config: &TrainConfig,
    session: Session<EpochMetrics>,
    on_step: impl FnMut(usize),
    on_epoch: impl FnMut(&EpochMetrics, &Dlrm) -> Result<()>,
) -> Result<()> {
    use crate::device::{DeviceOptimizer, DeviceStepper};

    config.validate()?;
    let wiring = Wiring::new(model.config(), data.features())?;
    let mut run = Run::begin(model, data, config, &wiring, session)?;
    if !device.is_cpu() {
        // Of dropout; candle's CPU cannot be seeded.
        device.set_seed(config.seed.wrapping_add(run.progress.step))?;
    }
    let on_device = mmdlrm_model::DeviceDlrm::new(model, &wiring.vectors(), device)?;
    let stepper = DeviceStepper {
        optimizer: DeviceOptimizer::new(config.optimizer.clone(), &on_device)?,
        model: on_device,
        host: model,
        loss: config.loss,
        unseen: Vec::new(),
    };
    run.go(stepper, on_step, on_epoch)?;
    run.restore_best(model);
    Ok(())
}

/// All that a run is told.
#[derive(Serialize, Deserialize)]
struct Settings {
    train: TrainConfig,
    model: DlrmConfig,
}

/// A run of the loop.
struct Run<'a, D> {
    data: &'a D,
    config: &'a TrainConfig,
    wiring: &'a Wiring<'a>,
    session: Session<'a, EpochMetrics>,
    progress: Progress<EpochMetrics>,
    /// Parameters of the best epoch, where there are validation rows.
    best: Option<Parameters>,
    /// Rows of the steps whose losses have not been seen yet.
    unseen: VecDeque<usize>,
    /// When the epoch at hand began, or was gone on with.
    since: Instant,
}

impl<'a, D: TrainingData> Run<'a, D> {
    /// At its beginning, or where its checkpoint says; `model` gets the parameters of
    /// that moment.
    fn begin(
        model: &mut Dlrm,
        data: &'a D,
        config: &'a TrainConfig,
        wiring: &'a Wiring<'a>,
        session: Session<'a, EpochMetrics>,
    ) -> Result<Self> {
        if config.patience.is_some() && data.validation_rows() == 0 {
            return Err(Error::Setting {
                setting: "patience",
                value: format!("{:?}", config.patience),
                rule: "only validation rows can tell when to end, and there are none",
            });
        }
        let steps = steps(data, config);
        if config.schedule.warmup_steps > steps {
            return Err(Error::Setting {
                setting: "schedule.warmup_steps",
                value: format!("{} of {steps} steps", config.schedule.warmup_steps),
                rule: "it must end within the run",
            });
        }
        let settings = Settings {
            train: config.clone(),
            model: model.config().clone(),
        };
        let progress = session.begin(&settings, data.fingerprint())?;
        let mut best = None;
        if let Some(checkpoint) = &session.resumed {
            load_parameters(checkpoint, model.parameters_mut())?;
            if let Some(checkpoints) = &session.checkpoints {
                checkpoints.forget_bests_after(progress.step)?;
                if let Some(epoch) = best_epoch(&progress) {
                    let step = (epoch + 1) as u64 * steps_of_epoch(data, config);
                    let kept = checkpoints.best::<EpochMetrics>(step)?;
                    kept.check::<Settings>(&progress.identity)?;
                    check_best(&kept, &progress, epoch)?;
                    let mut parameters = model.parameters().clone();
                    load_parameters(&kept, &mut parameters)?;
                    best = Some(parameters);
                }
            }
        }
        Ok(Self {
            data,
            config,
            wiring,
            session,
            progress,
            best,
            unseen: VecDeque::new(),
            since: Instant::now(),
        })
    }

    fn go(
        &mut self,
        mut stepper: impl Stepper,
        mut on_step: impl FnMut(usize),
        mut on_epoch: impl FnMut(&EpochMetrics, &Dlrm) -> Result<()>,
    ) -> Result<()> {
        if let Some(checkpoint) = self.session.resumed.take() {
            stepper.restore(&checkpoint)?;
        }
        while !self.is_over() {
            self.epoch(&mut stepper, &mut on_step)?;
            let metrics = self.measure(stepper.model()?)?;
            tracing::debug!(?metrics, "epoch");
            self.progress.end_epoch(metrics.clone());
            self.keep_best(stepper.model()?)?;
            // First what can be read, then what makes sure that it is not written again.
            on_epoch(&metrics, stepper.model()?)?;
            self.keep(&mut stepper)?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let epochs = self.progress.epochs.len();
        let since_best = best_epoch(&self.progress).map_or(0, |best| epochs - 1 - best);
        let patience = self.config.patience;
        epochs >= self.config.epochs || patience.is_some_and(|patience| since_best >= patience)
    }

    /// Takes the steps that are left of the epoch at hand.
    fn epoch(&mut self, stepper: &mut impl Stepper, on_step: &mut impl FnMut(usize)) -> Result<()> {
        let (data, wiring, config) = (self.data, self.wiring, self.config);
        self.since = Instant::now();
        let rows = data.training_rows();
        let of_epoch = steps_of_epoch(data, config) as usize;
        let all_steps = steps(data, config);
        let order = self.progress.order(config.seed);
        let done = self.progress.steps_of_epoch;
        let mut seen = (done * config.batch_size).min(rows);
        for batch in data.training_batches_from(config.batch_size, order, done) {
            let batch = batch?;
            seen += batch.len();
            self.unseen.push_back(batch.len());
            let factor = config.schedule.factor(self.progress.step, all_steps);
            let targets = beyond_base(&batch);
            wiring.with(&batch, |input| stepper.step(input, &targets, factor))?;
            self.progress.step += 1;
            self.progress.steps_of_epoch += 1;
            self.see_losses(stepper, false)?;
            on_step(batch.len());
            let is_last = self.progress.steps_of_epoch == of_epoch;
            if !is_last && self.session.is_due(self.progress.step) {
                self.keep(stepper)?;
            }
        }
        all_came("training ratings", seen, rows)?;
        self.see_losses(stepper, true)?;
        self.spend_time();
        // The last step may have been one too many: nobody should keep it then.
        self.check_parameters(stepper.model()?)
    }

    /// Refuses a model that is not to be kept.
    fn check_parameters(&self, model: &Dlrm) -> Result<()> {
        match model.extreme_parameter().1.is_finite() {
            true => Ok(()),
            false => Err(self.diverged(model, f64::NAN)),
        }
    }

    fn see_losses(&mut self, stepper: &mut impl Stepper, all: bool) -> Result<()> {
        for loss in stepper.losses(all)? {
            if !loss.is_finite() {
                return Err(self.diverged(stepper.model()?, loss));
            }
            let rows = self.unseen.pop_front().unwrap_or(0);
            self.progress.add(loss, rows);
        }
        Ok(())
    }

    fn spend_time(&mut self) {
        self.progress.seconds += self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
    }

    /// The figures of the epoch at hand.
    fn measure(&self, model: &Dlrm) -> Result<EpochMetrics> {
        let rows = self.data.training_rows() as f64;
        let seconds = self.progress.seconds;
        let (mut validation, mut test) = (Regression::default(), Regression::default());
        predict_validation(model, self.data, |rated| add(&mut validation, rated))
            .and_then(|()| predict_test(model, self.data, |rated| add(&mut test, rated)))
            .map_err(|error| match error {
                // The next step would have been told by its loss.
                Error::Unsound { prediction, .. } => self.diverged(model, prediction.into()),
                other => other,
            })?;
        Ok(EpochMetrics {
            epoch: self.progress.epoch(),
            train_loss: self.progress.loss_sum / rows,
            validation_rmse: validation.rmse(),
            test_rmse: test.rmse(),
            seconds,
            samples_per_s: rows / seconds,
        })
    }

    /// Keeps the parameters of the epoch that has just ended, if none is better.
    fn keep_best(&mut self, model: &Dlrm) -> Result<()> {
        if best_epoch(&self.progress).is_some_and(|best| best + 1 == self.progress.epochs.len()) {
            self.best = Some(model.parameters().clone());
            if let Some(checkpoints) = &self.session.checkpoints {
                checkpoints.save_best(&self.progress, parameter_tensors(model.parameters()))?;
            }
        }
        Ok(())
    }

    fn restore_best(&mut self, model: &mut Dlrm) {
        if let Some(best) = self.best.take() {
            *model.parameters_mut() = best;
        }
    }

    /// Writes a checkpoint.
    fn keep(&mut self, stepper: &mut impl Stepper) -> Result<()> {
        self.see_losses(stepper, true)?;
        if self.progress.steps_of_epoch > 0 {
            self.spend_time();
        }
        let model = stepper.model()?;
        self.check_parameters(model)?;
        let parameters = model.parameters().clone();
        let mut tensors = parameter_tensors(&parameters);
        tensors.extend(stepper.optimizer()?);
        self.session.keep(&self.progress, tensors)
    }

    fn diverged(&self, model: &Dlrm, loss: f64) -> Error {
        let (parameter, value) = model.extreme_parameter();
        Error::Diverged {
            loss,
            // The first whose loss has not been seen, or the last of all.
            step: self.progress.step - self.unseen.len().saturating_sub(1) as u64,
            epoch: self.progress.epoch(),
            parameter,
            value,
        }
    }
}

/// Steps of a whole run.
fn steps(data: &impl TrainingData, config: &TrainConfig) -> u64 {
    steps_of_epoch(data, config) * config.epochs as u64
}

fn steps_of_epoch(data: &impl TrainingData, config: &TrainConfig) -> u64 {
    data.training_rows().div_ceil(config.batch_size) as u64
}

fn parameter_tensors(parameters: &Parameters) -> Tensors<'_> {
    let dense = (
        "parameters.dense".to_owned(),
        Cow::Borrowed(&*parameters.dense),
    );
    let tables = parameters.tables.iter();
    let tables = tables.map(|table| (table_name(&table.name), Cow::Borrowed(&*table.values)));
    std::iter::once(dense).chain(tables).collect()
}

fn load_parameters<M>(checkpoint: &Checkpoint<M>, parameters: &mut Parameters) -> Result<()> {
    checkpoint.load("parameters.dense", &mut parameters.dense)?;
    for table in &mut parameters.tables {
        checkpoint.load(&table_name(&table.name), &mut table.values)?;
    }
    Ok(())
}

fn table_name(table: &str) -> String {
    format!("parameters.{table}")
}

/// The epoch with the least error on the validation rows, from 0; the first of equals.
fn best_epoch(progress: &Progress<EpochMetrics>) -> Option<usize> {
    let errors = progress.epochs.iter().enumerate();
    let errors = errors.filter_map(|(epoch, metrics)| Some((metrics.validation_rmse?, epoch)));
    let best = errors.min_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, epoch)| epoch)
}

/// Refuses a best epoch, from 0, whose figures are not those of the run: it came from
/// elsewhere.
fn check_best(
    best: &Checkpoint<EpochMetrics>,
    progress: &Progress<EpochMetrics>,
    epoch: usize,
) -> Result<()> {
    let figures = |it: &EpochMetrics| (it.train_loss, it.validation_rmse, it.test_rmse);
    let kept = best.progress.epochs.iter().map(figures);
    match kept.eq(progress.epochs[..=epoch].iter().map(figures)) {
        true => Ok(()),
        false => {
            let difference = format!("the figures of its {} epochs are others", epoch + 1);
            Err(best.of_another_run(vec![difference]))
        }
    }
}

fn add(errors: &mut Regression, rated: &[RatedPrediction]) -> Result<()> {
    for rated in rated {
        errors.add(rated.prediction, rated.rating)?;
    }
    Ok(())
}

/// What the model learns: the stars, or what biases leave of them.
pub(crate) fn beyond_base(batch: &Batch) -> Cow<'_, [f32]> {
    if batch.base.is_empty() {
        return Cow::Borrowed(&batch.stars);
    }
    let pairs = batch.stars.iter().zip(&batch.base);
    Cow::Owned(pairs.map(|(stars, base)| stars - base).collect())
}
