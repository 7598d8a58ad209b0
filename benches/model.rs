//! A training step, predictions and ranking at the shapes of ml-25m.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

#[path = "step_speed/batches.rs"]
mod batches;

use std::hint::black_box;

use batches::Shape;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mmdlrm::model::{
    BottomConfig, Dlrm, DlrmConfig, Gradients, Inputs, Loss, Predictor, Side, TableConfig,
    TableInput, top_k,
};
use mmdlrm::train::{Algorithm, Optimizer, OptimizerConfig};

const SHAPE: Shape = Shape::ML_25M;
const BATCH: usize = 8192;

fn step(criterion: &mut Criterion) {
    let mut random = batches::random(1);
    let vectors = SHAPE.vectors(&mut random);
    let mut group = criterion.benchmark_group("step");
    for batch in [256, 2048, 8192] {
        for algorithm in [
            Algorithm::Sgd,
            Algorithm::Adagrad,
            Algorithm::RowWiseAdagrad,
            Algorithm::Adam,
        ] {
            let mut model = Dlrm::new(SHAPE.config(), 1).unwrap();
            let config = OptimizerConfig {
                algorithm,
                ..OptimizerConfig::default()
            };
            let mut optimizer = Optimizer::new(config, &model).unwrap();
            let mut gradients = Gradients::default();
            let batches: Vec<_> = (0..20).map(|_| SHAPE.draw(batch, &mut random)).collect();
            let mut next = batches.iter().cycle();
            group.throughput(Throughput::Elements(batch as u64));
            let id = BenchmarkId::new(format!("{algorithm:?}"), batch);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    let samples = next.next().unwrap();
                    let loss = samples.with(&vectors, |batch| {
                        let batch = (batch, samples.targets.as_slice());
                        optimizer.learn(&mut model, batch, Loss::Mse, &mut gradients, 1.0)
                    });
                    loss.unwrap()
                });
            });
        }
    }
    group.finish();
}

/// The parts of a step: models that have little else.
fn parts(criterion: &mut Criterion) {
    let mut random = batches::random(3);
    let samples = SHAPE.draw(BATCH, &mut random);
    let small = |dim, bottom, top, tables| DlrmConfig {
        dim,
        bottoms: vec![BottomConfig::new(Side::Pair, 0..8, bottom)],
        tables,
        top,
        ..DlrmConfig::default()
    };
    let tables = |count: usize, rows| -> Vec<TableConfig> {
        (0..count)
            .map(|number| TableConfig::new(&number.to_string(), rows, Side::Item))
            .collect()
    };
    let mut group = criterion.benchmark_group("parts");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, config) in [
        // One table of ml-25m's users, and hardly an MLP.
        (
            "embedding",
            small(64, vec![64], vec![], tables(1, SHAPE.users)),
        ),
        // Eleven vectors of one row each that meet in 66 products.
        ("interaction", small(64, vec![64], vec![], tables(11, 1))),
        ("mlp", small(64, vec![512, 256, 64], vec![512, 256], vec![])),
    ] {
        let ids: Vec<Vec<u32>> = config
            .tables
            .iter()
            .map(|table| {
                let of_table = samples.users().iter();
                of_table.map(|&user| user % table.rows as u32).collect()
            })
            .collect();
        let bags: Vec<TableInput> = ids.iter().map(|ids| TableInput::Single(ids)).collect();
        let batch = Inputs {
            dense: samples.dense(),
            tables: &bags,
            modalities: &[],
        };
        let mut model = Dlrm::new(config, 1).unwrap();
        let mut predictions = Vec::new();
        group.bench_function(BenchmarkId::new(name, "forward"), |bencher| {
            bencher.iter(|| model.predict(&batch, &mut predictions).unwrap());
        });
        let mut gradients = Gradients::default();
        group.bench_function(BenchmarkId::new(name, "forward and backward"), |bencher| {
            bencher.iter(|| {
                model
                    .gradients(&batch, &samples.targets, Loss::Mse, &mut gradients)
                    .unwrap()
            });
        });
        let config = OptimizerConfig {
            algorithm: Algorithm::Adagrad,
            ..OptimizerConfig::default()
        };
        let mut optimizer = Optimizer::new(config, &model).unwrap();
        group.bench_function(BenchmarkId::new(name, "update"), |bencher| {
            bencher.iter(|| optimizer.step(&mut model, &gradients, 1e-3).unwrap());
        });
    }
    group.finish();
}

fn score(criterion: &mut Criterion) {
    const USERS: usize = 32;
    let mut random = batches::random(2);
    let vectors = SHAPE.vectors(&mut random);
    let model = Dlrm::new(SHAPE.config(), 1).unwrap();
    let mut scores = Vec::new();
    let mut group = criterion.benchmark_group("score");
    for pairs in [BATCH, 16 * BATCH] {
        let samples = SHAPE.draw(pairs, &mut random);
        group.throughput(Throughput::Elements(pairs as u64));
        group.bench_function(BenchmarkId::new("pairs", pairs), |bencher| {
            bencher.iter(|| {
                samples
                    .with(&vectors, |batch| model.predict(batch, &mut scores))
                    .unwrap();
                black_box(&scores);
            });
        });
    }
    let lists = vectors.each_ref().map(|vectors| vectors.as_slice().into());
    let predictor = Predictor::new(&model, &lists).unwrap();
    let samples = SHAPE.draw(BATCH, &mut random);
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function(BenchmarkId::new("pairs, a predictor", BATCH), |bencher| {
        bencher.iter(|| {
            samples
                .with(&vectors, |batch| predictor.predict(batch, &mut scores))
                .unwrap();
            black_box(&scores);
        });
    });
    let catalogue = SHAPE.of_movies((0..SHAPE.movies as u32).collect(), &mut random);
    let items = catalogue
        .with(&vectors, |batch| model.items(batch))
        .unwrap();
    group.sample_size(20);
    for count in [1, USERS] {
        let users = SHAPE.draw(count, &mut random);
        let pairs = count * SHAPE.movies;
        group.throughput(Throughput::Elements(pairs as u64));
        group.bench_function(
            BenchmarkId::new("ten best of the catalogue", count),
            |bencher| {
                bencher.iter(|| {
                    users
                        .with(&vectors, |batch| {
                            model.score_items(&items, batch, &mut scores)
                        })
                        .unwrap();
                    for scores in scores.chunks(SHAPE.movies) {
                        black_box(top_k(scores, 10, &[]));
                    }
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, step, parts, score);
criterion_main!(benches);
