//! Trains a model of what each user watches next and ranks candidates with it: what
//! [`train`](crate::train) does with `--task rank`, with the options that it has then.

use std::path::PathBuf;

use clap::{ArgMatches, Command, FromArgMatches};
use mmdlrm::train::NextItemTrainConfig;
use mmdlrm::{ExperimentConfig, SplitConfig, Task};

use crate::options::{RunOptions, SourceOptions, idle};
use crate::{Result, job, warnings};

/// Options of a training: of what, and how. Those that would do nothing beside the others
/// are an error.
#[derive(Debug)]
pub struct Args(Options);

/// Train a model of what each user watches next, and rank candidates with it.
#[derive(Debug, clap::Args)]
struct Options {
    #[command(flatten)]
    source: SourceOptions,
    /// CSV of userId,heldOutMovieId and the movies that it competes with; those ratings
    /// are held out
    #[arg(
        long,
        value_name = "FILE",
        requires = "ratings",
        required_unless_present = "resume"
    )]
    candidates: Option<PathBuf>,
    /// Learning rate
    #[arg(long, value_name = "RATE", default_value_t = NextItemTrainConfig::default().learning_rate)]
    lr: f64,
    /// Share of a weight, times --lr, that each step takes off; that product is 0.1 at most
    #[arg(long, value_name = "DECAY", default_value_t = NextItemTrainConfig::default().weight_decay)]
    weight_decay: f64,
    #[command(flatten)]
    run: RunOptions,
}

impl clap::Args for Args {
    fn group_id() -> Option<clap::Id> {
        Options::group_id()
    }

    fn augment_args(command: Command) -> Command {
        without_sample(Options::augment_args(command))
    }

    fn augment_args_for_update(command: Command) -> Command {
        without_sample(Options::augment_args_for_update(command))
    }
}

/// Says nothing of a sample, for which there are no candidates.
fn without_sample(command: Command) -> Command {
    command.mut_arg("data", |data| {
        data.help("MovieLens folder with ratings.csv and movies.csv, or the zip it comes in")
    })
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let options = Options::from_arg_matches(matches)?;
        idle::check(matches, &options.source.idle())?;
        Ok(Self(options))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)?;
        idle::check(matches, &self.0.source.idle())
    }
}

impl Options {
    fn config(self) -> ExperimentConfig {
        let mut config = ExperimentConfig {
            task: Task::Rank,
            ..ExperimentConfig::default()
        };
        if let Some(candidates) = self.candidates {
            config.split = SplitConfig::Candidates(candidates);
        }
        self.run.apply(self.source, &mut config);
        config.next_item.learning_rate = self.lr;
        config.next_item.weight_decay = self.weight_decay;
        config
    }
}

/// Trains, ranks, and prints what it came to. Ctrl-C and SIGTERM end the training with a
/// checkpoint; signals are the process's, so that a program does this once.
///
/// # Errors
/// What [`mmdlrm::Experiment`] cannot use or do, or a download that fails.
pub fn run(args: Args) -> Result<()> {
    let Args(mut options) = args;
    warnings::show();
    options.source.fetch()?;
    let resume = options.run.resume.take();
    let threads = options.run.threads;
    job::train(resume.as_deref(), threads, || Ok(options.config()))
}
