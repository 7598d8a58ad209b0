//! From a MovieLens folder to batches, on a made-up folder.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mmdlrm::data::generate::{self, GeneratorConfig};
use mmdlrm::data::{Dataset, MovieLens, Split, TrainingData};

const RATINGS: u64 = 200_000;

fn data(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let config = GeneratorConfig {
        users: 2000,
        movies: 1000,
        ratings: RATINGS,
        seed: 1,
        contents: false,
    };
    generate::write(&dir, &config, |_| {}).unwrap();
    let mut group = criterion.benchmark_group("data");
    group.sample_size(20);
    group.throughput(Throughput::Elements(RATINGS));
    group.bench_function("read csv", |bencher| {
        bencher.iter(|| MovieLens::open(&dir).unwrap());
    });

    let movielens = MovieLens::open(&dir).unwrap();
    let split = Split::random(movielens.ratings.len(), 0.2, 42).unwrap();
    group.bench_function("features", |bencher| {
        bencher.iter(|| Dataset::new(&movielens, split.clone(), Vec::new()).unwrap());
    });
    let rows = split.train.len() as u64;
    let dataset = Dataset::new(&movielens, split, Vec::new()).unwrap();
    group.throughput(Throughput::Elements(rows));
    group.bench_function("shuffled batches", |bencher| {
        bencher.iter(|| {
            dataset
                .training_batches(2048, 1)
                .map(|batch| batch.unwrap().len())
                .sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, data);
criterion_main!(benches);
