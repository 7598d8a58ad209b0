use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use mmdlrm_data::DataFingerprint;
use mmdlrm_features::TrainingData;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    Checkpoint, Checkpoints, EpochMetrics, Error, Measured, Persist, Progress, Rater, Result,
    RunIdentity, Tensors, measure,
};

/// What goes along with a run: where its checkpoints go, the one it goes on from, who may
/// stop it, and who is told how it goes, on the thread that it is on. The default has none
/// of them.
///
/// ```
/// use std::sync::atomic::AtomicBool;
///
/// use mmdlrm_train::{CheckpointConfig, Checkpoints, Session};
///
/// # let folder = tempfile::tempdir()?;
/// let stop = AtomicBool::new(false); // set by a handler of signals, say
/// let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
/// let latest = checkpoints.latest()?;
/// for (path, reason) in &latest.damaged {
///     eprintln!("passed over {}: {reason}", path.display());
/// }
/// let session = Session {
///     resumed: latest.checkpoint,
///     checkpoints: Some(checkpoints),
///     stop: Some(&stop),
///     ..Session::default()
/// };
/// let session = session.on_epoch(|epoch, _model| {
///     println!("{}: {:.4}", epoch.epoch, epoch.train_loss);
///     Ok(())
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Session<'a> {
    /// Where checkpoints go, after every so many steps and every epoch.
    pub checkpoints: Option<Checkpoints>,
    /// The moment to go on from, to the same parameters as if the run had not stopped.
    pub resumed: Option<Checkpoint>,
    /// What tells the run from others of the same settings and data; a checkpoint of a run
    /// that is called otherwise is refused.
    pub run: String,
    /// When it becomes true the run writes a checkpoint and ends with
    /// [`Error::Stopped`].
    pub stop: Option<&'a AtomicBool>,
    /// Gets the number of rows of each step as it ends; of those before a checkpoint that
    /// the run goes on from at once.
    pub on_step: Box<dyn FnMut(usize) + 'a>,
    /// Gets the figures of each epoch, and the model as it stands; the run ends with its
    /// error.
    pub on_epoch: Box<OnEpoch<'a>>,
    /// What the figures of an epoch are of: by default, of the model that is learned.
    pub measuring: Measuring<'a>,
}

/// How [`train`](crate::train), [`train_with`](crate::train_with) and `train_on` measure a
/// model after an epoch, which is how they choose the best one. A
/// [`Stepper`](crate::Stepper) of one's own measures itself.
///
/// The default is [`measure`](crate::measure), of the model alone. One that is to predict
/// beside others is measured beside them:
///
/// ```
/// use mmdlrm_features::TrainingData;
/// use mmdlrm_train::{Measured, Rater, Result, Session, predict_test};
///
/// /// How often the model's stars are on the right side of 3.
/// fn measure(model: &dyn Rater, data: &dyn TrainingData) -> Result<Measured> {
///     let (mut wrong, mut all) = (0.0, 0.0);
///     predict_test(model, data, |rated| {
///         for rated in rated {
///             all += 1.0;
///             wrong += f64::from((rated.prediction < 3.0) != (rated.rating < 3.0));
///         }
///         Ok(())
///     })?;
///     Ok(Measured::new(None, Some(wrong / all)))
/// }
///
/// let session = Session::default().measured_by("side of 3", measure);
/// assert_eq!(session.measuring.name(), "side of 3");
/// ```
pub struct Measuring<'a> {
    name: String,
    measure: Box<Measure<'a>>,
}

type Measure<'a> = dyn Fn(&dyn Rater, &dyn TrainingData) -> Result<Measured> + 'a;

impl Measuring<'_> {
    /// What tells it from others; empty of a model that is measured alone.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The figures of a model.
    ///
    /// # Errors
    /// What the measure returns.
    pub fn measure(&self, model: &dyn Rater, data: &dyn TrainingData) -> Result<Measured> {
        (self.measure)(model, data)
    }
}

impl Default for Measuring<'_> {
    fn default() -> Self {
        Self {
            name: String::new(),
            measure: Box::new(measure),
        }
    }
}

impl fmt::Debug for Measuring<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Measuring")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

type OnEpoch<'a> = dyn FnMut(&EpochMetrics, &dyn Persist) -> Result<()> + 'a;

impl Default for Session<'_> {
    fn default() -> Self {
        Self {
            checkpoints: None,
            resumed: None,
            run: String::new(),
            stop: None,
            on_step: Box::new(|_rows| {}),
            on_epoch: Box::new(|_metrics, _model| Ok(())),
            measuring: Measuring::default(),
        }
    }
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Session")
            .field("checkpoints", &self.checkpoints)
            .field("resumed", &self.resumed.as_ref().map(|it| it.progress.step))
            .field("run", &self.run)
            .field("stop", &self.stop)
            .field("measuring", &self.measuring)
            .finish_non_exhaustive()
    }
}

impl<'a> Session<'a> {
    /// With somebody who is told of each step: its number of rows.
    #[must_use]
    pub fn on_step(self, told: impl FnMut(usize) + 'a) -> Self {
        Self {
            on_step: Box::new(told),
            ..self
        }
    }

    /// With somebody who is told of each epoch: its figures, and the model as it stands.
    #[must_use]
    pub fn on_epoch(
        self,
        told: impl FnMut(&EpochMetrics, &dyn Persist) -> Result<()> + 'a,
    ) -> Self {
        Self {
            on_epoch: Box::new(told),
            ..self
        }
    }

    /// With another [measure](Measuring) of a model after an epoch; `name` tells it from
    /// others: a checkpoint of a run that was measured otherwise is refused.
    #[must_use]
    pub fn measured_by(
        self,
        name: impl Into<String>,
        measure: impl Fn(&dyn Rater, &dyn TrainingData) -> Result<Measured> + 'a,
    ) -> Self {
        let measuring = Measuring {
            name: name.into(),
            measure: Box::new(measure),
        };
        Self { measuring, ..self }
    }

    /// Where the run begins: at its beginning, or where the checkpoint says, if that
    /// is of the same run.
    pub(crate) fn begin<S: Serialize + DeserializeOwned>(
        &self,
        settings: &S,
        data: DataFingerprint,
    ) -> Result<Progress> {
        let identity = RunIdentity::new(self.run.clone(), settings, data)?;
        match &self.resumed {
            None => Ok(Progress::new(identity)),
            Some(checkpoint) => {
                checkpoint.check::<S>(&identity)?;
                Ok(Progress {
                    identity,
                    ..checkpoint.progress.clone()
                })
            }
        }
    }

    /// Whether a checkpoint is to be written between epochs.
    pub(crate) fn is_due(&self, step: u64) -> bool {
        let checkpoints = self.checkpoints.as_ref();
        self.is_stopped() || checkpoints.is_some_and(|checkpoints| checkpoints.is_due(step))
    }

    /// Writes a checkpoint, if any are wanted, and ends a run that is to stop.
    pub(crate) fn keep(&self, progress: &Progress, tensors: Tensors) -> Result<()> {
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.save(progress, tensors)?;
        }
        match self.is_stopped() {
            true => Err(Error::Stopped {
                step: progress.step,
            }),
            false => Ok(()),
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}
