use std::path::Path;

use mmdlrm::encoders::{ClipEncoder, ImageEncoder, LoadOptions, TextEncoder};
use serde::Deserialize;

use crate::encoders::{folder, made_up_pixels};
use crate::support::shared;
use crate::{read_json, relative_error};

/// Embeddings of the same token ids: rounding only.
const SAME_INPUT: f32 = 1e-4;
/// Embeddings from the picture file: another resizer than Pillow's.
const FROM_FILE_COSINE: f32 = 0.99999;
/// Pixels from the picture file, in units of 1/255 before normalising.
const PIXEL_STEPS: f32 = 2.0;

#[derive(Deserialize)]
struct Golden {
    movie_ids: Vec<u32>,
    texts: Vec<String>,
    input_ids: Vec<Vec<u32>>,
    pixel_mean: Vec<f32>,
    pixel_first_row: Vec<Vec<f32>>,
    image_embeds: Vec<Vec<f32>>,
    text_embeds: Vec<Vec<f32>>,
}

struct Case {
    clip: ClipEncoder,
    golden: Golden,
    pictures: Vec<Vec<f32>>,
    red_deviation: f32,
}

fn case() -> Option<Case> {
    let shared = shared()?;
    let folder = shared.join("models/clip-tiny");
    let clip = ClipEncoder::load(folder.to_str().unwrap(), &LoadOptions::default()).unwrap();
    let golden: Golden = read_json(&folder.join("golden.json"));
    // None of the loops below is over nothing.
    assert_eq!((golden.movie_ids.len(), golden.texts.len()), (4, 4));
    assert_eq!(golden.input_ids.len(), golden.texts.len());
    assert_eq!(golden.text_embeds.len(), golden.texts.len());
    assert_eq!(golden.image_embeds.len(), golden.movie_ids.len());
    assert_eq!(golden.pixel_mean.len(), golden.movie_ids.len());
    let first_rows = golden.pixel_first_row.iter();
    assert!(first_rows.clone().count() == 4 && first_rows.flatten().count() > 0);
    let preprocessor: serde_json::Value = read_json(&folder.join("preprocessor_config.json"));
    let red_deviation = preprocessor["image_std"][0].as_f64().unwrap() as f32;
    let pictures = golden
        .movie_ids
        .iter()
        .map(|id| poster(&shared, *id))
        .map(|bytes| clip.prepare_image(&bytes).unwrap())
        .collect();
    Some(Case {
        clip,
        golden,
        pictures,
        red_deviation,
    })
}

fn poster(shared: &Path, movie_id: u32) -> Vec<u8> {
    let table = std::fs::read_to_string(shared.join("data/posters.csv")).unwrap();
    let prefix = format!("{movie_id},");
    let path = table
        .lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .unwrap();
    std::fs::read(shared.join("data").join(path)).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn golden_clip_tokens_equal_transformers() {
    let Some(Case { clip, golden, .. }) = case() else {
        return;
    };
    for (text, expected) in golden.texts.iter().zip(&golden.input_ids) {
        let found = clip.tokenize(text).unwrap().remove(0);
        // transformers pads with the end token.
        let (start, padding) = expected.split_at(found.len());
        assert_eq!(found, start);
        assert!(
            padding.iter().all(|id| Some(id) == found.last()),
            "{padding:?}"
        );
    }
}

#[test]
fn golden_clip_text_embeddings_equal_transformers() {
    let Some(Case { clip, golden, .. }) = case() else {
        return;
    };
    let texts: Vec<&str> = golden.texts.iter().map(String::as_str).collect();
    let together = clip.encode_texts(&texts).unwrap();
    for ((text, expected), together) in texts.iter().zip(&golden.text_embeds).zip(&together) {
        let alone = clip.encode_texts(&[text]).unwrap();
        for found in [together, &alone[0]] {
            let error = relative_error(found, expected);
            assert!(error < SAME_INPUT, "{error}");
        }
    }
}

#[test]
fn golden_clip_pixels_are_those_of_pillow() {
    let Some(Case {
        golden,
        pictures,
        red_deviation,
        ..
    }) = case()
    else {
        return;
    };
    let step = 1.0 / 255.0 / red_deviation;
    for (number, pixels) in pictures.iter().enumerate() {
        let mean = pixels.iter().sum::<f32>() / pixels.len() as f32;
        assert!((mean - golden.pixel_mean[number]).abs() < step, "{mean}");
        for (found, expected) in pixels.iter().zip(&golden.pixel_first_row[number]) {
            assert!(
                (found - expected).abs() <= PIXEL_STEPS * step,
                "{found} {expected}"
            );
        }
    }
}

#[test]
fn golden_clip_picture_embeddings_equal_transformers() {
    let Some(Case {
        clip,
        golden,
        pictures,
        ..
    }) = case()
    else {
        return;
    };
    let found = clip.encode_images(&pictures).unwrap();
    assert_eq!(found.len(), golden.image_embeds.len());
    for (found, expected) in found.iter().zip(&golden.image_embeds) {
        let cosine = cosine(found, expected);
        assert!(cosine > FROM_FILE_COSINE, "{cosine}");
    }
}

#[derive(Deserialize)]
struct PixelGolden {
    image_embeds: Vec<Vec<f32>>,
}

#[test]
fn golden_clip_pixel_embeddings_equal_transformers() {
    let Some(Case { clip, .. }) = case() else {
        return;
    };
    let golden: PixelGolden = read_json(&folder("clip-tiny-pixels.json"));
    let size = 3 * 224 * 224;
    let found = clip.encode_images(&made_up_pixels(2, size)).unwrap();
    assert_eq!(golden.image_embeds.len(), found.len());
    for (found, expected) in found.iter().zip(&golden.image_embeds) {
        let error = relative_error(found, expected);
        assert!(error < SAME_INPUT, "{error}");
    }
}

#[derive(Deserialize)]
struct OwnTokens {
    texts: Vec<String>,
    input_ids: Vec<Vec<u32>>,
    text_embeds: Vec<Vec<f32>>,
}

#[test]
fn golden_texts_that_spell_out_the_tokens_of_clip_equal_transformers() {
    let Some(shared) = shared() else { return };
    let golden: OwnTokens = read_json(&folder("clip-tiny-end.json"));
    let model = shared.join("models/clip-tiny");
    let clip = ClipEncoder::load(model.to_str().unwrap(), &LoadOptions::default()).unwrap();
    let texts: Vec<&str> = golden.texts.iter().map(String::as_str).collect();
    let found = clip.encode_texts(&texts).unwrap();
    assert_eq!(found.len(), golden.text_embeds.len());
    for (number, text) in texts.iter().enumerate() {
        assert_eq!(clip.tokenize(text).unwrap()[0], golden.input_ids[number]);
        let error = relative_error(&found[number], &golden.text_embeds[number]);
        assert!(error < SAME_INPUT, "{text}: {error}");
    }
}
