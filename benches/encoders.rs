//! From the bytes of a poster to what CLIP takes, on one thread, and embedding.
//!
//! Needs the folder of shared data; `MMDLRM_CLIP` names another CLIP folder
//! than its tiny one.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mmdlrm::encoders::{ClipEncoder, ImageEncoder, LoadOptions, TextEncoder};

/// Posters that are prepared.
const POSTERS: usize = 300;
/// Posters and texts that are embedded.
const EMBEDDED: usize = 48;
const PLOT: &str = "A sailor finds the river, and nobody believes what she saw there until \
    a robot crosses the bank with the mayor's daughter and an old map.";

fn encoders(criterion: &mut Criterion) {
    let shared = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    if !shared.is_dir() {
        eprintln!("skipped: no shared folder");
        return;
    }
    let model = std::env::var_os("MMDLRM_CLIP")
        .map_or_else(|| shared.join("models/clip-tiny"), PathBuf::from);
    let clip = ClipEncoder::load(model.to_str().unwrap(), &LoadOptions::default()).unwrap();
    let files = std::fs::read_dir(shared.join("data/posters")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let posters: Vec<Vec<u8>> = files[..POSTERS]
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();

    let mut group = criterion.benchmark_group("encoders");
    group.sample_size(10);
    group.throughput(Throughput::Elements(POSTERS as u64));
    group.bench_function("prepare posters", |bencher| {
        bencher.iter(|| {
            for poster in &posters {
                black_box(clip.prepare_image(poster).unwrap());
            }
        });
    });
    let prepared: Vec<_> = posters[..EMBEDDED]
        .iter()
        .map(|poster| clip.prepare_image(poster).unwrap())
        .collect();
    group.throughput(Throughput::Elements(EMBEDDED as u64));
    group.bench_function("embed posters", |bencher| {
        bencher.iter(|| black_box(clip.encode_images(&prepared).unwrap()));
    });
    let texts = [PLOT; EMBEDDED];
    group.bench_function("embed texts", |bencher| {
        bencher.iter(|| black_box(clip.encode_texts(&texts).unwrap()));
    });
    group.finish();
}

criterion_group!(benches, encoders);
criterion_main!(benches);
