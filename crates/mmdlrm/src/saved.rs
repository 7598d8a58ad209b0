//! A run that is over: its model, and what it was trained on, read again.

use std::path::Path;

use mmdlrm_data::{MovieLens, Poster, Split};
use mmdlrm_model::Dlrm;
use mmdlrm_train::RunFolder;

use crate::experiment::{SavedConfig, Task};
use crate::modalities::{Modalities, ModalityEncoder};
use crate::sources::{Release, Sources};
use crate::{Error, ExperimentConfig, Observer, Result, Stage};

pub(crate) struct SavedRun {
    pub config: ExperimentConfig,
    pub model: Dlrm,
    pub movielens: MovieLens,
    pub split: Split,
    pub modalities: Modalities,
    pub posters: Vec<Poster>,
    pub encoder: Option<ModalityEncoder>,
}

impl SavedRun {
    /// Loads a run that predicts ratings. Ratings are read into memory whether they were
    /// streamed or not: features are the same.
    pub fn load(folder: &Path, observer: &mut dyn Observer) -> Result<Self> {
        let SavedConfig { task, experiment } = RunFolder::config_of(folder)?;
        if task != Task::Rate {
            return Err(Error::Setting {
                setting: "task of the run",
                value: format!("{task:?}"),
                rule: "only a model of ratings can be asked",
            });
        }
        let config = ExperimentConfig {
            out: folder.to_owned(),
            stream: false,
            ..experiment
        };
        observer.begin(Stage::ReadModel, 0);
        let model = Dlrm::from_safetensors(&RunFolder::model_of(folder)?)?;
        observer.end();
        let mut sources = Sources::open(&config, observer)?;
        let modalities = sources.encode(observer)?;
        let Release::Whole(movielens, split) = sources.release else {
            unreachable!("ratings are streamed only where that is asked for")
        };
        Ok(Self {
            config,
            model,
            movielens,
            split,
            modalities,
            posters: sources.posters,
            encoder: sources.encoder,
        })
    }
}
