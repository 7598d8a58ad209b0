//! Reads a MovieLens folder and says how long it took.

use std::path::{Path, PathBuf};
use std::time::Instant;

use mmdlrm::data::{LeftOut, OpenOptions, RandomSplit, Split};
use mmdlrm::features::{Dataset, StreamedDataset, TrainingData};

use crate::options::{Download, Policies};
use crate::peak::peak_mib;
use crate::program::print;
use crate::{Result, warnings};

/// Read a MovieLens folder of any release, into memory or to stream it, and
/// make batches of it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder, or the zip it comes in
    #[arg(required_unless_present = "release", conflicts_with = "release")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    download: Download,
    /// Parse the text, and neither read nor write the Parquet cache
    #[arg(long, conflicts_with = "stream")]
    no_cache: bool,
    /// Folder of the cache [default: .mmdlrm in the data folder, .NAME.zip.mmdlrm
    /// beside a zip]
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    cache: Option<PathBuf>,
    /// Keep the ratings on disk: memory does not grow with their number
    #[arg(long)]
    stream: bool,
    /// Also go once through shuffled training batches of so many of 80 % of the
    /// ratings
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    batches: Option<u32>,
    #[command(flatten)]
    policies: Policies,
}

impl Args {
    fn cache(&self, dir: &Path) -> PathBuf {
        let usual = || OpenOptions::cache_in(dir);
        self.cache.clone().unwrap_or_else(usual)
    }

    fn options(&self, dir: &Path) -> OpenOptions {
        OpenOptions {
            unknown_movies: self.policies.unknown_movies(),
            duplicates: self.policies.duplicates(),
            cache: (!self.no_cache).then(|| self.cache(dir)),
            ..OpenOptions::default()
        }
    }
}

pub fn run(args: &Args) -> Result<()> {
    warnings::show();
    let downloaded = args.download.folder()?;
    // clap has seen to it that there is one.
    let dir = downloaded.or(args.dir.clone()).unwrap_or_default();
    if args.stream {
        stream(args, &dir)
    } else {
        load(args, &dir)
    }
}

fn load(args: &Args, dir: &Path) -> Result<()> {
    let start = Instant::now();
    let movielens = args.options(dir).open(dir)?;
    let rows = movielens.ratings.len();
    let from = if movielens.from_cache { "cache" } else { "csv" };
    report(rows, start, from, &movielens.left_out)?;
    if let Some(size) = args.batches {
        let start = Instant::now();
        let split = Split::random(rows, TEST_SHARE, SEED)?;
        let data = Dataset::new(&movielens, split, Vec::new())?;
        drop(movielens);
        make_batches(&data, size as usize, start)?;
    }
    Ok(())
}

fn stream(args: &Args, dir: &Path) -> Result<()> {
    let start = Instant::now();
    let movielens = args.options(dir).open_streamed(dir)?;
    let rows = movielens.ratings.len();
    report(rows, start, "stream", movielens.ratings.left_out())?;
    if let Some(size) = args.batches {
        let start = Instant::now();
        let scratch = args.cache(dir);
        let split = RandomSplit {
            test_share: TEST_SHARE,
            seed: SEED,
            ..RandomSplit::default()
        };
        let data = StreamedDataset::new(movielens, split, Vec::new(), &scratch)?;
        make_batches(&data, size as usize, start)?;
    }
    Ok(())
}

const TEST_SHARE: f64 = 0.2;
const SEED: u64 = 42;

fn report(rows: usize, start: Instant, from: &str, left_out: &LeftOut) -> Result<()> {
    print(format_args!(
        "rows={rows} seconds={:.3} peak_mib={} from={from}",
        start.elapsed().as_secs_f64(),
        peak_mib()
    ))?;
    if left_out.of_unknown_movies > 0 {
        eprintln!(
            "left out {} ratings of {} movies that the table of movies lacks (--unknown-movies)",
            left_out.of_unknown_movies,
            left_out.unknown_movies.len()
        );
    }
    if left_out.duplicates > 0 {
        let duplicates = left_out.duplicates;
        eprintln!(
            "left out {duplicates} ratings whose pair of user and movie has another (--duplicates)"
        );
    }
    Ok(())
}

fn make_batches(data: &dyn TrainingData, size: usize, start: Instant) -> Result<()> {
    let features_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let mut rows = 0;
    for batch in data.training_batches(size, SEED) {
        rows += batch?.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    print(format_args!(
        "features_seconds={features_seconds:.3} batch_rows={rows} seconds={seconds:.3} \
         batch_rows_per_s={:.0} peak_mib={}",
        rows as f64 / seconds,
        peak_mib()
    ))
}
