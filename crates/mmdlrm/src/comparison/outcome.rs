//! What one model with one seed came to, user by user, in a file.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use mmdlrm_metrics::PerUser;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;

/// A model that was trained and measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// What it was learned from and with: another's file is not taken for this one's.
    pub identity: String,
    pub model: String,
    pub seed: u64,
    /// As validation rows chose them.
    pub settings: Value,
    pub parameters: usize,
    /// Of training alone.
    pub seconds: f64,
    /// Most memory that the process held while it was trained, in MiB, where the system tells.
    pub peak_mib: Option<u64>,
    /// Where it predicts stars.
    pub errors: Option<UserErrors>,
    pub rankings: Vec<UserRanking>,
}

/// Errors of the held-out ratings, in stars, one a user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct UserErrors {
    pub squares: Vec<f64>,
    pub absolutes: Vec<f64>,
    pub counts: Vec<f64>,
}

/// Figures of a protocol, one a metric of each user who has any.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct UserRanking {
    pub protocol: String,
    pub metrics: Vec<String>,
    /// `[users][metrics]`.
    pub users: Vec<Vec<f64>>,
}

/// What validation rows chose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Choice {
    pub identity: String,
    /// Which of the settings that were tried, from 0.
    pub number: usize,
    /// How many epochs, where they have any.
    pub epochs: Option<usize>,
}

impl Outcome {
    /// Whether there are as many figures as there should be.
    pub fn is_sound(&self) -> bool {
        let errors = self.errors.iter();
        let mut errors = errors.map(|it| [it.squares.len(), it.absolutes.len(), it.counts.len()]);
        let mut rankings = self.rankings.iter().map(|it| (it.metrics.len(), &it.users));
        errors.all(|[squares, absolutes, counts]| squares == counts && absolutes == counts)
            && rankings.all(|(metrics, users)| users.iter().all(|user| user.len() == metrics))
    }
}

impl UserErrors {
    /// Mean squared errors.
    pub fn squared(&self) -> Result<PerUser> {
        sums(&self.squares, &self.counts)
    }

    /// Mean absolute errors.
    pub fn absolute(&self) -> Result<PerUser> {
        sums(&self.absolutes, &self.counts)
    }
}

fn sums(sums: &[f64], counts: &[f64]) -> Result<PerUser> {
    let mut per_user = PerUser::default();
    for (&sum, &count) in sums.iter().zip(counts) {
        per_user.add_sum(sum, count)?;
    }
    Ok(per_user)
}

/// Reads what an earlier comparison left; `None` where there is nothing, or what is there is not
/// whole, or `is_this` does not take it.
pub(super) fn read<T: for<'a> Deserialize<'a>>(
    path: &Path,
    is_this: impl FnOnce(&T) -> bool,
) -> Result<Option<T>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let path = path.to_owned();
            return Err(mmdlrm_data::Error::Read { path, source }.into());
        }
    };
    Ok(serde_json::from_slice(&text).ok().filter(is_this))
}

/// Where there is none yet.
pub(super) fn create_folder(path: &Path) -> Result<()> {
    let failed = |source| mmdlrm_data::Error::Write {
        path: path.to_owned(),
        source,
    };
    Ok(std::fs::create_dir_all(path).map_err(failed)?)
}

/// Whole or absent.
pub(super) fn write(path: &Path, text: &[u8]) -> Result<()> {
    let beside = path.with_extension("partial");
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    });
    let failed = |source| mmdlrm_data::Error::Write {
        path: path.to_owned(),
        source,
    };
    Ok(written.map_err(failed)?)
}
