//! Which run is asked: one that is named, or the usual one that recommends.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Command, FromArgMatches};
use mmdlrm::train::Error::NoRun;
use mmdlrm::{Experiment, ExperimentConfig, Source};
use serde::Deserialize;

use super::source::name_of;
use crate::compare::figures::is_over;
use crate::progress::Progress;
use crate::{Error, Result, job, train, warnings};

/// Names the run that recommends, and has it trained where it is not there yet.
///
/// ```no_run
/// use clap::Parser;
/// use mmdlrm::{Recommender, Silent};
/// use mmdlrm_commands::AskedRun;
///
/// #[derive(Parser)]
/// struct Options {
///     #[command(flatten)]
///     asked: AskedRun,
/// }
///
/// let Options { asked } = Options::parse();
/// let recommender = Recommender::load(asked.folder()?, &mut Silent)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Args)]
pub struct AskedRun {
    /// Folder of a run [default: that of --data, runs/NAME-rank, which is trained by --preset
    /// rank if it is not there]
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    run: Option<PathBuf>,
    /// MovieLens folder whose movies are recommended [default: a made-up sample]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl AskedRun {
    /// Its folder. Where no run is named and the usual one is not there, it is trained, which
    /// standard error says and shows; one that was stopped goes on.
    ///
    /// # Errors
    /// What [`train`] says; a folder that holds something else than a run, or one on other data.
    pub fn folder(self) -> Result<PathBuf> {
        if let Some(run) = self.run {
            return Ok(run);
        }
        let folder = usual_rank_out(self.data.as_deref());
        check_data(self.data.as_deref(), &folder)?;
        let path = folder.display();
        let experiment = match is_over(&folder) {
            Ok(()) => return Ok(folder),
            Err(Error::NotOver { .. }) => {
                eprintln!("the run in {path} is not over, and goes on");
                Experiment::resume(&folder)?
            }
            Err(Error::Mmdlrm(mmdlrm::Error::Train(NoRun { .. }))) => {
                eprintln!("there is no run in {path} yet: it is trained first, by --preset rank");
                Experiment::new(config(self.data.as_deref(), &folder)?)?
            }
            Err(other) => return Err(other),
        };
        warnings::show();
        job::finish(experiment, &mut Progress::new())?;
        eprintln!("trained, and left in {path}");
        Ok(folder)
    }
}

/// The folder of a run that recommends where none is named: `runs/NAME-rank`.
fn usual_rank_out(data: Option<&Path>) -> PathBuf {
    let mut name = name_of(data);
    name.push("-rank");
    PathBuf::from("runs").join(name)
}

/// What there is to know of a run's configuration here.
#[derive(Deserialize)]
struct Saved {
    experiment: ExperimentConfig,
}

/// Refuses a run on other data than those that are asked about. One that cannot be read is left to
/// whoever opens it, who says what is wrong.
fn check_data(data: Option<&Path>, run: &Path) -> Result<()> {
    let file = std::fs::read(run.join("config.json")).ok();
    let saved = file.and_then(|file| serde_json::from_slice::<Saved>(&file).ok());
    let whole = |path: &Path| path.canonicalize().unwrap_or(path.to_owned());
    let is_of = match (saved.map(|saved| saved.experiment.source), data) {
        (None, _) | (Some(Source::Sample(_)), None) => true,
        (Some(Source::Folder { data: found, .. }), Some(data)) => whole(&found) == whole(data),
        _ => false,
    };
    match is_of {
        true => Ok(()),
        false => Err(Error::OtherData {
            run: run.to_owned(),
        }),
    }
}

/// The run that `mmdlrm train` makes of these options.
fn config(data: Option<&Path>, out: &Path) -> Result<ExperimentConfig> {
    let option = |name: &str, value: &Path| {
        let mut option = OsString::from(name);
        option.push(value);
        option
    };
    let mut options: Vec<OsString> = vec!["train".into(), "--preset=rank".into()];
    options.push(option("--out=", out));
    options.extend(data.map(|data| option("--data=", data)));
    let command = train::Args::augment_args(Command::new("train"));
    let options = command.try_get_matches_from(options);
    let options = options.and_then(|matches| train::Args::from_arg_matches(&matches));
    options.unwrap_or_else(|error| error.exit()).config()
}
