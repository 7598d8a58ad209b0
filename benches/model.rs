//! A training step, predictions and ranking at the shapes of ml-25m.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mmdlrm::model::{
    Bags, Batch, Dlrm, DlrmConfig, Gradients, Loss, ModalityConfig, ModalityInput, Side,
    TableConfig,
};
use mmdlrm::train::{Algorithm, Optimizer, OptimizerConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const USERS: usize = 162_541;
const MOVIES: usize = 62_423;
const GENRES: usize = 20;
const DENSE: usize = 8;
const CLIP: usize = 512;
/// Popularity falls with the rank to this power.
const SKEW: f64 = 0.9;

fn model() -> Dlrm {
    let config = DlrmConfig {
        dim: 64,
        dense_features: DENSE,
        bottom: vec![128, 64],
        tables: vec![
            TableConfig::new("user", USERS, Side::User),
            TableConfig::new("movie", MOVIES, Side::Item),
            TableConfig::new("genre", GENRES, Side::Item),
        ],
        modalities: vec![
            ModalityConfig::new("image", CLIP, vec![64]),
            ModalityConfig::new("text", CLIP, vec![64]),
        ],
        top: vec![128],
        ..DlrmConfig::default()
    };
    Dlrm::new(config, 1).unwrap()
}

/// Generated samples, and vectors that several batches share.
struct Samples {
    dense: Vec<f32>,
    users: Vec<u32>,
    movies: Vec<u32>,
    genre_offsets: Vec<u32>,
    genres: Vec<u32>,
    targets: Vec<f32>,
}

impl Samples {
    fn draw(samples: usize, random: &mut ChaCha8Rng) -> Self {
        let movies = (0..samples).map(|_| popular_movie(random)).collect();
        Self::of_movies(movies, random)
    }

    fn of_movies(movies: Vec<u32>, random: &mut ChaCha8Rng) -> Self {
        let samples = movies.len();
        let mut genre_offsets = vec![0];
        let mut genres = Vec::new();
        for _ in 0..samples {
            for _ in 0..random.random_range(1..4) {
                genres.push(random.random_range(0..GENRES as u32));
            }
            genre_offsets.push(genres.len() as u32);
        }
        Self {
            dense: (0..samples * DENSE)
                .map(|_| random.random_range(-1.0..1.0))
                .collect(),
            users: (0..samples)
                .map(|_| random.random_range(0..USERS as u32))
                .collect(),
            movies,
            genre_offsets,
            genres,
            targets: (0..samples).map(|_| random.random()).collect(),
        }
    }

    fn with<T>(&self, vectors: &[Vec<f32>; 2], use_batch: impl FnOnce(&Batch) -> T) -> T {
        use_batch(&Batch {
            dense: &self.dense,
            bags: &[
                Bags::Single(&self.users),
                Bags::Single(&self.movies),
                Bags::Lists {
                    offsets: &self.genre_offsets,
                    ids: &self.genres,
                },
            ],
            modalities: &vectors.each_ref().map(|vectors| ModalityInput {
                vectors,
                rows: &self.movies,
            }),
        })
    }
}

/// Inverse of the cumulative popularity, `rank^(1 − SKEW)`.
fn popular_movie(random: &mut ChaCha8Rng) -> u32 {
    let most = (MOVIES as f64).powf(1.0 - SKEW);
    let rank = random.random_range(1.0..most).powf(1.0 / (1.0 - SKEW));
    (rank as u32).min(MOVIES as u32) - 1
}

fn vectors(random: &mut ChaCha8Rng) -> [Vec<f32>; 2] {
    [(); 2].map(|()| {
        (0..MOVIES * CLIP)
            .map(|_| random.random_range(-0.1..0.1))
            .collect()
    })
}

fn step(criterion: &mut Criterion) {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let vectors = vectors(&mut random);
    let mut group = criterion.benchmark_group("step");
    for batch in [256, 2048, 8192] {
        for algorithm in [Algorithm::Sgd, Algorithm::Adagrad, Algorithm::Adam] {
            let mut model = model();
            let config = OptimizerConfig {
                algorithm,
                ..OptimizerConfig::default()
            };
            let mut optimizer = Optimizer::new(config, &model).unwrap();
            let mut gradients = Gradients::default();
            let batches: Vec<Samples> =
                (0..20).map(|_| Samples::draw(batch, &mut random)).collect();
            let mut next = batches.iter().cycle();
            group.throughput(Throughput::Elements(batch as u64));
            let id = BenchmarkId::new(format!("{algorithm:?}"), batch);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    let samples = next.next().unwrap();
                    let loss = samples.with(&vectors, |input| {
                        model.gradients(input, &samples.targets, Loss::Mse, &mut gradients)
                    });
                    optimizer.step(&mut model, &gradients, 1.0);
                    loss.unwrap()
                });
            });
        }
    }
    group.finish();
}

fn predict(criterion: &mut Criterion) {
    const PAIRS: usize = 8192;
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let vectors = vectors(&mut random);
    let model = model();
    let samples = Samples::draw(PAIRS, &mut random);
    let mut predictions = Vec::new();
    let mut group = criterion.benchmark_group("score");
    group.throughput(Throughput::Elements(PAIRS as u64));
    group.bench_function("pairs", |bencher| {
        bencher.iter(|| {
            samples
                .with(&vectors, |input| model.predict(input, &mut predictions))
                .unwrap();
            black_box(&predictions);
        });
    });
    let catalogue = Samples::of_movies((0..MOVIES as u32).collect(), &mut random);
    let items = catalogue
        .with(&vectors, |input| model.item_vectors(input))
        .unwrap();
    group.throughput(Throughput::Elements(MOVIES as u64));
    group.sample_size(20);
    group.bench_function("catalogue", |bencher| {
        bencher.iter(|| {
            catalogue
                .with(&vectors, |input| {
                    model.score_items(&items, input, &mut predictions)
                })
                .unwrap();
            black_box(&predictions);
        });
    });
    group.finish();
}

criterion_group!(benches, step, predict);
criterion_main!(benches);
