//! BERT and ResNet against transformers: tiny models with seeded weights, made
//! by `encoders/make.py`.

use std::path::{Path, PathBuf};

use mmdlrm::encoders::{
    BertEncoder, DType, ImageEncoder, LoadOptions, Pooling, ResNetEncoder, TextEncoder,
};
use serde::Deserialize;

use crate::{read_json, relative_error};

const EXACT: f32 = 1e-4;

pub fn folder(name: &str) -> PathBuf {
    crate::folder().join("encoders").join(name)
}

#[derive(Deserialize)]
struct BertGolden {
    texts: Vec<String>,
    input_ids: Vec<Vec<u32>>,
    cls: Vec<Vec<f32>>,
    mean: Vec<Vec<f32>>,
    mean_normalised: Vec<Vec<f32>>,
}

fn bert(dir: &Path, pooling: Option<Pooling>, options: &LoadOptions) -> BertEncoder {
    BertEncoder::load(dir.to_str().unwrap(), pooling, options).unwrap()
}

fn assert_near(found: &[Vec<f32>], expected: &[Vec<f32>], most: f32) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let error = relative_error(found, expected);
        assert!(error < most, "{error}");
    }
}

#[test]
fn golden_bert_equals_transformers() {
    let dir = folder("bert");
    let golden: BertGolden = read_json(&dir.join("golden.json"));
    let texts: Vec<&str> = golden.texts.iter().map(String::as_str).collect();
    let options = LoadOptions::default();
    let cls = bert(&dir, None, &options);
    for (text, expected) in texts.iter().zip(&golden.input_ids) {
        assert_eq!(&cls.tokenize(text).unwrap()[0], expected);
    }
    assert_near(&cls.encode_texts(&texts).unwrap(), &golden.cls, EXACT);
    let mean = bert(&dir, Some(Pooling::Mean), &options);
    assert_near(&mean.encode_texts(&texts).unwrap(), &golden.mean, EXACT);
    assert_ne!(cls.text_identity(), mean.text_identity());
}

#[test]
fn golden_bert_in_half_precision_is_near() {
    let dir = folder("bert");
    let golden: BertGolden = read_json(&dir.join("golden.json"));
    let texts: Vec<&str> = golden.texts.iter().map(String::as_str).collect();
    for (dtype, most) in [(DType::F16, 0.01), (DType::BF16, 0.08)] {
        let half = bert(&dir, None, &LoadOptions::default().with_dtype(dtype));
        assert_near(&half.encode_texts(&texts).unwrap(), &golden.cls, most);
    }
}

#[test]
fn golden_a_sentence_transformer_pools_as_its_folder_says() {
    let dir = folder("bert");
    let golden: BertGolden = read_json(&dir.join("golden.json"));
    let texts: Vec<&str> = golden.texts.iter().map(String::as_str).collect();
    let copy = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(dir.join(file), copy.path().join(file)).unwrap();
    }
    let write = |name: &str, text: &str| std::fs::write(copy.path().join(name), text).unwrap();
    write(
        "modules.json",
        r#"[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]"#,
    );
    std::fs::create_dir(copy.path().join("1_Pooling")).unwrap();
    write(
        "1_Pooling/config.json",
        r#"{"word_embedding_dimension": 24, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}"#,
    );
    write("sentence_bert_config.json", r#"{"max_seq_length": 16}"#);
    let sentence = bert(copy.path(), None, &LoadOptions::default());
    let found = sentence.encode_texts(&texts).unwrap();
    assert_near(&found, &golden.mean_normalised, EXACT);

    write("sentence_bert_config.json", r#"{"max_seq_length": 8}"#);
    let shorter = bert(copy.path(), None, &LoadOptions::default());
    assert!(
        texts
            .iter()
            .all(|text| shorter.tokenize(text).unwrap()[0].len() <= 8)
    );
}

/// Pixels between −1 and 1, as the scripts make them.
pub fn made_up_pixels(pictures: usize, size: usize) -> Vec<Vec<f32>> {
    let pixel = |i: usize| ((i * 7919) % 1009) as f32 / 504.5 - 1.0;
    let picture = |picture| (0..size).map(|i| pixel(picture * size + i)).collect();
    (0..pictures).map(picture).collect()
}

#[derive(Deserialize)]
struct ResNetGolden {
    pooled: Vec<Vec<f32>>,
}

#[test]
fn golden_resnets_equal_transformers_by_either_s_names() {
    const SIDE: usize = 48;
    let size = 3 * SIDE * SIDE;
    let pictures = made_up_pixels(2, size);
    for name in ["resnet-bottleneck", "resnet-basic"] {
        let dir = folder(name);
        let golden: ResNetGolden = read_json(&dir.join("golden.json"));
        let resnet =
            ResNetEncoder::load(dir.to_str().unwrap(), None, &LoadOptions::default()).unwrap();
        assert_eq!(resnet.image_width(), golden.pooled[0].len());
        let found = resnet.encode_images(&pictures).unwrap();
        assert_near(&found, &golden.pooled, EXACT);
        // candle's operations, in half precision.
        let half = LoadOptions::default().with_dtype(DType::F16);
        let half = ResNetEncoder::load(dir.to_str().unwrap(), None, &half).unwrap();
        assert_near(
            &half.encode_images(&pictures).unwrap(),
            &golden.pooled,
            0.02,
        );
    }
}

/// Pictures in the formats that posters come in, against Pillow.
#[test]
fn golden_pixels_are_within_two_steps_of_pillow_s() {
    const STEPS: f32 = 2.0;
    // Any encoder that prepares pictures as CLIP does.
    let folder_of_clip = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        let from = folder("resnet-basic").join(file);
        std::fs::copy(from, folder_of_clip.path().join(file)).unwrap();
    }
    std::fs::write(
        folder_of_clip.path().join("preprocessor_config.json"),
        r#"{"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224},
            "resample": 3, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}"#,
    )
    .unwrap();
    let path = folder_of_clip.path().to_str().unwrap();
    let encoder = ResNetEncoder::load(path, None, &LoadOptions::default()).unwrap();
    for name in ["poster.jpg", "wide.jpg", "grey.jpg", "small.png"] {
        let file = folder("pictures").join(name);
        let found = encoder
            .prepare_image(&std::fs::read(&file).unwrap())
            .unwrap();
        let expected = image::open(format!("{}.pillow.png", file.display())).unwrap();
        let expected = expected.into_rgb8();
        assert_eq!(found.len(), 3 * 224 * 224);
        for (place, pixel) in expected.pixels().enumerate() {
            for (channel, &expected) in pixel.0.iter().enumerate() {
                let found = 255.0 * found[channel * 224 * 224 + place];
                let difference = (found - f32::from(expected)).abs();
                assert!(
                    difference < STEPS + 0.01,
                    "{name} {place}: {found} {expected}"
                );
            }
        }
    }
}
