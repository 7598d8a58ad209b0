//! How sentence-transformers makes one vector of the tokens'.

use serde::Deserialize;

use crate::models::json::parse;
use crate::models::source::SmallFile;
use crate::{Error, Pooling, Result};

/// Flags of older versions, and the mode, or modes, of newer ones.
#[derive(Deserialize)]
pub(super) struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
    pooling_mode: Option<Modes>,
    include_prompt: Option<bool>,
}

/// Each of them once, and a few more.
const MOST_MODES: usize = 8;

#[derive(Deserialize)]
#[serde(untagged)]
enum Modes {
    One(String),
    Several(Vec<String>),
}

impl PoolingConfig {
    pub fn read(file: &SmallFile) -> Result<Vec<Pooling>> {
        let config: Self = parse(file)?;
        config.modes().map_err(|problem| Error::Config {
            path: file.path.clone(),
            problem: problem.into(),
        })
    }

    fn modes(&self) -> std::result::Result<Vec<Pooling>, String> {
        if self.include_prompt == Some(false) {
            return Err("include_prompt is false; only whole texts are pooled".to_owned());
        }
        let of_name = |name: &String| match name.as_str() {
            "cls" => Ok(Pooling::Cls),
            "max" => Ok(Pooling::Max),
            "mean" => Ok(Pooling::Mean),
            "mean_sqrt_len_tokens" => Ok(Pooling::MeanSqrtLen),
            "weightedmean" => Ok(Pooling::WeightedMean),
            "lasttoken" => Ok(Pooling::LastToken),
            other => Err(format!(
                "pooling_mode is '{other}'; supported are cls, max, mean, mean_sqrt_len_tokens, \
                 weightedmean and lasttoken"
            )),
        };
        match &self.pooling_mode {
            Some(Modes::One(name)) => return Ok(vec![of_name(name)?]),
            Some(Modes::Several(names)) if names.is_empty() || names.len() > MOST_MODES => {
                let count = names.len();
                return Err(format!(
                    "pooling_mode names {count}; one to {MOST_MODES} are supported"
                ));
            }
            Some(Modes::Several(names)) => return names.iter().map(of_name).collect(),
            None => {}
        }
        // In the order in which they stand in a vector.
        let flags = [
            (self.pooling_mode_cls_token, Pooling::Cls),
            (self.pooling_mode_max_tokens, Pooling::Max),
            (self.pooling_mode_mean_tokens, Pooling::Mean),
            (self.pooling_mode_mean_sqrt_len_tokens, Pooling::MeanSqrtLen),
            (self.pooling_mode_weightedmean_tokens, Pooling::WeightedMean),
            (self.pooling_mode_lasttoken, Pooling::LastToken),
        ];
        let modes = flags.into_iter().filter(|(is_set, _)| *is_set);
        let modes: Vec<Pooling> = modes.map(|(_, mode)| mode).collect();
        Ok(match modes.is_empty() {
            true => vec![Pooling::Mean],
            false => modes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pooled_otherwise_is_named() {
        let modes = |json: &str| serde_json::from_str::<PoolingConfig>(json).unwrap().modes();
        for (json, word) in [
            (r#"{"pooling_mode": "median"}"#, "'median'"),
            (r#"{"pooling_mode": []}"#, "names 0"),
            (
                r#"{"pooling_mode": "cls", "include_prompt": false}"#,
                "include_prompt",
            ),
        ] {
            let problem = modes(json).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
        // What is said in the new way holds.
        let both = r#"{"pooling_mode": "max", "pooling_mode_mean_tokens": true}"#;
        assert_eq!(modes(both), Ok(vec![Pooling::Max]));
    }
}
