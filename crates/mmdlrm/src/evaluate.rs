//! A saved run on ratings of one's choice.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mmdlrm_data::{Dataset, Split, TrainingData};
use mmdlrm_model::Dlrm;
use mmdlrm_train::{Preset, RunFolder};

use crate::experiment::{SavedConfig, Task};
use crate::measure::measure;
use crate::page::{Page, people};
use crate::report::{Inputs, MissingModality, Report, Seconds};
use crate::sources::{Release, Sources, split_of};
use crate::{Catalogue, Error, Experiment, ExperimentConfig, Observer, Result, SplitConfig};

impl Experiment {
    /// Measures the model of the run in `folder` on the ratings that `split` holds out, or
    /// on those that the run itself held out, and leaves predictions and figures in the
    /// folder `out`. Features are the run's; ratings that it learned from or chose its
    /// epoch by are no test and are left out.
    ///
    /// # Errors
    /// A folder without a trained run of ratings, data that are gone, or a split that
    /// leaves nothing to test on.
    pub fn evaluate(
        folder: impl AsRef<Path>,
        split: Option<&SplitConfig>,
        out: impl Into<PathBuf>,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        let folder = folder.as_ref();
        let start = Instant::now();
        let saved: SavedConfig = RunFolder::config_of(folder)?;
        saved.task.must_be(Task::Rate)?;
        let config = ExperimentConfig {
            out: folder.to_owned(),
            stream: false,
            ..saved.experiment
        };
        let model = Dlrm::from_safetensors(&RunFolder::model_of(folder)?)?;
        let mut sources = Sources::open(&config)?;
        let modalities = sources.encode(observer)?;
        let left_out = sources.release.left_out();
        let Release::Whole(movielens, own) = sources.release else {
            unreachable!("ratings are streamed only where that is asked for")
        };
        let wanted = match split {
            None => own.test.clone(),
            Some(split) => split_of(&movielens, split)?.test,
        };
        let known: HashSet<u32> = own.train.iter().chain(&own.validation).copied().collect();
        let (known, test): (Vec<u32>, Vec<u32>) =
            wanted.iter().partition(|row| known.contains(row));
        if test.is_empty() {
            return Err(Error::Setting {
                setting: "split",
                value: format!("{split:?}"),
                rule: "it holds out nothing that the run has not learned from",
            });
        }
        let split = Split::new(own.train, test);
        let mut data = Dataset::new(&movielens, split, modalities.list)?;
        let catalogue = Catalogue::new(&movielens.movies, sources.posters);
        drop(movielens);
        if config.preset == Preset::Best {
            data = data.with_context(config.context)?;
        }
        let inputs = Inputs {
            train_ratings: data.training_rows(),
            users: data.features().users().len(),
            movies: data.features().movies().len(),
            parameters: model.parameters().len(),
            missing: MissingModality::of(data.features()),
            left_out: crate::LeftOutRatings {
                by_split: known.len(),
                ..left_out
            },
            posters: modalities.posters,
            broken_posters: modalities.broken_posters,
            summaries: modalities.summaries,
            encoder: sources.encoder.and_then(|encoder| encoder.name()),
        };
        let run = RunFolder::create(out)?;
        run.write_config(&config)?;
        let seconds = Seconds {
            read: start.elapsed().as_secs_f64(),
            ..Seconds::default()
        };
        let report = measure(&model, &data, inputs, seconds, &run, observer)?;
        let people = people(&model, &data, &catalogue)?;
        run.write_report(&Page::of_ratings(&config, &report, &[], people)?.html()?)?;
        Ok(report)
    }
}
