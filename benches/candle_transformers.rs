//! This crate's transformers on a CPU against `candle-transformers`' with the same weights: a
//! BERT, of which `MMDLRM_BERT` names a folder, all-MiniLM-L6-v2 say; without it a tiny one.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mmdlrm::encoders::{BertEncoder, LoadOptions, Pooling};

/// Texts of a batch, of lengths as plots have them.
const TEXTS: usize = 48;
const PLOT: &str = "A sailor finds the river, and nobody believes what she saw there until \
    a robot crosses the bank with the mayor's daughter and an old map. ";

fn texts() -> Vec<String> {
    (0..TEXTS)
        .map(|number| PLOT.repeat(1 + number % 4))
        .collect()
}

/// Token ids, filled up with zeros, and which of them are there.
fn padded(texts: &[Vec<u32>]) -> [Tensor; 2] {
    let longest = texts.iter().map(Vec::len).max().unwrap();
    let filled = |of: fn(u32) -> u32| {
        let rows = texts.iter().flat_map(|text| {
            let row = text.iter().map(move |&id| of(id));
            row.chain(std::iter::repeat_n(0, longest - text.len()))
        });
        let shape = (texts.len(), longest);
        Tensor::from_vec(rows.collect::<Vec<u32>>(), shape, &Device::Cpu).unwrap()
    };
    [filled(|id| id), filled(|_| 1)]
}

fn berts(criterion: &mut Criterion) {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/encoders/bert");
    let folder = std::env::var_os("MMDLRM_BERT").map_or(tiny, PathBuf::from);
    let texts = texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let options = LoadOptions::default().with_pooling(Pooling::Cls);
    let ours = BertEncoder::load(folder.to_str().unwrap(), &options).unwrap();
    let ids = texts
        .iter()
        .map(|text| ours.tokenize(text).unwrap().remove(0));
    let ids: Vec<Vec<u32>> = ids.collect();
    let [tokens, seen] = padded(&ids);
    let segments = tokens.zeros_like().unwrap();
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let config = std::fs::read(folder.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    // Which it wants, and tiny ones leave out.
    for (name, usual) in [
        ("hidden_dropout_prob", 0.1.into()),
        ("initializer_range", 0.02.into()),
        ("pad_token_id", 0.into()),
    ] {
        config[name] = config.get(name).cloned().unwrap_or(usual);
    }
    let config: Config = serde_json::from_value(config).unwrap();

    let mut group = criterion.benchmark_group("a BERT");
    group.sample_size(10);
    group.throughput(Throughput::Elements(TEXTS as u64));
    group.bench_function("ours", |bencher| {
        bencher.iter(|| black_box(ours.encode_tokens(&ids).unwrap()));
    });
    let weights = VarBuilder::from_slice_safetensors(&bytes, DType::F32, &Device::Cpu).unwrap();
    let theirs = BertModel::load(weights, &config).unwrap();
    group.bench_function("candle-transformers", |bencher| {
        bencher.iter(|| {
            let all = theirs.forward(&tokens, &segments, Some(&seen)).unwrap();
            black_box(all.narrow(1, 0, 1).unwrap().contiguous().unwrap())
        });
    });
    group.finish();
}

criterion_group!(benches, berts);
criterion_main!(benches);
