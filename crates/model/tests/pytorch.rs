//! Checkpoints of DLRMs that PyTorch wrote.
#![cfg(feature = "pytorch")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use mmdlrm_model::{Dlrm, DlrmConfig, Inputs, Interaction, Side, TableConfig, TableInput};
use serde_json::Value;

/// The golden files are the repository's, not the package's.
fn golden(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(name);
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn a_checkpoint_is_the_same_in_every_format_and_wrapper() {
    let Some(plain) = golden("pytorch/dlrm.pt") else {
        return;
    };
    let plain = Dlrm::from_pytorch(plain).unwrap();
    for file in ["pytorch/dlrm-old.pt", "pytorch/dlrm-parts.pt"] {
        let path = golden(file).unwrap();
        let found = Dlrm::from_pytorch(&path).unwrap();
        assert_eq!(found.config(), plain.config(), "{file}");
        assert_eq!(found.parameters(), plain.parameters(), "{file}");
        let mut other = Dlrm::new(plain.config().clone(), 3).unwrap();
        other.load_pytorch(&path).unwrap();
        assert_eq!(other.parameters(), plain.parameters(), "{file}");
    }
}

fn torchrec() -> Option<(PathBuf, Value)> {
    let values = std::fs::read(golden("pytorch/torchrec.json")?).unwrap();
    Some((
        golden("pytorch/torchrec.pt")?,
        serde_json::from_slice(&values).unwrap(),
    ))
}

fn floats(values: &Value) -> Vec<f32> {
    serde_json::from_value(values.clone()).unwrap()
}

#[test]
fn a_dlrm_of_torchrec_predicts_what_torchrec_does() {
    let Some((path, values)) = torchrec() else {
        return;
    };
    let model = Dlrm::from_pytorch(&path).unwrap();
    let ids: Vec<Vec<u32>> = serde_json::from_value(values["ids"].clone()).unwrap();
    let names: Vec<&str> = model
        .config()
        .tables
        .iter()
        .map(|table| table.name.as_str())
        .collect();
    assert_eq!(names[9..], ["t_cat_9", "t_cat_10", "t_cat_11"]);
    let tables: Vec<TableInput> = ids.iter().map(|ids| TableInput::Single(ids)).collect();
    let inputs = Inputs {
        dense: &floats(&values["dense"]),
        tables: &tables,
        modalities: &[],
    };
    let mut predictions = Vec::new();
    model.predict(&inputs, &mut predictions).unwrap();
    let expected = floats(&values["predictions"]);
    assert_eq!(predictions.len(), expected.len());
    for (found, expected) in predictions.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn a_dlrm_of_torchrec_loads_into_a_model_of_its_tables_in_their_order() {
    let Some((path, _)) = torchrec() else { return };
    let whole = Dlrm::from_pytorch(&path).unwrap();
    let load = |change: &dyn Fn(&mut DlrmConfig)| {
        let mut config = whole.config().clone();
        change(&mut config);
        let mut model = Dlrm::new(config, 3).unwrap();
        let loaded = model.load_pytorch(&path);
        loaded.map(|()| model).map_err(|error| error.to_string())
    };
    assert_eq!(load(&|_| {}).unwrap().parameters(), whole.parameters());
    let renamed = load(&|config| {
        for (number, table) in config.tables.iter_mut().enumerate() {
            table.name = format!("table {number}");
        }
    });
    assert_eq!(renamed.unwrap().parameters(), whole.parameters());
    // Tables of one height would be swapped in silence.
    let error = load(&|config| config.tables.swap(0, 1)).unwrap_err();
    assert!(
        error.contains("the order t_cat_0, t_cat_1, t_cat_2"),
        "{error}"
    );
    let error = load(&|config| config.interaction = Interaction::Cat).unwrap_err();
    assert!(
        error.contains("interaction is dot without itself"),
        "{error}"
    );
    assert!(
        error.contains(
            "torchrec.pt holds a dictionary with the keys 'epoch', 'state_dict' (22 tensors)"
        ),
        "{error}"
    );
}

#[test]
fn a_checkpoint_of_something_else_says_what_it_holds() {
    for (file, parts) in [
        (
            "checkpoints/beside.pt",
            vec![
                "this is no DLRM",
                "'state_dict' (11 tensors)",
                "'scale' float32 []",
            ],
        ),
        (
            "checkpoints/script.pt",
            vec!["this is no DLRM", "of TorchScript"],
        ),
        (
            "checkpoints/two.pt",
            vec!["several models", "'generator' (2 tensors)"],
        ),
        (
            "checkpoints/no-tensors.pt",
            vec!["no tensor in it", "'epoch', 'loss'"],
        ),
        ("checkpoints/make.py", vec!["a text that begins with"]),
    ] {
        let Some(path) = golden(file) else { return };
        let found = Dlrm::from_pytorch(&path).unwrap_err().to_string();
        let mut model = Dlrm::new(DlrmConfig::default(), 1).unwrap();
        let loaded = model.load_pytorch(&path).unwrap_err().to_string();
        for error in [found, loaded] {
            for part in parts.iter().chain([&file]) {
                assert!(error.contains(part), "{part}: {error}");
            }
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}

#[test]
fn a_model_of_other_tables_is_told_with_what_the_file_holds() {
    let Some(path) = golden("pytorch/dlrm-old.pt") else {
        return;
    };
    let config = DlrmConfig {
        tables: vec![TableConfig::new("user", 7, Side::User)],
        ..DlrmConfig::default()
    };
    let mut model = Dlrm::new(config, 1).unwrap();
    let before = model.parameters().clone();
    let error = model.load_pytorch(&path).unwrap_err().to_string();
    assert!(
        error.contains("'emb_l.0.weight' is [50, 16], not [7, 64]"),
        "{error}"
    );
    assert!(
        error.contains("of the format before PyTorch 1.6"),
        "{error}"
    );
    assert_eq!(model.parameters(), &before);
}
