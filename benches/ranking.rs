//! Ranking for users once scores are there: the best of the catalogue, and where what they
//! rated stands.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros, and a bench that fails by panicking"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mmdlrm::metrics::{Gain, ndcg_at_k};
use mmdlrm::train::TopList;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// ml-25m's.
const MOVIES: usize = 62_423;
/// Movies that a user knows, and ratings that are held out, in the mean.
const KNOWN: usize = 123;
const HELD_OUT: usize = 31;

/// Ascending movies, each once.
fn movies(count: usize, random: &mut ChaCha8Rng) -> Vec<u32> {
    let mut movies: Vec<u32> = (0..count)
        .map(|_| random.random_range(0..MOVIES as u32))
        .collect();
    movies.sort_unstable();
    movies.dedup();
    movies
}

/// One user on one thread.
fn rank(criterion: &mut Criterion) {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let known = movies(KNOWN, &mut random);
    let held_out = movies(HELD_OUT, &mut random);
    let jumbled: Vec<f32> = (0..MOVIES).map(|_| random.random()).collect();
    let mut ascending = jumbled.clone();
    ascending.sort_unstable_by(f32::total_cmp);
    // As counts of ratings are: most movies have few.
    let popularity = jumbled.iter().map(|x| (1.0 / (x + 1e-4)).floor());
    let popularity: Vec<f32> = popularity.collect();
    let mut group = criterion.benchmark_group("rank");
    group.throughput(Throughput::Elements(MOVIES as u64));
    for (name, scores) in [
        ("jumbled", &jumbled),
        ("ascending", &ascending),
        ("popularity", &popularity),
    ] {
        for longest in [10, 100] {
            group.bench_function(BenchmarkId::new(name, longest), |bencher| {
                bencher.iter(|| {
                    let list = TopList::new(scores, &known, longest);
                    let rated = held_out.iter().map(|&movie| (movie, 4.0));
                    let standings = list.standings(rated).unwrap();
                    black_box(standings.ndcg(10, Gain::Linear).unwrap())
                });
            });
        }
    }
    group.bench_function("whole lists", |bencher| {
        bencher.iter(|| black_box(of_whole_lists(&jumbled, &known, &held_out)));
    });
    group.finish();
}

/// nDCG by lists of all that competes: what the places of the relevant movies are held against.
fn of_whole_lists(scores: &[f32], known: &[u32], held_out: &[u32]) -> f64 {
    let mut relevance = vec![0f32; scores.len()];
    for &movie in held_out {
        relevance[movie as usize] = 4.0;
    }
    let mut is_known = vec![false; scores.len()];
    for &movie in known {
        is_known[movie as usize] = true;
    }
    let unknown = |values: &[f32]| -> Vec<f32> {
        let values = values.iter().zip(&is_known);
        values.filter(|it| !it.1).map(|it| *it.0).collect()
    };
    ndcg_at_k(&unknown(&relevance), &unknown(scores), 10).unwrap()
}

criterion_group!(benches, rank);
criterion_main!(benches);
