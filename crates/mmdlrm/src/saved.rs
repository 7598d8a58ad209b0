//! Runs that were saved: `config.json`, and all that it takes to ask one.

use std::path::{Path, PathBuf};

use mmdlrm_data::{MovieLens, Poster, Split};
use mmdlrm_features::Dataset;
use mmdlrm_train::{Ranker, RunFolder};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kinds::{Kinds, Load};
use crate::made_from::{Learned, MadeFrom, Opened};
use crate::modalities::{Modalities, ModalityEncoder};
use crate::sources::{Release, Sources};
use crate::{Error, ExperimentConfig, Observer, Result, SplitConfig, Stage, Task};

/// `config.json` of a run, or of an evaluation of one.
#[derive(Serialize)]
pub(crate) struct ConfigFile<'a> {
    version: &'static str,
    kind: Kind,
    #[serde(flatten)]
    learned: &'a Learned,
    experiment: &'a ExperimentConfig,
    made_from: &'a MadeFrom,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation: Option<Evaluation>,
    /// Its shape; `null` until the data are read.
    model: &'a Value,
    threads: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Run,
    Evaluation,
}

/// What was evaluated.
#[derive(Serialize, Deserialize)]
pub(crate) struct Evaluation {
    /// The folder of the run.
    pub run: PathBuf,
    /// What was measured on; `None` of what the run held out.
    pub split: Option<SplitConfig>,
}

impl<'a> ConfigFile<'a> {
    pub fn of_run(
        learned: &'a Learned,
        experiment: &'a ExperimentConfig,
        made_from: &'a MadeFrom,
        model: &'a Value,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            kind: Kind::Run,
            learned,
            experiment,
            made_from,
            evaluation: None,
            model,
            threads: rayon::current_num_threads(),
        }
    }

    pub fn of_evaluation(saved: &'a SavedConfig, evaluation: Evaluation) -> Self {
        let SavedConfig {
            experiment,
            made_from,
            learned,
            model,
        } = saved;
        Self {
            kind: Kind::Evaluation,
            evaluation: Some(evaluation),
            ..Self::of_run(learned, experiment, made_from, model)
        }
    }
}

/// What is read back of a run's.
#[derive(Deserialize)]
pub(crate) struct SavedConfig {
    pub experiment: ExperimentConfig,
    pub made_from: MadeFrom,
    #[serde(flatten)]
    pub learned: Learned,
    #[serde(default)]
    pub model: Value,
}

/// What every version's has, or lacks.
#[derive(Deserialize)]
struct Head {
    kind: Option<Kind>,
    experiment: Option<IgnoredAny>,
    made_from: Option<IgnoredAny>,
    model_kind: Option<IgnoredAny>,
    evaluation: Option<Evaluation>,
}

impl SavedConfig {
    /// Of the run in `folder`, whoever is at work there.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = || folder.to_owned();
        match RunFolder::config_of(folder)? {
            Head {
                evaluation: Some(evaluation),
                ..
            } => Err(Error::Evaluation {
                path: path(),
                run: evaluation.run,
            }),
            Head {
                experiment: Some(_),
                made_from: None,
                ..
            }
            | Head {
                experiment: Some(_),
                model_kind: None,
                ..
            } => Err(Error::UnknownData { path: path() }),
            _ => {
                let config: Self = RunFolder::config_of(folder)?;
                match config.is_of_its_preset() {
                    true => Ok(config),
                    false => Err(Error::UnknownData { path: path() }),
                }
            }
        }
    }

    /// Whether a model that the configuration describes is what its preset makes now: once,
    /// `best` was a DLRM whose features held the process.
    fn is_of_its_preset(&self) -> bool {
        let experiment = &self.experiment;
        self.learned.fit.is_some()
            || experiment.task != Task::Rate
            || self.learned == Learned::of_preset(experiment.preset)
    }

    /// Whether `folder` holds an evaluation.
    pub fn is_evaluation(folder: &Path) -> bool {
        let head = RunFolder::config_of::<Head>(folder);
        head.is_ok_and(|head| head.kind == Some(Kind::Evaluation))
    }
}

/// A run and what it was made from, read; its model is not yet.
pub(crate) struct SavedRun {
    pub config: SavedConfig,
    pub model: SavedModel,
    pub movielens: MovieLens,
    pub split: Split,
    pub modalities: Modalities,
    pub posters: Vec<Poster>,
    pub encoder: Option<ModalityEncoder>,
}

/// A model's file, and who reads it.
pub(crate) struct SavedModel {
    file: Vec<u8>,
    load: Load,
}

impl SavedModel {
    /// The model, given what it was trained on.
    pub fn load(self, data: &Dataset) -> Result<Box<dyn Ranker>> {
        Ok((self.load)(&self.file, data)?)
    }
}

impl SavedRun {
    /// Reads a run over the whole catalogue, if what it was made from is there, the same to
    /// the last star. Ratings are read into memory whether they were streamed or not:
    /// features are the same.
    pub fn read(folder: &Path, kinds: &Kinds, observer: &mut dyn Observer) -> Result<Self> {
        let mut config = SavedConfig::read(folder)?;
        if config.experiment.task != Task::Rate {
            return Err(Error::Setting {
                setting: "task of the run",
                value: format!("{:?}", config.experiment.task),
                rule: "only a model of ratings can be asked",
            });
        }
        let kind = &config.learned.kind;
        let load = kinds.get(kind).ok_or_else(|| Error::UnknownKind {
            run: folder.to_owned(),
            kind: kind.clone(),
            known: kinds.names().collect::<Vec<_>>().join(", "),
        })?;
        config.experiment.out = folder.to_owned();
        config.experiment.stream = false;
        observer.begin(Stage::ReadModel, 0);
        let file = RunFolder::model_of(folder, &config.made_from.run)?;
        observer.end();
        let opened = Opened {
            folder,
            made_from: &config.made_from,
        };
        let mut sources = Sources::open(&config.experiment, Some(opened), observer)?;
        let modalities = sources.encode(observer)?;
        let Release::Whole {
            movielens, split, ..
        } = sources.release
        else {
            unreachable!("ratings are streamed only where that is asked for")
        };
        Ok(Self {
            config,
            model: SavedModel { file, load },
            movielens,
            split,
            modalities,
            posters: sources.posters,
            encoder: sources.encoder,
        })
    }
}
