//! What several integration tests need.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test program uses a part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod need;
mod programs;
pub mod server;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{ArrayRef, FixedSizeListArray, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use safetensors::tensor::{Dtype, TensorView};

pub use need::Need;
pub use programs::{program, run, start};

/// The folder of real data and golden values: `MMDLRM_SHARED`, or `shared`
/// beside the workspace.
pub fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("MMDLRM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    Need::Shared.or_skip(folder.is_dir().then_some(folder))
}

/// Waits until a process has done what is waited for, and asserts that it is still at work.
#[track_caller]
pub fn wait_until(child: &mut Child, is_done: impl Fn() -> bool) {
    const PATIENCE: Duration = Duration::from_secs(120);
    let begun = Instant::now();
    while !is_done() {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended too early: {ended:?}");
        assert!(begun.elapsed() < PATIENCE, "it does not come to that");
        sleep(Duration::from_millis(1));
    }
}

/// Kills a process, which must still be at work, and waits for its end.
#[track_caller]
pub fn kill(child: &mut Child) {
    child.kill().unwrap();
    assert_killed(child.wait().unwrap());
}

/// Asserts that a process did not come to an end by itself: a kill that came too late says
/// nothing.
#[track_caller]
pub fn assert_killed(status: ExitStatus) {
    // On Windows, what `Child::kill` has the process say.
    let killed = if cfg!(unix) { None } else { Some(1) };
    assert_eq!(status.code(), killed, "it had ended before it was killed");
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Rows of a Parquet file, as `row` reads them.
fn table<T>(path: &Path, row: impl Fn(&RecordBatch, usize) -> T) -> Vec<T> {
    let file = File::open(path).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file);
    let mut rows = Vec::new();
    for batch in batches.unwrap().build().unwrap() {
        let batch = batch.unwrap();
        rows.extend((0..batch.num_rows()).map(|number| row(&batch, number)));
    }
    rows
}

fn id(batch: &RecordBatch, column: &str, row: usize) -> i64 {
    let column = batch.column_by_name(column).unwrap();
    column.as_primitive::<Int64Type>().value(row)
}

fn number(batch: &RecordBatch, column: &str, row: usize) -> f64 {
    let column = batch.column_by_name(column).unwrap();
    column.as_primitive::<Float64Type>().value(row)
}

/// `(userId, movieId, rating, prediction)` of a run.
pub fn predictions(run: &Path) -> Vec<(i64, i64, f64, f64)> {
    table(&run.join("predictions.parquet"), |batch, row| {
        (
            id(batch, "userId", row),
            id(batch, "movieId", row),
            number(batch, "rating", row),
            number(batch, "prediction", row),
        )
    })
}

/// `(userId, rank, movieId, score)` of a run.
pub fn rankings(run: &Path) -> Vec<(i64, i64, i64, f32)> {
    table(&run.join("rankings.parquet"), |batch, row| {
        let scores = batch.column_by_name("score").unwrap();
        (
            id(batch, "userId", row),
            id(batch, "rank", row),
            id(batch, "movieId", row),
            scores.as_primitive::<Float32Type>().value(row),
        )
    })
}

/// `(userId, movieId, score, held_out)` of a run that ranked candidates.
pub fn candidate_scores(run: &Path) -> Vec<(i64, i64, f64, bool)> {
    table(&run.join("candidates.parquet"), |batch, row| {
        let held_out = batch.column_by_name("held_out").unwrap().as_boolean();
        (
            id(batch, "userId", row),
            id(batch, "movieId", row),
            number(batch, "score", row),
            held_out.value(row),
        )
    })
}

/// Of [`predictions`].
pub fn rmse(rows: &[(i64, i64, f64, f64)]) -> f64 {
    let squares: f64 = rows
        .iter()
        .map(|(.., rating, p)| (rating - p).powi(2))
        .sum();
    (squares / rows.len() as f64).sqrt()
}

/// The lines of `metrics.jsonl`.
pub fn metrics(run: &Path) -> Vec<serde_json::Value> {
    let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Writes a Parquet file of vectors of four numbers, of every movie of `data` but each third,
/// and of one that is not there. Returns how many movies of the data have one.
pub fn write_vectors(path: &Path, data: &Path) -> usize {
    let movies = std::fs::read_to_string(data.join("movies.csv")).unwrap();
    let ids = movies
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap().0);
    let ids = ids.map(|id| id.parse::<i64>().unwrap()).enumerate();
    let mut ids: Vec<i64> = ids
        .filter(|(row, _)| row % 3 != 2)
        .map(|(_, id)| id)
        .collect();
    let known = ids.len();
    ids.push(i64::from(u32::MAX));
    let vectors = ids.iter().map(|&id| {
        let number = |place| Some(((id + place) as f32).sin());
        Some([0, 1, 2, 3].map(number))
    });
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 4);
    let batch = RecordBatch::try_from_iter([
        ("movieId", Arc::new(Int64Array::from(ids)) as ArrayRef),
        ("sound", Arc::new(vectors)),
    ]);
    let batch = batch.unwrap();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    known
}

/// Writes a CLIP folder in Hugging Face layout: one layer, vectors of 8,
/// weights in a jumble, a tokenizer of two words.
pub fn tiny_clip(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    let tower = r#""hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2"#;
    write(
        "config.json",
        &format!(
            r#"{{"projection_dim": 8,
                "text_config": {{{tower}, "vocab_size": 4}},
                "vision_config": {{{tower}, "image_size": 32, "patch_size": 16}}}}"#
        ),
    );
    write(
        "preprocessor_config.json",
        r#"{"size": 32, "crop_size": 32}"#,
    );
    write(
        "tokenizer.json",
        r#"{"version": "1.0", "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
            "truncation": null, "padding": null,
            "model": {"type": "WordLevel", "unk_token": "robot",
                "vocab": {"<|startoftext|>": 0, "<|endoftext|>": 1, "robot": 2, "witch": 3}}}"#,
    );
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    for model in ["text_model", "vision_model"] {
        let layer = format!("{model}.encoder.layers.0");
        for part in [
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.out_proj",
        ] {
            shapes.push((format!("{layer}.{part}.weight"), vec![8, 8]));
            shapes.push((format!("{layer}.{part}.bias"), vec![8]));
        }
        for (part, shape) in [("mlp.fc1", [16, 8]), ("mlp.fc2", [8, 16])] {
            shapes.push((format!("{layer}.{part}.weight"), shape.to_vec()));
            shapes.push((format!("{layer}.{part}.bias"), vec![shape[0]]));
        }
        for norm in ["layer_norm1", "layer_norm2"] {
            shapes.push((format!("{layer}.{norm}.weight"), vec![8]));
            shapes.push((format!("{layer}.{norm}.bias"), vec![8]));
        }
    }
    for norm in [
        "text_model.final_layer_norm",
        "vision_model.pre_layrnorm",
        "vision_model.post_layernorm",
    ] {
        shapes.push((format!("{norm}.weight"), vec![8]));
        shapes.push((format!("{norm}.bias"), vec![8]));
    }
    for (name, shape) in [
        ("text_model.embeddings.token_embedding.weight", vec![4, 8]),
        (
            "text_model.embeddings.position_embedding.weight",
            vec![77, 8],
        ),
        ("vision_model.embeddings.class_embedding", vec![8]),
        (
            "vision_model.embeddings.patch_embedding.weight",
            vec![8, 3, 16, 16],
        ),
        (
            "vision_model.embeddings.position_embedding.weight",
            vec![5, 8],
        ),
        ("text_projection.weight", vec![8, 8]),
        ("visual_projection.weight", vec![8, 8]),
    ] {
        shapes.push((name.to_owned(), shape));
    }
    let values: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let length: usize = shape.iter().product();
            let jumble = |i: usize| ((i * 7919 + 13 * name.len()) % 1009) as f32 / 1009.0 - 0.5;
            let bytes = (0..length).flat_map(|i| jumble(i).to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let views = values.iter().map(|(name, shape, bytes)| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });
    std::fs::write(
        dir.join("model.safetensors"),
        safetensors::serialize(views, None).unwrap(),
    )
    .unwrap();
}
