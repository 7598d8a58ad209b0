//! Trains a multimodal DLRM and measures it on ratings it never saw.
//!
//! Without options it makes up a small MovieLens folder and trains on that; `--data` names
//! a real one.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgMatches, Command, FromArgMatches, ValueEnum};
use mmdlrm::Preset;
use mmdlrm::{ExperimentConfig, SplitConfig, Task};

use crate::options::{
    Idle, RankingOptions, Rates, RunOptions, SourceOptions, SplitName, idle, rates,
};
use crate::program::print;
use crate::{Result, job, warnings};

/// Options of a training: what is learned, of what, and how. Those that would do nothing
/// beside the others are an error.
#[derive(Debug)]
pub struct Args(Options);

/// Train a multimodal DLRM on a MovieLens folder, posters and plot summaries.
#[derive(Debug, clap::Args)]
struct Options {
    #[command(flatten)]
    source: SourceOptions,
    /// What to learn: ratings, or what each user watches next
    #[arg(
        long,
        value_enum,
        default_value = "rate",
        requires_if("rank", "candidates")
    )]
    task: TaskName,
    /// With --task rank, CSV of userId,heldOutMovieId and the movies that it competes
    /// with; those ratings are held out
    #[arg(long, value_name = "FILE", requires = "ratings", conflicts_with_all = ["split", "test_share", "leave_out", "test_rows", "stream"])]
    candidates: Option<PathBuf>,
    /// Which model to train, to rate
    #[arg(long, default_value = "mmdlrm", value_parser = preset())]
    preset: Preset,
    /// How ratings are held out when --test-rows names none
    #[arg(long, value_enum, default_value = "random")]
    split: SplitName,
    /// Share of the ratings (with --split cold-users or cold-movies of those)
    /// held out [default: 0.2]
    #[arg(long, value_name = "SHARE")]
    test_share: Option<f64>,
    /// Ratings of each user that --split leave-last-out holds out [default: 1]
    #[arg(long, value_name = "COUNT")]
    leave_out: Option<usize>,
    /// CSV of userId,movieId: the ratings to hold out [default: --split]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["split", "test_share", "leave_out"])]
    test_rows: Option<PathBuf>,
    /// Share of the training ratings to set aside, held out as --split holds out, and to
    /// take the epoch that is best on them [default: the last epoch]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// End after so many epochs without a better one on the validation ratings
    #[arg(long, value_name = "EPOCHS", requires = "validation")]
    patience: Option<usize>,
    /// Keep the ratings on disk: memory does not grow with their number
    #[arg(long)]
    stream: bool,
    #[command(flatten)]
    rates: Rates,
    /// Leave the times of ratings out, with --preset best
    #[arg(long)]
    no_timestamps: bool,
    /// About how many ratings a history or an audience holds at most, with --preset
    /// best; fewer are quicker
    #[arg(long, value_name = "COUNT")]
    longest_bag: Option<u32>,
    /// Learn to put movies in order alone, and no stars beside, with --preset rank; quicker
    #[arg(long)]
    no_rater: bool,
    #[command(flatten)]
    ranking: RankingOptions,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TaskName {
    Rate,
    Rank,
}

/// Takes the name of a preset.
fn preset() -> impl TypedValueParser<Value = Preset> {
    let names = PossibleValuesParser::new(Preset::ALL.iter().map(|(name, _)| *name));
    names.map(|name| {
        let preset = Preset::ALL.iter().find(|(other, _)| *other == name);
        preset.map_or(Preset::default(), |(_, preset)| *preset)
    })
}

impl Args {
    /// The run that they ask for.
    pub(crate) fn config(self) -> Result<ExperimentConfig> {
        self.0.config()
    }
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
        let ranks = self.task == TaskName::Rank;
        let rule = |options, holds, circumstances| Idle {
            options,
            holds,
            circumstances,
        };
        let of_rating = "with --task rank, which has one model";
        let mut rules = vec![
            rule(&rates::OF_RATINGS[..], ranks, of_rating),
            rule(
                &["preset", "no_timestamps", "longest_bag", "no_rater"],
                ranks,
                of_rating,
            ),
            rule(
                &RankingOptions::NAMES,
                ranks,
                "with --task rank, which ranks for all that its file names",
            ),
            rule(&["candidates"], !ranks, "without --task rank"),
            rule(
                &rates::OF_TABLES,
                matches!(self.preset, Preset::DlrmMultimodal | Preset::DlrmClip),
                "with a preset without embedding tables",
            ),
            rule(
                &["no_timestamps", "longest_bag"],
                self.preset != Preset::Best,
                "without --preset best",
            ),
            rule(
                &["no_rater"],
                self.preset != Preset::Rank,
                "without --preset rank",
            ),
        ];
        rules.extend(self.source.idle());
        rules.push(rule(
            &["genome", "credits", "vectors"],
            !ranks && self.preset == Preset::Dlrm,
            "with --preset dlrm, which has no modalities",
        ));
        idle::check(matches, &rules)
    }

    fn config(self) -> Result<ExperimentConfig> {
        let seed = self.run.seed;
        let mut config = ExperimentConfig::of(self.preset);
        config.task = match self.task {
            TaskName::Rate => Task::Rate,
            TaskName::Rank => Task::Rank,
        };
        let named = self.candidates.map(SplitConfig::Candidates);
        let named = named.or(self.test_rows.map(SplitConfig::TestRows));
        config.split = match named {
            Some(named) => named,
            None => self.split.config(self.test_share, self.leave_out, seed)?,
        };
        config.validation = self.validation;
        config.train.patience = self.patience;
        config.stream = self.stream;
        config.ranking = self.ranking.into();
        config.context.timestamps = !self.no_timestamps;
        config.context.longest = self.longest_bag;
        config.rater = !self.no_rater;
        self.run.apply(self.source, &mut config);
        self.rates.apply(config.task, &mut config);
        Ok(config)
    }
}

const REAL_DATA_HINT: &str = "\
This was a made-up sample with an untrained encoder. On real data:
  --data ml-25m --posters posters.csv --summaries summaries.csv \\
  --clip openai/clip-vit-base-patch32";

/// Trains, measures, and prints what it came to. Ctrl-C and SIGTERM end the training with a
/// checkpoint; signals are the process's, so that a program does this once.
///
/// # Errors
/// What [`mmdlrm::Experiment`] cannot use or do, or a download that fails.
pub fn run(args: Args) -> Result<()> {
    let Args(mut options) = args;
    warnings::show();
    options.source.fetch()?;
    let resume = options.run.resume.take();
    let on_sample = options.source.is_sample() && resume.is_none();
    let threads = options.run.threads;
    job::train(resume.as_deref(), threads, || options.config())?;
    if on_sample {
        print(format_args!("\n{REAL_DATA_HINT}"))?;
    }
    Ok(())
}
