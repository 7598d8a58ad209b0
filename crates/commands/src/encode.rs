//! Embeds posters and plots into a store, without training anything.
//!
//! What the store holds already is not computed again. Ends with one line:
//! `images=… images_per_s=… texts=… texts_per_s=… failed=… left_out=…`, the rates
//! being those of what was computed this time, and `left_out` rows of the files.

use std::path::PathBuf;
use std::time::Instant;

use clap::{ArgGroup, ValueEnum};
use mmdlrm::data::{Poster, Summary};
use mmdlrm::encoders::{
    EmbeddingStore, Encoded, LoadOptions, Pooling, Precision, device, dtype, encode_posters,
    encode_summaries,
};
use mmdlrm::{EncoderConfig, Encoders, Observer, Stage};

use crate::Result;
use crate::options::{LongTexts, Models};
use crate::program::print;
use crate::progress::Progress;

/// Embed posters and plot summaries with CLIP, BERT or ResNet.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("input").required(true).multiple(true)))]
pub struct Args {
    /// CSV of movieId,poster_path; paths absolute or relative to the file
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
    /// How the vectors of a text's tokens become one [default: as the model's folder says, else
    /// cls]
    #[arg(long, value_enum)]
    pooling: Option<PoolingArg>,
    /// Side of the square that pictures are resized to for --image [default: as the model's
    /// folder says]
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

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PoolingArg {
    Cls,
    Mean,
    Max,
    MeanSqrtLen,
    WeightedMean,
    LastToken,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PrecisionArg {
    F32,
    F16,
}

/// Of a CLIP that has learned nothing.
const UNTRAINED_SEED: u64 = 42;

/// Of how many that fail a line is printed.
const TOLD: usize = 20;

/// What came of one kind.
#[derive(Default)]
struct Outcome {
    embedded: usize,
    per_second: f64,
    failed: usize,
}

impl Outcome {
    /// `what` was to be encoded.
    fn of(
        encoded: &Encoded,
        what: &'static str,
        start: Instant,
        progress: &mut Progress,
    ) -> Result<Self> {
        progress.end();
        let count = encoded.failed.len();
        if let (Some(first), true) = (encoded.failed.first(), encoded.vectors.is_empty()) {
            let first = first.to_string();
            return Err(mmdlrm::Error::NoneUsable { what, count, first }.into());
        }
        for failed in encoded.failed.iter().take(TOLD) {
            progress.note(&format!("treated as missing: {failed}"));
        }
        if count > TOLD {
            progress.note(&format!("treated as missing: {} more", count - TOLD));
        }
        Ok(Self {
            embedded: encoded.vectors.len(),
            per_second: encoded.computed as f64 / start.elapsed().as_secs_f64(),
            failed: count,
        })
    }
}

/// Embeds what the store lacks, and prints how much and how fast.
///
/// # Errors
/// A list that cannot be read, an encoder that cannot be loaded, or a store that another
/// model made or that cannot be written. Pictures and texts that cannot be used are named
/// and left out.
pub fn run(args: Args) -> Result<()> {
    let posters = args.posters.as_ref();
    let posters = posters.map(|path| Poster::read_all(path, None));
    let posters = posters.transpose()?.unwrap_or_default();
    let summaries = args.summaries.as_ref();
    let summaries = summaries.map(|path| Summary::read_all(path, None));
    let summaries = summaries.transpose()?.unwrap_or_default();
    let progress = &mut Progress::new();
    for note in posters.left_out.notes().chain(summaries.left_out.notes()) {
        progress.note(&note);
    }
    let left_out = posters.left_out.rows() + summaries.left_out.rows();
    let (posters, summaries) = (posters.rows, summaries.rows);
    let encoders = load(&args, &posters, &summaries)?;
    let mut store = open(&args, &encoders)?;
    let images = embed_posters(&encoders, &posters, &mut store, progress)?;
    let texts = embed_summaries(&encoders, &summaries, &mut store, progress)?;
    print(format_args!(
        "images={} images_per_s={:.2} texts={} texts_per_s={:.2} failed={} \
         left_out={left_out}",
        images.embedded,
        images.per_second,
        texts.embedded,
        texts.per_second,
        images.failed + texts.failed
    ))
}

/// The encoders of what there is.
fn load(args: &Args, posters: &[Poster], summaries: &[Summary]) -> Result<Encoders> {
    let options = LoadOptions::default()
        .with_device(device(&args.device)?)
        .with_dtype(dtype(&args.dtype)?)
        .with_long_texts(args.long_texts.choice());
    let config = EncoderConfig {
        pooling: args.pooling.map(|pooling| match pooling {
            PoolingArg::Cls => Pooling::Cls,
            PoolingArg::Mean => Pooling::Mean,
            PoolingArg::Max => Pooling::Max,
            PoolingArg::MeanSqrtLen => Pooling::MeanSqrtLen,
            PoolingArg::WeightedMean => Pooling::WeightedMean,
            PoolingArg::LastToken => Pooling::LastToken,
        }),
        image_size: args.image_size,
        ..args.models.clone().encoders(false, UNTRAINED_SEED)
    };
    Ok(Encoders::load(&config, &options, posters, summaries)?)
}

fn open(args: &Args, encoders: &Encoders) -> Result<EmbeddingStore> {
    let mut builder = EmbeddingStore::builder(&args.out);
    if let Some(encoder) = &encoders.images {
        builder = builder.images(encoder.as_ref());
    }
    if let Some(encoder) = &encoders.texts {
        builder = builder.texts(encoder.as_ref());
    }
    if let Some(precision) = args.precision {
        builder = builder.precision(match precision {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::F16 => Precision::F16,
        });
    }
    Ok(builder.open()?)
}

fn embed_posters(
    encoders: &Encoders,
    posters: &[Poster],
    store: &mut EmbeddingStore,
    progress: &mut Progress,
) -> Result<Outcome> {
    let Some(encoder) = &encoders.images else {
        return Ok(Outcome::default());
    };
    let posters = posters.iter();
    let posters: Vec<(u32, PathBuf)> = posters
        .map(|poster| (poster.movie_id, poster.path.clone()))
        .collect();
    progress.begin(Stage::EncodePosters, posters.len() as u64);
    let start = Instant::now();
    let on_done = |done| progress.advance(done as u64);
    let encoded = encode_posters(encoder.as_ref(), &posters, store, on_done)?;
    Outcome::of(&encoded, "posters", start, progress)
}

fn embed_summaries(
    encoders: &Encoders,
    summaries: &[Summary],
    store: &mut EmbeddingStore,
    progress: &mut Progress,
) -> Result<Outcome> {
    let Some(encoder) = &encoders.texts else {
        return Ok(Outcome::default());
    };
    let summaries = summaries.iter();
    let summaries: Vec<(u32, &str)> = summaries
        .map(|summary| (summary.movie_id, summary.text.as_str()))
        .collect();
    progress.begin(Stage::EncodeSummaries, summaries.len() as u64);
    let start = Instant::now();
    let on_done = |done| progress.advance(done as u64);
    let encoded = encode_summaries(encoder.as_ref(), &summaries, store, on_done)?;
    Outcome::of(&encoded, "summaries", start, progress)
}
