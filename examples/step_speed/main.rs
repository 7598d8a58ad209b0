//! Times training steps of a multimodal DLRM at ml-25m's shapes, on made-up
//! batches.

mod batches;
#[path = "../peak/mod.rs"]
mod peak;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use batches::{Samples, Shape};
use clap::{Parser, ValueEnum};
use mmdlrm::model::{DeviceDlrm, Dlrm, Gradients, Loss};
use mmdlrm::train::{Algorithm, DeviceOptimizer, Optimizer, OptimizerConfig};
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
    /// Where steps are taken: cpu, cuda or metal
    #[arg(long, default_value = "cpu")]
    device: String,
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

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let shape = Shape {
        users: args.users as usize,
        movies: args.movies as usize,
    };
    let device = mmdlrm::encoders::device(&args.device)?;
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
    let median = if device.is_cpu() {
        let mut optimizer = Optimizer::new(config, &model)?;
        let mut gradients = Gradients::default();
        median_seconds(args.steps, &batches, |samples| {
            samples.with(&vectors, |batch| {
                let batch = (batch, samples.targets.as_slice());
                optimizer.learn(&mut model, batch, Loss::Mse, &mut gradients, 1.0)
            })?;
            Ok(())
        })?
    } else {
        let lists = vectors.each_ref().map(|vectors| vectors.as_slice().into());
        let model = DeviceDlrm::new(&model, &lists, &device)?;
        let mut optimizer = DeviceOptimizer::new(config, &model)?;
        median_seconds(args.steps, &batches, |samples| {
            let gradients = samples.with(&vectors, |batch| {
                model.gradients(batch, &samples.targets, Loss::Mse)
            })?;
            optimizer.step(&model, &gradients, 1.0)?;
            Ok(device.synchronize()?)
        })?
    };
    println!(
        "samples_per_s={:.0} step_ms={:.2} peak_mib={}",
        f64::from(args.batch) / median,
        median * 1e3,
        peak_mib()
    );
    Ok(())
}

/// Median time of a step, after some that do not count.
fn median_seconds(
    steps: u32,
    batches: &[Samples],
    mut step: impl FnMut(&Samples) -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let mut seconds = Vec::new();
    for (number, samples) in batches.iter().cycle().enumerate() {
        if seconds.len() == steps as usize {
            break;
        }
        let start = Instant::now();
        step(samples)?;
        if number >= WARM_UP {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}
