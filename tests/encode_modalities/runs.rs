//! What runs leave behind, and how they go on.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use mmdlrm::encoders::{EmbeddingStore, Kind, Precision};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::{kill, program, shared, start, wait_until};
use crate::{Folder, exists, text, value};

#[test]
fn a_second_run_computes_nothing_and_leaves_the_bytes_alone() {
    let folder = Folder::new();
    let first = folder.run(&[]);
    assert_eq!(value(&first, "images"), 3.0);
    assert_eq!(value(&first, "texts"), 3.0);
    assert_eq!(value(&first, "failed"), 0.0);
    assert!(value(&first, "images_per_s") > 0.0);
    let bytes = std::fs::read(folder.path("store.parquet")).unwrap();

    let second = folder.run(&[]);
    assert_eq!(value(&second, "images"), 3.0);
    assert_eq!(value(&second, "images_per_s"), 0.0);
    assert_eq!(value(&second, "texts_per_s"), 0.0);
    assert!(std::fs::read(folder.path("store.parquet")).unwrap() == bytes);
}

#[test]
fn a_changed_picture_and_a_new_text_are_computed_and_nothing_else() {
    let folder = Folder::new();
    folder.run(&[]);
    let vectors = |kind: Kind| -> Vec<(u32, Vec<f32>)> {
        let store = EmbeddingStore::builder(folder.path("store.parquet"))
            .open()
            .unwrap();
        store
            .vectors(kind)
            .map(|(id, vector)| (id, vector.to_vec()))
            .collect()
    };
    let before = vectors(Kind::Image);
    std::fs::copy(folder.path("3.jpg"), folder.path("1.jpg")).unwrap();
    folder.summaries(&[
        "1,robot",
        "2,witch robot",
        "3,a robot and a witch",
        "8,witch",
    ]);
    let again = folder.run(&[]);
    assert_eq!(value(&again, "texts"), 4.0);
    let after = vectors(Kind::Image);
    assert_eq!(after[0].1, before[2].1, "the same picture, the same vector");
    assert_eq!(after[1..], before[1..]);
    assert_eq!(vectors(Kind::Text).len(), 4);
}

#[test]
fn texts_and_pictures_alone_and_by_other_models_share_a_store() {
    let folder = Folder::new();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/encoders");
    let bert = format!("bert:{golden}/bert");
    let resnet = format!("resnet:{golden}/resnet-basic");
    let output = folder.run(&["--text", &bert, "--pooling", "mean", "--image", &resnet]);
    assert_eq!(value(&output, "images") + value(&output, "texts"), 6.0);
    let store = EmbeddingStore::builder(folder.path("store.parquet"))
        .open()
        .unwrap();
    assert_eq!(store.width(Kind::Image), Some(12));
    assert_eq!(store.width(Kind::Text), Some(24));
    assert_eq!(store.identity(Kind::Text).unwrap().model, "bert");
    assert_eq!(
        store.identity(Kind::Text).unwrap().pooling,
        "mean of tokens"
    );
    drop(store);

    // Without pictures their model is not even loaded.
    let arguments = format!("--summaries summaries.csv --text {bert} --out texts.parquet");
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let output = crate::support::run(folder.dir.path(), "encode", &arguments);
    assert_eq!(value(&output, "images"), 0.0);
    assert_eq!(value(&output, "texts"), 3.0);
}

#[test]
fn long_texts_may_be_cut_into_windows() {
    let folder = Folder::new();
    let long = "robot witch. ".repeat(200);
    folder.summaries(&["1,robot", &format!("2,{long}"), "3,witch"]);
    let chunked = folder.run(&["--long-texts", "chunk"]);
    assert_eq!(value(&chunked, "texts"), 3.0);
    let store = EmbeddingStore::builder(folder.path("store.parquet"))
        .open()
        .unwrap();
    for (movie_id, vector) in store.vectors(Kind::Text) {
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!(length < 1.0 + 1e-5, "{movie_id}: {length}");
        assert!(movie_id == 2 || length > 1.0 - 1e-5, "{movie_id}: {length}");
    }
}

#[test]
fn a_store_of_halves() {
    let folder = Folder::new();
    value(&folder.run(&["--precision", "f16"]), "images");
    let store = EmbeddingStore::builder(folder.path("store.parquet"))
        .open()
        .unwrap();
    assert_eq!(store.precision(), Precision::F16);
}

#[test]
fn models_of_half_precision_give_nearly_the_same_vectors() {
    let vectors = |dtype: &str| -> Vec<f32> {
        let folder = Folder::new();
        value(&folder.run(&["--dtype", dtype]), "images");
        let store = EmbeddingStore::builder(folder.path("store.parquet"))
            .open()
            .unwrap();
        Kind::ALL
            .iter()
            .flat_map(|&kind| {
                store
                    .vectors(kind)
                    .flat_map(|(_, v)| v.to_vec())
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    let full = vectors("f32");
    for (dtype, most) in [("f16", 0.01), ("bf16", 0.1)] {
        let half = vectors(dtype);
        let error: f32 = full.iter().zip(&half).map(|(a, b)| (a - b).powi(2)).sum();
        let size: f32 = full.iter().map(|a| a * a).sum();
        assert!(
            (error / size).sqrt() < most,
            "{dtype}: {}",
            (error / size).sqrt()
        );
    }
}

/// A limit on the size of files stands for a disk that is full.
#[cfg(unix)]
#[test]
fn a_full_disk_stops_the_run_with_an_error_and_keeps_what_was_written() {
    let folder = Folder::new();
    let rows: Vec<String> = (1..=1500).map(|id| format!("{id},robot {id}")).collect();
    folder.summaries(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    let all = "--summaries summaries.csv --clip clip --out store.parquet";
    let limited = Command::new("bash")
        .current_dir(folder.dir.path())
        .arg("-c")
        .arg(format!(
            "trap '' XFSZ; ulimit -f 32; exec {} encode {all}",
            program().display()
        ))
        .output()
        .unwrap();
    crate::assert_refused(&limited, &["cannot write", "store.parquet", "free space"]);
    assert!(!exists(&folder.path(".store.parquet.partial")));
    let store = EmbeddingStore::builder(folder.path("store.parquet"))
        .open()
        .unwrap();
    let kept = store.vectors(Kind::Text).count();
    assert!(kept == 256 || kept == 512, "{kept}");
    drop(store);
    assert_eq!(value(&folder.run(&[]), "texts"), 1500.0);
}

#[test]
fn a_run_on_the_real_posters_killed_again_and_again_ends_with_the_same_bytes() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let encode = |out: &str| {
        let mut command = start(folder.path(), "encode");
        command
            .arg("--posters")
            .arg(shared.join("data/posters.csv"))
            .arg("--clip")
            .arg(shared.join("models/clip-tiny"))
            .args(["--out", out])
            .stderr(Stdio::null());
        command
    };
    let straight = encode("straight.parquet").output().unwrap();
    assert_eq!(value(&straight, "images"), 4888.0);

    let store = folder.path().join("killed.parquet");
    let journal = folder.path().join("killed.parquet.journal");
    let length = || std::fs::metadata(&journal).map_or(0, |file| file.len());
    for pause in [0, 35, 7, 71] {
        let before = length();
        let mut child = encode("killed.parquet")
            // So that it is not over before it is killed, however many cores there are.
            .env("RAYON_NUM_THREADS", "1")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Until a few groups have been written, and then at any moment.
        wait_until(&mut child, || length() > before + 100_000);
        std::thread::sleep(Duration::from_millis(pause));
        kill(&mut child);
        assert!(length() > before, "what was written stays");
    }
    // What was not finished is not in the file, which is whole all the same.
    let rows = |store: &Path| {
        let file = std::fs::File::open(store).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        reader.metadata().file_metadata().num_rows()
    };
    assert_eq!(rows(&store), 0);
    let resumed = encode("killed.parquet").output().unwrap();
    assert_eq!(
        value(&resumed, "images"),
        4888.0,
        "{}",
        text(&resumed.stdout)
    );
    assert_eq!(rows(&store), 4888);
    assert!(!exists(&journal));
    let straight = std::fs::read(folder.path().join("straight.parquet")).unwrap();
    assert!(std::fs::read(&store).unwrap() == straight);
}

#[test]
fn processes_that_start_at_once_on_a_new_store_do_not_spoil_it() {
    let folder = Folder::new();
    let all = "--summaries summaries.csv --clip clip --out store.parquet";
    let rows: Vec<String> = (1..=600).map(|id| format!("{id},robot {id}")).collect();
    folder.summaries(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    let start = |_| {
        let mut command = start(folder.dir.path(), "encode");
        let command = command.args(all.split(' '));
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let children: Vec<_> = (0..6).map(start).collect();
    let mut finished = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        match output.status.success() {
            true => finished += 1,
            false => crate::assert_refused(&output, &["store.parquet", "by another process"]),
        }
    }
    assert!(finished > 0);
    let again = folder.run(&["--posters", "posters.csv"]);
    assert_eq!(value(&again, "texts"), 600.0);
    assert_eq!(value(&again, "texts_per_s"), 0.0);
}
