//! BERT and ResNet against transformers: tiny models with seeded weights, made
//! by `encoders/make.py`.

use std::collections::BTreeMap;
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
    let mut options = options.clone();
    options.pooling = pooling;
    BertEncoder::load(dir.to_str().unwrap(), &options).unwrap()
}

pub fn assert_near(found: &[Vec<f32>], expected: &[Vec<f32>], most: f32) {
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

#[derive(Deserialize)]
struct SentenceGolden {
    texts: Vec<String>,
    cases: Vec<SentenceCase>,
}

/// Files around the BERT, by name, and what comes out.
#[derive(Deserialize)]
struct SentenceCase {
    name: String,
    files: BTreeMap<String, serde_json::Value>,
    vectors: Vec<Vec<f32>>,
}

/// The BERT with a case's files around it.
fn sentence_folder(files: &BTreeMap<String, serde_json::Value>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(self::folder("bert").join(file), folder.path().join(file)).unwrap();
    }
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content.to_string()).unwrap();
        if name.ends_with("_Dense/config.json") {
            let weights = match content["bias"] == true {
                true => "dense.safetensors",
                false => "wide.safetensors",
            };
            let weights = self::folder("sentence").join(weights);
            std::fs::copy(weights, path.with_file_name("model.safetensors")).unwrap();
        }
    }
    folder
}

#[test]
fn golden_modules_are_applied_as_sentence_transformers_does() {
    let golden: SentenceGolden = read_json(&folder("sentence").join("golden.json"));
    let texts: Vec<&str> = golden.texts.iter().map(String::as_str).collect();
    let mut identities = Vec::new();
    for case in &golden.cases {
        println!("{}", case.name);
        let dir = sentence_folder(&case.files);
        let model = bert(dir.path(), None, &LoadOptions::default());
        assert_eq!(model.text_width(), case.vectors[0].len());
        let found = model.encode_texts(&texts).unwrap();
        assert_near(&found, &case.vectors, EXACT);
        identities.push(model.text_identity().clone());
    }
    // The same, written in two ways, is the same model, but for where the folder lies.
    for mode in 0..6 {
        let (legacy, new) = (&identities[mode], &identities[6 + mode]);
        assert_eq!((&legacy.hash, &legacy.pooling), (&new.hash, &new.pooling));
    }
}

#[test]
fn a_sentence_transformer_in_a_folder_of_its_own_is_found_there() {
    let golden: SentenceGolden = read_json(&folder("sentence").join("golden.json"));
    let texts: Vec<&str> = golden.texts.iter().map(String::as_str).collect();
    let case = golden.cases.iter().find(|it| it.name == "legacy mean");
    let case = case.unwrap();
    let dir = sentence_folder(&case.files);
    let within = dir.path().join("0_Transformer");
    std::fs::create_dir(&within).unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::rename(dir.path().join(file), within.join(file)).unwrap();
    }
    let modules = case.files["modules.json"].to_string();
    let modules = modules.replacen(r#""path":"""#, r#""path":"0_Transformer""#, 1);
    std::fs::write(dir.path().join("modules.json"), modules).unwrap();
    let found = bert(dir.path(), None, &LoadOptions::default());
    assert_near(&found.encode_texts(&texts).unwrap(), &case.vectors, EXACT);
}

#[test]
fn modules_that_are_not_known_or_do_not_fit_are_refused_by_name() {
    let golden: SentenceGolden = read_json(&folder("sentence").join("golden.json"));
    let case = golden
        .cases
        .iter()
        .find(|it| it.name == "dense, normalised");
    let case = case.unwrap();
    let refused = |change: &dyn Fn(&Path), pooling: Option<Pooling>, why: &str| {
        let dir = sentence_folder(&case.files);
        change(dir.path());
        let model = dir.path().to_str().unwrap();
        let mut options = LoadOptions::default();
        options.pooling = pooling;
        let error = BertEncoder::load(model, &options).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    };
    let edit = |dir: &Path, file: &str, from: &str, to: &str| {
        let path = dir.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    };
    let modules = |from: &'static str, to: &'static str| {
        move |dir: &Path| edit(dir, "modules.json", from, to)
    };
    refused(
        &modules("models.Dense", "models.LSTM"),
        None,
        "module 2 is 'LSTM'",
    );
    refused(
        &modules("models.Pooling", "models.CNN"),
        None,
        "module 1 is 'CNN'",
    );
    refused(
        &modules("2_Dense", "../2_Dense"),
        None,
        "leads out of the model's folder",
    );
    let foreign = modules("sentence_transformers.models.Dense", "my.models.Dense");
    refused(&foreign, None, "module 2 is 'my.models.Dense'");
    let alone = |dir: &Path| {
        let transformer = r#"[{"path": "", "type": "sentence_transformers.models.Transformer"}]"#;
        std::fs::write(dir.join("modules.json"), transformer).unwrap();
    };
    refused(&alone, None, "it has no Pooling");
    let arguments = |dir: &Path| {
        let config = r#"{"tokenizer_args": {"model_max_length": 6}}"#;
        std::fs::write(dir.join("sentence_bert_config.json"), config).unwrap();
    };
    refused(&arguments, None, "tokenizer_args has model_max_length");
    let narrow = |dir: &Path| edit(dir, "2_Dense/config.json", "24", "23");
    refused(&narrow, None, "shape mismatch for linear.weight");
    let odd = |dir: &Path| {
        edit(
            dir,
            "2_Dense/config.json",
            "activation.Tanh",
            "activation.ELU",
        )
    };
    refused(&odd, None, "activation.ELU");
    let gone = |dir: &Path| std::fs::remove_file(dir.join("2_Dense/model.safetensors")).unwrap();
    refused(&gone, None, "has no 2_Dense/model.safetensors");
    let pooled_twice = |dir: &Path| {
        edit(
            dir,
            "1_Pooling/config.json",
            r#""pooling_mode_cls_token":false"#,
            r#""pooling_mode_cls_token":true"#,
        );
    };
    refused(
        &pooled_twice,
        None,
        "it takes vectors of 24 numbers, and pooling leaves 48",
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
        let resnet = ResNetEncoder::load(dir.to_str().unwrap(), &LoadOptions::default()).unwrap();
        assert_eq!(resnet.image_width(), golden.pooled[0].len());
        let found = resnet.encode_images(&pictures).unwrap();
        assert_near(&found, &golden.pooled, EXACT);
        // candle's operations, in half precision.
        let half = LoadOptions::default().with_dtype(DType::F16);
        let half = ResNetEncoder::load(dir.to_str().unwrap(), &half).unwrap();
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
    let config = r#"{"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224},
        "resample": 3, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}"#;
    let write = |name: &str, text: &str| {
        std::fs::write(folder_of_clip.path().join(name), text).unwrap();
    };
    let path = folder_of_clip.path().to_str().unwrap();
    let load = || ResNetEncoder::load(path, &LoadOptions::default()).unwrap();
    write("preprocessor_config.json", config);
    let older = load();
    // As transformers 5 writes it, which holds where both are there.
    write(
        "preprocessor_config.json",
        r#"{"size": {"shortest_edge": 7}}"#,
    );
    let nested = format!(r#"{{"image_processor": {config}, "processor_class": "CLIPProcessor"}}"#);
    write("processor_config.json", &nested);
    let encoder = load();
    assert_eq!(encoder.image_identity().hash, older.image_identity().hash);
    assert_eq!(
        encoder.image_identity().preprocessing,
        older.image_identity().preprocessing
    );
    // Each with that whose pixels it has.
    for (name, same_as) in [
        ("poster.jpg", "poster.jpg"),
        ("cut.jpg", "cut.jpg"),
        ("wide.jpg", "wide.jpg"),
        ("grey.jpg", "grey.jpg"),
        ("small.png", "small.png"),
        ("clear.png", "clear.png"),
        ("grey-clear.png", "grey-clear.png"),
        ("palette-clear.png", "palette-clear.png"),
        ("lossy.webp", "lossy.webp"),
        ("lossy-clear.webp", "lossy-clear.webp"),
        ("lossless.webp", "small.png"),
        ("animated.webp", "small.png"),
        ("clear.webp", "clear.png"),
        ("palette.gif", "palette.gif"),
        ("hole.gif", "hole.gif"),
        ("animated.gif", "palette.gif"),
        ("small.bmp", "small.png"),
        ("four-bytes.bmp", "small.png"),
        ("palette.bmp", "palette.gif"),
        ("runs.bmp", "palette.gif"),
    ] {
        let file = folder("pictures").join(name);
        let found = encoder
            .prepare_image(&std::fs::read(&file).unwrap())
            .unwrap();
        let expected = folder("pictures").join(format!("{same_as}.pillow.png"));
        let expected = image::open(expected).unwrap().into_rgb8();
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
