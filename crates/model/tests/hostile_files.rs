//! Files of weights that lie about their size: an error at once, never a panic, and no
//! memory for what is not there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::{Duration, Instant};

use mmdlrm_model::{
    BottomConfig, Combine, Compression, Dlrm, DlrmConfig, Interaction, ModalityConfig, NextItem,
    NextItemConfig, Pooling, Side, TableConfig,
};
use serde_json::{Value, json};

/// What each number of a header is replaced by.
const NUMBERS: [u64; 8] = [0, 1, 5, 1 << 31, 1 << 32, 1 << 35, 1 << 63, u64::MAX];
/// For all mutants of a file.
const SOON: Duration = Duration::from_secs(20);

/// One of everything that takes place in the layout.
fn dlrm() -> Dlrm {
    let dim = 4;
    let table = |name: &str, compression| TableConfig {
        compression,
        ..TableConfig::new(name, 9, Side::Item)
    };
    let quotient = |combine| Compression::QuotientRemainder {
        collisions: 3,
        combine,
    };
    let config = DlrmConfig {
        dim,
        bottoms: vec![
            BottomConfig::new(Side::User, [0, 2], vec![3, dim]),
            BottomConfig::new(Side::Item, [1], vec![dim]),
        ],
        tables: vec![
            TableConfig {
                learned_weights: true,
                pooling: Pooling::SqrtN,
                ..TableConfig::new("plain", 5, Side::User)
            },
            TableConfig {
                dim: Some(2),
                ..table("hashed", Compression::Hashed { buckets: 4 })
            },
            table("product", quotient(Combine::Product)),
            table("cat", quotient(Combine::Cat)),
        ],
        modalities: vec![
            ModalityConfig::new("image", 5, vec![3, dim]),
            ModalityConfig::new("text", dim, Vec::new()),
        ],
        interaction: Interaction::Dot { itself: true },
        top: vec![6, 5],
        wide: true,
        dropout: 0.1,
        ..DlrmConfig::default()
    };
    Dlrm::new(config, 1).unwrap()
}

fn next_item() -> NextItem {
    let mut config = NextItemConfig::default();
    (config.dim, config.items, config.features) = (4, 6, 3);
    (config.vector, config.moments, config.lengths) = (2, 2, 2);
    config.pair_features = 2;
    NextItem::new(config, &[1; 6], 1).unwrap()
}

/// Header and data of a safetensors file.
fn parts(bytes: &[u8]) -> (Value, &[u8]) {
    let (length, rest) = bytes.split_first_chunk().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    (serde_json::from_slice(header).unwrap(), data)
}

fn file(header: &Value, data: &[u8]) -> Vec<u8> {
    let header = header.to_string().into_bytes();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], &header, data].concat()
}

/// Places of all numbers in a JSON value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(at.to_owned()),
        Value::Array(values) => {
            for (number, value) in values.iter().enumerate() {
                places(value, &format!("{at}/{number}"), found);
            }
        }
        Value::Object(values) => {
            for (key, value) in values {
                places(value, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// Every file that differs from `bytes` by one number of the header or of the
/// configuration in it.
fn mutants(bytes: &[u8], key: &str) -> Vec<(String, Vec<u8>)> {
    let (header, data) = parts(bytes);
    let config = header["__metadata__"][key].as_str().unwrap();
    let config: Value = serde_json::from_str(config).unwrap();
    let mut mutants = Vec::new();
    let (mut of_config, mut of_header) = (Vec::new(), Vec::new());
    places(&config, "", &mut of_config);
    places(&header, "", &mut of_header);
    assert!(of_config.len() > 10 && of_header.len() > 10);
    for number in NUMBERS {
        for place in &of_config {
            let mut config = config.clone();
            *config.pointer_mut(place).unwrap() = json!(number);
            let mut header = header.clone();
            header["__metadata__"][key] = json!(config.to_string());
            mutants.push((format!("{place} = {number}"), file(&header, data)));
        }
        for place in &of_header {
            let mut header = header.clone();
            *header.pointer_mut(place).unwrap() = json!(number);
            mutants.push((format!("{place} = {number}"), file(&header, data)));
        }
    }
    mutants
}

/// Reads all mutants, and holds that a file that is read is a model that fits it.
fn read_all(
    bytes: &[u8],
    key: &str,
    parameters: usize,
    read: impl Fn(&[u8]) -> mmdlrm_model::Result<usize>,
) {
    assert_eq!(read(bytes).unwrap(), parameters);
    let start = Instant::now();
    let mut refused = 0;
    for (what, bytes) in mutants(bytes, key) {
        match read(&bytes) {
            Ok(found) => assert_eq!(found, parameters, "{what}"),
            Err(_) => refused += 1,
        }
        assert!(start.elapsed() < SOON, "{what}");
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_model_file_with_any_number_in_any_place_is_read_or_refused() {
    let model = dlrm();
    let bytes = model.to_safetensors().unwrap();
    read_all(&bytes, "mmdlrm_config", model.parameters().len(), |bytes| {
        Ok(Dlrm::from_safetensors(bytes)?.parameters().len())
    });
    let model = next_item();
    let bytes = model.to_safetensors().unwrap();
    let parameters = model.parameters().len();
    read_all(&bytes, "mmdlrm_next_item", parameters, |bytes| {
        Ok(NextItem::from_safetensors(bytes)?.parameters().len())
    });
}

/// A file as it would be for a model of any size, but without the numbers.
#[test]
fn a_file_that_asks_for_more_than_it_holds_is_refused_before_memory_is_taken() {
    let bytes = dlrm().to_safetensors().unwrap();
    let (header, data) = parts(&bytes);
    let config = header["__metadata__"]["mmdlrm_config"].as_str().unwrap();
    let mut config: Value = serde_json::from_str(config).unwrap();
    // 60 GB, which the configuration may have.
    config["tables"][0]["rows"] = json!(u32::MAX);
    let mut header = header.clone();
    header["__metadata__"]["mmdlrm_config"] = json!(config.to_string());
    let start = Instant::now();
    let error = Dlrm::from_safetensors(&file(&header, data)).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1));
    let expected = "'emb_l.0.weight' is [5, 4], not [4294967295, 4]";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn a_hundred_thousand_tables_without_numbers_are_refused_at_once() {
    let bytes = dlrm().to_safetensors().unwrap();
    let (mut header, data) = parts(&bytes);
    let config = header["__metadata__"]["mmdlrm_config"].as_str().unwrap();
    let mut config: Value = serde_json::from_str(config).unwrap();
    let tables = (0..100_000).map(|number| {
        let mut table = config["tables"][0].clone();
        table["name"] = json!(number.to_string());
        table
    });
    config["tables"] = tables.collect();
    config["interaction"] = json!({"kind": "cat"});
    header["__metadata__"]["mmdlrm_config"] = json!(config.to_string());
    let bytes = file(&header, data);
    let start = Instant::now();
    assert!(Dlrm::from_safetensors(&bytes).is_err());
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn parameters_that_are_no_numbers_are_refused() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut model = dlrm();
        model.parameters_mut().tables[2]
            .store_mut()
            .as_mut_slice()
            .unwrap()[7] = value;
        let error = Dlrm::from_safetensors(&model.to_safetensors().unwrap());
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("'emb_l.1.embs.weight'") || error.contains("at 7"),
            "{error}"
        );
        let mut model = next_item();
        model.parameters_mut()[3] = value;
        let error = NextItem::from_safetensors(&model.to_safetensors().unwrap());
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("history_items.weight has a number at 3"),
            "{error}"
        );
    }
}

/// A PyTorch checkpoint with any byte changed, or cut short anywhere.
#[cfg(feature = "pytorch")]
#[test]
fn a_checkpoint_of_pytorch_that_is_damaged_is_read_or_refused() {
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/pytorch/dlrm.pt"
    );
    let Ok(whole) = std::fs::read(golden) else {
        return eprintln!("skipped: there is no {golden}");
    };
    let folder = std::env::temp_dir().join(format!("mmdlrm-hostile-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("dlrm.pt");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        // Of one file: there are thousands, and others may be at work.
        let start = Instant::now();
        let model = Dlrm::from_pytorch(&path);
        assert!(start.elapsed() < SOON);
        let model = model?;
        Ok::<_, mmdlrm_model::Error>((model.config().clone(), model.parameters().clone()))
    };
    let whole_model = read(&whole).unwrap();
    for at in (0..whole.len()).step_by(3) {
        for change in [1u8, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            // Times of the archive's members, say.
            if let Ok(found) = read(&bytes) {
                assert_eq!(found, whole_model, "{at} {change}");
            }
        }
        if at % 5 == 0 {
            assert!(read(&whole[..at]).is_err(), "{at}");
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}
