use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use serde::Serialize;

use crate::{CandidateScore, Error, RatedPrediction, Result};

const CONFIG: &str = "config.json";
const METRICS: &str = "metrics.jsonl";
const MODEL: &str = "model.safetensors";
const PREDICTIONS: &str = "predictions.parquet";
const CANDIDATES: &str = "candidates.parquet";
/// In the order they are removed: as long as one is left, so is the mark of a
/// run.
const FILES: [&str; 5] = [CONFIG, MODEL, PREDICTIONS, CANDIDATES, METRICS];

/// What a run leaves behind, in one folder: `config.json`, `metrics.jsonl`,
/// `model.safetensors`, and `predictions.parquet` or `candidates.parquet`.
///
/// Files are written beside and renamed, so that each is whole or absent;
/// `metrics.jsonl` grows by whole lines.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder, or takes one that holds a run and forgets that run.
    ///
    /// # Errors
    /// A folder that cannot be made or written, or that holds files of these
    /// names and no run: a model's `config.json`, say.
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
        std::fs::create_dir_all(&path).map_err(write_error(&path))?;
        if !path.join(METRICS).exists()
            && let Some(taken) = FILES.iter().find(|name| path.join(name).exists())
        {
            return Err(Error::Taken { path, file: taken });
        }
        for name in FILES {
            let file = path.join(name);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(write_error(&file)(error));
                }
                _ => {}
            }
        }
        // Found out now, not after hours of training.
        let run = Self { path };
        run.write(METRICS, |_| Ok(()))?;
        Ok(run)
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
        self.write(CONFIG, |file| Ok(file.write_all(&json)?))
    }

    /// Adds a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// A folder that can no longer be written.
    pub fn append_metrics<T: Serialize>(&self, metrics: &T) -> Result<()> {
        let mut line = serde_json::to_vec(metrics)?;
        line.push(b'\n');
        let path = self.path.join(METRICS);
        File::options()
            .append(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| file.write_all(&line))
            .map_err(write_error(&path))
    }

    /// Writes `model.safetensors`, given its bytes.
    ///
    /// # Errors
    /// A folder that can no longer be written.
    pub fn write_model(&self, safetensors: &[u8]) -> Result<()> {
        self.write(MODEL, |file| Ok(file.write_all(safetensors)?))
    }

    /// Writes `predictions.parquet`: `userId` and `movieId` (`Int64`), `rating`
    /// and `prediction` (`Float64`, stars), a row a held-out rating. `fill`
    /// hands over the rows, some at a time.
    ///
    /// # Errors
    /// A folder that can no longer be written, or what `fill` returns.
    pub fn write_predictions(
        &self,
        fill: impl FnOnce(&mut dyn FnMut(&[RatedPrediction]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        self.write_table(PREDICTIONS, predictions_table, fill)
    }

    /// Writes `candidates.parquet`: `userId` and `movieId` (`Int64`), `score`
    /// (`Float64`, higher is better) and `held_out` (`Boolean`), a row a candidate.
    /// `fill` hands over the rows, some at a time.
    ///
    /// # Errors
    /// A folder that can no longer be written, or what `fill` returns.
    pub fn write_candidates(
        &self,
        fill: impl FnOnce(&mut dyn FnMut(&[CandidateScore]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        self.write_table(CANDIDATES, candidates_table, fill)
    }

    /// Writes a Parquet file beside its place and renames it there.
    fn write_table<T>(
        &self,
        name: &str,
        table: fn(&[T]) -> parquet::errors::Result<RecordBatch>,
        fill: impl FnOnce(&mut dyn FnMut(&[T]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let path = self.path.join(name);
        let parquet_error = |source| Error::Parquet {
            path: path.clone(),
            source,
        };
        let beside = self.path.join(format!(".{name}.partial"));
        let file = File::create(&beside).map_err(write_error(&path))?;
        let handle = file.try_clone().map_err(write_error(&path))?;
        let schema = table(&[]).map_err(parquet_error)?.schema();
        let mut writer = ArrowWriter::try_new(handle, schema, None).map_err(parquet_error)?;
        fill(&mut |rows| {
            table(rows)
                .and_then(|table| writer.write(&table))
                .map_err(parquet_error)
        })?;
        writer.close().map_err(parquet_error)?;
        file.sync_all()
            .and_then(|()| std::fs::rename(&beside, &path))
            .map_err(write_error(&path))
    }

    /// Writes a file beside its place and renames it there.
    fn write(
        &self,
        name: &str,
        fill: impl FnOnce(
            &mut File,
        ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<()> {
        let path = self.path.join(name);
        let beside = self.path.join(format!(".{name}.partial"));
        let written = || -> std::io::Result<()> {
            let mut file = File::create(&beside)?;
            fill(&mut file).map_err(std::io::Error::other)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)
        };
        written().map_err(write_error(&path))
    }
}

fn predictions_table(rated: &[RatedPrediction]) -> parquet::errors::Result<RecordBatch> {
    let stars = |stars: fn(&RatedPrediction) -> f64| floats(rated.iter().map(stars));
    Ok(RecordBatch::try_from_iter([
        ("userId", ids(rated.iter().map(|rated| rated.user_id))),
        ("movieId", ids(rated.iter().map(|rated| rated.movie_id))),
        ("rating", stars(|rated| rated.rating)),
        ("prediction", stars(|rated| rated.prediction)),
    ])?)
}

fn candidates_table(scored: &[CandidateScore]) -> parquet::errors::Result<RecordBatch> {
    let held_out = scored.iter().map(|scored| Some(scored.held_out));
    let held_out: ArrayRef = Arc::new(held_out.collect::<BooleanArray>());
    Ok(RecordBatch::try_from_iter([
        ("userId", ids(scored.iter().map(|scored| scored.user_id))),
        ("movieId", ids(scored.iter().map(|scored| scored.movie_id))),
        ("score", floats(scored.iter().map(|scored| scored.score))),
        ("held_out", held_out),
    ])?)
}

fn ids(ids: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(ids.map(i64::from)))
}

fn floats(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::write(path.join("notes.txt"), "mine").unwrap();
        let run = RunFolder::create(path).unwrap();
        run.append_metrics(&1).unwrap();
        run.write_config(&2).unwrap();
        RunFolder::create(path).unwrap();
        assert!(!path.join(CONFIG).exists());
        assert_eq!(std::fs::read(path.join(METRICS)).unwrap(), b"");
        assert!(path.join("notes.txt").exists());
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join(CONFIG);
        std::fs::write(&config, "of a model").unwrap();
        let error = RunFolder::create(folder.path()).unwrap_err();
        assert!(matches!(error, Error::Taken { .. }), "{error}");
        assert_eq!(std::fs::read(&config).unwrap(), b"of a model");
    }
}
