use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use mmdlrm_data::DataFingerprint;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    Checkpoint, Checkpoints, EpochMetrics, Error, Persist, Progress, Result, RunIdentity, Tensors,
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
