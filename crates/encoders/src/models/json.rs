//! Configuration files.

use serde::de::DeserializeOwned;

use crate::models::source::SmallFile;
use crate::{Error, Result};

/// Parses a JSON file of a model.
pub(crate) fn parse<T: DeserializeOwned>(file: &SmallFile) -> Result<T> {
    serde_json::from_slice(&file.bytes).map_err(|error| Error::Config {
        path: file.path.clone(),
        problem: error.into(),
    })
}

/// Parses the configuration of a model; `problem` says what is wrong with it.
pub(crate) fn parse_config<T: DeserializeOwned>(
    file: &SmallFile,
    problem: impl FnOnce(&T) -> Option<String>,
) -> Result<T> {
    let config = parse(file)?;
    match problem(&config) {
        None => Ok(config),
        Some(problem) => Err(Error::Config {
            path: file.path.clone(),
            problem: problem.into(),
        }),
    }
}
