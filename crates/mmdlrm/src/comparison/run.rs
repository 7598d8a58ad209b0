//! A model of a comparison with a seed: its settings are chosen, it is trained and measured.

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use mmdlrm_data::DataFingerprint;
use mmdlrm_features::TrainingData;
use mmdlrm_train::{EpochMetrics, Ranker, Session};
use serde::Serialize;

use super::arena::{Arena, VALIDATION};
use super::contestants::Contestant;
use super::limits::{self, Limits};
use super::outcome::{self, Choice, Outcome};
use super::settings::Settings;
use super::{Comparison, FIRST_SEED, memory, table};
use crate::{Error, Observer, RankedUsers, Result, SplitConfig, Stage};

/// A model with a seed.
pub(super) struct Run<'a> {
    pub comparison: &'a Comparison,
    pub arena: &'a Arena,
    pub limits: &'a Limits,
    pub contestant: &'a Contestant,
    pub seed: u64,
}

/// A figure of validation rows, and the epoch that had it.
type Tried = (f64, Option<usize>);

/// What came of a model, or why nothing did.
pub(super) type Found<T> = std::result::Result<T, Failure>;

/// Why nothing came of a model. None but the last keeps others from coming to something.
#[derive(Debug)]
pub(super) enum Failure {
    /// There was no time or memory for it; what it would have needed.
    NoRoom(String),
    /// What it said.
    Failed(Error),
    /// What was wrong elsewhere.
    Fatal(Error),
}

/// Files and settings that cannot be read or written are no model's failure.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::NoRoom(why) => f.write_str(why),
            Self::Failed(error) | Self::Fatal(error) => error.fmt(f),
        }
    }
}

/// What tells an outcome from those of other data, settings or ways to choose.
#[derive(Serialize)]
struct Identity<'a> {
    data: &'a DataFingerprint,
    split: &'a SplitConfig,
    model: &'a str,
    settings: Vec<serde_json::Value>,
    validation: f64,
    ranked: (RankedUsers, u64),
    /// Another one may train and measure otherwise.
    version: &'static str,
}

impl Run<'_> {
    /// What an earlier comparison of the same left.
    pub fn kept(&self) -> Result<Option<Outcome>> {
        let identity = self.identity()?;
        outcome::read(&self.path(), |it: &Outcome| {
            it.identity == identity && it.seed == self.seed && it.is_sound()
        })
    }

    /// What it would take of memory, and what is free, where that is less.
    pub fn too_large(&self) -> Option<[String; 2]> {
        let (needed, free) = (
            self.contestant.memory(&self.arena.whole),
            self.limits.memory?,
        );
        (needed > free).then(|| [needed, free].map(limits::in_bytes))
    }

    /// Refuses a model that is yet to be trained and is too large.
    pub fn check_memory(&self) -> Result<()> {
        match self.too_large() {
            Some([needed, free]) if self.kept()?.is_none() => Err(Error::Memory {
                model: self.contestant.name,
                needed,
                free,
            }),
            _ => Ok(()),
        }
    }

    fn identity(&self) -> Result<String> {
        let settings = self.contestant.settings.iter();
        Ok(serde_json::to_string(&Identity {
            data: &self.arena.fingerprint,
            split: &self.arena.split,
            model: self.contestant.name,
            settings: settings
                .map(|it| it.describe())
                .collect::<mmdlrm_train::Result<_>>()?,
            validation: VALIDATION,
            ranked: (self.comparison.config.ranking, self.comparison.config.seed),
            version: env!("CARGO_PKG_VERSION"),
        })?)
    }

    fn folder(&self) -> PathBuf {
        self.comparison.config.out.join(self.contestant.name)
    }

    fn path(&self) -> PathBuf {
        self.folder().join(format!("seed-{}.json", self.seed))
    }

    /// Chooses, trains, measures, and keeps what it came to; or why nothing came of it.
    pub fn run(&self, observer: &mut dyn Observer) -> Found<Outcome> {
        outcome::create_folder(&self.folder())?;
        let choice = self.choice(observer)?;
        let settings = &self.contestant.settings[choice.number];
        let settings = settings.with(self.seed, choice.epochs);
        let own = self.arena.whole_for(self.contestant)?;
        let data = own.as_ref().unwrap_or(&self.arena.whole);
        let checked = settings.check(data.features());
        checked.map_err(|error| Failure::Failed(error.into()))?;
        memory::begin();
        let begun = Instant::now();
        let model = self.fit(&*settings, data, observer, |_metrics| ())?;
        let seconds = begun.elapsed().as_secs_f64();
        let peak_mib = memory::peak_mib();
        let held_out = self.arena.held_out(data);
        let outcome = Outcome {
            identity: self.identity()?,
            model: self.contestant.name.to_owned(),
            seed: self.seed,
            settings: settings.describe().map_err(Error::from)?,
            parameters: model.parameters(),
            seconds,
            peak_mib,
            errors: held_out.errors(&*model).map_err(Failure::Failed)?,
            rankings: held_out.rankings(&*model).map_err(Failure::Failed)?,
        };
        outcome::write(
            &self.path(),
            &serde_json::to_vec(&outcome).map_err(Error::from)?,
        )?;
        Ok(outcome)
    }

    /// Which settings, and for how many epochs, as validation rows have it: once for all seeds.
    fn choice(&self, observer: &mut dyn Observer) -> Found<Choice> {
        let path = self.folder().join("choice.json");
        let identity = self.identity()?;
        if let Some(kept) = outcome::read(&path, |it: &Choice| {
            it.identity == identity && it.number < self.contestant.settings.len()
        })? {
            return Ok(kept);
        }
        let settings = &self.contestant.settings;
        let mut best: Option<(f64, usize, Option<usize>)> = None;
        if settings.len() > 1 || self.contestant.has_epochs() {
            for (number, settings) in settings.iter().enumerate() {
                let (figure, epochs) = self.tried(&**settings, observer)?;
                if best.is_none_or(|(other, ..)| figure > other) {
                    best = Some((figure, number, epochs));
                }
            }
        }
        let (_, number, epochs) = best.unwrap_or((0.0, 0, None));
        let choice = Choice {
            identity,
            number,
            epochs,
        };
        outcome::write(&path, &serde_json::to_vec(&choice).map_err(Error::from)?)?;
        Ok(choice)
    }

    /// How good settings are on the validation rows, more being better, and after how many epochs.
    fn tried(&self, settings: &dyn Settings, observer: &mut dyn Observer) -> Found<Tried> {
        let mut epochs: Option<(f64, usize)> = None;
        let note = |metrics: &EpochMetrics| {
            if let Some(ndcg) = metrics.validation_ndcg
                && epochs.is_none_or(|(best, _)| ndcg > best)
            {
                epochs = Some((ndcg, metrics.epoch));
            }
        };
        let settings = settings.with(FIRST_SEED, None);
        let model = self.fit(&*settings, &self.arena.less, observer, note)?;
        let figure = self.validated(&*model).map_err(Failure::Failed)?;
        Ok((figure, epochs.map(|(_, epoch)| epoch)))
    }

    /// Trains, as long as there is time.
    fn fit(
        &self,
        settings: &dyn Settings,
        data: &dyn TrainingData,
        observer: &mut dyn Observer,
        mut on_epoch: impl FnMut(&EpochMetrics),
    ) -> Found<Box<dyn Ranker>> {
        let rows = settings.rows(data);
        observer.begin(Stage::Train, rows as u64);
        let watch = self.limits.watch(settings.least_rows(data));
        let fitted = {
            let observer = &mut *observer;
            let session = Session {
                stop: Some(watch.stop()),
                ..Session::default()
            };
            let session = session
                .on_step(|rows| {
                    observer.advance(rows as u64);
                    watch.step(rows);
                })
                .on_epoch(|metrics, _model| {
                    on_epoch(metrics);
                    Ok(())
                });
            settings.fit(data, session)
        };
        observer.end();
        match (fitted, watch.why()) {
            (Ok(model), _) => Ok(model),
            (Err(_), Some(why)) => Err(Failure::NoRoom(why)),
            (Err(error), None) => Err(Failure::Failed(error.into())),
        }
    }

    fn validated(&self, model: &dyn Ranker) -> Result<f64> {
        let rankings = self.arena.validation(&self.arena.inner).rankings(model)?;
        let first = table::foremost(&rankings, &self.arena.split);
        first.map_or(Ok(0.0), table::mean_ndcg)
    }
}
