//! Models that are trained to be compared.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use mmdlrm::{Comparison, ExperimentConfig, SplitConfig};

use crate::Result;
use crate::options::{Idle, SourceOptions, SplitName};
use crate::program::print;
use crate::progress::Progress;

/// Seed of the split, of a sample, and of an untrained encoder.
const SEED: u64 = 42;
const SECONDS_A_MINUTE: f64 = 60.0;
const BYTES_A_GIB: f64 = (1u64 << 30) as f64;
/// More than any machine has.
const MOST_GIB: f64 = 1e6;

/// For `#[command(flatten)]`.
#[derive(Debug, clap::Args)]
pub struct Trained {
    #[command(flatten)]
    source: SourceOptions,
    /// Models to compare, by name [default: all that the data have something for]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = names())]
    models: Vec<String>,
    /// What is held out, and which movies compete
    #[arg(
        long,
        value_enum,
        default_value = "random",
        requires_if("candidates", "candidates")
    )]
    protocol: ProtocolName,
    /// Share of the ratings (with --protocol cold-movies of the movies) held out [default: 0.2]
    #[arg(long, value_name = "SHARE")]
    test_share: Option<f64>,
    /// With --protocol random, CSV of userId,movieId: the ratings to hold out [default: drawn]
    #[arg(long, value_name = "FILE", conflicts_with = "test_share")]
    test_rows: Option<PathBuf>,
    /// With --protocol candidates, CSV of userId,heldOutMovieId and the movies that it competes
    /// with; models learn from the other ratings of these users and movies
    #[arg(long, value_name = "FILE")]
    candidates: Option<PathBuf>,
    /// Seeds of what models draw, from 1
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Time for all to learn: models that will not be done by then are left out
    #[arg(long, value_name = "MINUTES", default_value = "1440", value_parser = minutes)]
    budget: f64,
    /// Memory for a model beside the data: those that would take more are left out [default: as
    /// much as is free]
    #[arg(long, value_name = "GIB", value_parser = gib)]
    memory: Option<u64>,
    /// Most epochs that are tried of models of which validation rows choose them [default: as many
    /// as they need]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    epochs: Option<u64>,
    /// Folder for compare.md, compare.html, and what each model came to; a comparison that was
    /// stopped goes on there
    #[arg(long, value_name = "DIR", default_value = "runs/comparison")]
    out: PathBuf,
}

/// What `--protocol` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProtocolName {
    /// Ratings at random; all movies compete
    Random,
    /// The last rating of each user; all movies compete
    Last,
    /// What a file names
    Candidates,
    /// The latest ratings of all; all movies compete
    Temporal,
    /// All ratings of some movies, which alone compete
    ColdMovies,
}

/// Takes the name of a model.
fn names() -> clap::builder::PossibleValuesParser {
    Comparison::names()
        .into_iter()
        .map(|(name, _)| name)
        .collect::<Vec<_>>()
        .into()
}

/// Takes a number of minutes, 0 among them: then nothing is begun.
fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    match Duration::try_from_secs_f64(minutes * SECONDS_A_MINUTE) {
        Ok(_) => Ok(minutes),
        Err(error) => Err(error.to_string()),
    }
}

/// Takes a number of gibibytes.
fn gib(text: &str) -> Result<u64, String> {
    let gib: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    match (0.0..=MOST_GIB).contains(&gib) {
        true => Ok((gib * BYTES_A_GIB) as u64),
        false => Err(format!("it must be from 0 to {MOST_GIB:.0}")),
    }
}

impl Trained {
    /// Which options do nothing beside each other.
    pub fn idle(&self) -> Vec<Idle<'static>> {
        let is = |protocol| self.protocol == protocol;
        let rule = |options, holds, circumstances| Idle {
            options,
            holds,
            circumstances,
        };
        let mut rules = vec![
            rule(
                &["candidates"],
                !is(ProtocolName::Candidates),
                "without --protocol candidates",
            ),
            rule(
                &["test_rows"],
                !is(ProtocolName::Random),
                "without --protocol random",
            ),
            rule(
                &["test_share"],
                is(ProtocolName::Candidates) || is(ProtocolName::Last),
                "with a protocol that holds out one rating of each user",
            ),
        ];
        rules.extend(self.source.idle());
        rules
    }

    /// Trains, measures, prints, and leaves the tables in the folder.
    pub fn run(mut self) -> Result<()> {
        self.source.fetch()?;
        let mut progress = Progress::new();
        let report = self.comparison()?.run(&mut progress)?;
        print(report)
    }

    fn comparison(self) -> Result<Comparison> {
        let split = |name: SplitName| name.config(self.test_share, None, SEED);
        let split = match (self.protocol, self.test_rows, self.candidates) {
            (ProtocolName::Candidates, _, Some(path)) => SplitConfig::Candidates(path),
            (ProtocolName::Random, Some(path), _) => SplitConfig::TestRows(path),
            (ProtocolName::Last, ..) => split(SplitName::LeaveLastOut)?,
            (ProtocolName::Temporal, ..) => split(SplitName::Temporal)?,
            (ProtocolName::ColdMovies, ..) => split(SplitName::ColdMovies)?,
            _ => split(SplitName::Random)?,
        };
        let mut config = ExperimentConfig {
            split,
            out: self.out,
            ..ExperimentConfig::default()
        };
        self.source.apply(SEED, &mut config);
        let seconds = self.budget * SECONDS_A_MINUTE;
        Ok(Comparison {
            config,
            models: self.models,
            seeds: self.seeds,
            budget: Duration::try_from_secs_f64(seconds).ok(),
            memory: self.memory,
            epochs: self.epochs.map(|epochs| epochs as usize),
        })
    }
}
