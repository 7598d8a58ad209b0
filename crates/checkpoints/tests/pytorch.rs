//! Checkpoints that PyTorch wrote, against what PyTorch says that they hold, and what is said
//! of files that are none.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use mmdlrm_checkpoints::{Checkpoint, Dtype, Format, Problem};
use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

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

#[test]
fn what_a_file_is_that_is_no_checkpoint_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt");
    let safetensors =
        b"\x40\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}"
            .to_vec();
    let mut tar = vec![b'a'; 512];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, part) in [
        (Vec::new(), "an empty file"),
        (
            b"\n<!DOCTYPE HTML><html><body>Log in</body></html>".to_vec(),
            "a page of HTML",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n".to_vec(),
            "git lfs pull",
        ),
        (safetensors, "a safetensors file"),
        (tar, "a tar archive"),
        (
            b"Entry not found".to_vec(),
            "a text that begins with 'Entry not found'",
        ),
        (vec![0; 100], "begins with zeros"),
        (b"\x1f\x8b\x08\0\0\0".to_vec(), "a gzip file"),
        (b"\x93NUMPY\x01\0v\0".to_vec(), "an array of numpy"),
        (b"\x07\x01\x02\x03".to_vec(), "the bytes 07 01 02 03"),
        (
            b"\x80\x04]\x94.".to_vec(),
            "a pickle of something else (it holds a list of 0 values)",
        ),
        (
            b"\x80\x03}q\0X\x01\0\0\0aK\x01s.".to_vec(),
            "a dictionary with the keys 'a'",
        ),
        (
            b"PK\x05\x06".iter().copied().chain([0; 18]).collect(),
            "an empty zip archive",
        ),
        (b"PK\x03\x04".to_vec(), "the archive is damaged"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let error = Checkpoint::open(&path).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("this is a folder"), "{error}");
    let error = Checkpoint::open(folder.path().join("none.pt")).unwrap_err();
    assert!(matches!(error.problem(), Problem::Read(_)), "{error}");
}

/// An archive of members that are stored as they are.
fn archive(members: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut archive = ZipWriter::new(file.as_file());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in members {
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
    file
}

#[test]
fn an_archive_that_is_no_checkpoint_says_what_is_in_it() {
    let empty: &[u8] = b"\x80\x02}.";
    for (members, part) in [
        (
            vec![("arr_0.npy", empty), ("arr_1.npy", empty)],
            "it has 2 members: 'arr_0.npy', 'arr_1.npy'",
        ),
        (
            vec![("a/data.pkl", empty), ("b/data.pkl", empty)],
            "several pickles",
        ),
        (vec![("a/models/model.json", empty)], "torch.export"),
        (
            vec![("a/data.pkl", empty), ("a/byteorder", b"big")],
            "a big-endian machine",
        ),
        (vec![("a/data.pkl", empty)], "it holds an empty dictionary"),
    ] {
        let file = archive(&members);
        let error = Checkpoint::open(file.path()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_archive_that_was_compressed_says_how_to_pack_it() {
    let file = archive(&[("a/data.pkl", b"\x80\x02}.")]);
    let mut bytes = std::fs::read(file.path()).unwrap();
    // Where each header names the method.
    for (header, place) in [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)] {
        let at = bytes.windows(4).position(|it| it == header).unwrap();
        bytes[at + place] = 8;
    }
    std::fs::write(file.path(), bytes).unwrap();
    let error = Checkpoint::open(file.path()).unwrap_err().to_string();
    assert!(error.contains("zip -0 -r"), "{error}");
}

fn open(name: &str) -> Option<Checkpoint> {
    expected().map(|_| Checkpoint::open(golden(name)).unwrap())
}

#[test]
fn all_tensors_of_a_file_have_the_keys_that_lead_to_them() {
    let Some(all) = open("beside.pt") else { return };
    let names: Vec<&str> = all.tensors().map(|(name, _)| name).collect();
    assert_eq!(
        names[..3],
        ["best", "state_dict.module.scale", "state_dict.module.ids"]
    );
    assert!(
        !names.iter().any(|name| name.contains("optimizer")),
        "{names:?}"
    );
    let said = all.describe();
    assert!(
        said.contains("'epoch', 'loss'") && said.contains("'state_dict' (11 tensors)"),
        "{said}"
    );
}

#[test]
fn several_models_are_told_with_their_tensors() {
    let Some(two) = open("two.pt") else { return };
    assert_eq!(two.names().len(), 13);
    let error = two.into_model().unwrap_err().to_string();
    assert!(
        error.contains("'generator' (2 tensors), 'discriminator' (11 tensors)"),
        "{error}"
    );
}

#[test]
fn a_file_without_tensors_says_what_it_holds() {
    if expected().is_none() {
        return;
    }
    for (file, part) in [
        ("no-tensors.pt", "the keys 'epoch', 'loss'"),
        ("one-tensor.pt", "one tensor, without a name"),
    ] {
        let error = Checkpoint::open(golden(file)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_tensor_of_another_kind_is_an_error_when_it_is_asked_for() {
    for file in ["odd.pt", "odd-old.pt"] {
        let Some(odd) = open(file) else { return };
        assert_eq!(odd.read_f32("dense").unwrap(), [1.0, 1.0]);
        for (name, part) in [
            ("sparse", ".to_dense()"),
            ("quantized", ".dequantize()"),
            ("expanded", ".contiguous()"),
            ("meta", "of the device 'meta'"),
            ("conjugated", "resolve_conj"),
        ] {
            assert!(odd.tensor(name).unwrap().problem().is_some(), "{name}");
            let error = odd.read_f32(name).unwrap_err().to_string();
            assert!(
                error.contains(&format!("'{name}' is")) && error.contains(part),
                "{error}"
            );
        }
    }
}

#[test]
fn a_tensor_of_another_type_or_name_is_told() {
    let Some(model) = open("beside-old.pt") else {
        return;
    };
    let model = model.into_model().unwrap();
    assert_eq!(model.format(), Format::Legacy);
    let error = model.read_f32("ids").unwrap_err().to_string();
    assert!(error.contains("'ids' is of the type int64"), "{error}");
    let error = model.read::<f32>("ids").unwrap_err().to_string();
    assert!(error.contains("int64, not float32"), "{error}");
    let error = model
        .read_f32("encoder.layers.0.weight")
        .unwrap_err()
        .to_string();
    assert!(error.contains("there is 'layers.0.weight'"), "{error}");
    assert!(error.contains("the keys 'epoch'"), "{error}");
}
