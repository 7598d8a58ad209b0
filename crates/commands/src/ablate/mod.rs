//! Does a modality help? Trains models that are given more and more (ids, genres,
//! plots, posters, vectors of files, histories) on the same ratings, several seeds each, and compares
//! them.
//!
//! Without options it makes up a small MovieLens folder; `--data` names a real one.

mod plot;
mod results;
mod variants;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;
use mmdlrm::baselines::{Blend, GaussianProcess};
use mmdlrm::data::generate::{self, GeneratorConfig};
use mmdlrm::data::{MovieLens, Ratings, Split, read_posters, read_summaries};
use mmdlrm::encoders::LoadOptions;
use mmdlrm::features::{Dataset, TrainingData};
use mmdlrm::metrics::Regression;
use mmdlrm::model::Dlrm;
use mmdlrm::train::{Fit, Ranker, RunFolder, Scorer, Session, measure, predict_test, train};
use mmdlrm::{BestContext, ExperimentConfig, Modalities, ModalityEncoder, VectorsFile};
use serde_json::json;

use self::results::{Outcome, Results, VariantRun};
use self::variants::Variant;
use crate::options::{LongTexts, Models};
use crate::program::print;
use crate::progress::Progress;
use crate::{Error, Result};

/// Train ids alone, then genres, plots, posters and histories beside them, and compare.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// MovieLens folder with ratings.csv and movies.csv, or the zip it comes in [default: a
    /// made-up sample]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// CSV of movieId,poster_path; paths absolute or relative to the file [default: no posters]
    #[arg(long, value_name = "FILE", requires = "data")]
    posters: Option<PathBuf>,
    /// CSV of movieId,summary [default: no summaries]
    #[arg(long, value_name = "FILE", requires = "data")]
    summaries: Option<PathBuf>,
    /// Parquet with movieId and one column of lists of floats: vectors that were computed
    /// elsewhere, a modality of this name. May be given again, for others
    #[arg(long, value_name = "NAME=FILE")]
    vectors: Vec<VectorsFile>,
    #[command(flatten)]
    models: Models,
    #[command(flatten)]
    long_texts: LongTexts,
    /// How ratings are held out
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["random", "temporal", "cold-movies"])]
    splits: Vec<HeldOut>,
    /// Share of the ratings (of the movies, where they are cold) held out
    #[arg(long, default_value_t = 0.2, value_name = "SHARE")]
    test_share: f64,
    /// Seeds, from 1: of parameters, order of the ratings, and which are held out
    #[arg(long, default_value_t = 5, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Length of an embedding
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    dim: u32,
    /// Folder for ablation.md, ablation.svg, and a folder a run
    #[arg(long, value_name = "DIR", default_value = "runs/ablation")]
    out: PathBuf,
    /// Replace the runs that are in that folder, each once its successor is to be written
    #[arg(long)]
    overwrite: bool,
}

/// Ways to hold ratings out, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HeldOut {
    Random,
    Temporal,
    ColdMovies,
}

impl HeldOut {
    /// As the command line has it.
    fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Temporal => "temporal",
            Self::ColdMovies => "cold-movies",
        }
    }

    fn split(self, ratings: &Ratings, share: f64, seed: u64) -> Result<Split> {
        Ok(match self {
            Self::Random => Split::random(ratings.len(), share, seed)?,
            Self::Temporal => Split::temporal(ratings, share)?,
            Self::ColdMovies => Split::cold_movies(ratings, share, seed)?,
        })
    }
}

const REPORT: &str = "ablation.md";
/// Of the sample and of an untrained encoder.
const SAMPLE_SEED: u64 = 42;

/// Trains all models, and prints tables of their errors, which it leaves in a folder with
/// a plot and the runs.
///
/// # Errors
/// Data or an encoder that cannot be used, a split that holds out nothing, or a folder that
/// cannot be written or that holds runs.
pub fn run(args: Args) -> Result<()> {
    let mut progress = Progress::new();
    check_out(&args)?;
    std::fs::create_dir_all(&args.out).map_err(file_error(&args.out))?;
    let (movielens, mut encoder) = open(&args)?;
    let movies = movielens.movies.index();
    let vectors = VectorsFile::read_all(&args.vectors, &movies)?;
    let mut modalities = encoder.encode(&movies, &mut progress)?;
    let counts = vectors
        .iter()
        .map(|it| format!(", {} vectors '{}'", it.present(), it.name()));
    let counts: String = counts.collect();
    modalities.list.extend(vectors);
    let variants = Variant::all(&modality_names(&args));

    let mut results = Vec::new();
    for split in HeldOut::value_variants() {
        if args.splits.contains(split) {
            results.push(on_split(*split, &args, &movielens, &modalities, &variants)?);
        }
    }
    let encoder = encoder.name().unwrap_or_else(|| "none".to_owned());
    let mut report = format!(
        "{} ratings, {} posters, {} plots{counts}; encoder: {encoder}. Every model has the \
         dense features too; intervals are of 95 %, over seeds, by Student's t.\n\n",
        movielens.ratings.len(),
        modalities.posters,
        modalities.summaries
    );
    for results in &results {
        let _ = writeln!(report, "{results}");
    }
    for verdict in results.iter().flat_map(Results::verdicts) {
        let _ = writeln!(report, "- {verdict}");
    }
    let plot = plot::draw(&results).map_err(|error| Error::Plot(error.to_string()))?;
    write_file(&args.out.join("ablation.svg"), &plot)?;
    write_file(&args.out.join(REPORT), &report)?;
    print(format_args!("{report}\nleft in {}", args.out.display()))
}

/// Whether there is room for the results: nothing that took hours goes unasked.
fn check_out(args: &Args) -> Result<()> {
    if args.overwrite {
        return Ok(());
    }
    if args.out.join(REPORT).exists() {
        let path = args.out.clone();
        return Err(Error::HoldsAblation { path });
    }
    for &split in &args.splits {
        let variants = Variant::all(&modality_names(args));
        let folders = variants
            .iter()
            .map(|variant| folder_of(args, split, variant));
        for folder in folders {
            for seed in 1..=args.seeds {
                RunFolder::check_free(&folder.join(format!("seed-{seed}")))?;
            }
        }
    }
    Ok(())
}

/// What models are given one by one, in this order.
fn modality_names(args: &Args) -> Vec<String> {
    let on_sample = args.data.is_none();
    let contents = [
        (args.summaries.is_some(), "text"),
        (args.posters.is_some(), "image"),
    ];
    let contents = contents
        .into_iter()
        .filter(|(given, _)| on_sample || *given);
    let contents = contents.map(|(_, name)| name.to_owned());
    let vectors = args.vectors.iter().map(|it| it.name.clone());
    contents.chain(vectors).collect()
}

/// The folder of a variant's runs.
fn folder_of(args: &Args, split: HeldOut, variant: &Variant) -> PathBuf {
    args.out
        .join(split.name())
        .join(variant.name().replace(", ", "-"))
}

/// Ratings, and what encodes posters and plots.
fn open(args: &Args) -> Result<(MovieLens, ModalityEncoder)> {
    let (data, posters, summaries) = match &args.data {
        Some(data) => (data.clone(), args.posters.clone(), args.summaries.clone()),
        None => {
            let sample = GeneratorConfig {
                seed: SAMPLE_SEED,
                ..GeneratorConfig::default()
            };
            let data = args.out.join(sample.folder_name());
            generate::write(&data, &sample, |_| {})?;
            let posters = data.join("posters.csv");
            let summaries = data.join("summaries.csv");
            (data, Some(posters), Some(summaries))
        }
    };
    let movielens = MovieLens::open(data)?;
    let movies = Some(&movielens.movies);
    let posters = posters
        .map(|path| read_posters(&path, movies))
        .transpose()?;
    let summaries = summaries
        .map(|path| read_summaries(&path, movies))
        .transpose()?;
    let encoder = ModalityEncoder::open(
        &args
            .models
            .clone()
            .encoders(args.data.is_none(), SAMPLE_SEED),
        &LoadOptions::default().with_long_texts(args.long_texts.choice()),
        posters.unwrap_or_default(),
        summaries.unwrap_or_default(),
        &args.out,
    )?;
    Ok((movielens, encoder))
}

/// Trains all variants with all seeds.
fn on_split(
    split: HeldOut,
    args: &Args,
    movielens: &MovieLens,
    modalities: &Modalities,
    variants: &[Variant],
) -> Result<Results> {
    let outcome = |variant: &Variant| Outcome {
        variant: variant.clone(),
        runs: Vec::new(),
    };
    let mut outcomes: Vec<Outcome> = variants.iter().map(outcome).collect();
    for seed in 1..=args.seeds {
        let rows = split.split(&movielens.ratings, args.test_share, seed)?;
        let dataset = || Dataset::new(movielens, rows.clone(), modalities.list.clone());
        let plain = dataset()?;
        let context = BestContext {
            timestamps: movielens.ratings.has_times(),
            ..BestContext::default()
        };
        let with_history = dataset()?.with_context(context.of_batches())?;
        let process = context
            .of_process()
            .fit(&with_history, Session::default())?;
        for outcome in &mut outcomes {
            let (data, process) = match outcome.variant.history {
                true => (&with_history, Some(&process)),
                false => (&plain, None),
            };
            let run = train_one(split, seed, &outcome.variant, (data, process), args)?;
            let name = split.name();
            eprintln!("{name}, seed {seed}: {} {:.4}", run.variant, run.rmse);
            outcome.runs.push(run);
        }
    }
    Ok(Results {
        split: split.name(),
        outcomes,
    })
}

/// Trains a model and measures it, beside a process as the preset `best` does where there is
/// one; leaves its predictions in a folder of its own.
fn train_one(
    held_out: HeldOut,
    seed: u64,
    variant: &Variant,
    (data, process): (&Dataset, Option<&GaussianProcess>),
    args: &Args,
) -> Result<VariantRun> {
    let mut config = ExperimentConfig::of(variant.preset()).train;
    config.seed = seed;
    let (split, name) = (held_out.name(), variant.name());
    let folder = folder_of(args, held_out, variant).join(format!("seed-{seed}"));
    let folder = match args.overwrite {
        true => RunFolder::replace(folder)?.begin()?,
        false => RunFolder::create(folder)?,
    };
    let model = variant.model(data.features(), args.dim as usize);
    folder.write_config(&json!({
        "split": split, "variant": name, "seed": seed, "train": config, "model": model,
    }))?;
    let mut model = Dlrm::new(model, seed)?;
    let start = Instant::now();
    let session = Session::default()
        .on_epoch(|metrics, _model| folder.append_metrics(metrics))
        .measured_by("ablation", |model, data| {
            measure(&blend(model, process)?, data)
        });
    train(&mut model, data, &config, session)?;
    let seconds = start.elapsed().as_secs_f64();
    let scorer = Scorer::new(&model, data.features().clone())?;
    let blended = blend(&scorer, process)?;
    let mut errors = Regression::default();
    folder.write_predictions(data.features(), |write| {
        predict_test(&blended, data, |rated| {
            for rated in rated {
                errors.add(rated.prediction, rated.rating)?;
            }
            write(rated)
        })
    })?;
    let (Some(rmse), Some(mae)) = (errors.rmse(), errors.mae()) else {
        return Err(Error::NothingHeldOut { split });
    };
    let run = VariantRun {
        split,
        variant: name,
        seed,
        test_ratings: errors.count(),
        rmse,
        mae,
        parameters: model.parameters().len(),
        seconds,
    };
    folder.append_metrics(&run)?;
    Ok(run)
}

/// A model beside the process, as `best` mixes them.
fn blend<'a>(
    model: &'a dyn Ranker,
    process: Option<&'a GaussianProcess>,
) -> mmdlrm::train::Result<Blend<&'a dyn Ranker>> {
    let process = process.map(|process| process as &dyn Ranker);
    BestContext::default().blend(model, process)
}

/// Whole or absent.
fn write_file(path: &Path, content: &str) -> Result<()> {
    let beside = path.with_extension("partial");
    std::fs::write(&beside, content)
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(file_error(path))
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    |source| Error::File {
        path: path.to_owned(),
        source,
    }
}
