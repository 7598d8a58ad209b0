//! Compares models: saved runs, or evaluations of them, by one table of their final figures; or,
//! without runs, all models that there are, trained and measured on the same rows.
//!
//! Where two runs predict the same held-out ratings, the table also says by how much the
//! RMSE of each differs from that of the first, with a 95 % interval over users.

mod difference;
pub(crate) mod figures;
mod predictions;
mod runs;
mod trained;

use std::path::PathBuf;

use clap::{ArgMatches, Command, FromArgMatches};

use self::trained::Trained;
use crate::options::{Idle, idle};
use crate::program::print;
use crate::{Result, warnings};

/// Options: which runs, or which models on which data. Those that would do nothing beside the
/// others are an error.
#[derive(Debug)]
pub struct Args(Options);

/// Compare saved runs; or, without any, train models on the same rows and compare them.
#[derive(Debug, clap::Args)]
struct Options {
    /// Folders of runs or of evaluations; differences are to the first
    #[arg(value_name = "RUN", num_args = 2..)]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    trained: Trained,
}

impl clap::Args for Args {
    fn group_id() -> Option<clap::Id> {
        Options::group_id()
    }

    fn augment_args(command: Command) -> Command {
        Options::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Options::augment_args_for_update(command)
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let options = Options::from_arg_matches(matches)?;
        options.check(matches)?;
        Ok(Self(options))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)?;
        self.0.check(matches)
    }
}

impl Options {
    /// Refuses options that would do nothing beside the others.
    fn check(&self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let names = matches.ids().map(|id| id.as_str());
        let of_training: Vec<&str> = names.filter(|&name| name != "runs").collect();
        let mut rules = vec![Idle {
            options: &of_training,
            holds: !self.runs.is_empty(),
            circumstances: "beside runs, which are compared as they are",
        }];
        rules.extend(self.trained.idle());
        idle::check(matches, &rules)
    }
}

/// Prints the tables; those of models that it trains are left in a folder too.
///
/// # Errors
/// A folder that holds no run, a run that is not over, or runs that have no figure in
/// common: of ratings and of rankings, or of rankings by other protocols; what
/// [`mmdlrm::Comparison`] cannot use or do.
pub fn run(args: Args) -> Result<()> {
    let Args(Options { runs, trained }) = args;
    if !runs.is_empty() {
        return print(runs::table(&runs)?);
    }
    warnings::show();
    trained.run()
}
