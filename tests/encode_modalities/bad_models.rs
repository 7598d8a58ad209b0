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
        ("\"vocab_size\": 4", "\"vocab_size\": 4000000000", "weight"),
    ] {
        refuses(
            |folder| replace(folder, "clip/config.json", from, to),
            &[tensor],
        );
    }
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
    assert_refused(&folder.run(&["--text", &bert]), &["'resnet', not 'bert'"]);
    let resnet = format!("resnet:{golden}/bert");
    assert_refused(
        &folder.run(&["--image", &resnet]),
        &["'bert', not 'resnet'"],
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
