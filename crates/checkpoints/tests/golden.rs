//! Checkpoints that PyTorch wrote, against what PyTorch says that they hold.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mmdlrm_checkpoints::{Checkpoint, Dtype, Format};
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    let folder = "../../tests/golden/checkpoints";
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join(name)
}

/// The golden files are the repository's, not the package's.
fn expected() -> Option<BTreeMap<String, Value>> {
    let path = golden("expected.json");
    let Ok(text) = std::fs::read(&path) else {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    };
    Some(serde_json::from_slice(&text).unwrap())
}

/// The numbers of a tensor of any type.
fn numbers(model: &Checkpoint, name: &str) -> Vec<f64> {
    let fractions = |name| model.read_f32(name).unwrap().into_iter().map(f64::from);
    match model.tensor(name).unwrap().dtype() {
        Dtype::F64 => model.read::<f64>(name).unwrap(),
        Dtype::I64 => model
            .read::<i64>(name)
            .unwrap()
            .into_iter()
            .map(|x| x as f64)
            .collect(),
        Dtype::I32 => model
            .read::<i32>(name)
            .unwrap()
            .into_iter()
            .map(f64::from)
            .collect(),
        Dtype::I16 => model
            .read::<i16>(name)
            .unwrap()
            .into_iter()
            .map(f64::from)
            .collect(),
        Dtype::I8 => model
            .read::<i8>(name)
            .unwrap()
            .into_iter()
            .map(f64::from)
            .collect(),
        Dtype::U8 => model
            .read::<u8>(name)
            .unwrap()
            .into_iter()
            .map(f64::from)
            .collect(),
        _ if ["bool", "complex", "u16", "f8"].contains(&name) => {
            let mut bytes = Vec::new();
            model
                .read_bytes(name, |part| bytes.extend_from_slice(part))
                .unwrap();
            let (pairs, quads) = (bytes.as_chunks::<2>().0, bytes.as_chunks::<4>().0);
            match name {
                "u16" => pairs
                    .iter()
                    .map(|&x| f64::from(u16::from_le_bytes(x)))
                    .collect(),
                "complex" => quads
                    .iter()
                    .map(|&x| f64::from(f32::from_le_bytes(x)))
                    .collect(),
                _ => bytes.iter().map(|&x| f64::from(x)).collect(),
            }
        }
        _ => fractions(name).collect(),
    }
}

#[test]
fn every_tensor_is_what_pytorch_says_it_is() {
    let Some(expected) = expected() else { return };
    assert!(expected.len() >= 12);
    for (file, tensors) in expected {
        let model = Checkpoint::open(golden(&file))
            .unwrap()
            .into_model()
            .unwrap();
        model.check().unwrap();
        let mut names: Vec<&str> = Vec::new();
        for tensor in tensors.as_array().unwrap() {
            let name = tensor["name"].as_str().unwrap();
            names.push(name);
            let info = model
                .tensor(name)
                .unwrap_or_else(|| panic!("{file}: no {name} in {}", model.describe()));
            let what = format!("{file} {name} {info:?}");
            assert_eq!(
                info.dtype().to_string(),
                tensor["dtype"].as_str().unwrap(),
                "{what}"
            );
            let shape: Vec<usize> = serde_json::from_value(tensor["shape"].clone()).unwrap();
            assert_eq!(info.shape(), shape, "{what}");
            let expected: Vec<f64> = serde_json::from_value(tensor["numbers"].clone()).unwrap();
            if name != "f8" {
                assert_eq!(numbers(&model, name), expected, "{what}");
            }
        }
        if !model.format().eq(&Format::TorchScript) {
            let found: Vec<&str> = model.tensors().map(|(name, _)| name).collect();
            assert_eq!(found, names, "{file}");
        }
        names.sort_unstable();
        assert_eq!(model.names().collect::<Vec<_>>(), names, "{file}");
    }
}
