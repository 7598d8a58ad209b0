//! Which files a model's weights lie in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::models::json::{parse, unusable};
use crate::models::source::{ModelFiles, SmallFile};
use crate::{Error, Result};

/// As transformers looks for them, in its order, …
pub(crate) const OF_HUGGING_FACE: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
/// … and as OpenCLIP does.
pub(crate) const OF_OPEN_CLIP: [&str; 2] =
    ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"];
/// What stands behind the name of a file that says which files the tensors lie in.
const INDEX: &str = ".index.json";
/// The most files that a model is cut into.
const MOST_SHARDS: usize = 1 << 10;

/// `model.safetensors.index.json`, or PyTorch's.
#[derive(Deserialize)]
struct Index {
    /// The file of each tensor.
    weight_map: BTreeMap<String, String>,
}

/// The files of the weights in `folder`, which is empty or ends with `/`: the first of `names`
/// that is there, or those that its index names.
///
/// # Errors
/// Where there are none; an index that names none, or files elsewhere.
pub(crate) fn weights_of(
    files: &ModelFiles,
    folder: &str,
    names: [&str; 2],
) -> Result<Vec<PathBuf>> {
    for name in names.map(|name| format!("{folder}{name}")) {
        if let Some(path) = files.optional_file(&name)? {
            return Ok(vec![path]);
        }
        if let Some(index) = files.read_optional(&format!("{name}{INDEX}"))? {
            let shards = shards(&index)?;
            let shards = shards
                .iter()
                .map(|shard| files.file(&format!("{folder}{shard}")));
            return shards.collect();
        }
    }
    Err(none_of(files, folder, names))
}

/// What else a folder of a model may hold its weights as.
const OTHERS: [&str; 7] = [
    ".safetensors",
    ".bin",
    ".pt",
    ".h5",
    ".msgpack",
    ".onnx",
    ".gguf",
];

/// There are no weights; where it can be seen, what there is instead.
fn none_of(files: &ModelFiles, folder: &str, names: [&str; 2]) -> Error {
    let wanted = names.map(|name| format!("{folder}{name}")).join(" or ");
    match files {
        ModelFiles::Folder(dir) => {
            let found = others(&dir.join(folder));
            let instead = match found.is_empty() {
                true => String::new(),
                false => format!(" (it has {}, which is not read)", found.join(", ")),
            };
            Error::MissingFile {
                dir: dir.clone(),
                file: format!("{wanted}{instead}"),
            }
        }
        ModelFiles::Hub(model) => Error::Hub {
            model: model.id().to_owned(),
            file: wanted,
            folder: None,
            problem: "the model has no such file".into(),
        },
    }
}

/// Files that look like weights.
fn others(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> = names
        .filter(|name| OTHERS.iter().any(|end| name.ends_with(end)))
        .collect();
    found.sort_unstable();
    found.truncate(3);
    found
}

/// The files that an index names, each once.
fn shards(file: &SmallFile) -> Result<BTreeSet<String>> {
    let bad = |problem: String| unusable(file, problem);
    let index: Index = parse(file)?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    if shards.is_empty() || shards.len() > MOST_SHARDS {
        let count = shards.len();
        return Err(bad(format!(
            "it names {count} files of weights, not 1 to {MOST_SHARDS}"
        )));
    }
    let stray = shards.iter().find(|name| !is_plain(name));
    match stray {
        None => Ok(shards),
        Some(name) => Err(bad(format!("'{name}' is no file beside it"))),
    }
}

/// A name without folders.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(map: &str) -> Result<BTreeSet<String>> {
        shards(&SmallFile {
            path: "model.safetensors.index.json".into(),
            bytes: format!(r#"{{"metadata": {{"total_size": 8}}, "weight_map": {map}}}"#).into(),
        })
    }

    #[test]
    fn an_index_names_files_beside_it() {
        let found = read(r#"{"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "x"}"#);
        assert_eq!(found.unwrap().len(), 2);
        for stray in ["", "../x", "/etc/passwd", "a/b", "..", r"a\\b", "c:x"] {
            let error = read(&format!(r#"{{"a": "{stray}"}}"#)).unwrap_err();
            assert!(error.to_string().contains("no file beside it"), "{error}");
        }
        assert!(read("{}").unwrap_err().to_string().contains("0 files"));
    }
}
