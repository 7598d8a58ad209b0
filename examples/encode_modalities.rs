//! Embeds posters and plots into a store, without training anything.
//!
//! What the store holds already is not computed again. Ends with one line:
//! `images=… images_per_s=… texts=… texts_per_s=… failed=…`, the rates being
//! those of what was computed this time.

mod long_texts;
mod models;
mod progress;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{ArgGroup, Parser, ValueEnum};
use long_texts::LongTexts;
use mmdlrm::data::{read_posters, read_summaries};
use mmdlrm::encoders::{
    EmbeddingStore, Encoded, LoadOptions, Pooling, Precision, device, dtype, encode_posters,
    encode_summaries,
};
use mmdlrm::{EncoderConfig, Encoders, Error, Observer, Stage};
use models::Models;
use progress::Progress;

/// Embed posters and plot summaries with CLIP, BERT or ResNet.
#[derive(Parser)]
#[command(version, group(ArgGroup::new("input").required(true).multiple(true)))]
struct Args {
    /// CSV of movieId,poster_path; paths relative to the file
    #[arg(long, value_name = "FILE", group = "input")]
    posters: Option<PathBuf>,
    /// CSV of movieId,summary
    #[arg(long, value_name = "FILE", group = "input")]
    summaries: Option<PathBuf>,
    #[command(flatten)]
    models: Models,
    /// Where the embeddings go, a Parquet file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    long_texts: LongTexts,
    /// How BERT's token vectors become one [default: as its folder says, else cls]
    #[arg(long, value_enum)]
    pooling: Option<PoolingArg>,
    /// Side of the square that pictures are resized to for ResNet [default: as its folder says]
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<usize>,
    /// What the store keeps numbers as [default: f32, or what it has]
    #[arg(long, value_enum)]
    precision: Option<PrecisionArg>,
    /// Where to compute: cpu, cuda or metal
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// What to compute with: f32, f16 or bf16
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    dtype: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum PoolingArg {
    Cls,
    Mean,
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionArg {
    F32,
    F16,
}

/// Of a CLIP that has learned nothing.
const UNTRAINED_SEED: u64 = 42;

/// What came of one kind.
#[derive(Default)]
struct Outcome {
    embedded: usize,
    per_second: f64,
    failed: usize,
}

impl Outcome {
    fn of(encoded: &Encoded, start: Instant, progress: &mut Progress) -> Self {
        progress.end();
        for failed in &encoded.failed {
            progress.note(&format!("treated as missing: {failed}"));
        }
        Self {
            embedded: encoded.vectors.len(),
            per_second: encoded.computed as f64 / start.elapsed().as_secs_f64(),
            failed: encoded.failed.len(),
        }
    }
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok((images, texts)) => {
            println!(
                "images={} images_per_s={:.2} texts={} texts_per_s={:.2} failed={}",
                images.embedded,
                images.per_second,
                texts.embedded,
                texts.per_second,
                images.failed + texts.failed
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(Outcome, Outcome), Error> {
    let posters = match &args.posters {
        Some(path) => read_posters(path, None)?,
        None => Vec::new(),
    };
    let summaries = match &args.summaries {
        Some(path) => read_summaries(path, None)?,
        None => Vec::new(),
    };
    let options = LoadOptions::default()
        .with_device(device(&args.device)?)
        .with_dtype(dtype(&args.dtype)?)
        .with_long_texts(args.long_texts.choice());
    let config = EncoderConfig {
        pooling: args.pooling.map(|pooling| match pooling {
            PoolingArg::Cls => Pooling::Cls,
            PoolingArg::Mean => Pooling::Mean,
        }),
        image_size: args.image_size,
        ..args.models.encoders(false, UNTRAINED_SEED)
    };
    let Encoders { images, texts, .. } = Encoders::load(&config, &options, &posters, &summaries)?;
    let posters: Vec<(u32, PathBuf)> = posters
        .into_iter()
        .map(|poster| (poster.movie_id, poster.path))
        .collect();
    let summaries: Vec<(u32, &str)> = summaries
        .iter()
        .map(|summary| (summary.movie_id, summary.text.as_str()))
        .collect();
    let mut builder = EmbeddingStore::builder(&args.out);
    if let Some(encoder) = &images {
        builder = builder.images(encoder.as_ref());
    }
    if let Some(encoder) = &texts {
        builder = builder.texts(encoder.as_ref());
    }
    if let Some(precision) = args.precision {
        builder = builder.precision(match precision {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::F16 => Precision::F16,
        });
    }
    let mut store = builder.open()?;
    let mut progress = Progress::new();
    let mut outcomes = (Outcome::default(), Outcome::default());
    if let Some(encoder) = &images {
        progress.begin(Stage::EncodePosters, posters.len() as u64);
        let start = Instant::now();
        let on_done = |done| progress.advance(done as u64);
        let encoded = encode_posters(encoder.as_ref(), &posters, &mut store, on_done)?;
        outcomes.0 = Outcome::of(&encoded, start, &mut progress);
    }
    if let Some(encoder) = &texts {
        progress.begin(Stage::EncodeSummaries, summaries.len() as u64);
        let start = Instant::now();
        let on_done = |done| progress.advance(done as u64);
        let encoded = encode_summaries(encoder.as_ref(), &summaries, &mut store, on_done)?;
        outcomes.1 = Outcome::of(&encoded, start, &mut progress);
    }
    Ok(outcomes)
}
