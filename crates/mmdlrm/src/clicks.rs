//! Click logs, from files to a run's folder: facebookresearch/dlrm's own job.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use mmdlrm_data::clicks::{ClickLog, ClickLogConfig, ClickSummary};
use mmdlrm_data::{DataFingerprint, PartHasher, Samples, SplitPart};
use mmdlrm_kernels::InstructionSet;
use mmdlrm_model::{Dlrm, DlrmConfig, Loss};
use mmdlrm_train::{
    CheckpointConfig, LabelErrors, Replacement, RunFolder, TrainConfig, shapes, train_samples,
};
use serde::{Deserialize, Serialize};

use crate::measure::FinalMetrics;
use crate::training::Training;
use crate::{Error, Observer, Result, Stage};

/// Everything that decides what a [`ClickExperiment`] does.
///
/// ```
/// use mmdlrm::ClickConfig;
///
/// // The shapes of facebookresearch/dlrm's kaggle benchmark.
/// let config = ClickConfig::default();
/// assert_eq!((config.dim, &config.bottom[..]), (16, &[512, 256, 64][..]));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickConfig {
    /// Which rows, and what becomes of their categories.
    pub log: ClickLogConfig,
    /// Length of an embedding, and of the bottom MLP's last layer.
    pub dim: usize,
    /// Widths of the bottom MLP's hidden layers.
    pub bottom: Vec<usize>,
    /// Widths of the top MLP's hidden layers.
    pub top: Vec<usize>,
    /// Seed of the model's parameters.
    pub seed: u64,
    /// How the model is trained; its loss is one of labels.
    pub train: TrainConfig,
    /// When the run is kept, so that it can be resumed.
    pub checkpoints: CheckpointConfig,
    /// The run's folder.
    pub out: PathBuf,
    /// Whether a run that is in that folder may be replaced. It stays until the new one has
    /// read its rows and begins to train.
    #[serde(skip)]
    pub overwrite: bool,
}

impl Default for ClickConfig {
    /// The shapes of facebookresearch/dlrm's `kaggle` benchmark, one epoch of Adam, in steps of
    /// 2,048 rows.
    fn default() -> Self {
        Self {
            log: ClickLogConfig::default(),
            dim: 16,
            bottom: vec![512, 256, 64],
            top: vec![512, 256],
            seed: 42,
            train: TrainConfig {
                epochs: 1,
                batch_size: 2048,
                loss: Loss::Bce,
                ..TrainConfig::default()
            },
            checkpoints: CheckpointConfig::default(),
            out: PathBuf::from("runs/clicks"),
            overwrite: false,
        }
    }
}

impl ClickConfig {
    /// Checks what can be checked before anything is read.
    ///
    /// # Errors
    /// The first setting that makes no sense, or `MMDLRM_SIMD`, if it does not.
    pub fn validate(&self) -> Result<()> {
        InstructionSet::in_use().map_err(mmdlrm_model::Error::from)?;
        self.train.validate()?;
        self.checkpoints.validate()?;
        self.log.validate()?;
        if !matches!(self.train.loss, Loss::Bce | Loss::WeightedBce { .. }) {
            return Err(Error::Setting {
                setting: "loss",
                value: format!("{:?}", self.train.loss),
                rule: "a click is learned by cross-entropy",
            });
        }
        self.of(&[3]).validate()?;
        Ok(())
    }

    /// The model, for tables of so many rows.
    fn of(&self, rows: &[usize]) -> DlrmConfig {
        shapes::labels(
            rows,
            mmdlrm_data::clicks::NUMBERS,
            self.dim,
            &self.bottom,
            &self.top,
        )
    }
}

/// Reads a click log, trains a DLRM to say how likely a click is, measures it on the last day,
/// and leaves a run's folder behind.
///
/// ```
/// use mmdlrm::data::clicks::{ClickLogConfig, PlantedClicks};
/// use mmdlrm::{ClickConfig, ClickExperiment, Silent};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("clicks.txt");
/// PlantedClicks { rows: 2100, values: 20, ..PlantedClicks::default() }.write(&path, |_| {})?;
/// let mut config = ClickConfig {
///     log: ClickLogConfig { files: vec![path], days: Some(7), ..ClickLogConfig::default() },
///     bottom: vec![32],
///     top: vec![32],
///     out: folder.path().join("run"),
///     ..ClickConfig::default()
/// };
/// config.train.batch_size = 64;
/// let report = ClickExperiment::new(config)?.run(&mut Silent)?;
/// assert_eq!((report.test.rows, report.test.auc > Some(0.5)), (150, true));
/// let again = ClickExperiment::evaluate(folder.path().join("run"), &[], &mut Silent)?;
/// assert_eq!(again, report.test);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ClickExperiment {
    config: ClickConfig,
    log: ClickLog,
    place: Place,
    stop: Option<Arc<AtomicBool>>,
    read_seconds: f64,
}

enum Place {
    New(RunFolder),
    /// Of a run that gives way when this one begins.
    Others(Replacement),
    Resumed(RunFolder),
}

impl fmt::Debug for ClickExperiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickExperiment")
            .field("config", &self.config)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// `config.json` of a run of clicks.
#[derive(Serialize, Deserialize)]
struct ClickConfigFile {
    version: String,
    /// What tells it from the runs of other experiments.
    clicks: ClickConfig,
    /// Names the run, and what was made for it.
    run: String,
    data: DataFingerprint,
}

/// What a model of clicks came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClickReport {
    /// On the rows that are held out.
    pub test: LabelErrors,
    /// On those that the best epoch is chosen by.
    pub validation: Option<LabelErrors>,
    /// Rows that were learned from.
    pub train_rows: usize,
    /// What was found among all rows.
    pub found: ClickSummary,
    /// Rows of all tables.
    pub table_rows: usize,
    /// Numbers that the model learned.
    pub parameters: usize,
    /// Seconds of reading …
    pub read_seconds: f64,
    /// … and of training.
    pub train_seconds: f64,
    /// The run's folder.
    pub out: PathBuf,
}

impl ClickExperiment {
    /// Reads all rows, so that whatever is wrong with them is found before the work begins, and
    /// then makes the run's folder.
    ///
    /// # Errors
    /// The first thing that cannot be used; a folder that holds a run, unless the configuration
    /// says that it may be replaced.
    pub fn new(config: ClickConfig) -> Result<Self> {
        config.validate()?;
        if !config.overwrite {
            // Before anything is read, and once more when the folder is made.
            RunFolder::check_free(&config.out)?;
        }
        let start = Instant::now();
        let log = ClickLog::open(&config.log)?;
        let place = match config.overwrite {
            true => Place::Others(RunFolder::replace(&config.out)?),
            false => Place::New(RunFolder::create(&config.out)?),
        };
        Ok(Self {
            config,
            log,
            place,
            stop: None,
            read_seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Goes on with the run in `folder`, by its own configuration, to the same model as if it
    /// had never stopped. Paths hold from the folder in which it was begun.
    ///
    /// # Errors
    /// A folder without such a run or with another one at work; rows that are not those that the
    /// run was begun with.
    pub fn resume(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = RunFolder::open(folder)?;
        let path = folder.path().to_owned();
        let file: ClickConfigFile = config_of(&path)?;
        let config = ClickConfig {
            out: path.clone(),
            ..file.clicks
        };
        config.validate()?;
        let start = Instant::now();
        let encoder = RunFolder::categories_of(&path, &file.run)?;
        let log = ClickLog::open_with(&config.log, encoder)?;
        check_data(&path, &file.data, &log)?;
        Ok(Self {
            config,
            log,
            place: Place::Resumed(folder),
            stop: None,
            read_seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Lets training end, with a checkpoint and [`mmdlrm_train::Error::Stopped`], when `stop`
    /// becomes true.
    #[must_use]
    pub fn stop_when(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = Some(stop);
        self
    }

    /// The rows.
    pub fn log(&self) -> &ClickLog {
        &self.log
    }

    /// Trains, measures, and leaves figures and model in the folder.
    ///
    /// # Errors
    /// A loss that diverges, or a folder that can no longer be written.
    pub fn run(self, observer: &mut dyn Observer) -> Result<ClickReport> {
        let Self {
            config,
            log,
            place,
            stop,
            read_seconds,
        } = self;
        let shape = config.of(&log.encoder().table_rows());
        let mut model = Dlrm::new(shape, config.seed)?;
        let data = log.fingerprint();
        let run = identity(&config, &data)?;
        let (folder, resumed) = match place {
            Place::New(folder) => (folder, false),
            Place::Others(replacement) => (replacement.begin()?, false),
            Place::Resumed(folder) => (folder, true),
        };
        if !resumed {
            folder.write_categories(log.encoder(), &run)?;
            folder.write_config(&ClickConfigFile {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                clicks: config.clone(),
                run: run.clone(),
                data,
            })?;
        }
        let training = Training {
            folder: &folder,
            run: &run,
            checkpoints: config.checkpoints,
            resumed,
            stop: stop.as_deref(),
        };
        let start = Instant::now();
        let train_rows = log.rows(SplitPart::Train);
        let ((), before) =
            training.train(train_rows * config.train.epochs, observer, |session| {
                train_samples(&mut model, &log, &config.train, session)
            })?;
        let train_seconds = before + start.elapsed().as_secs_f64();
        folder.write_model(&model.to_safetensors()?, &run)?;
        let of = |part| LabelErrors::of(&model, &log, part);
        let report = ClickReport {
            test: of(SplitPart::Test)?.ok_or_else(nothing_held_out)?,
            validation: of(SplitPart::Validation)?,
            train_rows,
            found: log.summary().clone(),
            table_rows: log.encoder().table_rows().iter().sum(),
            parameters: model.parameters().len(),
            read_seconds,
            train_seconds,
            out: folder.path().to_owned(),
        };
        folder.append_metrics(&FinalMetrics {
            r#final: true,
            report: &report,
        })?;
        Ok(report)
    }

    /// Measures the model of the run in `folder`: on all rows of `files`, or, where there are
    /// none, on those that the run itself held out.
    ///
    /// # Errors
    /// A folder without a trained run of clicks, rows that cannot be used, or that are no longer
    /// those that the run held out.
    pub fn evaluate(
        folder: impl AsRef<Path>,
        files: &[PathBuf],
        observer: &mut dyn Observer,
    ) -> Result<LabelErrors> {
        let folder = folder.as_ref();
        let ClickConfigFile {
            clicks, run, data, ..
        } = config_of(folder)?;
        observer.begin(Stage::ReadModel, 0);
        let model = Dlrm::from_safetensors(&RunFolder::model_of(folder, &run)?)?;
        let encoder = RunFolder::categories_of(folder, &run)?;
        observer.end();
        observer.begin(Stage::ReadData, 0);
        let log = match files {
            [] => {
                let config = ClickLogConfig {
                    stream: true,
                    ..clicks.log
                };
                let log = ClickLog::open_with(&config, encoder)?;
                check_data(folder, &data, &log)?;
                log
            }
            files => ClickLog::open_to_test(files, encoder)?,
        };
        observer.end();
        LabelErrors::of(&model, &log, SplitPart::Test)?.ok_or_else(nothing_held_out)
    }
}

fn nothing_held_out() -> Error {
    Error::Setting {
        setting: "rows that are held out",
        value: "0".to_owned(),
        rule: "a model is measured on some",
    }
}

fn config_of(folder: &Path) -> Result<ClickConfigFile> {
    /// What a run of ratings has.
    #[derive(Deserialize)]
    struct Head {
        clicks: Option<serde::de::IgnoredAny>,
    }
    let Head { clicks } = RunFolder::config_of(folder)?;
    match clicks {
        Some(_) => Ok(RunFolder::config_of(folder)?),
        None => Err(Error::OtherKind {
            run: folder.to_owned(),
            what: "ratings",
            wanted: "clicks",
        }),
    }
}

fn check_data(folder: &Path, before: &DataFingerprint, log: &ClickLog) -> Result<()> {
    let changes = before.changes(&log.fingerprint());
    match changes.is_empty() {
        true => Ok(()),
        false => Err(Error::OtherData {
            run: folder.to_owned(),
            changes,
        }),
    }
}

/// A name that all that decides the model has a part in: where files and the run lie, and whether
/// rows are kept in memory, does not.
fn identity(config: &ClickConfig, data: &DataFingerprint) -> Result<String> {
    let any = ClickConfig::default();
    let settings = ClickConfig {
        log: ClickLogConfig {
            categories: config.log.categories,
            ..any.log
        },
        checkpoints: any.checkpoints,
        out: any.out,
        ..config.clone()
    };
    let mut part = PartHasher::new("settings");
    part.text(&serde_json::to_string(&settings)?);
    let settings: DataFingerprint = [part.finish()].into_iter().collect();
    Ok(data.clone().with(settings).digest())
}

impl fmt::Display for ClickReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            found, validation, ..
        } = self;
        let rows: usize = found.rows.iter().sum();
        let share = 100.0 * found.clicks as f64 / rows as f64;
        writeln!(f, "rows            {rows}, {share:.2} % with a click")?;
        writeln!(f, "learned from    {}", self.train_rows)?;
        writeln!(
            f,
            "parameters      {}, {} rows of tables",
            self.parameters, self.table_rows
        )?;
        if let Some(validation) = validation {
            writeln!(f, "validation      {validation}")?;
        }
        writeln!(f, "test            {}", self.test)?;
        writeln!(
            f,
            "seconds         {:.1} reading, {:.1} training",
            self.read_seconds, self.train_seconds
        )?;
        write!(f, "run             {}", self.out.display())
    }
}
