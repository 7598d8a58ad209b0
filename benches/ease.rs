//! EASE by each of its ways, at the shapes of ml-1m and ml-latest-small.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mmdlrm::baselines::{Ease, EaseConfig};
use mmdlrm::data::{Rated, RatedBags};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A way, users, items, ratings, and the largest dense matrix.
const SHAPES: [(&str, u32, u32, usize, usize); 3] = [
    ("items", 6040, 3706, 1_000_209, 8192),
    ("users", 610, 9742, 100_836, 8192),
    ("neighbours", 610, 9742, 100_836, 0),
];

/// Some items are rated much more often than others.
fn histories(users: u32, items: u32, ratings: usize) -> Arc<RatedBags> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let rows: Vec<Rated> = (0..ratings)
        .map(|_| Rated {
            user: random.random_range(0..users),
            movie: (f64::from(items) * random.random::<f64>().powi(3)) as u32,
            stars: 0.5 * f32::from(random.random_range(1..=10u8)),
            timestamp: 0,
        })
        .collect();
    Arc::new(RatedBags::of_users(users as usize, rows.into_iter()))
}

fn ease(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ease");
    group.sample_size(10);
    for (way, users, items, ratings, dense_up_to) in SHAPES {
        let histories = histories(users, items, ratings);
        let mut config = EaseConfig::default();
        config.dense_up_to = dense_up_to;
        let fit = || Ease::of(Arc::clone(&histories), items as usize, &config).unwrap();
        group.bench_function(BenchmarkId::new("fit", way), |bencher| bencher.iter(fit));
        let (ease, mut scores) = (fit(), Vec::new());
        group.bench_function(BenchmarkId::new("score", way), |bencher| {
            bencher.iter(|| ease.score_history(histories.row(3), &mut scores).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, ease);
criterion_main!(benches);
