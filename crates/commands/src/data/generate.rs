//! Makes up a MovieLens folder of any size.

use std::path::PathBuf;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use mmdlrm::data::generate::{self, GeneratorConfig};

use crate::Result;
use crate::program::print;

/// Make up a MovieLens folder: ratings, movies, links, tags, posters and plots,
/// of the shape of ml-25m.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of users
    #[arg(long, default_value_t = GeneratorConfig::default().users)]
    users: u32,
    /// Number of movies
    #[arg(long, default_value_t = GeneratorConfig::default().movies)]
    movies: u32,
    /// Number of ratings
    #[arg(long, default_value_t = GeneratorConfig::default().ratings)]
    ratings: u64,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = GeneratorConfig::default().seed)]
    seed: u64,
    /// Leave out posters and plots
    #[arg(long)]
    no_contents: bool,
    /// Folder to write; it must not exist, be empty, or hold nothing but what this program wrote
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let config = GeneratorConfig {
        users: args.users,
        movies: args.movies,
        ratings: args.ratings,
        seed: args.seed,
        contents: !args.no_contents,
    };
    let start = Instant::now();
    // indicatif draws to standard error, and only where it is a terminal.
    let bar = ProgressBar::new(config.ratings);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} ratings, {eta} left")
    {
        bar.set_style(style);
    }
    let written = generate::write(&args.out, &config, |ratings| bar.inc(ratings));
    bar.finish();
    written?;
    let seconds = start.elapsed().as_secs_f64();
    print(format_args!(
        "ratings={} seconds={seconds:.3} ratings_per_s={:.0} out={}",
        config.ratings,
        config.ratings as f64 / seconds,
        args.out.display()
    ))
}
