//! BERT's relatives against transformers: tiny models with seeded weights, made by
//! `encoders/make_relatives.py`.

use mmdlrm::encoders::{BertEncoder, DType, LoadOptions, Pooling, TextEncoder};
use serde::Deserialize;

use crate::encoders::folder;
use crate::{read_json, relative_error};

#[derive(Deserialize)]
struct Golden {
    texts: Vec<String>,
    input_ids: Vec<Vec<u32>>,
    cls: Vec<Vec<f32>>,
    mean: Vec<Vec<f32>>,
}

const RELATIVES: [&str; 5] = [
    "bert-framed",
    "distilbert",
    "mpnet",
    "roberta",
    "xlm-roberta",
];

#[test]
fn golden_relatives_of_bert_equal_transformers() {
    for name in RELATIVES {
        let dir = folder("relatives").join(name);
        let golden: Golden = read_json(&dir.join("golden.json"));
        let texts: Vec<&str> = golden.texts.iter().map(String::as_str).collect();
        let load = |pooling, options: &LoadOptions| {
            let options = options.clone().with_pooling(pooling);
            BertEncoder::load(dir.to_str().unwrap(), &options).unwrap()
        };
        let exact = LoadOptions::default();
        for (pooling, expected) in [(Pooling::Cls, &golden.cls), (Pooling::Mean, &golden.mean)] {
            let model = load(pooling, &exact);
            let found = model.encode_texts(&texts).unwrap();
            for (number, text) in texts.iter().enumerate() {
                let ids = &model.tokenize(text).unwrap()[0];
                assert_eq!(ids, &golden.input_ids[number], "{name}: {text}");
                let error = relative_error(&found[number], &expected[number]);
                assert!(error < 1e-4, "{name}, {text}: {error}");
            }
        }
        // By candle's operations, of few digits.
        let half = load(Pooling::Cls, &exact.with_dtype(DType::F16));
        for (found, expected) in half.encode_texts(&texts).unwrap().iter().zip(&golden.cls) {
            let error = relative_error(found, expected);
            assert!(error < 0.02, "{name}: {error}");
        }
    }
}
