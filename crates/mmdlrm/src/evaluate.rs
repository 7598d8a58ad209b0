//! A saved run on ratings of one's choice.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mmdlrm_data::{Candidates, Interactions, Split};
use mmdlrm_features::{Dataset, TrainingData};
use mmdlrm_train::RunFolder;

use crate::kinds::Kinds;
use crate::measure::measure;
use crate::page;
use crate::rankings::{Asked, held_out};
use crate::release::split_of;
use crate::report::{Inputs, LeftOutRatings, MissingModality, Report, Seconds};
use crate::saved::{ConfigFile, Evaluation, MadeOf, SavedConfig, SavedRun};
use crate::{Catalogue, Error, Experiment, Observer, RankedUsers, Result, SplitConfig, Words};

/// What a saved run is measured on.
///
/// ```
/// use mmdlrm::{EvaluationConfig, RankedUsers, SplitConfig};
///
/// let config = EvaluationConfig {
///     split: Some(SplitConfig::Candidates("candidates.csv".into())),
///     ranking: RankedUsers::Sample(1000),
/// };
/// assert_ne!(config, EvaluationConfig::default());
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EvaluationConfig {
    /// What is held out; `None` for what the run held out itself. [`SplitConfig::Candidates`]
    /// has the model, whatever it is, rank what the file names for each user too.
    pub split: Option<SplitConfig>,
    /// Which users with held-out ratings the catalogue is ranked for; a sample is drawn by the
    /// run's seed.
    pub ranking: RankedUsers,
}

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

    /// As [`Self::evaluate`], with a choice of whom the catalogue is ranked for.
    ///
    /// # Errors
    /// The same; a sample of nobody; [`Error::LearnedCandidates`] of candidates whose held-out
    /// movies the run learned from.
    pub fn evaluate_on(
        folder: impl AsRef<Path>,
        config: &EvaluationConfig,
        out: impl Into<PathBuf>,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        Kinds::default().evaluate_on(folder, config, out, observer)
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
        let config = EvaluationConfig {
            split: split.cloned(),
            ..EvaluationConfig::default()
        };
        self.evaluate_on(folder, &config, out, observer)
    }

    /// As [`Experiment::evaluate_on`], of a run of any of these kinds.
    ///
    /// # Errors
    /// The same, and a run of another kind.
    pub fn evaluate_on(
        &self,
        folder: impl AsRef<Path>,
        wanted: &EvaluationConfig,
        out: impl Into<PathBuf>,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        let start = Instant::now();
        wanted.ranking.validate()?;
        let (folder, out) = (folder.as_ref(), out.into());
        let is_ours = SavedConfig::is_evaluation(&out);
        if !is_ours {
            check_free(&out)?;
        }
        let saved = SavedRun::open(folder, self, observer)?;
        let MadeOf {
            interactions,
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
        if wanted.ranking == RankedUsers::Off && model.rater().is_none() {
            return Err(Error::Setting {
                setting: "ranking",
                value: "off".to_owned(),
                rule: "the model predicts no stars, so that nothing would be measured",
            });
        }
        let HeldOut {
            test,
            learned,
            candidates,
        } = HeldOut::new(folder, &interactions, &own, wanted.split.as_ref())?;
        let catalogue = Catalogue::new(&movies, posters);
        let left_out = LeftOutRatings {
            by_split: learned,
            ..LeftOutRatings::of(&interactions.left_out)
        };
        let own = own.with_test(test)?;
        let data = Dataset::with_features(&interactions, own, known.features().clone())?;
        let target = interactions.ratings.target();
        drop(interactions);
        let inputs = Inputs {
            words: Words::of(&config.experiment.source, target),
            train_ratings: data.training_rows(),
            users: data.features().users().len(),
            movies: data.features().movies().len(),
            parameters: model.parameters(),
            missing: MissingModality::of(data.features()),
            left_out,
            posters: modalities.posters,
            broken_posters: modalities.broken_posters,
            left_out_posters: modalities.left_out_posters,
            summaries: modalities.summaries,
            blank_summaries: modalities.blank_summaries,
            left_out_summaries: modalities.left_out_summaries,
            encoder,
        };
        let run = match is_ours {
            true => RunFolder::replace(out)?.begin()?,
            false => RunFolder::create(out)?,
        };
        let evaluation = Evaluation {
            run: folder.to_owned(),
            split: wanted.split.clone(),
        };
        run.write_config(&ConfigFile::of_evaluation(&config, evaluation))?;
        let seconds = Seconds {
            read: start.elapsed().as_secs_f64(),
            ..Seconds::default()
        };
        let split = wanted.split.as_ref();
        let asked = Asked {
            split: split.unwrap_or(&config.experiment.split),
            held_out: match (split, learned) {
                (Some(split), 1..) => {
                    let held_out = held_out(split, &inputs.words);
                    format!("{held_out}, less what the run learned from")
                }
                (split, _) => {
                    let split = split.unwrap_or(&config.experiment.split);
                    held_out(split, &inputs.words)
                }
            },
            words: inputs.words.clone(),
            candidates: candidates.as_ref(),
            users: wanted.ranking,
            seed: config.experiment.seed,
            streamed: false,
        };
        let report = measure(&*model, &data, &asked, inputs, seconds, &run, observer)?;
        let settings = (&config.experiment, &config.learned);
        page::write_for_model(&run, settings, &report, &[], &*model, &data, &catalogue)?;
        Ok(report)
    }
}

/// What a run is measured on.
struct HeldOut {
    /// Rows, ascending.
    test: Vec<u32>,
    /// How many rows more there would be, had the run not learned from them.
    learned: usize,
    candidates: Option<Candidates>,
}

impl HeldOut {
    /// What `split` holds out, or the run's `own`, less what the run in `folder` learned from.
    fn new(
        folder: &Path,
        interactions: &Interactions,
        own: &Split,
        split: Option<&SplitConfig>,
    ) -> Result<Self> {
        let (wanted, candidates) = match split {
            None => (own.test().to_vec(), None),
            Some(SplitConfig::Candidates(path)) => {
                let candidates = Candidates::read(path, interactions)?;
                let rows = candidates.split(interactions)?.test().to_vec();
                (rows, Some((candidates, path)))
            }
            Some(split) => (split_of(interactions, split)?.test().to_vec(), None),
        };
        let learned = own.train().iter().chain(own.validation());
        let learned: HashSet<u32> = learned.copied().collect();
        let (learned, test): (Vec<u32>, Vec<u32>) =
            wanted.iter().partition(|row| learned.contains(row));
        if let (Some((_, path)), Some(&row)) = (&candidates, learned.first()) {
            return Err(Error::LearnedCandidates {
                path: path.to_path_buf(),
                run: folder.to_owned(),
                learned: learned.len(),
                held_out: wanted.len(),
                user: interactions.name_of_user(interactions.ratings.user_ids()[row as usize]),
                movie: interactions.name_of_item(interactions.ratings.movie_ids()[row as usize]),
            });
        }
        if test.is_empty() {
            return Err(Error::Setting {
                setting: "split",
                value: format!("{split:?}"),
                rule: "it holds out nothing that the run has not learned from",
            });
        }
        Ok(Self {
            test,
            learned: learned.len(),
            candidates: candidates.map(|(candidates, _)| candidates),
        })
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
