//! Encoders against `candle-transformers`, beside the values of transformers that
//! `tests/golden` holds them against: the same weights and tokens, on models of seeded weights.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::text_model::{Activation, ClipTextConfig};
use candle_transformers::models::clip::vision_model::ClipVisionConfig;
use candle_transformers::models::{bert, clip, distilbert, siglip};
use mmdlrm::encoders::{
    BertEncoder, ClipEncoder, ImageEncoder, LoadOptions, Pooling, SiglipEncoder, TextEncoder,
};
use serde::de::DeserializeOwned;

const TEXTS: [&str; 3] = [
    "The sailor finds a river.",
    "robots",
    "A ROBOT crosses the banks, and nobody believes!",
];
/// Of numbers about one.
const MOST: f32 = 2e-4;
/// The same where theirs computes GELU by its approximation, which transformers does not.
const MOST_OF_TANH: f32 = 5e-3;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden/encoders")
        .join(name)
}

fn config<T: DeserializeOwned>(folder: &Path) -> T {
    serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
}

fn weights(bytes: &[u8]) -> VarBuilder<'_> {
    VarBuilder::from_slice_safetensors(bytes, DType::F32, &Device::Cpu).unwrap()
}

fn assert_near(found: &[f32], expected: &Tensor) {
    assert_within(MOST, found, expected);
}

fn assert_within(most: f32, found: &[f32], expected: &Tensor) {
    let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < most, "{found} {expected}");
    }
}

/// A row of token ids, `[1, length]`.
fn row(ids: &[u32]) -> Tensor {
    Tensor::new(ids, &Device::Cpu)
        .unwrap()
        .unsqueeze(0)
        .unwrap()
}

/// Two pictures, `[3, side, side]` each.
fn pictures(side: usize) -> Vec<Vec<f32>> {
    let pixel = |i: usize| ((i * 7919) % 1009) as f32 / 504.5 - 1.0;
    let size = 3 * side * side;
    let picture = |picture| (0..size).map(|i| pixel(picture * size + i)).collect();
    (0..2).map(picture).collect()
}

fn batch(pictures: &[Vec<f32>], side: usize) -> Tensor {
    let shape = (pictures.len(), 3, side, side);
    Tensor::from_vec(pictures.concat(), shape, &Device::Cpu).unwrap()
}

#[test]
fn bert_and_distilbert_are_candle_transformers_too() {
    let options = LoadOptions::default().with_pooling(Pooling::Mean);
    for name in ["bert-framed", "distilbert"] {
        let folder = folder("relatives").join(name);
        let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
        let ours = BertEncoder::load(folder.to_str().unwrap(), &options).unwrap();
        let vectors = ours.encode_texts(&TEXTS).unwrap();
        for (text, vector) in TEXTS.iter().zip(vectors) {
            let ids = row(&ours.tokenize(text).unwrap()[0]);
            let hidden = match name {
                "distilbert" => {
                    let theirs =
                        distilbert::DistilBertModel::load(weights(&bytes), &config(&folder));
                    // It says which tokens are not seen.
                    let (_, length) = ids.dims2().unwrap();
                    let hidden = Tensor::zeros((length, length), DType::U8, &Device::Cpu).unwrap();
                    theirs.unwrap().forward(&ids, &hidden)
                }
                _ => {
                    let theirs = bert::BertModel::load(weights(&bytes), &config(&folder)).unwrap();
                    theirs.forward(&ids, &ids.zeros_like().unwrap(), None)
                }
            };
            let most = match name {
                "distilbert" => MOST_OF_TANH,
                _ => MOST,
            };
            assert_within(most, &vector, &hidden.unwrap().mean(1).unwrap());
        }
    }
}

#[test]
fn siglip_is_candle_transformers_too() {
    let folder = folder("vision/siglip");
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let theirs = siglip::Model::new(&config(&folder), weights(&bytes)).unwrap();
    let ours = SiglipEncoder::load(folder.to_str().unwrap(), &LoadOptions::default()).unwrap();
    for (text, vector) in TEXTS.iter().zip(ours.encode_texts(&TEXTS).unwrap()) {
        let ids = row(&ours.tokenize(text).unwrap()[0]);
        assert_near(&vector, &theirs.get_text_features(&ids).unwrap());
    }
    let pictures = pictures(32);
    let vectors = ours.encode_images(&pictures).unwrap();
    let expected = theirs.get_image_features(&batch(&pictures, 32)).unwrap();
    assert_near(&vectors.concat(), &expected);
}

#[test]
fn clip_is_candle_transformers_too() {
    // That of make_open_clip.py, of which the shards have the weights.
    let (layers, heads, width, mlp, projection_dim) = (1, 2, 32, 48, 24);
    let model = tempfile::tempdir().unwrap();
    let copy = |name: &str, to: &str| {
        std::fs::copy(folder("open-clip").join(name), model.path().join(to)).unwrap();
    };
    copy("transformers/config.json", "config.json");
    copy("transformers/pytorch_model.bin", "pytorch_model.bin");
    copy("tokens/vocab.json", "vocab.json");
    copy("tokens/merges.txt", "merges.txt");
    let theirs = clip::ClipConfig {
        text_config: ClipTextConfig {
            vocab_size: vocabulary(model.path()),
            embed_dim: width,
            activation: Activation::QuickGelu,
            intermediate_size: mlp,
            max_position_embeddings: 12,
            pad_with: None,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            projection_dim,
        },
        vision_config: ClipVisionConfig {
            embed_dim: width,
            activation: Activation::QuickGelu,
            intermediate_size: mlp,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            projection_dim,
            num_channels: 3,
            image_size: 32,
            patch_size: 8,
        },
        logit_scale_init_value: 2.6592,
        image_size: 32,
    };
    let weights = model.path().join("pytorch_model.bin");
    let weights = VarBuilder::from_pth(weights, DType::F32, &Device::Cpu).unwrap();
    let theirs = clip::ClipModel::new(weights, &theirs).unwrap();
    let path = model.path().to_str().unwrap();
    let ours = ClipEncoder::load(path, &LoadOptions::default()).unwrap();
    let texts = ["A sailor finds the river.", "robot meets witch"];
    for (text, vector) in texts.iter().zip(ours.encode_texts(&texts).unwrap()) {
        let ids = row(&ours.tokenize(text).unwrap()[0]);
        assert_near(&vector, &theirs.get_text_features(&ids).unwrap());
    }
    let pictures = pictures(32);
    let vectors = ours.encode_images(&pictures).unwrap();
    let expected = theirs.get_image_features(&batch(&pictures, 32)).unwrap();
    assert_near(&vectors.concat(), &expected);
}

fn vocabulary(model: &Path) -> usize {
    let tokens = std::fs::read(model.join("vocab.json")).unwrap();
    let tokens: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&tokens).unwrap();
    tokens.len()
}
