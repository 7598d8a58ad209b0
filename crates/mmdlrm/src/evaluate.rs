//! A saved run on ratings of one's choice.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mmdlrm_features::{Dataset, TrainingData};
use mmdlrm_train::RunFolder;

use crate::kinds::Kinds;
use crate::measure::measure;
use crate::page;
use crate::report::{Inputs, LeftOutRatings, MissingModality, Report, Seconds};
use crate::saved::{ConfigFile, Evaluation, MadeOf, SavedConfig, SavedRun};
use crate::sources::split_of;
use crate::{Catalogue, Error, Experiment, Observer, Result, SplitConfig};

impl Experiment {
    /// Measures the model of the run in `folder` on the ratings that `split` holds out, or
    /// on those that the run itself held out, and leaves predictions and figures in the
    /// folder `out`. Features are the run's; ratings that it learned from or chose its
    /// epoch by are no test and are left out.
    ///
    /// # Errors
    /// A folder without a trained run, data that are gone or not those that it
    /// was trained on, a split that leaves nothing to test on, or an `out` that holds
    /// anything but an earlier evaluation, which is replaced.
    pub fn evaluate(
        folder: impl AsRef<Path>,
        split: Option<&SplitConfig>,
        out: impl Into<PathBuf>,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        Kinds::default().evaluate(folder, split, out, observer)
    }
}

impl Kinds {
    /// As [`Experiment::evaluate`], of a run of any of these kinds.
    ///
    /// # Errors
    /// The same, and a run of another kind.
    pub fn evaluate(
        &self,
        folder: impl AsRef<Path>,
        split: Option<&SplitConfig>,
        out: impl Into<PathBuf>,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        let start = Instant::now();
        let (folder, out) = (folder.as_ref(), out.into());
        let is_ours = SavedConfig::is_evaluation(&out);
        if !is_ours {
            check_free(&out)?;
        }
        let saved = SavedRun::open(folder, self, observer)?;
        let MadeOf {
            movielens,
            split: own,
            modalities,
            posters,
            encoder,
        } = saved.made_of(observer)?;
        let SavedRun {
            config,
            movies,
            model,
            known,
            ..
        } = saved;
        let wanted = match split {
            None => own.test().to_vec(),
            Some(split) => split_of(&movielens, split)?.test().to_vec(),
        };
        let learned = own.train().iter().chain(own.validation());
        let learned: HashSet<u32> = learned.copied().collect();
        let (learned, test): (Vec<u32>, Vec<u32>) =
            wanted.iter().partition(|row| learned.contains(row));
        if test.is_empty() {
            return Err(Error::Setting {
                setting: "split",
                value: format!("{split:?}"),
                rule: "it holds out nothing that the run has not learned from",
            });
        }
        let catalogue = Catalogue::new(&movies, posters);
        let left_out = LeftOutRatings {
            by_split: learned.len(),
            ..LeftOutRatings::of(&movielens.left_out)
        };
        let own = own.with_test(test)?;
        let data = Dataset::with_features(&movielens, own, known.features().clone())?;
        drop(movielens);
        let inputs = Inputs {
            train_ratings: data.training_rows(),
            users: data.features().users().len(),
            movies: data.features().movies().len(),
            parameters: model.parameters(),
            missing: MissingModality::of(data.features()),
            left_out,
            posters: modalities.posters,
            broken_posters: modalities.broken_posters,
            summaries: modalities.summaries,
            encoder,
        };
        let run = match is_ours {
            true => RunFolder::replace(out)?.begin()?,
            false => RunFolder::create(out)?,
        };
        let evaluation = Evaluation {
            run: folder.to_owned(),
            split: split.cloned(),
        };
        run.write_config(&ConfigFile::of_evaluation(&config, evaluation))?;
        let seconds = Seconds {
            read: start.elapsed().as_secs_f64(),
            ..Seconds::default()
        };
        let report = measure(&*model, &data, inputs, seconds, &run, observer)?;
        let settings = (&config.experiment, &config.learned);
        page::write_for_model(&run, settings, &report, &[], &*model, &data, &catalogue)?;
        Ok(report)
    }
}

/// Refuses a folder that holds a run: an evaluation replaces none.
fn check_free(out: &Path) -> Result<()> {
    RunFolder::check_free(out).map_err(|error| match error {
        mmdlrm_train::Error::Exists { .. } | mmdlrm_train::Error::Unfinished { .. } => {
            Error::Setting {
                setting: "folder of the evaluation",
                value: out.display().to_string(),
                rule: "it holds a run, which an evaluation does not replace; name another folder",
            }
        }
        other => other.into(),
    })
}
