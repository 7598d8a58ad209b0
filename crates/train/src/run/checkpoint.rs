use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use safetensors::View;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo, TensorView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::files::{write_error, write_whole};
use crate::{EpochMetrics, Error, Kept, Result, RunIdentity, Tensors};

/// Keys of the file's metadata: where the run stood, as JSON, and the hash of that
/// and of all tensors.
const PROGRESS_KEY: &str = "mmdlrm_progress";
const HASH_KEY: &str = "mmdlrm_xxh3";

/// How far a run has come. All that is drawn (the order of the rows, what is dropped)
/// depends on seeds and on these numbers, so that they are the random state too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// Which run it is.
    pub identity: RunIdentity,
    /// Steps taken.
    pub step: u64,
    /// Of those, steps of the epoch at hand.
    pub steps_of_epoch: usize,
    /// Sum of the losses of the rows of the epoch at hand.
    pub loss_sum: f64,
    /// Seconds spent in the epoch at hand.
    pub seconds: f64,
    /// The figures of each epoch that is over.
    pub epochs: Vec<EpochMetrics>,
}

impl Progress {
    pub(crate) fn new(identity: RunIdentity) -> Self {
        Self {
            identity,
            step: 0,
            steps_of_epoch: 0,
            loss_sum: 0.0,
            seconds: 0.0,
            epochs: Vec::new(),
        }
    }

    /// Rows that were learned from, where an epoch has `rows` and a step `batch_size`.
    pub fn rows_done(&self, rows: usize, batch_size: usize) -> usize {
        self.epochs.len() * rows + (self.steps_of_epoch * batch_size).min(rows)
    }

    /// Seconds of training.
    pub fn spent(&self) -> f64 {
        self.seconds + self.epochs.iter().map(|epoch| epoch.seconds).sum::<f64>()
    }

    /// The epoch with the least error, or log loss, on the validation rows, or that ranks them best
    /// where no epoch has one, from 0; the first of equals.
    pub(crate) fn best_epoch(&self) -> Option<usize> {
        let least = |of: fn(&EpochMetrics) -> Option<f64>| {
            let figures = self.epochs.iter().enumerate();
            let figures = figures.filter_map(|(epoch, metrics)| Some((of(metrics)?, epoch)));
            let best = figures.min_by(|(a, _), (b, _)| a.total_cmp(b));
            best.map(|(_, epoch)| epoch)
        };
        least(|metrics| metrics.validation_rmse)
            .or_else(|| least(|metrics| metrics.validation_log_loss))
            .or_else(|| least(|metrics| metrics.validation_ndcg.map(|ndcg| -ndcg)))
    }

    /// The epoch at hand, from 1.
    pub(crate) fn epoch(&self) -> usize {
        self.epochs.len() + 1
    }

    /// Seed of the order of the rows in the epoch at hand: each has one of its own.
    pub(crate) fn order(&self, seed: u64) -> u64 {
        order_of_epoch(seed, self.epoch())
    }

    /// Ends the epoch at hand.
    pub(crate) fn end_epoch(&mut self, metrics: EpochMetrics) {
        self.epochs.push(metrics);
        self.steps_of_epoch = 0;
        self.loss_sum = 0.0;
        self.seconds = 0.0;
    }

    pub(crate) fn add(&mut self, loss: f64, rows: usize) {
        self.loss_sum += loss * rows as f64;
    }
}

/// A moment of a run, from which it can be resumed as if it had never stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// How far the run had come.
    pub progress: Progress,
    tensors: Kept,
    path: PathBuf,
}

impl Checkpoint {
    /// Reads a file that [`write`] wrote.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) fn read(path: &Path) -> std::result::Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        Self::parse(path, &bytes)
    }

    fn parse(path: &Path, bytes: &[u8]) -> std::result::Result<Self, String> {
        let not_whole = |error: safetensors::SafeTensorError| error.to_string();
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(not_whole)?;
        let entries = metadata.metadata().as_ref();
        let entry = |key| entries.and_then(|entries| entries.get(key));
        let (Some(progress), Some(hash)) = (entry(PROGRESS_KEY), entry(HASH_KEY)) else {
            return Err("it is no checkpoint".to_owned());
        };
        let file = SafeTensors::deserialize(bytes).map_err(not_whole)?;
        let mut stored: Vec<(String, TensorView)> = file.tensors();
        stored.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let views = stored.iter().map(|(name, tensor)| (name, tensor));
        if self::hash(progress, views) != *hash {
            return Err("its content does not have the hash that it was written with".to_owned());
        }
        let progress = serde_json::from_str(progress).map_err(|error| error.to_string())?;
        Ok(Self {
            progress,
            tensors: Kept::of(&file),
            path: path.to_owned(),
        })
    }

    /// Parameters and the optimizer's state.
    pub fn tensors(&self) -> &Kept {
        &self.tensors
    }

    pub(crate) fn into_tensors(self) -> Kept {
        self.tensors
    }

    /// Refuses a checkpoint of another run, whose settings are an `S`.
    pub(crate) fn check<S: Serialize + DeserializeOwned>(&self, now: &RunIdentity) -> Result<()> {
        let differences = self.progress.identity.differences::<S>(now);
        match differences.is_empty() {
            true => Ok(()),
            false => Err(self.of_another_run(differences)),
        }
    }

    /// Refuses a best epoch, from 0, whose figures are not those of the run: it came from
    /// elsewhere.
    pub(crate) fn check_best(&self, run: &Progress, epoch: usize) -> Result<()> {
        let figures = |it: &EpochMetrics| {
            let errors = (it.validation_rmse, it.test_rmse);
            let labels = (it.validation_log_loss, it.test_log_loss);
            (it.train_loss, errors, labels, it.validation_ndcg)
        };
        let kept = self.progress.epochs.iter().map(figures);
        match kept.eq(run.epochs[..=epoch].iter().map(figures)) {
            true => Ok(()),
            false => {
                let difference = format!("the figures of its {} epochs are others", epoch + 1);
                Err(self.of_another_run(vec![difference]))
            }
        }
    }

    fn of_another_run(&self, differences: Vec<String>) -> Error {
        Error::OtherCheckpoint {
            path: self.path.clone(),
            differences,
        }
    }
}

/// Writes a checkpoint, whole, as a safetensors file.
pub(crate) fn write(path: &Path, progress: &Progress, tensors: Tensors) -> Result<()> {
    let progress = serde_json::to_string(progress)?;
    let tensors = tensors.sorted()?;
    let views: Vec<(&String, Numbers)> = tensors
        .iter()
        .map(|(name, values)| (name, Numbers::new(values)))
        .collect();
    let metadata = HashMap::from([
        (
            HASH_KEY.to_owned(),
            hash(&progress, views.iter().map(|(name, view)| (*name, view))),
        ),
        (PROGRESS_KEY.to_owned(), progress),
    ]);
    let header = header(&views, metadata).map_err(write_error(path))?;
    write_whole(path, |file| {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&header)
            .and_then(|()| {
                views
                    .iter()
                    .try_for_each(|(_, numbers)| file.write_all(&numbers.data()))
            })
            .and_then(|()| file.flush())
            .map_err(write_error(path))
    })
}

/// What stands before the tensors in a safetensors file. The crate writes whole files,
/// but only to a path: nobody can flush the handle that it wrote by.
fn header(
    views: &[(&String, Numbers)],
    metadata: HashMap<String, String>,
) -> std::io::Result<Vec<u8>> {
    const LENGTH: usize = size_of::<u64>();
    let mut end = 0;
    let tensors = views.iter().map(|(name, view)| {
        let start = end;
        end += view.data_len();
        let tensor = TensorInfo {
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            data_offsets: (start, end),
        };
        ((*name).clone(), tensor)
    });
    let metadata =
        Metadata::new(Some(metadata), tensors.collect()).map_err(std::io::Error::other)?;
    let mut json = serde_json::to_vec(&metadata)?;
    // The tensors begin at a multiple of eight.
    json.resize(json.len().next_multiple_of(LENGTH), b' ');
    let length = (json.len() as u64).to_le_bytes();
    Ok([&length[..], &json].concat())
}

/// Numbers in a file, in little-endian order.
struct Numbers<'a> {
    values: &'a [f32],
    shape: [usize; 1],
}

impl<'a> Numbers<'a> {
    fn new(values: &'a [f32]) -> Self {
        Self {
            values,
            shape: [values.len()],
        }
    }
}

impl View for Numbers<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = self.values.iter().flat_map(|x| x.to_le_bytes());
        Cow::Owned(bytes.collect())
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

/// Of all that a checkpoint says; tensors in the order of their names.
fn hash<'a, V: View + 'a>(
    progress: &str,
    tensors: impl Iterator<Item = (&'a String, &'a V)>,
) -> String {
    let mut hash = Xxh3::new();
    hash.update(progress.as_bytes());
    for (name, tensor) in tensors {
        hash.update(name.as_bytes());
        hash.update(format!("{:?} {:?}", tensor.dtype(), tensor.shape()).as_bytes());
        hash.update(&tensor.data());
    }
    format!("{:032x}", hash.digest128())
}

/// Seed of the order of the rows in an epoch, from 1: those of epochs that follow each other are
/// consecutive.
pub(crate) fn order_of_epoch(seed: u64, epoch: usize) -> u64 {
    seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(epoch as u64)
}
