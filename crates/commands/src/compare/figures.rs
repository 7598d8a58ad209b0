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
    /// Of a model that ranks candidates.
    Ranking(Ranking),
    /// Of one over the whole catalogue.
    Catalogue(Catalogue),
}

/// Whether the run in a folder is over, whoever is at work there.
///
/// # Errors
/// [`Error::NotOver`]; a folder without a run, or that cannot be read.
pub fn is_over(run: &Path) -> Result<()> {
    Figures::read(run).map(drop)
}

/// A model may predict no stars, and an ablation's run ranks nothing.
#[derive(Debug, Deserialize)]
pub struct Catalogue {
    pub test_ratings: Option<u64>,
    pub rmse: Option<f64>,
    pub mae: Option<f64>,
    pub r2: Option<f64>,
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
        // A line that is cut off, or that of an epoch.
        match serde_json::from_str(last) {
            Ok(Self::Catalogue(Catalogue {
                rmse: None,
                ndcg_at_10: None,
                ..
            }))
            | Err(_) => Err(not_over()),
            Ok(figures) => Ok(figures),
        }
    }
}
