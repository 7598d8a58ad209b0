//! Click logs: facebookresearch/dlrm's own job.
//!
//! Without options it makes a small log up, of which it is known how well any model can do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmdlrm::data::SplitPart;
use mmdlrm::data::clicks::{Categories, ClickLog, ClickLogConfig, PlantedClicks};
use mmdlrm::train::{CheckpointConfig, LabelErrors};
use mmdlrm::{ClickConfig, ClickExperiment};

use crate::options::Optimizer;
use crate::program::print;
use crate::progress::Progress;
use crate::{Result, interrupt, job, warnings};

/// Rows of the log that is made up.
const PLANTED_ROWS: u64 = 1_000_000;
/// So many days has Criteo's Kaggle data in one file.
const DAYS: usize = 7;

/// Train a DLRM on a click log in Criteo's format, and measure it on the last day.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files of the log in the order of time, each a day: text with tabs, .gz where it is
    /// compressed, or .parquet [default: a made-up log of a million rows]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    log: Vec<PathBuf>,
    /// Days that all files together are cut into, of equal numbers of rows [default: 7 of one
    /// file, else a file is a day]
    #[arg(long, value_name = "COUNT")]
    days: Option<usize>,
    /// Rows of the log that is made up
    #[arg(long, value_name = "COUNT", conflicts_with = "log")]
    rows: Option<u64>,
    /// Most rows of a table; a category with more values has them hashed [default: 1000000]
    #[arg(long, value_name = "ROWS", conflicts_with = "least")]
    hash: Option<usize>,
    /// Give values that so many training rows have a row each, and all others one together
    #[arg(long, value_name = "ROWS")]
    least: Option<u32>,
    /// Leave the rows on disk: memory does not grow with their number
    #[arg(long)]
    stream: bool,
    /// Widths of the bottom MLP's hidden layers
    #[arg(long, value_name = "WIDTHS", value_delimiter = ',', default_values_t = ClickConfig::default().bottom)]
    bottom: Vec<usize>,
    /// Widths of the top MLP's hidden layers
    #[arg(long, value_name = "WIDTHS", value_delimiter = ',', default_values_t = ClickConfig::default().top)]
    top: Vec<usize>,
    /// Length of an embedding
    #[arg(long, default_value_t = ClickConfig::default().dim)]
    dim: usize,
    /// Passes over the training rows
    #[arg(long, default_value_t = ClickConfig::default().train.epochs)]
    epochs: usize,
    /// Rows a step
    #[arg(long, default_value_t = ClickConfig::default().train.batch_size)]
    batch_size: usize,
    /// End after so many epochs without a better one on the validation rows
    #[arg(long, value_name = "EPOCHS")]
    patience: Option<usize>,
    /// Optimizer [default: adam]
    #[arg(long, value_enum)]
    optimizer: Option<Optimizer>,
    /// Learning rate [default: adam's, 0.001]
    #[arg(long, value_name = "RATE")]
    lr: Option<f64>,
    /// Seed of parameters, order of the rows, and of the log that is made up
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Threads, at most 16 for each core [default: one a core]
    #[arg(long)]
    threads: Option<usize>,
    /// Steps from one checkpoint to the next; 0 for one an epoch
    #[arg(long, value_name = "STEPS", default_value_t = CheckpointConfig::default().every_steps)]
    checkpoint_steps: u64,
    /// Go on with the run in this folder, by its own settings
    #[arg(long, value_name = "DIR", exclusive = true)]
    resume: Option<PathBuf>,
    /// Measure the run in this folder: on the rows of --log, or on those that it held out
    #[arg(long, value_name = "DIR", conflicts_with_all = ["days", "rows", "hash", "least", "stream", "out", "overwrite", "patience", "optimizer", "lr"])]
    evaluate: Option<PathBuf>,
    /// Folder to leave the run in
    #[arg(long, value_name = "DIR", default_value = "runs/clicks")]
    out: PathBuf,
    /// Replace the run that is in that folder, once this one begins to train
    #[arg(long)]
    overwrite: bool,
}

/// Trains, measures, and prints what it came to. Ctrl-C and SIGTERM end the training with a
/// checkpoint; signals are the process's, so that a program does this once.
///
/// # Errors
/// What [`mmdlrm::ClickExperiment`] cannot use or do.
pub fn run(args: Args) -> Result<()> {
    warnings::show();
    let mut progress = Progress::of("rows");
    if let Some(threads) = args.threads {
        job::set_threads(threads)?;
    }
    if let Some(folder) = &args.evaluate {
        let errors = ClickExperiment::evaluate(folder, &args.log, &mut progress)?;
        return print(errors);
    }
    let stop = interrupt::listen(Arc::clone(&progress.is_training));
    let planted = args.planted();
    let experiment = match &args.resume {
        Some(folder) => ClickExperiment::resume(folder)?,
        None => {
            let config = args.config(planted)?;
            progress.read(|| ClickExperiment::new(config))?
        }
    };
    let best = planted.map(|planted| best(&planted, experiment.log()));
    let report = experiment.stop_when(stop).run(&mut progress)?;
    print(report)?;
    match best {
        Some(best) => print(format_args!("best possible   {}", best?)),
        None => Ok(()),
    }
}

impl Args {
    /// The log to make up, where none is named.
    fn planted(&self) -> Option<PlantedClicks> {
        let is_made_up = self.log.is_empty() && self.resume.is_none();
        is_made_up.then(|| PlantedClicks {
            rows: self.rows.unwrap_or(PLANTED_ROWS),
            seed: self.seed,
            ..PlantedClicks::default()
        })
    }

    fn config(self, planted: Option<PlantedClicks>) -> Result<ClickConfig> {
        let files = match planted {
            None => self.log,
            Some(planted) => vec![made_up(&planted, &self.out)?],
        };
        let categories = match (self.least, self.hash) {
            (Some(least), _) => Categories::Counted { least },
            (None, Some(rows)) => Categories::Hashed { rows },
            (None, None) => Categories::default(),
        };
        let mut config = ClickConfig {
            log: ClickLogConfig {
                days: self.days.or((files.len() == 1).then_some(DAYS)),
                files,
                categories,
                stream: self.stream,
            },
            dim: self.dim,
            bottom: self.bottom,
            top: self.top,
            seed: self.seed,
            checkpoints: CheckpointConfig {
                every_steps: self.checkpoint_steps,
                ..CheckpointConfig::default()
            },
            out: self.out,
            overwrite: self.overwrite,
            ..ClickConfig::default()
        };
        let train = &mut config.train;
        train.epochs = self.epochs;
        train.batch_size = self.batch_size;
        train.patience = self.patience;
        train.seed = self.seed;
        let mut optimizer = train.optimizer.clone();
        if let Some(algorithm) = self.optimizer {
            optimizer = optimizer.with_algorithm(algorithm.into());
        }
        if let Some(rate) = self.lr {
            optimizer = optimizer.with_learning_rate(rate);
        }
        train.optimizer = optimizer;
        Ok(config)
    }
}

/// Makes a log up beside the run, unless it is there since an earlier one: its name says all that
/// it is made of.
fn made_up(planted: &PlantedClicks, out: &Path) -> Result<PathBuf> {
    let folder = out.parent().unwrap_or(Path::new("."));
    let PlantedClicks {
        rows, values, seed, ..
    } = planted;
    let path = folder.join(format!("clicks-{rows}-{values}-{seed}.txt"));
    if !path.exists() {
        std::fs::create_dir_all(folder).map_err(|source| mmdlrm::data::Error::Write {
            path: folder.to_owned(),
            source,
        })?;
        planted.write(&path, |_| {})?;
    }
    Ok(path)
}

/// What the probabilities come to that the clicks were drawn by.
fn best(planted: &PlantedClicks, log: &ClickLog) -> Result<String> {
    let (mut likely, mut labels) = (Vec::new(), Vec::new());
    log.for_each(SplitPart::Test, |rows| {
        for row in rows.iter() {
            likely.push(planted.probability(&row) as f32);
            labels.push(f32::from(u8::from(row.label)));
        }
    })?;
    let errors = LabelErrors::of_predictions(&likely, &labels)?;
    Ok(errors.map_or_else(
        || "nothing held out".to_owned(),
        |errors| errors.to_string(),
    ))
}
