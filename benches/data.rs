//! From a MovieLens folder to batches, on a made-up folder.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::path::Path;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use mmdlrm::data::generate::{self, GeneratorConfig};
use mmdlrm::data::{MovieLens, OpenOptions, RandomSplit, Split};
use mmdlrm::features::{Dataset, StreamedDataset, TrainingData};

const RATINGS: u64 = 2_000_000;
const CONFIG: GeneratorConfig = GeneratorConfig {
    users: 16_000,
    movies: 10_000,
    ratings: RATINGS,
    seed: 1,
    contents: false,
};

fn data(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let mut group = criterion.benchmark_group("data");
    group.sample_size(20);
    group.throughput(Throughput::Elements(RATINGS));
    group.bench_function("generate", |bencher| {
        bencher.iter(|| {
            let _ = std::fs::remove_dir_all(&dir);
            generate::write(&dir, &CONFIG, |_| {}).unwrap();
        });
    });
    loading(&mut group, &dir);
    batches(&mut group, &dir);
    group.finish();
}

fn loading(group: &mut BenchmarkGroup<WallTime>, dir: &Path) {
    group.bench_function("read csv", |bencher| {
        bencher.iter(|| MovieLens::open(dir).unwrap());
    });
    let cached = OpenOptions {
        cache: Some(OpenOptions::cache_in(dir)),
        ..OpenOptions::default()
    };
    group.bench_function("read csv, write cache", |bencher| {
        bencher.iter(|| {
            let _ = std::fs::remove_dir_all(OpenOptions::cache_in(dir));
            assert!(!cached.open(dir).unwrap().from_cache);
        });
    });
    group.bench_function("read cache", |bencher| {
        bencher.iter(|| assert!(cached.open(dir).unwrap().from_cache));
    });
}

fn batches(group: &mut BenchmarkGroup<WallTime>, dir: &Path) {
    let movielens = MovieLens::open(dir).unwrap();
    let split = Split::random(movielens.ratings.len(), 0.2, 42).unwrap();
    group.bench_function("features", |bencher| {
        bencher.iter(|| Dataset::new(&movielens, split.clone(), Vec::new()).unwrap());
    });
    let dataset = Dataset::new(&movielens, split, Vec::new()).unwrap();
    group.throughput(Throughput::Elements(dataset.training_rows() as u64));
    for size in [256, 2048, 8192] {
        group.bench_function(format!("shuffled batches of {size}"), |bencher| {
            bencher.iter(|| go_through(&dataset, size));
        });
    }
    let scratch = tempfile::tempdir().unwrap();
    let streamed = OpenOptions::default().open_streamed(dir).unwrap();
    let streamed =
        StreamedDataset::new(streamed, RandomSplit::default(), Vec::new(), scratch.path()).unwrap();
    group.bench_function("streamed batches of 2048", |bencher| {
        bencher.iter(|| go_through(&streamed, 2048));
    });
}

fn go_through(data: &dyn TrainingData, size: usize) -> usize {
    let batches = data.training_batches(size, 1);
    batches.map(|batch| batch.unwrap().len()).sum()
}

criterion_group!(benches, data);
criterion_main!(benches);
