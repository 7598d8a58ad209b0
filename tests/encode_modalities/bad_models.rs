//! Models and stores that cannot be used.

use crate::{Folder, assert_refused, value};

fn refuses(prepare: impl FnOnce(&Folder), parts: &[&str]) {
    let folder = Folder::new();
    prepare(&folder);
    assert_refused(&folder.run(&[]), parts);
}

fn replace(folder: &Folder, file: &str, from: &str, to: &str) {
    let path = folder.path(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_folder_without_one_of_its_files() {
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        let remove =
            |folder: &Folder| std::fs::remove_file(folder.path("clip").join(file)).unwrap();
        refuses(remove, &["clip", file, "whole model"]);
    }
}

#[test]
fn a_config_whose_sizes_disagree_with_the_weights() {
    for (from, to, tensor) in [
        ("\"hidden_size\": 8", "\"hidden_size\": 16", "weight"),
        ("\"image_size\": 32", "\"image_size\": 64", "image_size"),
        (
            "\"num_hidden_layers\": 1",
            "\"num_hidden_layers\": 2",
            "layers.1",
        ),
        (
            "\"num_attention_heads\": 2",
            "\"num_attention_heads\": 3",
            "multiple",
        ),
        (
            "\"projection_dim\": 8",
            "\"projection_dim\": 0",
            "projection_dim is 0",
        ),
        (
            "\"num_hidden_layers\": 1",
            "\"num_hidden_layers\": 0",
            "num_hidden_layers is 0",
        ),
        ("\"vocab_size\": 4", "\"vocab_size\": 3", "4 tokens"),
        (
            "\"vocab_size\": 4",
            "\"vocab_size\": 4000000",
            "shape mismatch for text_model.embeddings.token_embedding.weight",
        ),
        (
            "\"vocab_size\": 4",
            "\"vocab_size\": 4000000000",
            "vocab_size is 4000000000; at most",
        ),
        (
            "\"hidden_size\": 8",
            "\"hidden_size\": 9223372036854775808",
            "hidden_size is 9223372036854775808; at most",
        ),
        (
            "\"patch_size\": 16",
            "\"patch_size\": 4294967296",
            "patch_size is 4294967296; at most",
        ),
    ] {
        refuses(
            |folder| replace(folder, "clip/config.json", from, to),
            &[tensor],
        );
    }
}

/// Whoever has no place for a token cannot cut a text into windows.
#[test]
fn windows_without_room_for_a_token_are_refused() {
    let folder = Folder::new();
    replace(
        &folder,
        "clip/config.json",
        "\"vocab_size\": 4",
        "\"vocab_size\": 4, \"max_position_embeddings\": 2",
    );
    let chunked = folder.run(&["--long-texts", "chunk"]);
    assert_refused(&chunked, &["config.json", "no room for a text"]);
}

#[test]
fn pictures_of_a_size_that_no_model_takes_are_refused() {
    for (json, part) in [
        (
            r#"{"size": 4294967396, "crop_size": 32}"#,
            "size is 4294967396",
        ),
        (
            r#"{"size": 32, "crop_size": 4294967328}"#,
            "crop_size is 4294967328",
        ),
        (r#"{"size": 18446744073709551615}"#, "size is"),
        (
            r#"{"size": {"shortest_edge": -1}}"#,
            "preprocessor_config.json",
        ),
        (r#"{"size": 32, "crop_pct": 1e-300}"#, "crop_pct"),
        (r#"{"image_std": [0.5, 0, 0.5]}"#, "image_std"),
        (r#"{"image_std": [0.5, 1e-45, 0.5]}"#, "image_std"),
        (r#"{"image_mean": [0.5, 1e39, 0.5]}"#, "out of range"),
    ] {
        let write = |folder: &Folder| folder.write("clip/preprocessor_config.json", json);
        refuses(write, &["preprocessor_config.json", part]);
    }
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/encoders");
    let resnet = format!("resnet:{golden}/resnet-basic");
    for side in ["1025", "4294967396", "18446744073709551615"] {
        let large = Folder::new().run(&["--image", &resnet, "--image-size", side]);
        assert_refused(&large, &[side, "at most"]);
    }
}

/// 16 GiB that are nowhere.
#[test]
fn weights_that_claim_to_be_huge_are_refused_before_they_are_read() {
    let write = |folder: &Folder| {
        let path = folder.path("clip/model.safetensors");
        let huge = 16u64 << 30;
        let header = format!(
            r#"{{"vision_model.embeddings.patch_embedding.weight":
                {{"dtype": "F32", "shape": [{}], "data_offsets": [0, {huge}]}}}}"#,
            huge / 4
        );
        let length = header.len() as u64;
        std::fs::write(&path, [&length.to_le_bytes(), header.as_bytes()].concat()).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(8 + length + huge).unwrap();
    };
    refuses(
        write,
        &["weights of clip", "shape mismatch for vision_model"],
    );
}

#[test]
fn files_that_have_no_end_are_refused() {
    for (file, most) in [("config.json", 1), ("tokenizer.json", 64)] {
        let write = |folder: &Folder| {
            let path = folder.path("clip").join(file);
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(100 << 30).unwrap();
        };
        refuses(write, &[file, &format!("larger than {most} MiB")]);
    }
}

#[test]
fn weights_that_are_not_numbers_are_named_with_the_first_movie() {
    let folder = Folder::new();
    let path = folder.path("clip/model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let numbers = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for number in bytes[numbers..].chunks_exact_mut(4) {
        number.copy_from_slice(&f32::NAN.to_le_bytes());
    }
    std::fs::write(&path, bytes).unwrap();
    assert_refused(
        &folder.run(&[]),
        &["image embedding of movie 1 by 'clip'", "NaN"],
    );
}

#[test]
fn a_config_that_is_no_config() {
    for (text, part) in [
        ("", "EOF"),
        ("[1]", "config.json"),
        (r#"{"text_config": {"hidden_act": "tanh"}}"#, "tanh"),
    ] {
        let write = |folder: &Folder| folder.write("clip/config.json", text);
        refuses(write, &["config.json", part]);
    }
}

#[test]
fn weights_that_are_cut_in_half_or_no_weights() {
    refuses(
        |folder| {
            let path = folder.path("clip/model.safetensors");
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(path, &whole[..whole.len() / 2]).unwrap();
        },
        &["weights of clip", "download the model again"],
    );
    for bytes in [&b""[..], b"garbage", &[0xFF; 4096]] {
        let write = |folder: &Folder| folder.write("clip/model.safetensors", bytes);
        refuses(write, &["weights of clip"]);
    }
}

#[test]
fn a_tokenizer_that_is_not_clip_s() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/encoders");
    refuses(
        |folder| {
            let bert = format!("{golden}/bert/tokenizer.json");
            std::fs::copy(bert, folder.path("clip/tokenizer.json")).unwrap();
            replace(
                folder,
                "clip/config.json",
                "\"vocab_size\": 4",
                "\"vocab_size\": 99",
            );
        },
        &["tokenizer", "<|startoftext|>"],
    );
    refuses(
        |folder| folder.write("clip/tokenizer.json", "{}"),
        &["tokenizer.json"],
    );
}

#[test]
fn another_kind_of_model() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/encoders");
    let folder = Folder::new();
    let bert = format!("bert:{golden}/resnet-basic");
    assert_refused(
        &folder.run(&["--text", &bert]),
        &["'resnet'", "a model of pictures: --image MODEL"],
    );
    let resnet = format!("resnet:{golden}/bert");
    assert_refused(
        &folder.run(&["--image", &resnet]),
        &["'bert'", "a model of texts: --text MODEL"],
    );
    assert_refused(&folder.run(&["--clip", "nowhere"]), &["nowhere"]);
    let resnet = format!("resnet:{golden}/resnet-basic");
    let small = folder.run(&["--image", &resnet, "--image-size", "8"]);
    assert_refused(&small, &["8 pixels are too small"]);
}

#[test]
fn a_store_that_another_model_made() {
    let folder = Folder::new();
    value(&folder.run(&[]), "images");
    let before = std::fs::read(folder.path("store.parquet")).unwrap();
    replace(
        &folder,
        "clip/config.json",
        "16, \"num_hidden",
        "16,  \"num_hidden",
    );
    assert_refused(
        &folder.run(&[]),
        &["store.parquet", "'clip'", "another store"],
    );
    assert!(std::fs::read(folder.path("store.parquet")).unwrap() == before);
}

#[test]
fn a_store_that_cannot_be_written() {
    let folder = Folder::new();
    folder.write("file", "in the way");
    assert_refused(
        &folder.run(&["--out", "file/store.parquet"]),
        &["cannot write", "file"],
    );
    assert_refused(&folder.run(&["--out", "."]), &["."]);
}
