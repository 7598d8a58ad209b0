//! The training loop.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use mmdlrm_data::DataFingerprint;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dlrm::check_epochs;
use crate::evaluate::all_came;
use crate::{
    Checkpoint, EpochMetrics, Error, Kept, LearningRate, Measured, Progress, Result, Session,
    Stepper, Tensors,
};

/// How long a model learns, and in what order.
#[derive(Clone, Copy)]
pub struct Pace<'a> {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Rows a step.
    pub batch_size: usize,
    /// Seed of the order of the rows.
    pub seed: u64,
    /// Epochs without a better one, on the validation rows, after which it ends, 1 or more; `None`
    /// for never.
    pub patience: Option<usize>,
    /// How the learning rate moves.
    pub schedule: &'a dyn LearningRate,
}

impl fmt::Debug for Pace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Pace")
            .field("epochs", &self.epochs)
            .field("batch_size", &self.batch_size)
            .field("seed", &self.seed)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl Pace<'_> {
    fn check(&self, rows: usize) -> Result<()> {
        check_epochs(self.epochs)?;
        for (setting, value) in [
            ("batch_size", self.batch_size),
            ("training rows", rows),
            ("patience", self.patience.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(Error::Setting {
                    setting,
                    value: value.to_string(),
                    rule: "it must be 1 or more",
                });
            }
        }
        Ok(())
    }

    /// The factor of the learning rate at a step. Decays are checked against the rate, which
    /// nothing raises.
    fn factor(&self, step: u64, steps: u64) -> Result<f64> {
        let factor = self.schedule.factor(step, steps);
        match (0.0..=1.0).contains(&factor) {
            true => Ok(factor),
            false => Err(Error::Setting {
                setting: "schedule",
                value: format!("{factor} times the learning rate at step {step}"),
                rule: "its factor must be from 0 to 1",
            }),
        }
    }
}

/// Runs the loop: steps from a [`Stepper`], a checkpoint every so many of them, figures
/// after each epoch. Whatever learns by steps goes through here.
///
/// The model ends with the parameters of the epoch that has the least error on the
/// validation rows, or that ranks them best, where it [measures](Stepper::measure) any; with those
/// of the last one otherwise. The same settings, data and seed give the same model, to the bit, however
/// often the run was stopped: a checkpoint of other `settings` or other `data` is refused.
///
/// # Errors
/// A checkpoint of another run, a loss that diverges, [`Error::Stopped`], or what the
/// stepper or the session's `on_epoch` returns.
pub fn learn<S: Serialize + DeserializeOwned>(
    stepper: &mut impl Stepper,
    pace: &Pace,
    settings: &S,
    data: DataFingerprint,
    session: Session,
) -> Result<()> {
    pace.check(stepper.rows())?;
    let mut run = Loop {
        progress: session.begin(settings, data)?,
        stepper,
        pace,
        session,
        best: None,
        unseen: VecDeque::new(),
        since: Instant::now(),
    };
    if let Some(checkpoint) = run.session.resumed.take() {
        run.resume::<S>(&checkpoint)?;
    }
    while !run.is_over() {
        run.epoch()?;
    }
    match &run.best {
        Some(best) => run.stepper.load_parameters(best),
        None => Ok(()),
    }
}

/// A run of the loop.
struct Loop<'a, T> {
    stepper: &'a mut T,
    pace: &'a Pace<'a>,
    session: Session<'a>,
    progress: Progress,
    /// Parameters of the best epoch, where there are validation rows.
    best: Option<Kept>,
    /// Rows of the steps whose losses have not been seen yet.
    unseen: VecDeque<usize>,
    /// When the epoch at hand began, or was resumed.
    since: Instant,
}

impl<T: Stepper> Loop<'_, T> {
    /// Goes back to the moment of a checkpoint.
    fn resume<S: Serialize + DeserializeOwned>(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let progress = &self.progress;
        self.stepper.restore(checkpoint.tensors(), progress.step)?;
        let done = progress.rows_done(self.stepper.rows(), self.pace.batch_size);
        (self.session.on_step)(done);
        let Some(checkpoints) = &self.session.checkpoints else {
            return Ok(());
        };
        checkpoints.forget_bests_after(progress.step)?;
        if let Some(epoch) = progress.best_epoch() {
            let step = (epoch + 1) as u64 * self.steps_of_epoch();
            let kept = checkpoints.best(step)?;
            kept.check::<S>(&progress.identity)?;
            kept.check_best(progress, epoch)?;
            self.best = Some(kept.into_tensors());
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let epochs = self.progress.epochs.len();
        let best = self.progress.best_epoch();
        let since_best = best.map_or(0, |best| epochs - 1 - best);
        let patience = self.pace.patience;
        epochs >= self.pace.epochs || patience.is_some_and(|patience| since_best >= patience)
    }

    fn steps_of_epoch(&self) -> u64 {
        self.stepper.rows().div_ceil(self.pace.batch_size) as u64
    }

    /// What is left of the epoch at hand.
    fn epoch(&mut self) -> Result<()> {
        self.steps()?;
        let metrics = self.measure()?;
        tracing::debug!(?metrics, "epoch");
        self.progress.end_epoch(metrics.clone());
        self.keep_best()?;
        // First what can be read, then what makes sure that it is not written again.
        (self.session.on_epoch)(&metrics, self.stepper.model()?)?;
        self.keep()
    }

    /// Takes the steps that are left of the epoch at hand.
    fn steps(&mut self) -> Result<()> {
        let pace = self.pace;
        self.since = Instant::now();
        let rows = self.stepper.rows();
        let of_epoch = self.steps_of_epoch();
        let of_run = of_epoch * pace.epochs as u64;
        let order = self.progress.order(pace.seed);
        let done = self.progress.steps_of_epoch;
        let mut seen = (done * pace.batch_size).min(rows);
        for batch in self.stepper.batches(pace.batch_size, order, done) {
            let batch = batch?;
            let of_batch = self.stepper.rows_of(&batch);
            seen += of_batch;
            self.unseen.push_back(of_batch);
            let step = self.progress.step;
            let factor = pace.factor(step, of_run)?;
            self.stepper.step(&batch, step, factor)?;
            self.progress.step += 1;
            self.progress.steps_of_epoch += 1;
            self.see_losses(false)?;
            (self.session.on_step)(of_batch);
            let is_last = self.progress.steps_of_epoch as u64 == of_epoch;
            if !is_last && self.session.is_due(self.progress.step) {
                self.keep()?;
            }
        }
        all_came("training ratings", seen, rows)?;
        self.see_losses(true)?;
        self.spend_time();
        // The last step may have been one too many: nobody should keep it then.
        self.check_parameters()
    }

    /// Refuses a model that is not to be kept.
    fn check_parameters(&mut self) -> Result<()> {
        match self.stepper.extreme_parameter()?.1.is_finite() {
            true => Ok(()),
            false => Err(self.diverged(f64::NAN)),
        }
    }

    fn see_losses(&mut self, all: bool) -> Result<()> {
        for loss in self.stepper.losses(all)? {
            if !loss.is_finite() {
                return Err(self.diverged(loss));
            }
            let Some(rows) = self.unseen.pop_front() else {
                return Err(losses_and_steps("more"));
            };
            self.progress.add(loss, rows);
        }
        match all && !self.unseen.is_empty() {
            true => Err(losses_and_steps("fewer")),
            false => Ok(()),
        }
    }

    fn spend_time(&mut self) {
        self.progress.seconds += self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
    }

    /// The figures of the epoch at hand.
    fn measure(&mut self) -> Result<EpochMetrics> {
        let measured = self.stepper.measure().map_err(|error| match error {
            // The next step would have been told by its loss.
            Error::Unsound { prediction, .. } => self.diverged(prediction.into()),
            other => other,
        });
        let Measured {
            validation_rmse,
            test_rmse,
            validation_ndcg,
            validation_log_loss,
            validation_auc,
            test_log_loss,
            test_auc,
        } = measured?;
        let error = validation_rmse.or(validation_log_loss);
        if let Some(error) = error.filter(|error| !error.is_finite()) {
            return Err(self.diverged(error));
        }
        let rows = self.stepper.rows() as f64;
        let seconds = self.progress.seconds;
        Ok(EpochMetrics {
            epoch: self.progress.epoch(),
            train_loss: self.progress.loss_sum / rows,
            validation_rmse,
            test_rmse,
            validation_ndcg,
            validation_log_loss,
            validation_auc,
            test_log_loss,
            test_auc,
            seconds,
            samples_per_s: rows / seconds,
        })
    }

    /// Keeps the parameters of the epoch that has just ended, if none is better.
    fn keep_best(&mut self) -> Result<()> {
        if self.progress.best_epoch().map(|best| best + 1) != Some(self.progress.epochs.len()) {
            return Ok(());
        }
        let parameters = self.stepper.parameters()?;
        let best = Kept::from(parameters.clone());
        if let Some(checkpoints) = &self.session.checkpoints {
            checkpoints.save_best(&self.progress, parameters)?;
        }
        self.best = Some(best);
        Ok(())
    }

    /// Writes a checkpoint, where any are wanted, and ends a run that is to stop.
    fn keep(&mut self) -> Result<()> {
        self.see_losses(true)?;
        if self.progress.steps_of_epoch > 0 {
            self.spend_time();
        }
        self.check_parameters()?;
        let tensors = match self.session.checkpoints {
            Some(_) => self.stepper.state()?,
            None => Tensors::default(),
        };
        self.session.keep(&self.progress, tensors)
    }

    fn diverged(&mut self, loss: f64) -> Error {
        let (parameter, value) = match self.stepper.extreme_parameter() {
            Ok(extreme) => extreme,
            Err(error) => return error,
        };
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

fn losses_and_steps(compared: &str) -> Error {
    Error::Mismatch(format!(
        "the model told {compared} losses than it took steps"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::{CheckpointConfig, Checkpoints, Decay, Persist, Schedule};

    /// One number that learns the mean of some others, by steps that a draw scales.
    #[derive(Default)]
    struct Mean {
        estimate: f32,
        losses: Vec<f64>,
        /// Losses that it forgets to tell.
        silent: usize,
    }

    const ROWS: [f32; 7] = [1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 3.0];

    impl Persist for Mean {
        fn kind() -> &'static str {
            "mean"
        }

        fn to_safetensors(&self) -> Result<Vec<u8>> {
            Tensors::default().to_safetensors(&())
        }

        fn load(_: &[u8], _: &mmdlrm_features::Known) -> Result<Self> {
            Ok(Self::default())
        }
    }

    impl Stepper for Mean {
        type Batch = &'static [f32];
        type Batches = std::iter::Skip<std::iter::Map<std::slice::Chunks<'static, f32>, Wrap>>;

        fn rows(&self) -> usize {
            ROWS.len()
        }

        fn batches(&self, size: usize, _order: u64, first: usize) -> Self::Batches {
            ROWS.chunks(size).map(Ok as Wrap).skip(first)
        }

        fn rows_of(&self, batch: &Self::Batch) -> usize {
            batch.len()
        }

        fn step(&mut self, batch: &Self::Batch, step: u64, factor: f64) -> Result<()> {
            let mean = batch.iter().sum::<f32>() / batch.len() as f32;
            let error = mean - self.estimate;
            let draw = (step * 7 % 5) as f32 / 10.0;
            self.estimate += draw * factor as f32 * error;
            self.losses.push(f64::from(error.powi(2)));
            self.losses.drain(..self.silent);
            Ok(())
        }

        fn losses(&mut self, _all: bool) -> Result<Vec<f64>> {
            Ok(std::mem::take(&mut self.losses))
        }

        fn extreme_parameter(&mut self) -> Result<(String, f32)> {
            Ok(("estimate".to_owned(), self.estimate))
        }

        fn parameters(&mut self) -> Result<Tensors<'_>> {
            let mut tensors = Tensors::default();
            tensors.put("estimate", vec![self.estimate]);
            Ok(tensors)
        }

        fn state(&mut self) -> Result<Tensors<'_>> {
            self.parameters()
        }

        fn load_parameters(&mut self, kept: &Kept) -> Result<()> {
            kept.load("estimate", std::slice::from_mut(&mut self.estimate))
        }

        fn restore(&mut self, kept: &Kept, _steps: u64) -> Result<()> {
            self.load_parameters(kept)
        }

        fn model(&mut self) -> Result<&dyn Persist> {
            Ok(self)
        }
    }

    type Wrap = fn(&'static [f32]) -> Result<&'static [f32]>;

    const SCHEDULE: Schedule = Schedule {
        warmup_steps: 2,
        decay: Decay::Cosine,
    };

    fn pace(schedule: &dyn LearningRate) -> Pace<'_> {
        Pace {
            epochs: 3,
            batch_size: 2,
            seed: 1,
            patience: None,
            schedule,
        }
    }

    fn run(mean: &mut Mean, pace: &Pace, session: Session) -> Result<()> {
        learn(mean, pace, &(), DataFingerprint::default(), session)
    }

    #[test]
    fn a_stepper_of_ones_own_that_is_stopped_anywhere_goes_on_to_the_same_bits() {
        let mut whole = Mean::default();
        run(&mut whole, &pace(&SCHEDULE), Session::default()).unwrap();
        for stop_after in 1..12 {
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
            let stop = AtomicBool::new(false);
            let mut taken = 0;
            let session = Session {
                checkpoints: Some(checkpoints.clone()),
                stop: Some(&stop),
                ..Session::default()
            };
            let session = session.on_step(|_| {
                taken += 1;
                stop.store(taken == stop_after, Ordering::Relaxed);
            });
            let stopped = run(&mut Mean::default(), &pace(&SCHEDULE), session);
            assert!(matches!(stopped, Err(Error::Stopped { step }) if step == stop_after));
            let session = Session {
                resumed: checkpoints.latest().unwrap().checkpoint,
                ..Session::default()
            };
            let mut resumed = Mean::default();
            run(&mut resumed, &pace(&SCHEDULE), session).unwrap();
            assert_eq!(resumed.estimate.to_bits(), whole.estimate.to_bits());
        }
    }

    struct Factor(f64);

    impl LearningRate for Factor {
        fn factor(&self, _step: u64, _total: u64) -> f64 {
            self.0
        }
    }

    #[test]
    fn what_no_loop_can_run_by_is_refused() {
        let refused = |mut mean: Mean, pace: &Pace, why: &str| {
            let error = run(&mut mean, pace, Session::default());
            let error = error.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        let sound = pace(&SCHEDULE);
        refused(Mean::default(), &Pace { epochs: 0, ..sound }, "epochs is 0");
        let no_rows = Pace {
            batch_size: 0,
            ..sound
        };
        refused(Mean::default(), &no_rows, "batch_size is 0");
        let impatient = Pace {
            patience: Some(0),
            ..sound
        };
        refused(Mean::default(), &impatient, "patience is 0");
        for factor in [1.5, -0.1, f64::NAN] {
            let why = format!("{factor} times the learning rate at step 0");
            refused(Mean::default(), &pace(&Factor(factor)), &why);
        }
        let silent = Mean {
            silent: 1,
            ..Mean::default()
        };
        refused(silent, &sound, "fewer losses than it took steps");
    }
}
