//! Training, whatever is learned.

use std::path::Path;
use std::sync::Arc;

use mmdlrm::data::Target;
use mmdlrm::{Error, Experiment, ExperimentConfig, Task};

use crate::program::print;
use crate::progress::Progress;
use crate::{Result, interrupt};

/// Trains by a configuration, or goes on with the run in `resume`, and prints what came of
/// it. Ctrl-C and SIGTERM end it with a checkpoint.
pub fn train(
    resume: Option<&Path>,
    threads: Option<usize>,
    config: impl FnOnce() -> Result<ExperimentConfig>,
) -> Result<()> {
    let mut progress = Progress::new();
    let stop = interrupt::listen(Arc::clone(&progress.is_training));
    if let Some(threads) = threads {
        set_threads(threads)?;
    }
    let experiment = match resume {
        Some(folder) => Experiment::resume(folder)?,
        None => Experiment::new(config()?)?,
    };
    print(finish(experiment.stop_when(stop), &mut progress)?)
}

/// Does an experiment; what came of it, in words.
pub fn finish(experiment: Experiment, progress: &mut Progress) -> Result<String> {
    let words = experiment.words();
    progress.rows = match words.target {
        // What is drawn beside interactions is none.
        Target::Implicit => "rows".to_owned(),
        _ => words.ratings,
    };
    Ok(match experiment.task() {
        Task::Rank => experiment.rank(progress)?.to_string(),
        _ => experiment.run(progress)?.to_string(),
    })
}

/// More would only wait for each other, each with buffers of its own.
const THREADS_PER_CORE: usize = 16;

/// Starts so many threads.
pub fn set_threads(threads: usize) -> Result<(), Error> {
    let setting = |rule| Error::Setting {
        setting: "--threads",
        value: threads.to_string(),
        rule,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if !(1..=cores.saturating_mul(THREADS_PER_CORE)).contains(&threads) {
        return Err(setting(
            "it must be 1 or more, and at most 16 for each core",
        ));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|_| setting("so many threads could not be started"))
}
