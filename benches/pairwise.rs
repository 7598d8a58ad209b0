//! An epoch of models that learn from pairs, at ml-latest-small's shape.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};
use mmdlrm::baselines::{BprMfConfig, LightGcnConfig, PairwiseTraining};
use mmdlrm::data::generate::{self, GeneratorConfig};
use mmdlrm::data::{MovieLens, Split};
use mmdlrm::features::Dataset;
use mmdlrm::train::{Fit, Session};

fn dataset() -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let shape = GeneratorConfig {
        users: 610,
        movies: 9742,
        ratings: 100_836,
        seed: 1,
        contents: false,
    };
    generate::write(&dir, &shape, |_| {}).unwrap();
    let movielens = MovieLens::open(&dir).unwrap();
    let split = Split::random(movielens.ratings.len(), 0.2, 42).unwrap();
    Dataset::new(&movielens, split, Vec::new()).unwrap()
}

/// Batches of 2,048, as the code beside LightGCN's paper has it.
fn one_epoch(training: &mut PairwiseTraining) {
    (training.epochs, training.batch_size) = (1, 2048);
}

fn pairwise(criterion: &mut Criterion) {
    let data = dataset();
    let mut group = criterion.benchmark_group("pairwise/epoch");
    group.sample_size(10);
    let mut light_gcn = LightGcnConfig::default();
    light_gcn.layers = 3;
    one_epoch(&mut light_gcn.training);
    group.bench_function("light-gcn", |bencher| {
        bencher.iter(|| light_gcn.fit(&data, Session::default()).unwrap());
    });
    let mut bpr_mf = BprMfConfig::default();
    one_epoch(&mut bpr_mf.training);
    group.bench_function("bpr-mf", |bencher| {
        bencher.iter(|| bpr_mf.fit(&data, Session::default()).unwrap());
    });
    group.finish();
}

criterion_group!(benches, pairwise);
criterion_main!(benches);
