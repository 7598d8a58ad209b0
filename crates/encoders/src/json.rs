//! Configuration files.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Reads a JSON file of a model.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(Error::read(path))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Config {
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

/// Reads the configuration of a model; `problem` says what is wrong with it.
pub(crate) fn read_config<T: DeserializeOwned>(
    path: &Path,
    problem: impl FnOnce(&T) -> Option<String>,
) -> Result<T> {
    let config = read_json(path)?;
    match problem(&config) {
        None => Ok(config),
        Some(problem) => Err(Error::Config {
            path: path.to_owned(),
            problem,
        }),
    }
}
