//! CLIPs in all the files that they come in, against transformers and OpenCLIP: made by
//! `encoders/make_open_clip.py`.

use mmdlrm::encoders::{
    ClipEncoder, ImageEncoder, LoadOptions, TextEncoder, load_image_encoder, load_text_encoder,
    load_two_towers,
};
use serde::Deserialize;
use std::path::{Path, PathBuf};

use crate::encoders::{assert_near, folder, made_up_pixels};
use crate::read_json;

#[derive(Deserialize)]
struct Golden {
    texts: Vec<String>,
    input_ids: Vec<Vec<u32>>,
    image_vectors: Vec<Vec<f32>>,
    text_vectors: Vec<Vec<f32>>,
}

fn of(name: &str) -> PathBuf {
    folder("open-clip").join(name)
}

fn copy(files: &[PathBuf]) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in files {
        std::fs::copy(file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    copy
}

/// The vocabulary, without `tokenizer.json`.
fn tokens() -> [PathBuf; 2] {
    ["vocab.json", "merges.txt"].map(|name| of("tokens").join(name))
}

fn check(clip: &ClipEncoder, golden: &Golden) {
    let texts: Vec<&str> = golden.texts.iter().map(String::as_str).collect();
    for (text, expected) in texts.iter().zip(&golden.input_ids) {
        assert_eq!(&clip.tokenize(text).unwrap()[0], expected, "{text}");
    }
    let pictures = made_up_pixels(2, 3 * 32 * 32);
    assert_near(
        &clip.encode_images(&pictures).unwrap(),
        &golden.image_vectors,
        1e-4,
    );
    assert_near(
        &clip.encode_texts(&texts).unwrap(),
        &golden.text_vectors,
        1e-4,
    );
}

fn load(path: &Path) -> ClipEncoder {
    ClipEncoder::load(path.to_str().unwrap(), &LoadOptions::default()).unwrap()
}

#[test]
fn golden_clips_of_pytorch_s_files_and_of_shards_equal_transformers() {
    let golden: Golden = read_json(&of("transformers/golden.json"));
    let [vocabulary, merges] = tokens();
    let config = of("transformers/config.json");
    let shards = ["1", "2", "3", "4"].map(|number| {
        let shards = std::fs::read_dir(of("sharded")).unwrap();
        let mut shards = shards.map(|entry| entry.unwrap().path());
        shards.find(|path| path.to_str().unwrap().contains(&format!("0000{number}-of")))
    });
    let index = of("sharded/model.safetensors.index.json");
    let files: Vec<PathBuf> = shards.into_iter().flatten().chain([index]).collect();
    assert!(files.len() > 2, "{files:?}");
    let common = [vocabulary, merges, config];
    check(&load(copy(&[&common[..], &files].concat()).path()), &golden);

    let legacy = copy(&common);
    let name = legacy.path().join("pytorch_model.bin");
    std::fs::copy(of("transformers/legacy.bin"), name).unwrap();
    check(&load(legacy.path()), &golden);

    let newer = copy(&[&common[..], &[of("transformers/pytorch_model.bin")]].concat());
    check(&load(newer.path()), &golden);
    // As sentence-transformers keeps it: in a folder of its own.
    let sentence = tempfile::tempdir().unwrap();
    let below = sentence.path().join("0_CLIPModel");
    std::fs::create_dir(&below).unwrap();
    for entry in std::fs::read_dir(newer.path()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, below.join(path.file_name().unwrap())).unwrap();
    }
    let modules = r#"[{"idx": 0, "name": "0", "path": "0_CLIPModel",
        "type": "sentence_transformers.models.CLIPModel"}]"#;
    std::fs::write(sentence.path().join("modules.json"), modules).unwrap();
    check(&load(sentence.path()), &golden);
    let path = sentence.path().to_str().unwrap();
    load_text_encoder(path, &LoadOptions::default()).unwrap();

    // Whoever chooses by the configuration finds the same.
    let path = newer.path().to_str().unwrap();
    let options = LoadOptions::default();
    let towers = load_two_towers(path, &options).unwrap();
    let images = load_image_encoder(path, &options).unwrap();
    let texts = load_text_encoder(path, &options).unwrap();
    assert_eq!(images.image_identity(), towers.images.image_identity());
    assert_eq!(texts.text_identity(), towers.texts.text_identity());

    // Of a download that holds none of these, what it holds is said.
    std::fs::remove_file(newer.path().join("pytorch_model.bin")).unwrap();
    std::fs::write(newer.path().join("tf_model.h5"), "").unwrap();
    let error = ClipEncoder::load(path, &options).unwrap_err().to_string();
    assert!(
        error.contains("model.safetensors or pytorch_model.bin"),
        "{error}"
    );
    assert!(error.contains("tf_model.h5"), "{error}");
}

#[test]
fn golden_clips_of_open_clip_s_and_openai_s_files_equal_open_clip() {
    let golden: Golden = read_json(&of("open_clip/golden.json"));
    let files = ["open_clip_config.json", "open_clip_pytorch_model.bin"];
    let files = files.map(|name| of("open_clip").join(name));
    let open_clip = copy(&[&tokens()[..], &files].concat());
    check(&load(open_clip.path()), &golden);
    // By the file alone, the rest beside it.
    check(
        &load(&open_clip.path().join("open_clip_pytorch_model.bin")),
        &golden,
    );

    let golden: Golden = read_json(&of("openai/golden.json"));
    let openai = copy(&[&tokens()[..], &[of("openai/ViT-tiny.pt")]].concat());
    check(&load(&openai.path().join("ViT-tiny.pt")), &golden);
    check(&load(openai.path()), &golden);

    // Without its configuration nobody knows the activation of OpenCLIP's.
    std::fs::remove_file(open_clip.path().join("open_clip_config.json")).unwrap();
    let path = open_clip.path().join("open_clip_pytorch_model.bin");
    let error = ClipEncoder::load(path.to_str().unwrap(), &LoadOptions::default());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("open_clip_config.json"), "{error}");
}
