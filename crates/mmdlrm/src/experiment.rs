use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use mmdlrm_data::{Modality, StreamedDataset, TrainingData};
use mmdlrm_encoders::Device;
use mmdlrm_model::Dlrm;
use mmdlrm_train::{Checkpoint, EpochMetrics, RunFolder, Session, train, train_on};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::measure::measure;
use crate::page::{Page, people};
use crate::report::{Inputs, MissingModality, Report, Seconds};
use crate::sources::{Release, Sources, dataset};
use crate::{Catalogue, ExperimentConfig, Observer, Result, Silent, Stage};

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

/// What an experiment learns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Task {
    /// Ratings: [`Experiment::run`].
    #[default]
    Rate,
    /// What each user watches next: [`Experiment::rank`].
    Rank,
}

/// The folder of a run, and how it goes on.
pub(crate) struct Run {
    pub folder: RunFolder,
    /// Whether it is gone on with, and what it learns then.
    resumed: Option<Task>,
    stop: Option<Arc<AtomicBool>>,
}

/// Everything read and encoded.
pub(crate) struct Prepared {
    pub config: ExperimentConfig,
    pub release: Release,
    pub catalogue: Catalogue,
    pub modalities: Vec<Modality>,
    pub inputs: Inputs,
    pub run: Run,
    pub seconds: Seconds,
}

/// `config.json` of a run.
#[derive(Serialize)]
struct RunConfig<'a, M> {
    version: &'static str,
    task: Task,
    experiment: &'a ExperimentConfig,
    /// `None` until the data are read.
    model: Option<&'a M>,
    threads: usize,
}

/// What is read back of it.
#[derive(Deserialize)]
pub(crate) struct SavedConfig {
    #[serde(default)]
    pub task: Task,
    pub experiment: ExperimentConfig,
}

impl Run {
    /// Writes `config.json`.
    pub fn write_config<M: Serialize>(
        &self,
        task: Task,
        experiment: &ExperimentConfig,
        model: Option<&M>,
    ) -> Result<()> {
        Ok(self.folder.write_config(&RunConfig {
            version: env!("CARGO_PKG_VERSION"),
            task,
            experiment,
            model,
            threads: rayon::current_num_threads(),
        })?)
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
            stop: self.stop.as_deref(),
            ..Session::default()
        };
        if self.resumed.is_none() {
            return Ok(session);
        }
        let latest = checkpoints.latest()?;
        for (path, reason) in &latest.damaged {
            let path = path.display();
            observer.note(&format!("{path} is damaged and passed over: {reason}"));
        }
        let progress = latest.checkpoint.as_ref().map(|it| &it.progress);
        self.folder
            .restart_metrics(progress.map_or(&[][..], |progress| &progress.epochs))?;
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
    /// The first thing that cannot be used.
    pub fn new(config: ExperimentConfig) -> Result<Self> {
        Self::open(config, |config| {
            Ok(Run {
                folder: RunFolder::create(&config.out)?,
                resumed: None,
                stop: None,
            })
        })
    }

    /// Goes on with the run in `folder`, by its own configuration: training from its
    /// newest checkpoint, to the same model as if it had never stopped; what
    /// [`Self::task`] says comes then. Paths in the configuration hold from the folder
    /// in which the run was begun.
    ///
    /// # Errors
    /// A folder without a run or with another one at work, or the first thing that
    /// cannot be used.
    pub fn resume(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = RunFolder::open(folder)?;
        let saved: SavedConfig = folder.read_config()?;
        let config = ExperimentConfig {
            out: folder.path().to_owned(),
            ..saved.experiment
        };
        Self::open(config, |_| {
            Ok(Run {
                folder,
                resumed: Some(saved.task),
                stop: None,
            })
        })
    }

    /// What a run that is gone on with learns.
    pub fn task(&self) -> Option<Task> {
        self.run.resumed
    }

    pub(crate) fn config(&self) -> &ExperimentConfig {
        &self.config
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
        run: impl FnOnce(&ExperimentConfig) -> Result<Run>,
    ) -> Result<Self> {
        config.validate()?;
        let start = Instant::now();
        let sources = Sources::open(&config, &mut Silent)?;
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
    /// A loss that diverges, a device that fails, or a folder that can no
    /// longer be written.
    pub fn run(self, observer: &mut dyn Observer) -> Result<Report> {
        let Prepared {
            config,
            release,
            catalogue,
            modalities,
            inputs,
            run,
            seconds,
        } = self.prepare(Task::Rate, observer)?;
        match release {
            Release::Whole(movielens, split) => {
                let data = dataset(&config, movielens, split, modalities)?;
                train_and_measure(&data, &config, &catalogue, inputs, seconds, &run, observer)
            }
            Release::Streamed { movielens, split } => {
                let scratch = run.folder.path();
                let data = StreamedDataset::new(movielens, split, modalities, scratch)?;
                train_and_measure(&data, &config, &catalogue, inputs, seconds, &run, observer)
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
        run.write_config::<()>(task, &config, None)?;
        let start = Instant::now();
        let modalities = sources.encode(observer)?;
        let Sources {
            release,
            encoder,
            posters,
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
            run,
            seconds,
        })
    }
}

fn train_and_measure(
    data: &impl TrainingData,
    config: &ExperimentConfig,
    catalogue: &Catalogue,
    inputs: Inputs,
    mut seconds: Seconds,
    run: &Run,
    observer: &mut dyn Observer,
) -> Result<Report> {
    let features = data.features();
    let mut model = Dlrm::new(config.preset.config(features, config.dim), config.seed)?;
    run.write_config(Task::Rate, config, Some(model.config()))?;
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
    let before = train_model(&device, &mut model, data, config, run, observer)?;
    seconds.train = before + start.elapsed().as_secs_f64();
    let folder = &run.folder;
    let report = measure(&model, data, inputs, seconds, folder, observer)?;
    let epochs: Vec<EpochMetrics> = folder.read_metrics()?;
    let people = people(&model, data, catalogue)?;
    folder.write_report(&Page::of_ratings(config, &report, &epochs, people)?.html()?)?;
    Ok(report)
}

/// Trains, keeping the figures and the model of each epoch in the run folder. Returns
/// the seconds that were spent before the run was gone on with.
fn train_model(
    device: &Device,
    model: &mut Dlrm,
    data: &impl TrainingData,
    config: &ExperimentConfig,
    run: &Run,
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
        folder.write_model(&model.to_safetensors()?)?;
        observer.borrow_mut().epoch(metrics);
        Ok(())
    };
    match device {
        Device::Cpu => train(model, data, config, session, on_step, on_epoch)?,
        device => train_on(device, model, data, config, session, on_step, on_epoch)?,
    }
    // The best epoch's need not be the last's.
    folder.write_model(&model.to_safetensors()?)?;
    observer.borrow_mut().end();
    Ok(before)
}
