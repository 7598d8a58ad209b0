use std::io::ErrorKind;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::checkpoint::write;
use super::files::write_error;
use crate::{Checkpoint, Error, Progress, Result, Tensors};

/// When a run is kept, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Steps from one checkpoint to the next; 0 for none between epochs.
    pub every_steps: u64,
    /// The latest so many are kept, beside the best.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    /// Every 10,000 steps, two of them: one to fall back to.
    fn default() -> Self {
        Self {
            every_steps: 10_000,
            keep: 2,
        }
    }
}

impl CheckpointConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first value that makes no sense.
    pub fn validate(&self) -> Result<()> {
        if self.keep == 0 {
            return Err(Error::Setting {
                setting: "checkpoints.keep",
                value: "0".to_owned(),
                rule: "it must be 1 or more, and 2 to have one to fall back to",
            });
        }
        Ok(())
    }
}

const EXTENSION: &str = ".safetensors";
const STEP: &str = "step-";
const BEST: &str = "best-";

/// The checkpoints of a run, in a folder of their own: `step-000000002000.safetensors`
/// and so on, and `best-000000001000.safetensors`, the parameters after the best epoch,
/// where a run validates.
///
/// Each is written beside its place, flushed to the disk and renamed, with a hash of its
/// content; the oldest go when there are more than are to be kept.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    config: CheckpointConfig,
}

/// What [`Checkpoints::latest`] found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Latest {
    /// The newest that can be used.
    pub checkpoint: Option<Checkpoint>,
    /// Newer ones that cannot, and why.
    pub damaged: Vec<(PathBuf, String)>,
}

impl Checkpoints {
    /// In `folder`, which is made when the first is written.
    pub fn new(folder: impl Into<PathBuf>, config: CheckpointConfig) -> Self {
        Self {
            folder: folder.into(),
            config,
        }
    }

    /// The newest checkpoint that is whole; damaged ones are passed over.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn latest(&self) -> Result<Latest> {
        let mut damaged = Vec::new();
        for path in self.paths(is_step)?.into_iter().rev() {
            match Checkpoint::read(&path) {
                Ok(checkpoint) => {
                    let checkpoint = Some(checkpoint);
                    return Ok(Latest {
                        checkpoint,
                        damaged,
                    });
                }
                Err(why) => damaged.push((path, why)),
            }
        }
        let checkpoint = None;
        Ok(Latest {
            checkpoint,
            damaged,
        })
    }

    /// Whether a checkpoint is due after `step` steps.
    pub(crate) fn is_due(&self, step: u64) -> bool {
        self.config.every_steps > 0 && step.is_multiple_of(self.config.every_steps)
    }

    /// Removes what this type wrote, and the folder if nothing else is in it.
    pub(crate) fn remove(&self) -> Result<()> {
        if !self.folder.exists() {
            return Ok(());
        }
        for path in self.paths(|name| is_step(name) || is_partial(name) || is_best(name))? {
            std::fs::remove_file(&path).map_err(write_error(&path))?;
        }
        match std::fs::remove_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => removed.map_err(write_error(&self.folder)),
        }
    }

    /// Writes a checkpoint and forgets the oldest, and those of later steps: they are of a
    /// past that the run did not go on from. A best epoch stays as long as it is the best of
    /// a checkpoint that stays.
    pub(crate) fn save(&self, progress: &Progress, tensors: Tensors) -> Result<()> {
        let newest = self.place(&step_name(progress.step))?;
        write(&newest, progress, tensors)?;
        let steps = self.paths(is_step)?;
        let (mut kept, mut old): (Vec<_>, Vec<_>) = steps.into_iter().partition(|it| *it <= newest);
        old.extend(kept.drain(..kept.len().saturating_sub(self.config.keep.max(1))));

        // Of the bests until the oldest that is kept, it knows the last.
        let oldest = kept.first().unwrap_or(&newest);
        let name = oldest.file_name().unwrap_or_default().to_string_lossy();
        let until = self.folder.join(name.replacen(STEP, BEST, 1));
        let mut bests = self.paths(is_best)?;
        bests.retain(|it| *it <= until);
        bests.pop();
        old.extend(bests);
        // Of a run that was killed while it wrote.
        old.extend(self.paths(is_partial)?);
        for path in old {
            std::fs::remove_file(&path).map_err(write_error(&path))?;
        }
        Ok(())
    }

    /// Writes what the best epoch until now came to. Those before it stay until the
    /// checkpoint that knows of it is [saved](Self::save): a run that is killed in between
    /// goes on with the one that its checkpoint knows.
    pub(crate) fn save_best(&self, progress: &Progress, tensors: Tensors) -> Result<()> {
        write(&self.place(&best_name(progress.step))?, progress, tensors)
    }

    /// Forgets best epochs that ended after `step`, from which a run goes on: they are of a
    /// past that it does not go on from, and may turn out otherwise.
    pub(crate) fn forget_bests_after(&self, step: u64) -> Result<()> {
        let last = self.folder.join(best_name(step));
        for path in self.paths(is_best)?.into_iter().filter(|it| *it > last) {
            std::fs::remove_file(&path).map_err(write_error(&path))?;
        }
        Ok(())
    }

    /// What the best epoch came to, which ended after `step` steps.
    pub(crate) fn best(&self, step: u64) -> Result<Checkpoint> {
        let path = self.folder.join(best_name(step));
        Checkpoint::read(&path).map_err(|reason| Error::Checkpoint { path, reason })
    }

    fn place(&self, name: &str) -> Result<PathBuf> {
        std::fs::create_dir_all(&self.folder).map_err(write_error(&self.folder))?;
        Ok(self.folder.join(name))
    }

    /// Files whose name is wanted, the oldest first.
    fn paths(&self, is_wanted: fn(&str) -> bool) -> Result<Vec<PathBuf>> {
        let read_error = |source| Error::Read {
            path: self.folder.clone(),
            source,
        };
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(read_error)?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(read_error)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if is_wanted(&name) {
                paths.push(path);
            }
        }
        // Step numbers are of one width.
        paths.sort_unstable();
        Ok(paths)
    }
}

fn step_name(step: u64) -> String {
    format!("{STEP}{step:012}{EXTENSION}")
}

fn best_name(step: u64) -> String {
    format!("{BEST}{step:012}{EXTENSION}")
}

fn is_step(name: &str) -> bool {
    name.starts_with(STEP) && name.ends_with(EXTENSION)
}

fn is_best(name: &str) -> bool {
    name.starts_with(BEST) && name.ends_with(EXTENSION)
}

fn is_partial(name: &str) -> bool {
    let of = |kind| {
        name.strip_prefix('.')
            .is_some_and(|it| it.starts_with(kind))
    };
    of(STEP) || of(BEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EpochMetrics, RunIdentity};

    fn progress(step: u64) -> Progress {
        Progress {
            step,
            loss_sum: 0.1 + 0.2,
            epochs: vec![EpochMetrics {
                epoch: 1,
                train_loss: 0.1 + 0.7,
                validation_rmse: Some(0.9),
                test_rmse: None,
                validation_ndcg: None,
                validation_log_loss: None,
                validation_auc: None,
                test_log_loss: None,
                test_auc: None,
                seconds: 1.0,
                samples_per_s: 2.0,
            }],
            ..Progress::new(RunIdentity::default())
        }
    }

    fn tensors(value: f32) -> Tensors<'static> {
        let mut tensors = Tensors::default();
        tensors.put("b", vec![value; 3]);
        tensors.put("a", vec![value; 1]);
        tensors
    }

    #[test]
    fn a_checkpoint_comes_back_to_the_bit_and_the_last_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
        assert_eq!(checkpoints.latest().unwrap().checkpoint, None);
        for step in [8, 9, 10] {
            let value = f32::from_bits(0x7fc0_1234) * step as f32;
            checkpoints.save(&progress(step), tensors(value)).unwrap();
        }
        checkpoints.save(&progress(11), tensors(0.1)).unwrap();
        let latest = checkpoints.latest().unwrap();
        assert_eq!(latest.damaged, []);
        let found = latest.checkpoint.unwrap();
        assert_eq!(found.progress, progress(11));
        let mut numbers = [0.0; 3];
        found.tensors().load("b", &mut numbers).unwrap();
        assert_eq!(numbers, [0.1; 3]);
        assert!(found.tensors().load("b", &mut [0.0; 2]).is_err());
        assert!(found.tensors().load("c", &mut [0.0; 2]).is_err());
        let other = RunIdentity {
            run: "another".to_owned(),
            ..RunIdentity::default()
        };
        found.check::<()>(&RunIdentity::default()).unwrap();
        let error = found.check::<()>(&other).unwrap_err().to_string();
        assert!(error.contains("step-000000000011"), "{error}");
        assert_eq!(checkpoints.paths(is_step).unwrap().len(), 2);
    }

    #[test]
    fn a_checkpoint_that_was_just_written_stays_beside_damaged_ones_of_later_steps() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
        for step in [10, 20] {
            checkpoints.save(&progress(step), tensors(1.0)).unwrap();
        }
        for path in checkpoints.paths(is_step).unwrap() {
            std::fs::write(path, "damaged").unwrap();
        }
        checkpoints.save(&progress(5), tensors(2.0)).unwrap();
        let latest = checkpoints.latest().unwrap();
        assert_eq!(latest.damaged, []);
        assert_eq!(latest.checkpoint.unwrap().progress.step, 5);
    }

    #[test]
    fn the_best_epoch_of_every_checkpoint_that_is_kept_stays_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
        let bests = || {
            let bests = checkpoints.paths(is_best).unwrap().into_iter();
            let step = |path: PathBuf| Checkpoint::read(&path).unwrap().progress.step;
            bests.map(step).collect::<Vec<_>>()
        };
        let save = |step| checkpoints.save(&progress(step), tensors(1.0)).unwrap();
        let save_best = |step| {
            let best = checkpoints.save_best(&progress(step), tensors(step as f32));
            best.unwrap();
        };
        save_best(10);
        save(10);
        save_best(20);
        // A run that is killed here goes on from 10, whose best is 10.
        assert_eq!(bests(), [10, 20]);
        assert_eq!(checkpoints.best(10).unwrap().progress.step, 10);
        save(20);
        // One whose newest checkpoint is damaged as well.
        assert_eq!(bests(), [10, 20]);
        save(30);
        assert_eq!(bests(), [20]);
        save_best(40);
        checkpoints.forget_bests_after(30).unwrap();
        // Another attempt at the fourth epoch is no longer the best.
        save(40);
        save(50);
        assert_eq!(bests(), [20]);
        save_best(16);
        std::fs::write(checkpoints.folder.join(".best-000000000017.x"), "").unwrap();
        checkpoints.remove().unwrap();
        assert!(!checkpoints.folder.exists());
    }

    #[test]
    fn a_checkpoint_is_a_safetensors_file_that_others_may_read_and_nothing_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().join("of a run"), Default::default());
        checkpoints.save(&progress(1), tensors(1.5)).unwrap();
        let path = checkpoints.paths(is_step).unwrap().pop().unwrap();
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        let permissions = |path| std::fs::metadata(path).unwrap().permissions();
        assert_eq!(permissions(&path), permissions(&plain));
        assert_eq!(std::fs::read_dir(&checkpoints.folder).unwrap().count(), 1);
        let bytes = std::fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.names().len(), 2);
        assert_eq!(file.tensor("b").unwrap().shape(), [3]);
        assert_eq!(file.tensor("b").unwrap().data()[4..8], 1.5f32.to_le_bytes());
    }

    #[test]
    fn a_damaged_checkpoint_is_passed_over_wherever_the_damage_is() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
        checkpoints.save(&progress(1), tensors(1.0)).unwrap();
        checkpoints.save(&progress(2), tensors(2.0)).unwrap();
        let newest = checkpoints.paths(is_step).unwrap().pop().unwrap();
        let whole = std::fs::read(&newest).unwrap();
        let damages = (0..whole.len()).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        });
        let cuts = (0..whole.len()).map(|length| whole[..length].to_vec());
        for bytes in damages.chain(cuts) {
            std::fs::write(&newest, bytes).unwrap();
            let latest = checkpoints.latest().unwrap();
            assert_eq!(latest.damaged.len(), 1);
            assert_eq!(latest.checkpoint.unwrap().progress.step, 1);
        }
    }
}
