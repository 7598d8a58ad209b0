//! Times training steps at the shapes of facebookresearch/dlrm's `kaggle` benchmark, on made-up
//! batches, and writes batches, weights and losses down for others to go through the same.

#[path = "../../crates/commands/src/peak.rs"]
mod peak;

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use mmdlrm::model::{
    BottomConfig, Dlrm, DlrmConfig, Gradients, Inputs, Loss, Output, Side, TableConfig, TableInput,
};
use mmdlrm::train::{Algorithm, Optimizer, OptimizerConfig};
use mmdlrm_kernels::InstructionSet;
use peak::peak_mib;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, TensorView};

/// Distinct values of the 26 categories of Criteo's Kaggle data.
const ROWS: [usize; 26] = [
    1_460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5_683, 8_351_593, 3_194,
    27, 14_992, 5_461_306, 10, 5_652, 2_173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572,
];
const DENSE: usize = 13;
const DIM: usize = 16;
/// Batches that are drawn before the clock starts.
const BATCHES: usize = 20;
/// Steps before those that count.
const WARM_UP: usize = 5;

/// Time training steps at the shapes of facebookresearch/dlrm's kaggle benchmark.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Samples a step
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    batch: u32,
    /// Steps that are timed; the median is shown
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// The update rule
    #[arg(long, value_enum, default_value_t = Rule::Sgd)]
    optimizer: Rule,
    /// Learning rate
    #[arg(long, default_value_t = 0.1)]
    rate: f64,
    /// How ids are drawn
    #[arg(long, value_enum, default_value_t = Ids::Skewed)]
    ids: Ids,
    /// Most rows a table has; those of Criteo's have up to ten millions
    #[arg(long, default_value_t = usize::MAX)]
    most_rows: usize,
    /// A folder to write what the steps see and come to: `weights.safetensors`,
    /// `batches.safetensors` with a batch a step, `losses.json`
    #[arg(long)]
    write: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Rule {
    Sgd,
    Adagrad,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Ids {
    /// By popularity, which falls with the rank
    Skewed,
    /// Each as often as any other
    Even,
}

/// Samples of a step.
struct Batch {
    /// `[batch, 13]`
    dense: Vec<f32>,
    /// `[26][batch]`
    ids: Vec<Vec<u32>>,
    targets: Vec<f32>,
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
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let rows = ROWS.map(|rows| rows.min(args.most_rows));
    let mut model = Dlrm::new(config(&rows), 1)?;
    let drawn = match args.write {
        Some(_) => args.steps as usize,
        None => BATCHES,
    };
    let draw = |_| Batch::draw(args, &rows, &mut random);
    let batches: Vec<Batch> = (0..drawn).map(draw).collect();
    if let Some(folder) = &args.write {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("weights.safetensors"), model.to_safetensors()?)?;
        write_batches(folder, &batches)?;
    }
    let config = OptimizerConfig {
        algorithm: match args.optimizer {
            Rule::Sgd => Algorithm::Sgd,
            Rule::Adagrad => Algorithm::Adagrad,
        },
        learning_rate: args.rate,
        ..OptimizerConfig::default()
    };
    let mut optimizer = Optimizer::new(config, &model)?;
    let mut gradients = Gradients::default();
    let (mut losses, mut seconds) = (Vec::new(), Vec::new());
    let warm_up = args.write.as_ref().map_or(WARM_UP, |_| 0);
    for number in 0..args.steps as usize + warm_up {
        let batch = &batches[number % batches.len()];
        let start = Instant::now();
        let loss = batch.with(|inputs| {
            let batch = (inputs, batch.targets.as_slice());
            optimizer.learn(&mut model, batch, Loss::Bce, &mut gradients, 1.0)
        })?;
        if number >= warm_up {
            seconds.push(start.elapsed().as_secs_f64());
        }
        losses.push(loss);
    }
    if let Some(folder) = &args.write {
        let losses = serde_json::to_string(&losses)?;
        std::fs::write(folder.join("losses.json"), losses)?;
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    println!(
        "samples_per_s={:.0} step_ms={:.2} peak_mib={} simd={}",
        f64::from(args.batch) / median,
        median * 1e3,
        peak_mib(),
        InstructionSet::in_use()?
    );
    Ok(())
}

/// `--arch-mlp-bot 13-512-256-64-16 --arch-mlp-top 512-256-1 --arch-sparse-feature-size 16`.
fn config(rows: &[usize]) -> DlrmConfig {
    let table = |(number, &rows): (usize, &usize)| {
        TableConfig::new(&format!("C{}", number + 1), rows, Side::Pair)
    };
    DlrmConfig {
        dim: DIM,
        bottoms: vec![BottomConfig::new(
            Side::Pair,
            0..DENSE,
            vec![512, 256, 64, DIM],
        )],
        tables: rows.iter().enumerate().map(table).collect(),
        top: vec![512, 256],
        output: Output::within(0.0, 1.0),
        ..DlrmConfig::default()
    }
}

impl Batch {
    fn draw(args: &Args, rows: &[usize], random: &mut ChaCha8Rng) -> Self {
        let samples = args.batch as usize;
        let mut draw = |rows: usize| match args.ids {
            Ids::Even => random.random_range(0..rows as u32),
            // As often as 1/rank would have it.
            Ids::Skewed => ((rows as f64).powf(random.random()) as u32).min(rows as u32) - 1,
        };
        let of_table = |&rows: &usize| (0..samples).map(|_| draw(rows)).collect();
        let ids = rows.iter().map(of_table).collect();
        let dense = (0..samples * DENSE).map(|_| random.random_range(0f32..6.0));
        Self {
            dense: dense.collect(),
            ids,
            targets: (0..samples)
                .map(|_| f32::from(random.random_bool(0.25)))
                .collect(),
        }
    }

    /// Hands them over as a model takes them.
    fn with<T>(&self, use_batch: impl FnOnce(&Inputs) -> T) -> T {
        let tables: Vec<TableInput> = self.ids.iter().map(|it| TableInput::Single(it)).collect();
        use_batch(&Inputs {
            dense: &self.dense,
            tables: &tables,
            modalities: &[],
        })
    }
}

/// `dense`, `[steps, batch, 13]`, `ids`, `[steps, 26, batch]`, and `targets`, `[steps, batch]`.
fn write_batches(folder: &Path, batches: &[Batch]) -> Result<(), Box<dyn Error>> {
    let (steps, samples) = (batches.len(), batches[0].targets.len());
    let bytes = |values: &mut dyn Iterator<Item = [u8; 4]>| values.flatten().collect::<Vec<u8>>();
    let dense = batches.iter().flat_map(|batch| &batch.dense);
    let ids = batches.iter().flat_map(|batch| batch.ids.iter().flatten());
    let targets = batches.iter().flat_map(|batch| &batch.targets);
    let dense = bytes(&mut dense.map(|x| x.to_le_bytes()));
    let ids = bytes(&mut ids.map(|id| id.to_le_bytes()));
    let targets = bytes(&mut targets.map(|x| x.to_le_bytes()));
    let view = |dtype, shape: &[usize], bytes| TensorView::new(dtype, shape.to_vec(), bytes);
    let tensors = HashMap::from([
        ("dense", view(Dtype::F32, &[steps, samples, DENSE], &dense)?),
        (
            "ids",
            view(Dtype::I32, &[steps, ROWS.len(), samples], &ids)?,
        ),
        ("targets", view(Dtype::F32, &[steps, samples], &targets)?),
    ]);
    safetensors::serialize_to_file(tensors, None, &folder.join("batches.safetensors"))?;
    Ok(())
}
