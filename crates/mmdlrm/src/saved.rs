//! Runs that were saved: `config.json`, and all that it takes to ask one.

use std::path::{Path, PathBuf};

use mmdlrm_data::{Interactions, Movies, Poster, Split};
use mmdlrm_features::Known;
use mmdlrm_train::{Posters, Ranker, RunFolder};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kinds::Kinds;
use crate::made_from::{Learned, MadeFrom, Opened};
use crate::modalities::Modalities;
use crate::release::Release;
use crate::sources::Sources;
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
    clicks: Option<IgnoredAny>,
}

impl SavedConfig {
    /// Of the run in `folder`, whoever is at work there.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = || folder.to_owned();
        match RunFolder::config_of(folder)? {
            Head {
                clicks: Some(_), ..
            } => Err(Error::OtherKind {
                run: path(),
                what: "clicks",
                wanted: "ratings",
            }),
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

/// A run that is opened: its model, and all that its folder has of the data.
pub(crate) struct SavedRun {
    pub config: SavedConfig,
    pub movies: Movies,
    pub posters: Posters,
    pub known: Known,
    pub model: Box<dyn Ranker>,
}

/// What a run was made from, read again.
pub(crate) struct MadeOf {
    pub interactions: Interactions,
    pub split: Split,
    pub modalities: Modalities,
    pub posters: Posters,
    /// What the encoders are called.
    pub encoder: Option<String>,
}

/// Where each movie's poster lies.
pub(crate) fn posters_of(posters: Vec<Poster>) -> Posters {
    let posters = posters.into_iter();
    posters.map(|it| (it.movie_id, it.path)).collect()
}

impl SavedRun {
    /// Opens a run by its folder alone.
    pub fn open(folder: &Path, kinds: &Kinds, observer: &mut dyn Observer) -> Result<Self> {
        let mut config = SavedConfig::read(folder)?;
        let kind = &config.learned.kind;
        let load = kinds.get(kind).ok_or_else(|| Error::UnknownKind {
            run: folder.to_owned(),
            kind: kind.clone(),
            known: kinds.names().collect::<Vec<_>>().join(", "),
        })?;
        config.experiment.out = folder.to_owned();
        observer.begin(Stage::ReadModel, 0);
        let run = &config.made_from.run;
        let file = RunFolder::model_of(folder, run)?;
        let (movies, posters, known) = RunFolder::known_of(folder, run)?;
        let model = load(&file, &known)?;
        observer.end();
        Ok(Self {
            config,
            movies,
            posters,
            known,
            model,
        })
    }

    /// Reads what the run was made from, if it is there, the same to the last star. Ratings
    /// are read into memory whether they were streamed or not: features are the same.
    pub fn made_of(&self, observer: &mut dyn Observer) -> Result<MadeOf> {
        let config = ExperimentConfig {
            stream: false,
            ..self.config.experiment.clone()
        };
        let opened = Opened {
            folder: &config.out,
            made_from: &self.config.made_from,
        };
        let mut sources = Sources::open(&config, Some(opened), observer)?;
        let modalities = sources.encode(observer)?;
        let Release::Whole {
            interactions,
            split,
            ..
        } = sources.release
        else {
            unreachable!("ratings are streamed only where that is asked for")
        };
        Ok(MadeOf {
            interactions: *interactions,
            split,
            modalities,
            posters: posters_of(sources.posters),
            encoder: sources.encoder.and_then(|encoder| encoder.name()),
        })
    }
}
