//! DINOv2 and SigLIP against transformers: tiny models with seeded weights, made by
//! `encoders/make_vision.py`.

use mmdlrm::encoders::{
    DType, Dinov2Encoder, ImageEncoder, LoadOptions, SiglipEncoder, TextEncoder,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

use crate::encoders::{assert_near, folder, made_up_pixels};
use crate::read_json;

const EXACT: f32 = 1e-4;

fn copy(from: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

#[test]
fn golden_dinov2s_equal_transformers_on_pictures_of_any_size() {
    for name in ["dinov2", "dinov2-giant", "dinov2-registers"] {
        let dir = folder("vision").join(name);
        let golden: BTreeMap<String, serde_json::Value> = read_json(&dir.join("golden.json"));
        for side in [42, 28, 56, 32] {
            let dir = copy(&dir);
            let config = format!(
                r#"{{"image_processor_type": "BitImageProcessor",
                    "size": {{"shortest_edge": {side}}},
                    "crop_size": {{"height": {side}, "width": {side}}}}}"#
            );
            std::fs::write(dir.path().join("preprocessor_config.json"), config).unwrap();
            let expected = golden[&format!("pooled_{side}")].clone();
            let expected: Vec<Vec<f32>> = serde_json::from_value(expected).unwrap();
            let pictures = made_up_pixels(2, 3 * side * side);
            let load = |options: &LoadOptions| {
                let model = Dinov2Encoder::load(dir.path().to_str().unwrap(), options).unwrap();
                model.encode_images(&pictures).unwrap()
            };
            assert_near(&load(&LoadOptions::default()), &expected, EXACT);
            // candle's operations, in half precision.
            let half = LoadOptions::default().with_dtype(DType::F16);
            assert_near(&load(&half), &expected, 0.02);
        }
    }
}

#[derive(Deserialize)]
struct SiglipGolden {
    texts: Vec<String>,
    input_ids: Vec<Vec<u32>>,
    text_vectors: Vec<Vec<f32>>,
    image_vectors: Vec<Vec<f32>>,
}

#[test]
fn golden_siglips_equal_transformers() {
    for name in ["siglip", "siglip2", "siglip-plain"] {
        let dir = folder("vision").join(name);
        let golden: SiglipGolden = read_json(&dir.join("golden.json"));
        let texts: Vec<&str> = golden.texts.iter().map(String::as_str).collect();
        let pictures = made_up_pixels(2, 3 * 32 * 32);
        for (options, most) in [
            (LoadOptions::default(), EXACT),
            (LoadOptions::default().with_dtype(DType::F16), 0.02),
        ] {
            let siglip = SiglipEncoder::load(dir.to_str().unwrap(), &options).unwrap();
            for (text, expected) in texts.iter().zip(&golden.input_ids) {
                assert_eq!(
                    &siglip.tokenize(text).unwrap()[0],
                    expected,
                    "{name}: {text}"
                );
            }
            let found = siglip.encode_texts(&texts).unwrap();
            assert_eq!(siglip.text_width(), found[0].len());
            assert_near(&found, &golden.text_vectors, most);
            let found = siglip.encode_images(&pictures).unwrap();
            assert_eq!(siglip.image_width(), found[0].len());
            assert_near(&found, &golden.image_vectors, most);
        }
    }
}
