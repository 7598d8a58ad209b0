use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use mmdlrm_features::Features;
use parquet::arrow::ArrowWriter;
use safetensors::SafeTensors;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::categories::CATEGORIES;
use super::files::{write_error, write_whole};
use super::folder_lock::FolderLock;
use super::known::{FEATURES, HISTORIES, MOVIES};
use super::tables::{Names, candidates_table, predictions_table, rankings_table};
use super::{model_file, tensorboard};
use crate::{
    CandidateScore, CheckpointConfig, Checkpoints, Error, RankedMovie, RatedPrediction, Result,
};

const CONFIG: &str = "config.json";
const METRICS: &str = "metrics.jsonl";
const MODEL: &str = "model.safetensors";
const PREDICTIONS: &str = "predictions.parquet";
const CANDIDATES: &str = "candidates.parquet";
const RANKINGS: &str = "rankings.parquet";
/// TensorBoard finds files by the `tfevents` in their names.
const EVENTS: &str = "events.out.tfevents.mmdlrm";
const REPORT: &str = "report.html";
const CHECKPOINTS: &str = "checkpoints";
/// In the order they are removed: as long as one is left, so are the mark of a
/// run and what says of which kind it is.
const FILES: [&str; 12] = [
    MODEL,
    CATEGORIES,
    HISTORIES,
    FEATURES,
    MOVIES,
    PREDICTIONS,
    CANDIDATES,
    RANKINGS,
    EVENTS,
    REPORT,
    CONFIG,
    METRICS,
];

/// What a run would be sorry to lose, beside the figures of its epochs.
const KEPT: [&str; 5] = [MODEL, PREDICTIONS, CANDIDATES, RANKINGS, CHECKPOINTS];

/// What a run leaves behind, in one folder: `config.json`, `metrics.jsonl`,
/// `model.safetensors`, what it needs of the data (`movies.parquet`, `features.safetensors`,
/// `histories.safetensors`; of clicks `categories.safetensors`), `predictions.parquet`, `rankings.parquet` or `candidates.parquet`,
/// `report.html`, events for TensorBoard, and `checkpoints`.
///
/// Files are written beside and renamed, so that each is whole or absent;
/// `metrics.jsonl` grows by whole lines. As long as a `RunFolder` is held, no other,
/// in this process or another, can be made of the same folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// The operating system forgets the lock with the process, however that ends.
    _lock: FolderLock,
}

impl RunFolder {
    /// Makes the folder of a new run.
    ///
    /// # Errors
    /// A folder that cannot be made or written, that [is not free](Self::check_free), or in
    /// which another run is at work.
    ///
    /// ```
    /// # let parent = tempfile::tempdir()?;
    /// let run = mmdlrm_train::RunFolder::create(parent.path().join("first"))?;
    /// run.write_config(&["any", "value"])?;
    /// assert!(run.path().join("config.json").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        Self::check_free(&path)?;
        let replacement = Self::replace(path)?;
        // Once more, now that nobody else can change it.
        check_contents(replacement.path())?;
        replacement.begin()
    }

    /// Whether a new run may be made in the folder at `path`, which need not exist.
    ///
    /// # Errors
    /// A folder in which a run is at work, that holds a run that has learned anything or, by
    /// the names of its files, something else than a run: a model's `config.json`, say.
    pub fn check_free(path: &Path) -> Result<()> {
        if FolderLock::is_at(path) {
            FolderLock::take(path)?;
        }
        check_kind(path)?;
        check_contents(path)
    }

    /// Takes the folder for a new run in place of the one that it holds, if any, which stays
    /// as it is until the new one [begins](Replacement::begin).
    ///
    /// # Errors
    /// A folder that cannot be made or written, that holds something else than a run, or in
    /// which another run is at work.
    pub fn replace(path: impl Into<PathBuf>) -> Result<Replacement> {
        let path = path.into();
        check_kind(&path)?;
        std::fs::create_dir_all(&path).map_err(write_error(&path))?;
        let lock = FolderLock::take(&path)?;
        Ok(Replacement {
            run: Self { path, _lock: lock },
        })
    }

    /// Takes a folder that holds a run, to go on with it or to look at it.
    ///
    /// # Errors
    /// A folder without a run, or in which another is at work.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        if !path.join(CONFIG).exists() {
            return Err(Error::NoRun { path });
        }
        let lock = FolderLock::take(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Reads `config.json`.
    ///
    /// # Errors
    /// A file that cannot be read, or that holds something else.
    pub fn read_config<T: DeserializeOwned>(&self) -> Result<T> {
        Self::config_of(&self.path)
    }

    /// Reads the `config.json` of the run in `folder`, whoever is at work there.
    ///
    /// # Errors
    /// As [`Self::read_config`]; a folder without one.
    pub fn config_of<T: DeserializeOwned>(folder: &Path) -> Result<T> {
        let path = folder.join(CONFIG);
        if !path.exists() {
            let path = folder.to_owned();
            return Err(Error::NoRun { path });
        }
        let bytes = read(&path)?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Config { path, source })
    }

    /// Reads the `model.safetensors` of the run in `folder`, for
    /// [`Dlrm::from_safetensors`](mmdlrm_model::Dlrm::from_safetensors); it must have been
    /// written for `run`.
    ///
    /// # Errors
    /// A file that cannot be read (before the first epoch is over there is none), that is no
    /// whole safetensors file, or the model of another run.
    pub fn model_of(folder: &Path, run: &str) -> Result<Vec<u8>> {
        let path = folder.join(MODEL);
        let file = read(&path)?;
        if !model_file::is_of(&file, run) {
            return Err(Error::OtherModel { path });
        }
        match SafeTensors::deserialize(&file) {
            Ok(_) => Ok(file),
            Err(source) => Err(Error::DamagedModel { path, source }),
        }
    }

    /// Its checkpoints.
    pub fn checkpoints(&self, config: CheckpointConfig) -> Checkpoints {
        Checkpoints::new(self.path.join(CHECKPOINTS), config)
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `config.json`.
    ///
    /// # Errors
    /// A folder that can no longer be written.
    pub fn write_config<T: Serialize + ?Sized>(&self, config: &T) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(config)?;
        json.push(b'\n');
        self.write(CONFIG, &json)
    }

    /// Writes `metrics.jsonl` and the events anew, with a line each of `metrics`.
    ///
    /// # Errors
    /// A folder that can no longer be written.
    pub fn restart_metrics<T: Serialize>(&self, metrics: &[T]) -> Result<()> {
        let (mut lines, mut events) = (Vec::new(), tensorboard::head());
        for metrics in metrics {
            serde_json::to_writer(&mut lines, metrics)?;
            lines.push(b'\n');
            events.extend(tensorboard::scalars(&serde_json::to_value(metrics)?));
        }
        // First the mark of a run.
        self.write(METRICS, &lines)?;
        self.write(EVENTS, &events)
    }

    /// The lines of `metrics.jsonl` that are of this kind: those of epochs, say.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read_metrics<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let bytes = read(&self.path.join(METRICS))?;
        let lines = bytes.split(|&byte| byte == b'\n');
        Ok(lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect())
    }

    /// Writes `report.html`.
    ///
    /// # Errors
    /// A folder that can no longer be written.
    pub fn write_report(&self, html: &str) -> Result<()> {
        self.write(REPORT, html.as_bytes())
    }

    /// Adds a line to `metrics.jsonl`, and its numbers to the events that TensorBoard
    /// shows.
    ///
    /// # Errors
    /// A folder that can no longer be written.
    pub fn append_metrics<T: Serialize>(&self, metrics: &T) -> Result<()> {
        let mut line = serde_json::to_vec(metrics)?;
        line.push(b'\n');
        self.append(METRICS, &line)?;
        self.append(
            EVENTS,
            &tensorboard::scalars(&serde_json::to_value(metrics)?),
        )
    }

    fn append(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        File::options()
            .append(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(write_error(&path))
    }

    /// Writes `model.safetensors`, given its bytes; its metadata say that it is the model
    /// of `run`.
    ///
    /// # Errors
    /// Bytes of no safetensors file, or a folder that can no longer be written.
    pub fn write_model(&self, safetensors: &[u8], run: &str) -> Result<()> {
        match model_file::named(safetensors, run) {
            Some((head, tensors)) => self.write_all(MODEL, &[&head, tensors]),
            None => {
                let source = std::io::Error::other("the model is no safetensors file");
                Err(write_error(&self.path.join(MODEL))(source))
            }
        }
    }

    /// Writes `predictions.parquet`: `userId` and `movieId` (`Int64`; of other data than MovieLens
    /// as [`IdNames`](mmdlrm_data::IdNames) are, by those of `features`), `rating`
    /// and `prediction` (`Float64`, stars, or what else the target is), a row a held-out rating.
    /// `fill` hands over the rows, some at a time.
    ///
    /// # Errors
    /// A folder that can no longer be written, or what `fill` returns.
    pub fn write_predictions(
        &self,
        features: &Features,
        fill: impl FnOnce(&mut dyn FnMut(&[RatedPrediction]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        self.write_table(PREDICTIONS, features, predictions_table, fill)
    }

    /// Writes `candidates.parquet`: `userId` and `movieId` as predictions have them, `score`
    /// (`Float64`, higher is better) and `held_out` (`Boolean`), a row a candidate.
    /// `fill` hands over the rows, some at a time.
    ///
    /// # Errors
    /// A folder that can no longer be written, or what `fill` returns.
    pub fn write_candidates(
        &self,
        features: &Features,
        fill: impl FnOnce(&mut dyn FnMut(&[CandidateScore]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        self.write_table(CANDIDATES, features, candidates_table, fill)
    }

    /// Writes `rankings.parquet`: `userId` and `movieId` as predictions have them, `rank` (`Int64`,
    /// from 1), and `score` (`Float32`, higher is better), a row a movie that is recommended to a user.
    /// `fill` hands over the rows, some at a time.
    ///
    /// # Errors
    /// A folder that can no longer be written, or what `fill` returns.
    pub fn write_rankings(
        &self,
        features: &Features,
        fill: impl FnOnce(&mut dyn FnMut(&[RankedMovie]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        self.write_table(RANKINGS, features, rankings_table, fill)
    }

    /// Writes a Parquet file beside its place and renames it there.
    fn write_table<T>(
        &self,
        name: &str,
        features: &Features,
        table: fn(&Names, &[T]) -> parquet::errors::Result<RecordBatch>,
        fill: impl FnOnce(&mut dyn FnMut(&[T]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let path = self.path.join(name);
        let parquet_error = |source| Error::Parquet {
            path: path.clone(),
            source,
        };
        let names = Names::of(features);
        write_whole(&path, |file| {
            let schema = table(&names, &[]).map_err(parquet_error)?.schema();
            let mut writer = ArrowWriter::try_new(file, schema, None).map_err(parquet_error)?;
            fill(&mut |rows| {
                table(&names, rows)
                    .and_then(|table| writer.write(&table))
                    .map_err(parquet_error)
            })?;
            writer.close().map_err(parquet_error)?;
            Ok(())
        })
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write_all(name, &[bytes])
    }

    pub(super) fn write_all(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        let path = self.path.join(name);
        write_whole(&path, |mut file| {
            let mut parts = parts.iter();
            parts
                .try_for_each(|part| file.write_all(part))
                .map_err(write_error(&path))
        })
    }
}

/// A folder whose run gives way to another as soon as that can begin: until then it is as it
/// was, whatever happens.
#[derive(Debug)]
pub struct Replacement {
    run: RunFolder,
}

impl Replacement {
    /// Where the folder is.
    pub fn path(&self) -> &Path {
        self.run.path()
    }

    /// Forgets the run that was there.
    ///
    /// # Errors
    /// A folder that can no longer be written.
    pub fn begin(self) -> Result<RunFolder> {
        let path = &self.run.path;
        Checkpoints::new(path.join(CHECKPOINTS), CheckpointConfig::default()).remove()?;
        for name in FILES {
            let file = path.join(name);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(write_error(&file)(error));
                }
                _ => {}
            }
        }
        // Found out now, not after hours of training.
        self.run.restart_metrics::<()>(&[])?;
        Ok(self.run)
    }
}

/// Refuses a folder with a run that has learned anything.
fn check_contents(path: &Path) -> Result<()> {
    let is_over = is_over(&path.join(METRICS))?;
    let path = path.to_owned();
    match is_over {
        // In its first epoch it has no line of metrics yet.
        None | Some(false) if path.join(CHECKPOINTS).exists() => Err(Error::Unfinished { path }),
        Some(_) => Err(Error::Exists { path }),
        None if KEPT.iter().any(|name| path.join(name).exists()) => Err(Error::Exists { path }),
        None => Ok(()),
    }
}

/// Refuses a folder with files of these names that are no run's.
fn check_kind(path: &Path) -> Result<()> {
    if path.join(METRICS).exists() {
        return Ok(());
    }
    let mut names = FILES.iter().chain([&CHECKPOINTS]);
    match names.find(|name| path.join(name).exists()) {
        None => Ok(()),
        Some(file) => Err(Error::Taken {
            path: path.to_owned(),
            file,
        }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

/// Whether the last line of the metrics is a final one; `None` where there is no line.
fn is_over(metrics: &Path) -> Result<Option<bool>> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(default)]
        r#final: bool,
    }
    let lines = match std::fs::read_to_string(metrics) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // Something above it is a file.
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(write_error(metrics)(error));
        }
        lines => lines.map_err(|source| Error::Read {
            path: metrics.to_owned(),
            source,
        })?,
    };
    let last = lines.lines().next_back().map(serde_json::from_str::<Line>);
    Ok(last.map(|line| matches!(line, Ok(Line { r#final: true }))))
}

#[cfg(test)]
mod tests;
