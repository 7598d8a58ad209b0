//! Which run is asked: one that is named, or the usual one that recommends.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Command, FromArgMatches};
use mmdlrm::data::{InteractionFiles, ReleaseFiles};
use mmdlrm::train::Error::NoRun;
use mmdlrm::{Experiment, ExperimentConfig, Source};
use serde::Deserialize;

use super::source::{name_of, table_name};
use super::{Policies, Tables};
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
    /// Folder of a run [default: that of --data or --interactions, runs/NAME-rank, which is trained
    /// by --preset rank if it is not there]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["ratings", "unknown_movies", "duplicates"])]
    run: Option<PathBuf>,
    /// MovieLens folder whose movies are recommended, or the zip it comes in [default: a made-up
    /// sample]
    #[arg(long, value_name = "DIR", group = "ratings")]
    data: Option<PathBuf>,
    #[command(flatten)]
    tables: Tables,
    #[command(flatten)]
    policies: Policies,
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
        let asked = Asked {
            tables: self.tables.files(&self.policies),
            data: self.data,
            policies: self.policies,
        };
        let folder = asked.usual_out();
        asked.check(&folder)?;
        let path = folder.display();
        let experiment = match is_over(&folder) {
            Ok(()) => {
                if let Some(newer) = asked.newer_than(&folder) {
                    eprintln!(
                        "note: {} was written after the run in {path}, which may not know what is \
                         in it; to train it anew, remove that folder",
                        newer.display()
                    );
                }
                return Ok(folder);
            }
            Err(Error::NotOver { .. }) => {
                eprintln!("the run in {path} is not over, and goes on");
                Experiment::resume(&folder)?
            }
            Err(Error::Mmdlrm(mmdlrm::Error::Train(NoRun { .. }))) => {
                eprintln!("there is no run in {path} yet: it is trained first, by --preset rank");
                Experiment::new(asked.config(&folder)?)?
            }
            Err(other) => return Err(other),
        };
        warnings::show();
        job::finish(experiment, &mut Progress::new())?;
        eprintln!("trained, and left in {path}");
        Ok(folder)
    }
}

/// The data that are asked about.
struct Asked {
    tables: Option<InteractionFiles>,
    data: Option<PathBuf>,
    policies: Policies,
}

/// What there is to know of a run's configuration here.
#[derive(Deserialize)]
struct Saved {
    experiment: ExperimentConfig,
}

impl Asked {
    /// The folder of a run that recommends where none is named: `runs/NAME-rank`.
    fn usual_out(&self) -> PathBuf {
        let mut name = match &self.tables {
            Some(files) => table_name(&files.interactions),
            None => name_of(self.data.as_deref()),
        };
        name.push("-rank");
        PathBuf::from("runs").join(name)
    }

    /// Refuses a run on other data than those that are asked about. One that cannot be read is left
    /// to whoever opens it, who says what is wrong.
    fn check(&self, run: &Path) -> Result<()> {
        let file = std::fs::read(run.join("config.json")).ok();
        let saved = file.and_then(|file| serde_json::from_slice::<Saved>(&file).ok());
        let Some(Saved { experiment }) = saved else {
            return Ok(());
        };
        let is_of = match (&experiment.source, &self.tables, &self.data) {
            (Source::Sample(_), None, None) => true,
            (Source::Folder { data, .. }, None, Some(asked)) => {
                let (movies, twice) = (experiment.unknown_movies, experiment.duplicates);
                let named = &self.policies;
                is_same(&place_of(data), &place_of(asked))
                    && named.named_unknown_movies().is_none_or(|it| it == movies)
                    && named.named_duplicates().is_none_or(|it| it == twice)
            }
            (Source::Tables(files), Some(asked), _) => are_same(files, asked, &self.policies),
            _ => false,
        };
        match is_of {
            true => Ok(()),
            false => Err(Error::OtherData {
                run: run.to_owned(),
            }),
        }
    }

    /// A file of the data that was written after the run.
    fn newer_than(&self, run: &Path) -> Option<PathBuf> {
        let written = |file: &Path| std::fs::metadata(file).and_then(|it| it.modified()).ok();
        let run = written(&run.join("config.json"))?;
        let files = match (&self.tables, &self.data) {
            (Some(files), _) => {
                let beside = files.users.iter().chain(&files.items);
                beside.chain([&files.interactions]).cloned().collect()
            }
            // What cannot be found is said by whoever reads it.
            (None, Some(data)) => ReleaseFiles::find(data)
                .map(|it| it.needed())
                .unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        let mut newer = files.into_iter().filter(|it| written(it) > Some(run));
        newer.next()
    }

    /// The run that `mmdlrm train` makes of these options.
    fn config(self, out: &Path) -> Result<ExperimentConfig> {
        let option = |name: &str, value: &Path| {
            let mut option = OsString::from(name);
            option.push(value);
            option
        };
        let mut options: Vec<OsString> = vec!["train".into(), "--preset=rank".into()];
        options.push(option("--out=", out));
        let tables = self.tables.as_ref().map(|files| &files.interactions);
        options.extend(tables.map(|table| option("--interactions=", table)));
        options.extend(self.data.map(|data| option("--data=", &data)));
        let command = train::Args::augment_args(Command::new("train"));
        let options = command.try_get_matches_from(options);
        let options = options.and_then(|matches| train::Args::from_arg_matches(&matches));
        let mut config = options.unwrap_or_else(|error| error.exit()).config()?;
        match self.tables {
            Some(files) => config.source = Source::Tables(files),
            None => {
                config.unknown_movies = self.policies.unknown_movies();
                config.duplicates = self.policies.duplicates();
            }
        }
        Ok(config)
    }
}

/// Where a release lies: the folder within the one that is named.
fn place_of(data: &Path) -> PathBuf {
    let found = ReleaseFiles::find(data);
    found.map_or(data.to_owned(), |it| it.place().to_owned())
}

fn is_same(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().unwrap_or(path.to_owned());
    whole(a) == whole(b)
}

/// Whether tables of a run are those that are asked about, and all that is said of them holds.
fn are_same(run: &InteractionFiles, asked: &InteractionFiles, policies: &Policies) -> bool {
    let beside = |a: &Option<PathBuf>, b: &Option<PathBuf>| match (a, b) {
        (Some(a), Some(b)) => is_same(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    // A target that nobody names is found, and its name is kept.
    let mut options = asked.options.clone();
    if !options.schema.implicit {
        let target = options.schema.target.take();
        options.schema.target = target.or_else(|| run.options.schema.target.clone());
    }
    // So are policies that nobody names.
    if policies.named_unknown_movies().is_none() {
        options.unknown_items = run.options.unknown_items;
    }
    options.duplicates = options.duplicates.or(run.options.duplicates);
    is_same(&run.interactions, &asked.interactions)
        && beside(&run.users, &asked.users)
        && beside(&run.items, &asked.items)
        && run.options == options
}
