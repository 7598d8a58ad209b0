//! Configuration files.

use serde::de::DeserializeOwned;

use crate::error::Cause;
use crate::models::source::SmallFile;
use crate::{Error, Result};

/// Parses a JSON file of a model.
pub(crate) fn parse<T: DeserializeOwned>(file: &SmallFile) -> Result<T> {
    serde_json::from_slice(&file.bytes).map_err(|error| unusable(file, error))
}

/// Parses the configuration of a model; `problem` says what is wrong with it.
pub(crate) fn parse_config<T: DeserializeOwned>(
    file: &SmallFile,
    problem: impl FnOnce(&T) -> Option<String>,
) -> Result<T> {
    let config = parse(file)?;
    let problem = problem(&config);
    checked(file, config, problem)
}

/// What was made of a file, unless there is something wrong with it.
pub(crate) fn checked<T>(file: &SmallFile, made: T, problem: Option<String>) -> Result<T> {
    problem.map_or(Ok(made), |problem| Err(unusable(file, problem)))
}

/// A file that cannot be used, and why.
pub(crate) fn unusable(file: &SmallFile, problem: impl Into<Cause>) -> Error {
    Error::Config {
        path: file.path.clone(),
        problem: problem.into(),
    }
}
