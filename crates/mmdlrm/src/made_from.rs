//! What a run was made from, and whether that is still there.

use std::fmt;
use std::path::Path;

use mmdlrm_data::{DataFingerprint, DataPart};
use mmdlrm_encoders::Identity;
use mmdlrm_model::Dlrm;
use mmdlrm_train::{Fit, Persist, Scorer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{BestModel, Error, ExperimentConfig, Preset, Result, TwoStageModel};

/// What a run was made from. It stands in `config.json`, and whatever opens the run makes it
/// again and compares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MadeFrom {
    /// Names the run in its model and its checkpoints: a hash of everything that decides
    /// what it learns. It is written once and never computed again, so that a later version
    /// may have other settings.
    pub run: String,
    /// Ratings, movies, and of posters, plots and other vectors those that are looked at.
    pub data: DataFingerprint,
    /// Which rows are learned from and held out.
    pub split: DataFingerprint,
    pub encoders: EncodersUsed,
}

/// What encoded posters and plots, where anything did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EncodersUsed {
    pub posters: Option<Identity>,
    pub plots: Option<Identity>,
}

impl MadeFrom {
    pub fn new(
        config: &ExperimentConfig,
        data: DataFingerprint,
        split: DataFingerprint,
        encoders: EncodersUsed,
    ) -> Result<Self> {
        // Data, split and encoders are there as they are, wherever they lie. Where the run
        // lies, when it is kept, and whom it is measured on, decides nothing.
        let any = ExperimentConfig::default();
        let settings = ExperimentConfig {
            source: any.source,
            split: any.split,
            vectors: any.vectors,
            encoders: any.encoders,
            stream: any.stream,
            checkpoints: any.checkpoints,
            ranking: any.ranking,
            out: any.out,
            ..config.clone()
        };
        let settings = serde_json::to_string(&(settings, &encoders))?;
        let settings = DataPart::of_words("settings", settings.bytes().map(u32::from));
        let all = data.clone().with(split.clone());
        Ok(Self {
            run: all.with([settings].into_iter().collect()).digest(),
            data,
            split,
            encoders,
        })
    }

    /// The same with a name that `learned` has a part in, where the configuration does not
    /// say how.
    pub fn with(self, learned: &Learned) -> Self {
        if learned.fit.is_none() {
            return self;
        }
        let words = learned.to_string();
        let words = words.bytes().chain(self.run.bytes()).map(u32::from);
        let part = DataPart::of_words("fit", words);
        let all: DataFingerprint = [part].into_iter().collect();
        Self {
            run: all.digest(),
            ..self
        }
    }
}

/// What is learned: the kind of the model and, where the configuration does not say it, how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Learned {
    #[serde(rename = "model_kind")]
    pub kind: String,
    /// Settings of somebody else's [`Fit`](mmdlrm_train::Fit), which may be `null`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub fit: Option<Value>,
}

/// What is there, `null` too.
fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Learned {
    /// The model of a preset.
    pub fn of_preset(preset: Preset) -> Self {
        match preset {
            Preset::Best => Self::of_config::<BestModel>(),
            Preset::Rank => Self::of_config::<TwoStageModel>(),
            _ => Self::of_config::<Scorer<Dlrm>>(),
        }
    }

    /// A model of this project's own, which the configuration describes.
    pub fn of_config<M: Persist>() -> Self {
        Self {
            kind: M::kind().to_owned(),
            fit: None,
        }
    }

    /// By somebody else's settings.
    pub fn by<F: Fit>(fit: &F) -> Result<Self> {
        Ok(Self {
            fit: Some(serde_json::to_value(fit)?),
            ..Self::of_config::<F::Model>()
        })
    }
}

impl fmt::Display for Learned {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match &self.fit {
            Some(fit) => write!(f, " {fit}"),
            None => Ok(()),
        }
    }
}

/// A run that is opened, and what it was made from.
#[derive(Clone, Copy)]
pub(crate) struct Opened<'a> {
    pub folder: &'a Path,
    pub made_from: &'a MadeFrom,
}

impl Opened<'_> {
    /// Refuses other data than the run's.
    pub fn check_data(&self, now: &DataFingerprint) -> Result<()> {
        self.check(&self.made_from.data, now)
    }

    /// Refuses another split of the same data.
    pub fn check_split(&self, now: &DataFingerprint) -> Result<()> {
        self.check(&self.made_from.split, now)
    }

    fn check(&self, before: &DataFingerprint, now: &DataFingerprint) -> Result<()> {
        let changes = before.changes(now);
        match changes.is_empty() {
            true => Ok(()),
            false => Err(Error::OtherData {
                run: self.folder.to_owned(),
                changes,
            }),
        }
    }

    /// Refuses other encoders than the run's.
    pub fn check_encoders(&self, now: &EncodersUsed) -> Result<()> {
        let before = &self.made_from.encoders;
        for (what, before, now) in [
            ("posters", &before.posters, &now.posters),
            ("plots", &before.plots, &now.plots),
        ] {
            let same = match (before, now) {
                (Some(before), Some(now)) => before.same_vectors(now),
                (before, now) => before.is_none() && now.is_none(),
            };
            if !same {
                let name = |identity: &Option<Identity>| match identity {
                    None => "nothing".to_owned(),
                    Some(it) => format!("{} ({}, {})", it.model, it.hash, it.dtype),
                };
                return Err(Error::OtherEncoder {
                    run: self.folder.to_owned(),
                    what,
                    before: name(before),
                    now: name(now),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learned_comes_back_from_a_file_settings_that_are_nothing_too() {
        let kind = || "popularity".to_owned();
        for fit in [None, Some(Value::Null), Some(Value::from(3))] {
            let learned = Learned { kind: kind(), fit };
            let json = serde_json::to_string(&learned).unwrap();
            assert_eq!(
                serde_json::from_str::<Learned>(&json).unwrap(),
                learned,
                "{json}"
            );
        }
    }
}
