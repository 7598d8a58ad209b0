//! Reads a MovieLens folder and says how long it took.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use mmdlrm::data::{Duplicates, MovieLens, OpenOptions, UnknownMovies};

/// Read a MovieLens folder of any release.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The folder
    dir: PathBuf,
    /// Parse the text, and neither read nor write the Parquet cache
    #[arg(long)]
    no_cache: bool,
    /// Folder of the cache [default: .mmdlrm in the data folder]
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    cache: Option<PathBuf>,
    /// What to do with ratings of movies that the table of movies lacks
    #[arg(long, default_value = "refuse", value_parser = ["refuse", "drop"])]
    unknown_movies: String,
    /// What to do where a user rated a movie more than once
    #[arg(long, default_value = "refuse",
          value_parser = ["refuse", "keep-first", "keep-latest", "keep-all"])]
    duplicates: String,
}

impl Args {
    fn options(&self) -> OpenOptions {
        OpenOptions {
            unknown_movies: match self.unknown_movies.as_str() {
                "drop" => UnknownMovies::Drop,
                _ => UnknownMovies::Refuse,
            },
            duplicates: match self.duplicates.as_str() {
                "keep-first" => Duplicates::KeepFirst,
                "keep-latest" => Duplicates::KeepLatest,
                "keep-all" => Duplicates::KeepAll,
                _ => Duplicates::Refuse,
            },
            cache: (!self.no_cache).then(|| {
                let usual = || OpenOptions::cache_in(&self.dir);
                self.cache.clone().unwrap_or_else(usual)
            }),
            ..OpenOptions::default()
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    let start = Instant::now();
    match args.options().open(&args.dir) {
        Ok(movielens) => {
            report(&movielens, start.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(movielens: &MovieLens, seconds: f64) {
    println!(
        "rows={} seconds={seconds:.3} peak_mib={} from={}",
        movielens.ratings.len(),
        peak_mib(),
        if movielens.from_cache { "cache" } else { "csv" }
    );
}

/// The most memory that this process has held, where the system tells.
fn peak_mib() -> String {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
            let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some((kib / 1024).to_string())
        })
        .unwrap_or_else(|| "unknown".to_owned())
}
