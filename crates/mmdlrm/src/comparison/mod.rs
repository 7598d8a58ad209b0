//! Models side by side on the same rows.

mod arena;
mod contestants;
mod limits;
mod measure;
mod memory;
mod outcome;
mod ranked;
mod run;
mod settings;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use mmdlrm_baselines::Entities;
use mmdlrm_features::TrainingData;
use mmdlrm_train::FolderLock;

use self::arena::Arena;
use self::contestants::{Circumstances, Contestant};
use self::limits::Limits;
use self::run::{Failure, Run};
pub use self::table::{Compared, ComparisonReport, ComparisonTable, Estimate};
use crate::page;
use crate::{Error, ExperimentConfig, Observer, RankedUsers, Result, Words};

/// Of the choice of settings.
const FIRST_SEED: u64 = 1;
const MOST_SEEDS: u64 = 1000;
/// What a folder of a run has.
const CONFIG: &str = "config.json";

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
    /// Seeds, from 1, of what models draw: 1 to 1,000. A model without chance is trained once.
    pub seeds: u64,
    /// Time for all of them: who will not have learned by then is stopped as soon as its pace says
    /// so, and left out. What has learned is measured, however long that takes.
    pub budget: Option<Duration>,
    /// Bytes that a model may take beside the data; `None` for as many as are free. Who would
    /// take more is left out, and an error if it was named.
    pub memory: Option<u64>,
    /// Most epochs that are tried of models of which validation rows choose them; `None` for
    /// enough. One or more.
    pub epochs: Option<usize>,
}

/// More time than anybody waits for.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Comparison {
    /// All models on the sample, one seed, within a day.
    fn default() -> Self {
        Self {
            config: ExperimentConfig {
                out: PathBuf::from("runs/comparison"),
                ..ExperimentConfig::default()
            },
            models: Vec::new(),
            seeds: 1,
            budget: Some(A_DAY),
            memory: None,
            epochs: None,
        }
    }
}

impl Comparison {
    /// Names of all models, and what each is.
    pub fn names() -> Vec<(&'static str, &'static str)> {
        let all = Contestant::all(&Circumstances {
            split: &ExperimentConfig::default().split,
            entities: &Entities::default(),
            rows: 0,
            epochs: None,
            has_times: true,
        });
        all.iter().map(|it| (it.name, it.about)).collect()
    }

    /// Trains and measures what is not there yet, and says what all came to.
    ///
    /// # Errors
    /// Settings that make no sense, a name that no model has, data that a model which is named has
    /// nothing to learn from in or too little memory for, a folder that cannot be written, or what
    /// a model cannot be trained with if nothing comes of any. What keeps one model from coming to
    /// something is said among those that are left out.
    pub fn run(&self, observer: &mut dyn Observer) -> Result<ComparisonReport> {
        self.config.validate()?;
        self.check()?;
        let out = &self.config.out;
        if out.join(CONFIG).exists() {
            return Err(Error::HoldsRun { path: out.clone() });
        }
        outcome::create_folder(out)?;
        let _lock = FolderLock::take(out)?;
        let arena = Arena::read(&self.config, observer)?;
        let limits = Limits::new(self.budget, self.memory);
        let (contestants, mut left_out) = self.able(&arena)?;
        let run_of = |contestant, seed| Run {
            comparison: self,
            arena: &arena,
            limits: &limits,
            contestant,
            seed,
        };
        if !self.models.is_empty() {
            for contestant in &contestants {
                run_of(contestant, FIRST_SEED).check_memory()?;
            }
        }
        let mut outcomes = Vec::new();
        let mut failed = None;
        for seed in FIRST_SEED..=self.seeds {
            let drawn = |it: &&Contestant| seed == FIRST_SEED || it.has_seed();
            for contestant in contestants.iter().filter(drawn) {
                let run = run_of(contestant, seed);
                let found = match (run.kept()?, run.too_large()) {
                    (Some(kept), _) => Ok(kept),
                    (None, Some([needed, free])) => Err(Failure::NoRoom(format!(
                        "would take {needed} of memory, and {free} are free"
                    ))),
                    (None, None) if limits.are_reached() => {
                        Err(Failure::NoRoom("the budget was over".to_owned()))
                    }
                    (None, None) => {
                        observer.note(&format!("{}, seed {seed}", contestant.name));
                        run.run(observer)
                    }
                };
                match found {
                    Ok(outcome) => outcomes.push(outcome),
                    Err(Failure::Fatal(error)) => return Err(error),
                    Err(why) => {
                        left_out.push(format!("{} (seed {seed}): {why}", contestant.name));
                        if let Failure::Failed(error) = why {
                            observer.note(&format!("{} failed: {error}", contestant.name));
                            failed.get_or_insert(error);
                        }
                    }
                }
            }
        }
        if let (Some(error), true) = (failed, outcomes.is_empty()) {
            return Err(error);
        }
        let ranked_for = arena.ranked.about.as_deref();
        let words = Words::of(&self.config.source, arena.whole.features().target());
        let held_out = (&self.config.split, ranked_for, &words);
        let report = ComparisonReport::new(held_out, &contestants, &outcomes, left_out)?;
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

    /// Refuses what can be refused before anything is read.
    fn check(&self) -> Result<()> {
        let named = self.contestants(&Entities::default(), 0, true)?;
        let refused = |setting, value: u64, rule| {
            let value = value.to_string();
            Err(Error::Setting {
                setting,
                value,
                rule,
            })
        };
        match self.epochs {
            Some(0) => refused("epochs", 0, "it must be 1 or more"),
            Some(epochs) if !named.iter().any(Contestant::has_epochs) => refused(
                "epochs",
                epochs as u64,
                "validation rows choose the epochs of none of the models: leave it out",
            ),
            _ if self.config.ranking == RankedUsers::Off => Err(Error::Setting {
                setting: "ranking",
                value: "off".to_owned(),
                rule: "models are compared by how they rank",
            }),
            _ if !(1..=MOST_SEEDS).contains(&self.seeds) => {
                refused("seeds", self.seeds, "it must be from 1 to 1,000")
            }
            _ => Ok(()),
        }
    }

    /// Those that the data have something for, and why others are left out.
    fn able(&self, arena: &Arena) -> Result<(Vec<Contestant>, Vec<String>)> {
        let data = &arena.whole;
        let mut contestants =
            self.contestants(&arena.entities, data.training_rows(), arena.has_times())?;
        let lacking = contestants.iter();
        let lacking = lacking.filter_map(|it| Some((it.name, it.lacks(data.features())?)));
        if let (Some((name, what)), false) = (lacking.clone().next(), self.models.is_empty()) {
            return Err(Error::Setting {
                setting: "models",
                value: name.to_owned(),
                rule: what.rule(),
            });
        }
        let left_out = lacking.map(|(name, what)| format!("{name}: {}", what.reason()));
        let left_out = left_out.collect();
        contestants.retain(|it| it.lacks(data.features()).is_none());
        Ok((contestants, left_out))
    }

    /// Those that are named; all without names.
    fn contestants(
        &self,
        entities: &Entities,
        rows: usize,
        has_times: bool,
    ) -> Result<Vec<Contestant>> {
        let mut all = Contestant::all(&Circumstances {
            split: &self.config.split,
            entities,
            rows,
            epochs: self.epochs,
            has_times,
        });
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
