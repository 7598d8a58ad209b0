use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use mmdlrm_data::Modality;
use mmdlrm_features::TrainingData;
use mmdlrm_train::{EpochMetrics, Fit, Persist, Ranker, Replacement, RunFolder, Session};
use serde_json::Value;

use crate::device::device;
use crate::made_from::{Learned, MadeFrom, Opened};
use crate::measure::measure;
use crate::own_fit::OwnFit;
use crate::page;
use crate::rankings::{Asked, held_out};
use crate::release::{Release, dataset, on_disk_dataset};
use crate::report::{Inputs, MissingModality, Report, Seconds};
use crate::saved::{ConfigFile, SavedConfig, posters_of};
use crate::sources::Sources;
use crate::training::Training;
use crate::{
    Best, Catalogue, Error, ExperimentConfig, Observer, Preset, Result, Source, Task, TwoStage,
    Words,
};

/// Reads, encodes, trains, measures, and leaves a run folder behind.
///
/// ```
/// use mmdlrm::data::generate::GeneratorConfig;
/// use mmdlrm::{Experiment, ExperimentConfig, Silent, Source};
///
/// # let folder = tempfile::tempdir()?;
/// let mut config = ExperimentConfig {
///     source: Source::Sample(GeneratorConfig::tiny()),
///     out: folder.path().join("run"),
///     ..ExperimentConfig::default()
/// };
/// config.train.epochs = 2;
/// let report = Experiment::new(config)?.run(&mut Silent)?;
/// println!("{report}");
/// assert_eq!(report.errors.map(|errors| errors.test_ratings), Some(60));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Experiment {
    config: ExperimentConfig,
    sources: Sources,
    run: Run,
    seconds: Seconds,
    /// Said as soon as somebody listens.
    notes: Notes,
}

/// What a person should know of what was read.
#[derive(Default)]
struct Notes(Vec<String>);

impl Observer for Notes {
    fn note(&mut self, note: &str) {
        self.0.push(note.to_owned());
    }
}

/// A run before it trains: its folder, and how it goes on.
pub(crate) struct Run {
    place: Place,
    /// What it learns, where it is resumed.
    resumed: Option<Learned>,
    stop: Option<Arc<AtomicBool>>,
}

enum Place {
    Own(RunFolder),
    /// Of a run that gives way when this one begins.
    Others(Replacement),
}

/// A run that trains.
pub(crate) struct Running {
    pub folder: RunFolder,
    pub made_from: MadeFrom,
    resumed: bool,
    stop: Option<Arc<AtomicBool>>,
}

/// Everything read and encoded.
pub(crate) struct Ready {
    pub config: ExperimentConfig,
    pub release: Release,
    pub catalogue: Catalogue,
    pub modalities: Vec<Modality>,
    pub inputs: Inputs,
    pub made_from: MadeFrom,
    pub run: Run,
    pub seconds: Seconds,
}

impl Run {
    /// In the folder that the configuration names.
    fn new(config: &ExperimentConfig) -> Result<Self> {
        let place = match config.overwrite {
            true => Place::Others(RunFolder::replace(&config.out)?),
            false => Place::Own(RunFolder::create(&config.out)?),
        };
        Ok(Self {
            place,
            resumed: None,
            stop: None,
        })
    }

    fn path(&self) -> &Path {
        match &self.place {
            Place::Own(folder) => folder.path(),
            Place::Others(replacement) => replacement.path(),
        }
    }

    /// Writes `config.json`, so that the run can be resumed, unless another's is there.
    fn announce(
        &self,
        learned: &Learned,
        config: &ExperimentConfig,
        made_from: &MadeFrom,
    ) -> Result<()> {
        if let Place::Own(folder) = &self.place {
            let file = ConfigFile::of_run(learned, config, made_from, &Value::Null);
            folder.write_config(&file)?;
        }
        Ok(())
    }

    /// Refuses to go on with a run that learns something else.
    fn check(&self, learned: &Learned) -> Result<()> {
        match &self.resumed {
            Some(before) if before != learned => Err(Error::OtherFit {
                run: self.path().to_owned(),
                before: before.to_string(),
                now: learned.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Takes the place of the run that was there, if any, and writes `config.json`: all that
    /// could be wrong with this one has been found out.
    pub fn begin(
        self,
        config: &ExperimentConfig,
        made_from: MadeFrom,
        learned: &Learned,
        shape: &Value,
    ) -> Result<Running> {
        let folder = match self.place {
            Place::Own(folder) => folder,
            Place::Others(replacement) => replacement.begin()?,
        };
        folder.write_config(&ConfigFile::of_run(learned, config, &made_from, shape))?;
        Ok(Running {
            folder,
            made_from,
            resumed: self.resumed.is_some(),
            stop: self.stop,
        })
    }
}

impl Running {
    /// Writes what the model will need of the data, as the run's, unless it is there
    /// since before the run stopped.
    pub fn write_known(&self, data: &dyn TrainingData, catalogue: &Catalogue) -> Result<()> {
        let run = &self.made_from.run;
        if self.resumed && RunFolder::known_of(self.folder.path(), run).is_ok() {
            return Ok(());
        }
        let (movies, posters) = (catalogue.table(), catalogue.posters());
        Ok(self.folder.write_known(data, movies, posters, run)?)
    }

    /// Writes the model, as the run's.
    pub fn write_model(&self, model: &dyn Persist) -> mmdlrm_train::Result<()> {
        let file = model.to_safetensors()?;
        self.folder.write_model(&file, &self.made_from.run)
    }

    /// Lets `learn` train, over `rows` rows in all, in a [session](Training::session) that keeps
    /// the figures and the model of each epoch in the run's folder. Returns what it learned, and
    /// the seconds that were spent before the run was resumed.
    pub fn train<T>(
        &self,
        config: &ExperimentConfig,
        rows: usize,
        observer: &mut dyn Observer,
        learn: impl FnOnce(Session) -> mmdlrm_train::Result<T>,
    ) -> Result<(T, f64)> {
        let training = Training {
            folder: &self.folder,
            run: &self.made_from.run,
            checkpoints: config.checkpoints,
            resumed: self.resumed,
            stop: self.stop.as_deref(),
        };
        training.train(rows, observer, learn)
    }
}

impl Experiment {
    /// Reads everything that the configuration names, so that whatever is
    /// wrong with it is found before the work begins, and then makes the run
    /// folder.
    ///
    /// # Errors
    /// The first thing that cannot be used; a folder that holds a run, unless the
    /// configuration says that it may be replaced.
    pub fn new(config: ExperimentConfig) -> Result<Self> {
        config.validate()?;
        if !config.overwrite {
            // Before anything is read, and once more when the folder is made.
            RunFolder::check_free(&config.out)?;
        }
        Self::open(config, None, Run::new)
    }

    /// Goes on with the run in `folder`, by its own configuration: training from its
    /// newest checkpoint, to the same model as if it had never stopped; what
    /// [`Self::task`] says comes then. Paths in the configuration hold from the folder
    /// in which the run was begun.
    ///
    /// # Errors
    /// A folder without a run or with another one at work, data that are not those that
    /// the run was begun with, or the first thing that cannot be used.
    pub fn resume(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = RunFolder::open(folder)?;
        let path = folder.path().to_owned();
        let SavedConfig {
            experiment,
            made_from,
            learned,
            ..
        } = SavedConfig::read(&path)?;
        let config = ExperimentConfig {
            out: path.clone(),
            ..experiment
        };
        config.validate()?;
        let opened = Opened {
            folder: &path,
            made_from: &made_from,
        };
        Self::open(config, Some(opened), |_| {
            Ok(Run {
                place: Place::Own(folder),
                resumed: Some(learned),
                stop: None,
            })
        })
    }

    /// What is learned: by [`Self::run`], or by [`Self::rank`].
    pub fn task(&self) -> Task {
        self.config.task
    }

    /// What its data are called.
    pub fn words(&self) -> Words {
        Words::of(&self.config.source, self.sources.release.target())
    }

    /// Lets training end, with a checkpoint and
    /// [`mmdlrm_train::Error::Stopped`], when `stop` becomes true.
    #[must_use]
    pub fn stop_when(mut self, stop: Arc<AtomicBool>) -> Self {
        self.run.stop = Some(stop);
        self
    }

    fn open(
        mut config: ExperimentConfig,
        opened: Option<Opened>,
        run: impl FnOnce(&ExperimentConfig) -> Result<Run>,
    ) -> Result<Self> {
        let start = Instant::now();
        let mut notes = Notes::default();
        let sources = Sources::open(&config, opened, &mut notes)?;
        // It is there where there is something to rate.
        config.rater &= !sources.release.target().is_probability() || config.preset != Preset::Rank;
        if let Source::Tables(files) = &mut config.source {
            // What was found by a usual name is called by it from here on.
            let column = sources.release.target_column();
            files.options.schema.target = column.map(str::to_owned);
            let policy = files.options.duplicates_of(sources.release.target());
            files.options.duplicates = Some(policy);
        }
        let run = run(&config)?;
        let seconds = Seconds {
            read: start.elapsed().as_secs_f64(),
            ..Seconds::default()
        };
        Ok(Self {
            config,
            sources,
            run,
            seconds,
            notes,
        })
    }

    /// Does the work, with the model that the configuration describes.
    ///
    /// # Errors
    /// Another [task](Self::task), a loss that diverges, a device that fails, or a folder
    /// that can no longer be written.
    pub fn run(self, observer: &mut dyn Observer) -> Result<Report> {
        let config = self.config.clone();
        let device = device(&config.device)?;
        let learned = Learned::of_preset(config.preset);
        match config.preset {
            Preset::Best => return self.learn(&Best::of(config), &learned, observer),
            Preset::Rank => return self.learn(&TwoStage::of(config), &learned, observer),
            _ => {}
        }
        self.learn(&OwnFit::new(config, device), &learned, observer)
    }

    /// Does the work with a model of one's own: it is trained on what the configuration
    /// reads and holds out, kept, measured and reported as any other, and can be resumed and
    /// asked for ([`Kinds`](crate::Kinds)). Of the configuration's model, the preset says
    /// whether posters and plots are encoded, and whether the features have a
    /// [context](mmdlrm_features::ContextConfig); how it is trained is checked, and not used.
    ///
    /// # Errors
    /// As [`Self::run`]; a run to go on with that was begun with other settings
    /// ([`Error::OtherFit`]), and what `fit` says.
    pub fn fit(self, fit: &impl Fit, observer: &mut dyn Observer) -> Result<Report> {
        let learned = Learned::by(fit)?;
        self.learn(fit, &learned, observer)
    }

    fn learn(
        self,
        fit: &impl Fit,
        learned: &Learned,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        let Ready {
            config,
            release,
            catalogue,
            modalities,
            inputs,
            made_from,
            run,
            seconds,
        } = self.prepare(Task::Rate, learned, observer)?;
        let task = Learning {
            config,
            learned,
            catalogue,
            inputs,
            made_from,
            run,
            seconds,
        };
        match release {
            Release::Whole {
                interactions,
                split,
                ..
            } => {
                let data = dataset(&task.config, *interactions, split, modalities)?;
                task.learn_and_measure(fit, &data, observer)
            }
            Release::Streamed {
                interactions,
                split,
                ..
            } => {
                let scratch = task.run.path();
                let data =
                    on_disk_dataset(&task.config, *interactions, split, modalities, scratch)?;
                task.learn_and_measure(fit, &data, observer)
            }
        }
    }

    /// Encodes.
    pub(crate) fn prepare(
        self,
        task: Task,
        learned: &Learned,
        observer: &mut dyn Observer,
    ) -> Result<Ready> {
        let Self {
            config,
            mut sources,
            run,
            mut seconds,
            notes,
        } = self;
        notes.0.iter().for_each(|note| observer.note(note));
        if config.task != task {
            return Err(Error::Setting {
                setting: "task",
                value: format!("{:?}", config.task),
                rule: "ratings are learned by run, what comes next by rank",
            });
        }
        run.check(learned)?;
        if run.resumed.is_none() {
            sources.made_from = sources.made_from.with(learned);
        }
        run.announce(learned, &config, &sources.made_from)?;
        let start = Instant::now();
        let modalities = sources.encode(observer)?;
        let Sources {
            release,
            encoder,
            posters,
            made_from,
            ..
        } = sources;
        let catalogue = Catalogue::new(release.movies(), posters_of(posters));
        seconds.encode = start.elapsed().as_secs_f64();
        let inputs = Inputs {
            words: Words::of(&config.source, release.target()),
            encoder: encoder.and_then(|encoder| encoder.name()),
            posters: modalities.posters,
            broken_posters: modalities.broken_posters,
            left_out_posters: modalities.left_out_posters,
            summaries: modalities.summaries,
            blank_summaries: modalities.blank_summaries,
            left_out_summaries: modalities.left_out_summaries,
            left_out: release.left_out(),
            ..Inputs::default()
        };
        Ok(Ready {
            config,
            release,
            catalogue,
            modalities: modalities.list,
            inputs,
            made_from,
            run,
            seconds,
        })
    }
}

impl fmt::Debug for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Experiment")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What is left to do once the data are ready.
struct Learning<'a> {
    config: ExperimentConfig,
    learned: &'a Learned,
    catalogue: Catalogue,
    inputs: Inputs,
    made_from: MadeFrom,
    run: Run,
    seconds: Seconds,
}

impl Learning<'_> {
    fn learn_and_measure(
        self,
        fit: &impl Fit,
        data: &dyn TrainingData,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        let Self {
            config,
            learned,
            catalogue,
            inputs,
            made_from,
            run,
            mut seconds,
        } = self;
        let features = data.features();
        let start = Instant::now();
        let shape = fit.check(features)?;
        let run = run.begin(&config, made_from, learned, &shape)?;
        run.write_known(data, &catalogue)?;
        let rows = fit.rows(data);
        let (model, before) =
            run.train(&config, rows, observer, |session| fit.fit(data, session))?;
        // The best epoch's need not be the last's.
        run.write_model(&model)?;
        seconds.train = before + start.elapsed().as_secs_f64();
        let inputs = Inputs {
            train_ratings: data.training_rows(),
            users: features.users().len(),
            movies: features.movies().len(),
            parameters: model.parameters(),
            missing: MissingModality::of(features),
            ..inputs
        };
        let folder = &run.folder;
        let asked = Asked {
            split: &config.split,
            held_out: held_out(&config.split, &inputs.words),
            words: inputs.words.clone(),
            candidates: None,
            users: config.ranking,
            seed: config.seed,
            streamed: config.stream,
        };
        let report = measure(&model, data, &asked, inputs, seconds, folder, observer)?;
        let epochs: Vec<EpochMetrics> = folder.read_metrics()?;
        let settings = (&config, learned);
        page::write_for_model(folder, settings, &report, &epochs, &model, data, &catalogue)?;
        Ok(report)
    }
}

impl Best {
    /// As a configuration says.
    fn of(config: ExperimentConfig) -> Self {
        Self {
            context: config.context,
            dim: config.dim,
            seed: config.seed,
            train: config.train,
            device: config.device,
        }
    }
}
