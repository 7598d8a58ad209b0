//! Models side by side on the same rows.

mod contestants;
mod measure;
mod memory;
mod outcome;
mod settings;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mmdlrm_baselines::{Entities, Role};
use mmdlrm_data::{Candidates, Credit, DataFingerprint, Modality, MovieLens, Split};
use mmdlrm_features::{Dataset, TrainingData};
use mmdlrm_train::{Ranker, Session};
use serde::Serialize;

use self::contestants::Contestant;
use self::measure::HeldOut;
use self::outcome::{Choice, Outcome};
use self::settings::Settings;
pub use self::table::{Compared, ComparisonReport, ComparisonTable, Estimate};
use crate::page;
use crate::sources::{Release, Sources};
use crate::{BestContext, Error, ExperimentConfig, Observer, Result, SplitConfig, Stage};

/// Share of the training ratings that settings and epochs are chosen by.
const VALIDATION: f64 = 0.1;
/// Of the choice of settings.
const FIRST_SEED: u64 = 1;

/// Trains and measures models on the same rows.
///
/// Settings and epochs of each are chosen by validation rows, which are drawn from the training
/// rows as the split draws what it holds out; then it is trained on all training rows with each
/// seed, and measured on what is held out, at which nothing looked before.
///
/// ```
/// use mmdlrm::data::generate::GeneratorConfig;
/// use mmdlrm::{Comparison, ExperimentConfig, Silent, Source};
///
/// # let folder = tempfile::tempdir()?;
/// let comparison = Comparison {
///     config: ExperimentConfig {
///         source: Source::Sample(GeneratorConfig::tiny()),
///         out: folder.path().join("comparison"),
///         ..ExperimentConfig::default()
///     },
///     models: vec!["popularity".to_owned(), "ease".to_owned()],
///     ..Comparison::default()
/// };
/// let report = comparison.run(&mut Silent)?;
/// assert_eq!(report.tables[0].rows.len(), 2);
/// println!("{report}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What each model came to is left in the folder of the configuration, user by user, as soon as it
/// is known: a comparison that was stopped goes on with what is missing. The tables are left there
/// too, as `compare.md`, `compare.json` and `compare.html`.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// What is read and held out, and the folder that results go to. Its preset, and how that is
    /// trained, is not used.
    pub config: ExperimentConfig,
    /// [Names](Self::names) of the models; none for all that the data have something for.
    pub models: Vec<String>,
    /// Seeds, from 1, of what models draw.
    pub seeds: u64,
    /// After which no other model is begun.
    pub budget: Option<Duration>,
}

impl Default for Comparison {
    /// All models on the sample, one seed, without a budget.
    fn default() -> Self {
        Self {
            config: ExperimentConfig {
                out: PathBuf::from("runs/comparison"),
                ..ExperimentConfig::default()
            },
            models: Vec::new(),
            seeds: 1,
            budget: None,
        }
    }
}

impl Comparison {
    /// Names of all models, and what each is.
    pub fn names() -> Vec<(&'static str, &'static str)> {
        let all = Contestant::all(&ExperimentConfig::default().split, &Entities::default());
        all.iter().map(|it| (it.name, it.about)).collect()
    }

    /// Trains and measures what is not there yet, and says what all came to.
    ///
    /// # Errors
    /// A name that no model has, data that a model which is named has nothing to learn from in,
    /// a folder that cannot be written, or what a model cannot be trained with.
    pub fn run(&self, observer: &mut dyn Observer) -> Result<ComparisonReport> {
        self.config.validate()?;
        self.contestants(&Entities::default())?;
        let arena = Arena::read(&self.config, observer)?;
        let mut contestants = self.contestants(&arena.entities)?;
        let features = arena.whole.features();
        let lacking = contestants.iter().find(|it| !it.can_learn(features));
        if let (Some(lacking), false) = (lacking, self.models.is_empty()) {
            return Err(Error::Setting {
                setting: "models",
                value: lacking.name.to_owned(),
                rule: "it learns from vectors of movies, and there are none: name posters, \
                       summaries, credits or vectors",
            });
        }
        contestants.retain(|it| it.can_learn(features));
        let begun = Instant::now();
        let (mut outcomes, mut left_out) = (Vec::new(), Vec::new());
        for seed in FIRST_SEED..=self.seeds {
            for contestant in &contestants {
                let run = Run {
                    comparison: self,
                    arena: &arena,
                    contestant,
                    seed,
                };
                match run.kept()? {
                    Some(kept) => outcomes.push(kept),
                    None if self.budget.is_some_and(|budget| begun.elapsed() >= budget) => {
                        left_out.push(format!("{} (seed {seed})", contestant.name));
                    }
                    None => {
                        observer.note(&format!("{}, seed {seed}", contestant.name));
                        outcomes.push(run.run(observer)?);
                    }
                }
            }
        }
        let report = ComparisonReport::new(&self.config.split, &contestants, &outcomes, left_out)?;
        let out = &self.config.out;
        outcome::write(&out.join("compare.md"), report.to_string().as_bytes())?;
        outcome::write(
            &out.join("compare.json"),
            &serde_json::to_vec_pretty(&report)?,
        )?;
        if let Some(page) = page::of_comparison(&report)? {
            outcome::write(&out.join("compare.html"), page.as_bytes())?;
        }
        Ok(report)
    }

    /// Those that are named; all without names.
    fn contestants(&self, entities: &Entities) -> Result<Vec<Contestant>> {
        let mut all = Contestant::all(&self.config.split, entities);
        let unknown = |name: &&String| all.iter().all(|it| it.name != name.as_str());
        if let Some(name) = self.models.iter().find(unknown) {
            return Err(Error::UnknownModel {
                name: name.clone(),
                known: all.iter().map(|it| it.name).collect::<Vec<_>>().join(", "),
            });
        }
        all.retain(|it| self.models.is_empty() || self.models.iter().any(|name| name == it.name));
        Ok(all)
    }
}

/// What all models learn from, and are measured on.
struct Arena {
    split: SplitConfig,
    candidates: Option<Candidates>,
    /// What is known of movies beside years, genres and content.
    entities: Entities,
    fingerprint: DataFingerprint,
    /// All training rows, and what is held out.
    whole: Dataset,
    /// The training rows less the validation rows, which it knows as such.
    less: Dataset,
    /// The same, and in place of what is held out the validation rows.
    inner: Dataset,
    contexts: Contexts,
}

/// The same with the context that [`Best`](crate::Best) looks at, made where it is asked for.
struct Contexts {
    movielens: MovieLens,
    modalities: Vec<Modality>,
}

impl Arena {
    fn read(config: &ExperimentConfig, observer: &mut dyn Observer) -> Result<Self> {
        let mut sources = Sources::open_part(config, observer)?;
        let modalities = sources.encode(observer)?.list;
        let Release::Whole {
            movielens,
            split,
            candidates,
        } = sources.release
        else {
            return Err(Error::Setting {
                setting: "stream",
                value: "true".to_owned(),
                rule: "models are compared on ratings in memory",
            });
        };
        let ratings = &movielens.ratings;
        let of_validation = split.clone().with_validation(VALIDATION, ratings)?;
        let (train, validation) = (of_validation.train(), of_validation.validation());
        let inner = Split::new(ratings.len(), train.to_vec(), validation.to_vec())?;
        let dataset = |split| Dataset::new(&movielens, split, modalities.clone());
        let whole = dataset(split)?;
        let mut entities = Entities::of_tags(&movielens)?;
        if let Some(path) = &config.credits {
            for Credit {
                movie_id,
                role,
                name,
                ..
            } in Credit::read_all(path)?
            {
                if let Some(role) = Role::of(&role) {
                    entities.add_credit(movie_id, role, &name);
                }
            }
        }
        Ok(Self {
            split: config.split.clone(),
            fingerprint: whole.fingerprint(),
            less: dataset(of_validation)?,
            inner: dataset(inner)?,
            whole,
            entities,
            candidates,
            contexts: Contexts {
                movielens,
                modalities,
            },
        })
    }

    /// What is held out, to be measured on.
    fn held_out<'a>(&'a self, data: &'a dyn TrainingData) -> HeldOut<'a> {
        HeldOut {
            data,
            split: &self.split,
            candidates: self.candidates.as_ref(),
        }
    }

    /// The validation rows, likewise: candidates have no other movies for them.
    fn validation<'a>(&'a self, data: &'a dyn TrainingData) -> HeldOut<'a> {
        HeldOut {
            data,
            split: &self.split,
            candidates: None,
        }
    }

    /// All training rows as a model looks at them.
    fn whole_for(&self, contestant: &Contestant) -> Result<Option<Dataset>> {
        if !contestant.needs_context {
            return Ok(None);
        }
        let Contexts {
            movielens,
            modalities,
        } = &self.contexts;
        let data = Dataset::new(movielens, self.whole.split().clone(), modalities.clone())?;
        Ok(Some(
            data.with_context(BestContext::default().of_batches())?,
        ))
    }
}

/// A model with a seed.
struct Run<'a> {
    comparison: &'a Comparison,
    arena: &'a Arena,
    contestant: &'a Contestant,
    seed: u64,
}

/// What tells an outcome from those of other data, settings or ways to choose.
#[derive(Serialize)]
struct Identity<'a> {
    data: &'a DataFingerprint,
    split: &'a SplitConfig,
    model: &'a str,
    settings: Vec<serde_json::Value>,
    validation: f64,
}

impl Run<'_> {
    /// What an earlier comparison of the same left.
    fn kept(&self) -> Result<Option<Outcome>> {
        let identity = self.identity()?;
        outcome::read(&self.path(), |it: &Outcome| it.identity == identity)
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
        })?)
    }

    fn folder(&self) -> PathBuf {
        self.comparison.config.out.join(self.contestant.name)
    }

    fn path(&self) -> PathBuf {
        self.folder().join(format!("seed-{}.json", self.seed))
    }

    /// Chooses, trains, measures, and keeps what it came to.
    fn run(&self, observer: &mut dyn Observer) -> Result<Outcome> {
        let folder = self.folder();
        std::fs::create_dir_all(&folder).map_err(|source| mmdlrm_data::Error::Write {
            path: folder,
            source,
        })?;
        let choice = self.choice()?;
        let settings = &self.contestant.settings[choice.number];
        let settings = settings.with(self.seed, choice.epochs);
        let own = self.arena.whole_for(self.contestant)?;
        let data = own.as_ref().unwrap_or(&self.arena.whole);
        observer.begin(Stage::Train, 0);
        memory::begin();
        let begun = Instant::now();
        settings.check(data.features())?;
        let model = settings.fit(data, Session::default())?;
        let seconds = begun.elapsed().as_secs_f64();
        let peak_mib = memory::peak_mib();
        observer.end();
        let held_out = self.arena.held_out(data);
        let outcome = Outcome {
            identity: self.identity()?,
            model: self.contestant.name.to_owned(),
            seed: self.seed,
            settings: settings.describe()?,
            parameters: model.parameters(),
            seconds,
            peak_mib,
            errors: held_out.errors(&*model)?,
            rankings: held_out.rankings(&*model)?,
        };
        outcome::write(&self.path(), &serde_json::to_vec(&outcome)?)?;
        Ok(outcome)
    }

    /// Which settings, and for how many epochs, as validation rows have it: once for all seeds.
    fn choice(&self) -> Result<Choice> {
        let path = self.folder().join("choice.json");
        let identity = self.identity()?;
        if let Some(kept) = outcome::read(&path, |it: &Choice| it.identity == identity)? {
            return Ok(kept);
        }
        let begun = Instant::now();
        let settings = &self.contestant.settings;
        let mut best: Option<(f64, usize, Option<usize>)> = None;
        if settings.len() > 1 || settings.iter().any(|it| it.has_epochs()) {
            for (number, settings) in settings.iter().enumerate() {
                let (figure, epochs) = self.tried(&**settings)?;
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
            seconds: begun.elapsed().as_secs_f64(),
        };
        outcome::write(&path, &serde_json::to_vec(&choice)?)?;
        Ok(choice)
    }

    /// How good settings are on the validation rows, more being better, and after how many epochs.
    fn tried(&self, settings: &dyn Settings) -> Result<(f64, Option<usize>)> {
        let data = &self.arena.less;
        let mut epochs: Option<(f64, usize)> = None;
        let session = Session::default().on_epoch(|metrics, _model| {
            if let Some(ndcg) = metrics.validation_ndcg
                && epochs.is_none_or(|(best, _)| ndcg > best)
            {
                epochs = Some((ndcg, metrics.epoch));
            }
            Ok(())
        });
        let model = settings.with(FIRST_SEED, None).fit(data, session)?;
        let figure = self.validated(&*model)?;
        Ok((figure, epochs.map(|(_, epoch)| epoch)))
    }

    fn validated(&self, model: &dyn Ranker) -> Result<f64> {
        let validation = self.arena.validation(&self.arena.inner);
        if self.contestant.predicts_stars {
            let errors = validation.errors(model)?.unwrap_or_default();
            return Ok(errors.squared()?.mean().map_or(0.0, |error| -error));
        }
        let rankings = validation.rankings(model)?;
        let first = table::foremost(&rankings, &self.arena.split);
        first.map_or(Ok(0.0), table::mean_ndcg)
    }
}
