//! Runs that were saved: `config.json`, and all that it takes to ask one.

use std::path::{Path, PathBuf};

use mmdlrm_data::{MovieLens, Poster, Split};
use mmdlrm_model::Dlrm;
use mmdlrm_train::RunFolder;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::made_from::{MadeFrom, Opened};
use crate::modalities::{Modalities, ModalityEncoder};
use crate::sources::{Release, Sources};
use crate::{Error, ExperimentConfig, Observer, Result, SplitConfig, Stage, Task};

/// `config.json` of a run, or of an evaluation of one.
#[derive(Serialize)]
pub(crate) struct ConfigFile<'a, M> {
    version: &'static str,
    kind: Kind,
    experiment: &'a ExperimentConfig,
    made_from: &'a MadeFrom,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation: Option<Evaluation>,
    /// `None` until the data are read.
    model: Option<&'a M>,
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

impl<'a, M: Serialize> ConfigFile<'a, M> {
    pub fn of_run(
        experiment: &'a ExperimentConfig,
        made_from: &'a MadeFrom,
        model: Option<&'a M>,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            kind: Kind::Run,
            experiment,
            made_from,
            evaluation: None,
            model,
            threads: rayon::current_num_threads(),
        }
    }

    pub fn of_evaluation(
        experiment: &'a ExperimentConfig,
        made_from: &'a MadeFrom,
        model: &'a M,
        evaluation: Evaluation,
    ) -> Self {
        Self {
            kind: Kind::Evaluation,
            evaluation: Some(evaluation),
            ..Self::of_run(experiment, made_from, Some(model))
        }
    }
}

/// What is read back of a run's.
#[derive(Deserialize)]
pub(crate) struct SavedConfig {
    pub experiment: ExperimentConfig,
    pub made_from: MadeFrom,
}

/// What every version's has, or lacks.
#[derive(Deserialize)]
struct Head {
    kind: Option<Kind>,
    experiment: Option<IgnoredAny>,
    made_from: Option<IgnoredAny>,
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
            } => Err(Error::UnknownData { path: path() }),
            _ => Ok(RunFolder::config_of(folder)?),
        }
    }

    /// Whether `folder` holds an evaluation.
    pub fn is_evaluation(folder: &Path) -> bool {
        let head = RunFolder::config_of::<Head>(folder);
        head.is_ok_and(|head| head.kind == Some(Kind::Evaluation))
    }
}

pub(crate) struct SavedRun {
    pub config: ExperimentConfig,
    pub made_from: MadeFrom,
    pub model: Dlrm,
    pub movielens: MovieLens,
    pub split: Split,
    pub modalities: Modalities,
    pub posters: Vec<Poster>,
    pub encoder: Option<ModalityEncoder>,
}

impl SavedRun {
    /// Loads a run that predicts ratings, if what it was made from is there, the same to the
    /// last star. Ratings are read into memory whether they were streamed or not: features
    /// are the same.
    pub fn load(folder: &Path, observer: &mut dyn Observer) -> Result<Self> {
        let SavedConfig {
            experiment,
            made_from,
        } = SavedConfig::read(folder)?;
        if experiment.task != Task::Rate {
            return Err(Error::Setting {
                setting: "task of the run",
                value: format!("{:?}", experiment.task),
                rule: "only a model of ratings can be asked",
            });
        }
        let config = ExperimentConfig {
            out: folder.to_owned(),
            stream: false,
            ..experiment
        };
        observer.begin(Stage::ReadModel, 0);
        let model = Dlrm::from_safetensors(&RunFolder::model_of(folder, &made_from.run)?)?;
        observer.end();
        let opened = Opened {
            folder,
            made_from: &made_from,
        };
        let mut sources = Sources::open(&config, Some(opened), observer)?;
        let modalities = sources.encode(observer)?;
        let Release::Whole {
            movielens, split, ..
        } = sources.release
        else {
            unreachable!("ratings are streamed only where that is asked for")
        };
        Ok(Self {
            config,
            made_from,
            model,
            movielens,
            split,
            modalities,
            posters: sources.posters,
            encoder: sources.encoder,
        })
    }
}
