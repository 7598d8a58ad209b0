use std::sync::atomic::{AtomicBool, Ordering};

use mmdlrm_data::DataFingerprint;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::checkpoint::Tensors;
use crate::{Checkpoint, Checkpoints, Error, Progress, Result, RunIdentity};

/// What makes a run survive: where its checkpoints go, the one it goes on from, and who
/// may stop it. The default has none of them.
///
/// `M` is what an epoch comes to, [`EpochMetrics`](crate::EpochMetrics) or
/// [`NextItemEpoch`](crate::NextItemEpoch).
///
/// ```
/// use std::sync::atomic::AtomicBool;
///
/// use mmdlrm_train::{CheckpointConfig, Checkpoints, EpochMetrics, Session};
///
/// # let folder = tempfile::tempdir()?;
/// let stop = AtomicBool::new(false); // set by a handler of signals, say
/// let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
/// let latest = checkpoints.latest()?;
/// for (path, reason) in &latest.damaged {
///     eprintln!("passed over {}: {reason}", path.display());
/// }
/// let session: Session<EpochMetrics> = Session {
///     resumed: latest.checkpoint,
///     checkpoints: Some(checkpoints),
///     stop: Some(&stop),
///     ..Session::default()
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session<'a, M> {
    /// Where checkpoints go, after every so many steps and every epoch.
    pub checkpoints: Option<Checkpoints>,
    /// The moment to go on from, to the same parameters as if the run had not stopped.
    pub resumed: Option<Checkpoint<M>>,
    /// What tells the run from others of the same settings and data; a checkpoint of a run
    /// that is called otherwise is refused.
    pub run: String,
    /// When it becomes true the run writes a checkpoint and ends with
    /// [`Error::Stopped`].
    pub stop: Option<&'a AtomicBool>,
}

impl<M> Default for Session<'_, M> {
    fn default() -> Self {
        Self {
            checkpoints: None,
            resumed: None,
            run: String::new(),
            stop: None,
        }
    }
}

impl<M: Clone + Serialize> Session<'_, M> {
    /// Where the run begins: at its beginning, or where the checkpoint says, if that
    /// is of the same run.
    pub(crate) fn begin<S: Serialize + DeserializeOwned>(
        &self,
        settings: &S,
        data: DataFingerprint,
    ) -> Result<Progress<M>> {
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
    pub(crate) fn keep(&self, progress: &Progress<M>, tensors: Tensors) -> Result<()> {
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
