//! Times training steps, scoring and ranking of a multimodal DLRM at ml-25m's shapes, on
//! made-up batches.

mod batches;
#[path = "../../crates/commands/src/peak.rs"]
mod peak;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use batches::{Samples, Shape};
use clap::{Parser, ValueEnum};
use half::f16;
use mmdlrm::encoders::Device;
use mmdlrm::model::{DeviceDlrm, Dlrm, Gradients, Loss, top_k};
use mmdlrm::train::{Algorithm, DeviceOptimizer, Optimizer, OptimizerConfig};
use mmdlrm_kernels::InstructionSet;
use peak::peak_mib;

/// Those of pictures and of texts, a movie after another.
type Vectors = [Vec<f16>; 2];

/// Batches that are drawn before the clock starts.
const BATCHES: usize = 20;
/// Steps before those that count.
const WARM_UP: usize = 5;

/// Time training steps, scoring or ranking at ml-25m's shapes.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// What is timed
    #[arg(long, value_enum, default_value_t = Measure::Step)]
    measure: Measure,
    /// Samples a step, or pairs that are scored; a user is ranked with all movies
    #[arg(long, default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    batch: u32,
    /// How often it is timed; the median is shown
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// The update rule of steps
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
enum Measure {
    /// Training steps
    Step,
    /// Predictions of pairs of users and movies
    Score,
    /// The ten best of all movies for a user
    Rank,
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
    if !matches!(args.measure, Measure::Step) && !device.is_cpu() {
        return Err("scoring and ranking run on the CPU".into());
    }
    let mut random = batches::random(1);
    let vectors = shape.vectors(&mut random);
    let model = Dlrm::new(shape.config(), 1)?;
    let drawn = match args.measure {
        Measure::Rank => 1,
        Measure::Step | Measure::Score => args.batch as usize,
    };
    let batches: Vec<_> = (0..BATCHES)
        .map(|_| shape.draw(drawn, &mut random))
        .collect();
    let batch = args.batch as usize;
    let (things, count, median) = match args.measure {
        Measure::Step => (
            "samples",
            batch,
            step(args, &device, model, &vectors, &batches)?,
        ),
        Measure::Score => ("pairs", batch, score(args, &model, &vectors, &batches)?),
        Measure::Rank => {
            let catalogue = shape.of_movies((0..args.movies).collect(), &mut random);
            let median = rank(args, &model, &vectors, &catalogue, &batches)?;
            ("pairs", shape.movies, median)
        }
    };
    println!(
        "{things}_per_s={:.0} step_ms={:.2} peak_mib={} simd={}",
        count as f64 / median,
        median * 1e3,
        peak_mib(),
        InstructionSet::in_use()?
    );
    Ok(())
}

/// Seconds of a training step.
fn step(
    args: &Args,
    device: &Device,
    mut model: Dlrm,
    vectors: &Vectors,
    batches: &[Samples],
) -> Result<f64, Box<dyn Error>> {
    let config = OptimizerConfig {
        algorithm: args.optimizer.into(),
        ..OptimizerConfig::default()
    };
    if device.is_cpu() {
        let mut optimizer = Optimizer::new(config, &model)?;
        let mut gradients = Gradients::default();
        return median_seconds(args.steps, batches, |samples| {
            samples.with(vectors, |batch| {
                let batch = (batch, samples.targets.as_slice());
                optimizer.learn(&mut model, batch, Loss::Mse, &mut gradients, 1.0)
            })?;
            Ok(())
        });
    }
    let lists = vectors.each_ref().map(|vectors| vectors.as_slice().into());
    let model = DeviceDlrm::new(&model, &lists, device)?;
    let mut optimizer = DeviceOptimizer::new(config, &model)?;
    median_seconds(args.steps, batches, |samples| {
        let gradients = samples.with(vectors, |batch| {
            model.gradients(batch, &samples.targets, Loss::Mse)
        })?;
        optimizer.step(&model, &gradients, 1.0)?;
        Ok(device.synchronize()?)
    })
}

/// Seconds of the predictions of a batch.
fn score(
    args: &Args,
    model: &Dlrm,
    vectors: &Vectors,
    batches: &[Samples],
) -> Result<f64, Box<dyn Error>> {
    let mut scores = Vec::new();
    median_seconds(args.steps, batches, |samples| {
        samples.with(vectors, |batch| model.predict(batch, &mut scores))?;
        black_box(&scores);
        Ok(())
    })
}

/// Seconds in which the ten best of the catalogue are found for a user.
fn rank(
    args: &Args,
    model: &Dlrm,
    vectors: &Vectors,
    catalogue: &Samples,
    users: &[Samples],
) -> Result<f64, Box<dyn Error>> {
    let items = catalogue.with(vectors, |batch| model.items(batch))?;
    let mut scores = Vec::new();
    median_seconds(args.steps, users, |user| {
        user.with(vectors, |batch| {
            model.score_items(&items, batch, &mut scores)
        })?;
        black_box(top_k(&scores, 10, &[]));
        Ok(())
    })
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
