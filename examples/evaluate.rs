//! Measures a saved run on the ratings it held out, or on others.

mod progress;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mmdlrm::{Error, Experiment, Report, SplitConfig};
use progress::Progress;

/// Measure a saved run.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Folder of the run
    #[arg(value_name = "DIR")]
    run: PathBuf,
    /// Measure on what this would hold out, less what the run learned from [default: what
    /// the run held out]
    #[arg(long, value_parser = ["random", "temporal", "leave-last-out", "cold-users", "cold-movies"])]
    split: Option<String>,
    /// Share of the ratings, users or movies held out
    #[arg(long, default_value_t = 0.2, value_name = "SHARE", requires = "split")]
    test_share: f64,
    /// Ratings of each user that --split leave-last-out holds out
    #[arg(long, default_value_t = 1, value_name = "COUNT", requires = "split")]
    leave_out: usize,
    /// Seed of what is drawn
    #[arg(long, default_value_t = 42, requires = "split")]
    seed: u64,
    /// CSV of userId,movieId: measure on these ratings, less what the run learned from
    #[arg(long, value_name = "FILE", conflicts_with = "split")]
    test_rows: Option<PathBuf>,
    /// Folder for predictions and figures [default: evaluation, in the run's]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<Report, Error> {
    let (test_share, seed) = (args.test_share, args.seed);
    let named = args.test_rows.clone().map(SplitConfig::TestRows);
    let split = named.or(args.split.as_deref().map(|split| match split {
        "temporal" => SplitConfig::Temporal { test_share },
        "leave-last-out" => SplitConfig::LeaveLastOut {
            count: args.leave_out,
        },
        "cold-users" => SplitConfig::ColdUsers { test_share, seed },
        "cold-movies" => SplitConfig::ColdMovies { test_share, seed },
        _ => SplitConfig::Random { test_share, seed },
    }));
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| args.run.join("evaluation"));
    Experiment::evaluate(&args.run, split.as_ref(), out, &mut Progress::new())
}
