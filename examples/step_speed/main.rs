//! Times training steps of a multimodal DLRM at ml-25m's shapes, on made-up
//! batches.

mod batches;
#[path = "../peak/mod.rs"]
mod peak;

use std::process::ExitCode;
use std::time::Instant;

use batches::Shape;
use clap::{Parser, ValueEnum};
use mmdlrm::model::{Dlrm, Gradients, Loss};
use mmdlrm::train::{Algorithm, Optimizer, OptimizerConfig, Result};
use peak::peak_mib;

/// Batches that are drawn before the clock starts.
const BATCHES: usize = 20;
/// Steps before those that count.
const WARM_UP: usize = 5;

/// Time training steps at ml-25m's shapes.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Samples a step
    #[arg(long, default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    batch: u32,
    /// Steps that are timed; the median is shown
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// The update rule
    #[arg(long, value_enum, default_value_t = Rule::Adagrad)]
    optimizer: Rule,
    /// Users
    #[arg(long, default_value_t = Shape::ML_25M.users as u32, value_parser = clap::value_parser!(u32).range(1..))]
    users: u32,
    /// Movies
    #[arg(long, default_value_t = Shape::ML_25M.movies as u32, value_parser = clap::value_parser!(u32).range(1..))]
    movies: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Rule {
    Sgd,
    Adagrad,
    RowWiseAdagrad,
    Adam,
}

impl From<Rule> for Algorithm {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Sgd => Self::Sgd,
            Rule::Adagrad => Self::Adagrad,
            Rule::RowWiseAdagrad => Self::RowWiseAdagrad,
            Rule::Adam => Self::Adam,
        }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let shape = Shape {
        users: args.users as usize,
        movies: args.movies as usize,
    };
    let mut random = batches::random(1);
    let vectors = shape.vectors(&mut random);
    let batches: Vec<_> = (0..BATCHES)
        .map(|_| shape.draw(args.batch as usize, &mut random))
        .collect();
    let mut model = Dlrm::new(shape.config(), 1)?;
    let config = OptimizerConfig {
        algorithm: args.optimizer.into(),
        ..OptimizerConfig::default()
    };
    let mut optimizer = Optimizer::new(config, &model)?;
    let mut gradients = Gradients::default();
    let mut seconds: Vec<f64> = Vec::new();
    for (step, samples) in batches.iter().cycle().enumerate() {
        if seconds.len() == args.steps as usize {
            break;
        }
        let start = Instant::now();
        samples.with(&vectors, |batch| {
            model.gradients(batch, &samples.targets, Loss::Mse, &mut gradients)
        })?;
        optimizer.step(&mut model, &gradients, 1.0);
        if step >= WARM_UP {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    println!(
        "samples_per_s={:.0} step_ms={:.2} peak_mib={}",
        f64::from(args.batch) / median,
        median * 1e3,
        peak_mib()
    );
    Ok(())
}
