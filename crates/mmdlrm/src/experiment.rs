use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use mmdlrm_data::Modality;
use mmdlrm_encoders::Device;
use mmdlrm_features::{StreamedDataset, TrainingData};
use mmdlrm_model::Dlrm;
use mmdlrm_train::{Checkpoint, EpochMetrics, Replacement, RunFolder, Session, train, train_on};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::made_from::{MadeFrom, Opened};
use crate::measure::measure;
use crate::page::{Page, people};
use crate::report::{Inputs, MissingModality, Report, Seconds};
use crate::saved::{ConfigFile, SavedConfig};
use crate::sources::{Release, Sources, dataset};
use crate::{Catalogue, Error, ExperimentConfig, Observer, Result, Silent, Stage, Task};

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
/// assert_eq!(report.test_ratings, 60);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Experiment {
    config: ExperimentConfig,
    sources: Sources,
    run: Run,
    seconds: Seconds,
}

/// A run before it trains: its folder, and how it goes on.
pub(crate) struct Run {
    place: Place,
    /// Whether it is gone on with.
    resumed: bool,
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
pub(crate) struct Prepared {
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
            resumed: false,
            stop: None,
        })
    }

    fn path(&self) -> &Path {
        match &self.place {
            Place::Own(folder) => folder.path(),
            Place::Others(replacement) => replacement.path(),
        }
    }

    /// Writes `config.json`, so that the run can be gone on with, unless another's is there.
    fn announce(&self, config: &ExperimentConfig, made_from: &MadeFrom) -> Result<()> {
        if let Place::Own(folder) = &self.place {
            folder.write_config(&ConfigFile::<()>::of_run(config, made_from, None))?;
        }
        Ok(())
    }

    /// Takes the place of the run that was there, if any, and writes `config.json`: all that
    /// could be wrong with this one has been found out.
    pub fn begin<M: Serialize>(
        self,
        config: &ExperimentConfig,
        made_from: MadeFrom,
        model: &M,
    ) -> Result<Running> {
        let folder = match self.place {
            Place::Own(folder) => folder,
            Place::Others(replacement) => replacement.begin()?,
        };
        folder.write_config(&ConfigFile::of_run(config, &made_from, Some(model)))?;
        Ok(Running {
            folder,
            made_from,
            resumed: self.resumed,
            stop: self.stop,
        })
    }
}

impl Running {
    /// Writes the model, as the run's.
    pub fn write_model(&self, safetensors: &[u8]) -> mmdlrm_train::Result<()> {
        self.folder.write_model(safetensors, &self.made_from.run)
    }

    /// How training begins or goes on: from the newest checkpoint that is whole, with
    /// the figures of the epochs before it in `metrics.jsonl` and no others.
    pub fn session<M: Serialize + DeserializeOwned>(
        &self,
        config: &ExperimentConfig,
        observer: &mut dyn Observer,
    ) -> Result<Session<'_, M>> {
        let checkpoints = self.folder.checkpoints(config.checkpoints);
        let mut session = Session {
            checkpoints: Some(checkpoints.clone()),
            run: self.made_from.run.clone(),
            stop: self.stop.as_deref(),
            ..Session::default()
        };
        if !self.resumed {
            return Ok(session);
        }
        let latest = checkpoints.latest()?;
        for (path, reason) in &latest.damaged {
            let path = path.display();
            observer.note(&format!("{path} is damaged and passed over: {reason}"));
        }
        let progress = latest.checkpoint.as_ref().map(|it| &it.progress);
        // A checkpoint of another run is refused as training begins, with what differs.
        if progress.is_none_or(|progress| progress.identity.run == session.run) {
            self.folder
                .restart_metrics(progress.map_or(&[][..], |progress| &progress.epochs))?;
        }
        observer.note(&match progress {
            None => "no checkpoint to go on from: training begins anew".to_owned(),
            Some(progress) => format!("training goes on after step {}", progress.step),
        });
        session.resumed = latest.checkpoint;
        Ok(session)
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
                resumed: true,
                stop: None,
            })
        })
    }

    /// What is learned: by [`Self::run`], or by [`Self::rank`].
    pub fn task(&self) -> Task {
        self.config.task
    }

    /// Lets training end, with a checkpoint and
    /// [`mmdlrm_train::Error::Stopped`], when `stop` becomes true.
    #[must_use]
    pub fn stop_when(mut self, stop: Arc<AtomicBool>) -> Self {
        self.run.stop = Some(stop);
        self
    }

    fn open(
        config: ExperimentConfig,
        opened: Option<Opened>,
        run: impl FnOnce(&ExperimentConfig) -> Result<Run>,
    ) -> Result<Self> {
        let start = Instant::now();
        let sources = Sources::open(&config, opened, &mut Silent)?;
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
        })
    }

    /// Does the work.
    ///
    /// # Errors
    /// Another [task](Self::task), a loss that diverges, a device that fails, or a folder
    /// that can no longer be written.
    pub fn run(self, observer: &mut dyn Observer) -> Result<Report> {
        let Prepared {
            config,
            release,
            catalogue,
            modalities,
            inputs,
            made_from,
            run,
            seconds,
        } = self.prepare(Task::Rate, observer)?;
        let task = Rating {
            config,
            catalogue,
            inputs,
            made_from,
            run,
            seconds,
        };
        match release {
            Release::Whole {
                movielens, split, ..
            } => {
                let data = dataset(&task.config, movielens, split, modalities)?;
                task.train_and_measure(&data, observer)
            }
            Release::Streamed { movielens, split } => {
                let scratch = task.run.path();
                let data = StreamedDataset::new(movielens, split, modalities, scratch)?;
                task.train_and_measure(&data, observer)
            }
        }
    }

    /// Encodes.
    pub(crate) fn prepare(self, task: Task, observer: &mut dyn Observer) -> Result<Prepared> {
        let Self {
            config,
            mut sources,
            run,
            mut seconds,
        } = self;
        if config.task != task {
            return Err(Error::Setting {
                setting: "task",
                value: format!("{:?}", config.task),
                rule: "ratings are learned by run, what comes next by rank",
            });
        }
        run.announce(&config, &sources.made_from)?;
        let start = Instant::now();
        let modalities = sources.encode(observer)?;
        let Sources {
            release,
            encoder,
            posters,
            made_from,
        } = sources;
        let catalogue = Catalogue::new(release.movies(), posters);
        seconds.encode = start.elapsed().as_secs_f64();
        let inputs = Inputs {
            encoder: encoder.and_then(|encoder| encoder.name()),
            posters: modalities.posters,
            broken_posters: modalities.broken_posters,
            summaries: modalities.summaries,
            left_out: release.left_out(),
            ..Inputs::default()
        };
        Ok(Prepared {
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

/// What is left to do once the data are ready.
struct Rating {
    config: ExperimentConfig,
    catalogue: Catalogue,
    inputs: Inputs,
    made_from: MadeFrom,
    run: Run,
    seconds: Seconds,
}

impl Rating {
    fn train_and_measure(
        self,
        data: &impl TrainingData,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        let Self {
            config,
            catalogue,
            inputs,
            made_from,
            run,
            mut seconds,
        } = self;
        let features = data.features();
        let mut model = Dlrm::new(config.preset.config(features, config.dim), config.seed)?;
        let inputs = Inputs {
            train_ratings: data.training_rows(),
            users: features.users().len(),
            movies: features.movies().len(),
            parameters: model.parameters().len(),
            missing: MissingModality::of(features),
            ..inputs
        };
        let start = Instant::now();
        let device = mmdlrm_encoders::device(&config.device)?;
        let run = run.begin(&config, made_from, model.config())?;
        let before = train_model(&device, &mut model, data, &config, &run, observer)?;
        seconds.train = before + start.elapsed().as_secs_f64();
        let folder = &run.folder;
        let report = measure(&model, data, inputs, seconds, folder, observer)?;
        let epochs: Vec<EpochMetrics> = folder.read_metrics()?;
        let people = people(&model, data, &catalogue)?;
        folder.write_report(&Page::of_ratings(&config, &report, &epochs, people)?.html()?)?;
        Ok(report)
    }
}

/// Trains, keeping the figures and the model of each epoch in the run folder. Returns
/// the seconds that were spent before the run was gone on with.
fn train_model(
    device: &Device,
    model: &mut Dlrm,
    data: &impl TrainingData,
    config: &ExperimentConfig,
    run: &Running,
    observer: &mut dyn Observer,
) -> Result<f64> {
    let session = run.session(config, observer)?;
    let (folder, config) = (&run.folder, &config.train);
    let rows = data.training_rows() * config.epochs;
    observer.begin(Stage::Train, rows as u64);
    let mut before = 0.0;
    if let Some(Checkpoint { progress, .. }) = &session.resumed {
        let done = progress.rows_done(data.training_rows(), config.batch_size);
        observer.advance(done as u64);
        before = progress.spent(|epoch: &EpochMetrics| epoch.seconds);
    }
    // Both callbacks tell the same observer.
    let observer = std::cell::RefCell::new(observer);
    let on_step = |rows| observer.borrow_mut().advance(rows as u64);
    let on_epoch = |metrics: &EpochMetrics, model: &Dlrm| {
        folder.append_metrics(metrics)?;
        run.write_model(&model.to_safetensors()?)?;
        observer.borrow_mut().epoch(metrics);
        Ok(())
    };
    match device {
        Device::Cpu => train(model, data, config, session, on_step, on_epoch)?,
        device => train_on(device, model, data, config, session, on_step, on_epoch)?,
    }
    // The best epoch's need not be the last's.
    run.write_model(&model.to_safetensors()?)?;
    observer.borrow_mut().end();
    Ok(before)
}
