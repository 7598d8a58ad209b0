//! The final figures of a run, from the last line of its `metrics.jsonl`.

use std::io::ErrorKind;
use std::path::Path;

use mmdlrm::train::RunFolder;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{Error, Result};

/// What a run came to. The lines of epochs are neither.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Figures {
    /// Of a model that predicts ratings.
    Errors(Errors),
    /// Of one that ranks candidates.
    Ranking(Ranking),
}

#[derive(Debug, Deserialize)]
pub struct Errors {
    pub test_ratings: u64,
    pub rmse: f64,
    pub mae: f64,
    pub r2: Option<f64>,
    /// An ablation's run has none.
    pub ndcg_at_10: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub struct Ranking {
    pub users: u64,
    pub protocol: String,
    pub hit_rate_at_10: f64,
    pub ndcg_at_10: f64,
    pub mrr_at_10: f64,
}

impl Figures {
    /// Of the run in a folder, whoever is at work there.
    pub fn read(run: &Path) -> Result<Self> {
        // Says so where there is no run at all.
        RunFolder::config_of::<IgnoredAny>(run)?;
        let not_over = || Error::NotOver {
            path: run.to_owned(),
        };
        let path = run.join("metrics.jsonl");
        let lines = std::fs::read_to_string(&path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => not_over(),
            _ => Error::File { path, source },
        })?;
        let last = lines.lines().next_back().unwrap_or_default();
        serde_json::from_str(last).map_err(|_| not_over())
    }
}
