//! Trains a multimodal DLRM and measures it on ratings it never saw.
//!
//! Without arguments it makes up a small MovieLens folder and trains on that;
//! `--data` names a real one.

mod download;
mod idle;
mod interrupt;
mod long_texts;
mod models;
mod policies;
mod progress;
mod rates;
mod splits;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use download::Download;
use idle::Idle;
use long_texts::LongTexts;
use mmdlrm::data::generate::GeneratorConfig;
use mmdlrm::train::{CheckpointConfig, Preset};
use mmdlrm::{Error, Experiment, ExperimentConfig, Source, SplitConfig, Task};
use models::Models;
use policies::Policies;
use progress::Progress;
use rates::Rates;
use splits::split;

/// Train a multimodal DLRM on a MovieLens folder, posters and plot summaries.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// MovieLens folder with ratings.csv and movies.csv [default: a made-up sample]
    #[arg(long, value_name = "DIR", group = "ratings")]
    data: Option<PathBuf>,
    #[command(flatten)]
    download: Download,
    /// CSV of movieId,poster_path; paths relative to the file [default: no posters]
    #[arg(long, value_name = "FILE", requires = "ratings")]
    posters: Option<PathBuf>,
    /// CSV of movieId,summary [default: no summaries]
    #[arg(long, value_name = "FILE", requires = "ratings")]
    summaries: Option<PathBuf>,
    #[command(flatten)]
    models: Models,
    /// What to learn: ratings, or what each user watches next
    #[arg(long, default_value = "rate", value_parser = ["rate", "rank"], requires_if("rank", "candidates"))]
    task: String,
    /// With --task rank, CSV of userId,heldOutMovieId and the movies that it competes
    /// with; those ratings are held out
    #[arg(long, value_name = "FILE", requires = "ratings", conflicts_with_all = ["split", "test_share", "leave_out", "test_rows", "stream"])]
    candidates: Option<PathBuf>,
    /// Which model to train, to rate
    #[arg(long, default_value = "mmdlrm", value_parser = preset_names())]
    preset: String,
    /// How ratings are held out when --test-rows names none
    #[arg(long, default_value = "random", value_parser = splits::NAMES)]
    split: String,
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
    /// Keep the ratings on disk: memory does not grow with their number
    #[arg(long)]
    stream: bool,
    #[command(flatten)]
    policies: Policies,
    /// Use the tag genome, where the release has one, as one more modality
    #[arg(long)]
    genome: bool,
    /// Passes over the training ratings [default: the preset's]
    #[arg(long)]
    epochs: Option<usize>,
    /// Ratings a step [default: the preset's]
    #[arg(long)]
    batch_size: Option<usize>,
    #[command(flatten)]
    rates: Rates,
    /// Length of an embedding [default: the preset's]
    #[arg(long)]
    dim: Option<usize>,
    /// Leave the times of ratings out, with --preset best
    #[arg(long)]
    no_timestamps: bool,
    /// About how many ratings a history or an audience holds at most, with --preset
    /// best; fewer are quicker
    #[arg(long, value_name = "COUNT")]
    longest_bag: Option<u32>,
    /// Seed of split, parameters, order of the ratings, what dropout drops, and sample
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Threads, at most 16 for each core [default: one a core]
    #[arg(long)]
    threads: Option<usize>,
    /// Where posters and plots are encoded and the model is trained; with --task rank it
    /// is trained on the CPU
    #[arg(long, default_value = "cpu", value_parser = ["cpu", "cuda", "metal"])]
    device: String,
    #[command(flatten)]
    long_texts: LongTexts,
    /// Share of the training ratings to set aside, held out as --split holds out, and to
    /// take the epoch that is best on them [default: the last epoch]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// End after so many epochs without a better one on the validation ratings
    #[arg(long, value_name = "EPOCHS", requires = "validation")]
    patience: Option<usize>,
    /// Steps from one checkpoint to the next; 0 for one an epoch
    #[arg(long, value_name = "STEPS", default_value_t = CheckpointConfig::default().every_steps)]
    checkpoint_steps: u64,
    /// How many of the latest checkpoints to keep
    #[arg(long, value_name = "COUNT", default_value_t = CheckpointConfig::default().keep)]
    keep_checkpoints: usize,
    /// Go on with the run in this folder, by its own settings
    #[arg(long, value_name = "DIR", exclusive = true)]
    resume: Option<PathBuf>,
    /// Folder to leave the run in [default: runs/sample, or runs/ and the
    /// data folder's name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the run that is in that folder, once this one begins to train
    #[arg(long)]
    overwrite: bool,
}

fn preset_names() -> Vec<&'static str> {
    Preset::ALL.iter().map(|(name, _)| *name).collect()
}

fn main() -> ExitCode {
    let matches = Args::command().get_matches();
    let mut args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    if let Some(idle) = find_idle(&matches, &args) {
        eprintln!("error: {idle}");
        return ExitCode::from(USAGE);
    }
    match args.download.folder() {
        Ok(None) => {}
        Ok(folder) => args.data = folder,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    let on_sample = args.data.is_none() && args.resume.is_none();
    match run(args) {
        Ok(report) => {
            println!("{report}");
            if on_sample {
                println!("\n{REAL_DATA_HINT}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What clap exits with where options do not fit.
const USAGE: u8 = 2;

/// Which of the options that were named would do nothing beside the others.
fn find_idle(matches: &ArgMatches, args: &Args) -> Option<String> {
    let ranks = args.task == "rank";
    let has_own_data = args.data.is_some() || args.download.release.is_some();
    let (plots, posters) = (args.summaries.is_some(), args.posters.is_some());
    let rule = |options, holds, circumstances| Idle {
        options,
        holds,
        circumstances,
    };
    let of_rating = "with --task rank, which has one model";
    let rules = [
        rule(&rates::OF_RATINGS[..], ranks, of_rating),
        rule(
            &["preset", "no_timestamps", "longest_bag"],
            ranks,
            of_rating,
        ),
        rule(&["candidates"], !ranks, "without --task rank"),
        rule(
            &rates::OF_TABLES,
            matches!(&*args.preset, "dlrm-multimodal" | "dlrm-clip"),
            "with a preset without embedding tables",
        ),
        rule(
            &["no_timestamps", "longest_bag"],
            args.preset != "best",
            "without --preset best",
        ),
        rule(
            &["text", "long_texts"],
            has_own_data && !plots,
            "without --summaries",
        ),
        rule(&["image"], has_own_data && !posters, "without --posters"),
        rule(
            &["clip"],
            has_own_data && !plots && !posters,
            "without --posters or --summaries",
        ),
        rule(
            &["genome"],
            !ranks && args.preset == "dlrm",
            "with --preset dlrm, which has no modalities",
        ),
    ];
    idle::find(matches, &rules)
}

const REAL_DATA_HINT: &str = "\
This was a made-up sample with an untrained encoder. On real data:
  cargo run --release --example train_ml25m -- --data ml-25m \\
    --posters posters.csv --summaries summaries.csv --clip openai/clip-vit-base-patch32";

fn run(args: Args) -> Result<Box<dyn Display>, Error> {
    let mut progress = Progress::new();
    let stop = interrupt::listen(Arc::clone(&progress.is_training));
    if let Some(threads) = args.threads {
        set_threads(threads)?;
    }
    let experiment = match &args.resume {
        Some(folder) => Experiment::resume(folder)?,
        None => Experiment::new(config(args)?)?,
    };
    let experiment = experiment.stop_when(stop);
    Ok(match experiment.task() {
        Task::Rank => Box::new(experiment.rank(&mut progress)?),
        _ => Box::new(experiment.run(&mut progress)?),
    })
}

/// More would only wait for each other, each with buffers of its own.
const THREADS_PER_CORE: usize = 16;

fn set_threads(threads: usize) -> Result<(), Error> {
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

fn config(args: Args) -> Result<ExperimentConfig, Error> {
    let preset = Preset::ALL.iter().find(|(name, _)| *name == args.preset);
    let mut config = ExperimentConfig::of(preset.map_or(Preset::default(), |(_, preset)| *preset));
    let name = match &args.data {
        None => "sample".into(),
        Some(data) => data.file_name().unwrap_or("run".as_ref()).to_owned(),
    };
    config.out = args.out.unwrap_or_else(|| PathBuf::from("runs").join(name));
    config.overwrite = args.overwrite;
    config.task = match args.task.as_str() {
        "rank" => Task::Rank,
        _ => Task::Rate,
    };
    config.encoders = args.models.encoders(args.data.is_none(), args.seed);
    config.source = match args.data {
        None => Source::Sample(GeneratorConfig {
            seed: args.seed,
            ..GeneratorConfig::default()
        }),
        Some(data) => Source::Folder {
            data,
            posters: args.posters,
            summaries: args.summaries,
        },
    };
    let named = args.candidates.map(SplitConfig::Candidates);
    let named = named.or(args.test_rows.map(SplitConfig::TestRows));
    config.split = match named {
        Some(named) => named,
        None => split(&args.split, args.test_share, args.leave_out, args.seed)?,
    };
    config.validation = args.validation;
    config.train.patience = args.patience;
    config.checkpoints = CheckpointConfig {
        every_steps: args.checkpoint_steps,
        keep: args.keep_checkpoints,
    };
    config.stream = args.stream;
    config.genome = args.genome;
    config.unknown_movies = args.policies.unknown_movies();
    config.duplicates = args.policies.duplicates();
    config.context.timestamps = !args.no_timestamps;
    config.context.longest = args.longest_bag;
    config.dim = args.dim.unwrap_or(config.dim);
    config.seed = args.seed;
    config.device = args.device;
    config.long_texts = args.long_texts.choice();
    config.train.seed = args.seed;
    config.next_item.seed = args.seed;
    let next_item = &mut config.next_item;
    next_item.epochs = args.epochs.unwrap_or(next_item.epochs);
    next_item.batch_size = args.batch_size.unwrap_or(next_item.batch_size);
    let train = &mut config.train;
    train.epochs = args.epochs.unwrap_or(train.epochs);
    train.batch_size = args.batch_size.unwrap_or(train.batch_size);
    let task = match args.task.as_str() {
        "rank" => Task::Rank,
        _ => Task::Rate,
    };
    args.rates.apply(task, &mut config);
    Ok(config)
}
