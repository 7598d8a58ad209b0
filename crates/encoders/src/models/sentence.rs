//! `modules.json` of sentence-transformers: what a model is made of, one after another.

use std::ffi::OsStr;
use std::path::{Component, Path};

use serde::Deserialize;

use crate::Result;
use crate::models::json::{parse, unusable};
use crate::models::source::{MODULES, ModelFiles, SmallFile};

/// The most modules that are read: published models have up to five.
const MOST_MODULES: usize = 16;

#[derive(Deserialize)]
pub(crate) struct Module {
    r#type: String,
    #[serde(default)]
    path: String,
}

impl Module {
    /// What it is called, without the Python module of sentence-transformers that it lies in.
    pub fn kind(&self) -> &str {
        match self.r#type.strip_prefix("sentence_transformers.") {
            Some(own) => own.rsplit('.').next().unwrap_or(own),
            None => &self.r#type,
        }
    }

    /// Its folder as it stands before a file's name: within the model's own.
    ///
    /// # Errors
    /// In words, a path that leads elsewhere.
    pub fn folder(&self) -> std::result::Result<String, String> {
        folder_of(&self.path)
    }
}

/// The modules, where the model has a `modules.json`.
pub(crate) fn read_modules(files: &ModelFiles) -> Result<Option<(SmallFile, Vec<Module>)>> {
    let Some(file) = files.read_optional(MODULES)? else {
        return Ok(None);
    };
    let modules: Vec<Module> = parse(&file)?;
    match modules.len() {
        0..=MOST_MODULES => Ok(Some((file, modules))),
        count => Err(unusable(
            &file,
            format!("it has {count} modules; at most {MOST_MODULES} are read"),
        )),
    }
}

/// Where a sentence-transformers folder keeps a CLIP, if that is what it is made of.
pub(crate) fn folder_of_clip(files: &ModelFiles) -> Result<Option<String>> {
    let Some((file, modules)) = read_modules(files)? else {
        return Ok(None);
    };
    match &modules[..] {
        [clip] if clip.kind() == "CLIPModel" => {
            let folder = clip.folder();
            folder.map(Some).map_err(|problem| unusable(&file, problem))
        }
        _ => Ok(None),
    }
}

fn folder_of(path: &str) -> std::result::Result<String, String> {
    let parts: Vec<&OsStr> = Path::new(path)
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| match part {
            Component::Normal(name) => Ok(name),
            _ => Err(format!("path '{path}' leads out of the model's folder")),
        })
        .collect::<std::result::Result<_, _>>()?;
    let parts = parts.iter().map(|part| format!("{}/", part.display()));
    Ok(parts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_lie_within_their_model() {
        assert_eq!(folder_of(""), Ok(String::new()));
        assert_eq!(folder_of("."), Ok(String::new()));
        for path in ["2_Dense", "./2_Dense/"] {
            assert_eq!(folder_of(path), Ok("2_Dense/".to_owned()));
        }
        for path in ["..", "../other", "/etc", "a/../../b"] {
            assert!(folder_of(path).is_err(), "{path}");
        }
    }
}
