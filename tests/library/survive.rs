//! Runs that are stopped and resumed come to the same as runs that are not.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use mmdlrm::Preset;
use mmdlrm::data::Split;
use mmdlrm::features::{ContextConfig, Dataset, TrainingData};
use mmdlrm::model::{Dlrm, Parameters};
use mmdlrm::train::{
    Algorithm, CheckpointConfig, Checkpoints, EpochMetrics, Error, OptimizerConfig, Session,
    TrainConfig, train, train_on,
};

/// Ratings to train, validate and test on, with histories and audiences for the preset
/// `best`.
fn dataset(with_context: bool) -> Dataset {
    let movielens = crate::training::movielens();
    let split = Split::random(movielens.ratings.len(), 0.2, 42).unwrap();
    let split = split.with_validation(0.1, &movielens.ratings).unwrap();
    let dataset = Dataset::new(&movielens, split, Vec::new()).unwrap();
    match with_context {
        true => dataset.with_context(ContextConfig::default()).unwrap(),
        false => dataset,
    }
}

struct Case<'a> {
    data: &'a Dataset,
    preset: Preset,
    config: TrainConfig,
    on_device: bool,
}

/// What a run came to: its parameters, and its figures without the times.
type Outcome = (Parameters, Vec<(f64, Option<f64>, Option<f64>)>);

impl Case<'_> {
    fn new(data: &Dataset, preset: Preset, algorithm: Algorithm) -> Case<'_> {
        let config = TrainConfig {
            epochs: 4,
            batch_size: 64,
            optimizer: OptimizerConfig {
                algorithm,
                learning_rate: 0.01,
                ..OptimizerConfig::default()
            },
            ..TrainConfig::default()
        };
        Case {
            data,
            preset,
            config,
            on_device: false,
        }
    }

    /// Trains, or goes on; asked to stop after `steps` it ends with `None`.
    fn run(&self, folder: Option<&Path>, steps: usize) -> Option<Outcome> {
        let checkpoints = folder.map(|folder| {
            let config = CheckpointConfig {
                every_steps: 5,
                keep: 2,
            };
            Checkpoints::new(folder, config)
        });
        let latest = checkpoints.as_ref().map(|it| it.latest().unwrap());
        let stop = AtomicBool::new(false);
        let session = Session {
            resumed: latest.and_then(|latest| latest.checkpoint),
            checkpoints,
            stop: Some(&stop),
            ..Session::default()
        };
        let mut figures: Vec<EpochMetrics> = session
            .resumed
            .iter()
            .flat_map(|checkpoint| checkpoint.progress.epochs.clone())
            .collect();
        let config = self.preset.config(self.data.features(), 8);
        let mut model = Dlrm::new(config, 42).unwrap();
        let taken = Cell::new(0);
        let session = session
            .on_step(|_rows| {
                taken.set(taken.get() + 1);
                stop.store(taken.get() >= steps, Ordering::Relaxed);
            })
            .on_epoch(|metrics, _model| {
                figures.push(metrics.clone());
                Ok(())
            });
        let (data, config) = (self.data, &self.config);
        let ended = match self.on_device {
            true => {
                let cpu = mmdlrm::encoders::device("cpu").unwrap();
                train_on(&cpu, &mut model, data, config, session)
            }
            false => train(&mut model, data, config, session),
        };
        match ended {
            Err(Error::Stopped { .. }) => return None,
            ended => ended.unwrap(),
        }
        let figures = figures
            .iter()
            .map(|it| (it.train_loss, it.validation_rmse, it.test_rmse));
        Some((model.parameters().clone(), figures.collect()))
    }

    #[track_caller]
    fn assert_survives(&self) {
        let straight = self.run(None, usize::MAX).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut stops = 0;
        let interrupted = loop {
            // Now in the middle of an epoch, now at its end, now both.
            if let Some(outcome) = self.run(Some(folder.path()), 1 + 7 * stops % 23) {
                break outcome;
            }
            stops += 1;
        };
        assert!(stops >= 8, "{stops} stops");
        assert_eq!(interrupted, straight);
        // All is done: going on once more changes nothing.
        assert_eq!(self.run(Some(folder.path()), 1).unwrap(), straight);
    }
}

#[test]
fn every_optimizer_goes_on_to_the_bit() {
    let data = dataset(false);
    for algorithm in [
        Algorithm::Sgd,
        Algorithm::Adagrad,
        Algorithm::RowWiseAdagrad,
        Algorithm::Adam,
    ] {
        Case::new(&data, Preset::Dlrm, algorithm).assert_survives();
    }
}

#[test]
fn what_is_dropped_at_random_is_the_same_after_a_stop() {
    let data = dataset(true);
    Case::new(&data, Preset::Best, Algorithm::Adam).assert_survives();
}

#[test]
fn a_run_on_a_device_goes_on_to_the_bit() {
    let data = dataset(false);
    for algorithm in [Algorithm::RowWiseAdagrad, Algorithm::Adam] {
        let mut case = Case::new(&data, Preset::Dlrm, algorithm);
        case.on_device = true;
        case.assert_survives();
    }
}

#[test]
fn training_ends_early_with_the_best_epoch_and_does_so_after_a_stop_too() {
    let data = dataset(false);
    let mut case = Case::new(&data, Preset::Dlrm, Algorithm::Adam);
    // Much too fast, so that validation errors soon rise.
    case.config.optimizer.learning_rate = 0.05;
    case.config.epochs = 40;
    let (whole, figures) = case.run(None, usize::MAX).unwrap();
    assert_eq!(figures.len(), 40);
    case.config.patience = Some(3);
    let (stopped, fewer) = case.run(None, usize::MAX).unwrap();
    assert!(fewer.len() < 40, "{fewer:?}");
    let errors: Vec<f64> = fewer.iter().filter_map(|figures| figures.1).collect();
    let best = errors.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(errors[errors.len() - 4], best, "{errors:?}");
    // The parameters are those of the best epoch.
    let mut model = Dlrm::new(case.preset.config(data.features(), 8), 1).unwrap();
    *model.parameters_mut() = stopped.clone();
    assert_eq!(validation_rmse(&model, &data), best);
    if figures.iter().all(|it| it.1.unwrap() >= best) {
        assert_eq!(whole, stopped);
    }
    case.assert_survives();
}

fn validation_rmse(model: &Dlrm, data: &Dataset) -> f64 {
    let mut errors = mmdlrm::metrics::Regression::default();
    mmdlrm::train::predict_validation(&crate::scorer(model, data), data, |rated| {
        for rated in rated {
            errors.add(rated.prediction, rated.rating)?;
        }
        Ok(())
    })
    .unwrap();
    errors.rmse().unwrap()
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let data = dataset(false);
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new(&data, Preset::Dlrm, Algorithm::Adam);
    assert!(case.run(Some(folder.path()), 3).is_none());
    let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
    let mut model = Dlrm::new(Preset::Dlrm.config(data.features(), 8), 42).unwrap();
    let mut config = case.config.clone();
    config.seed += 1;
    let session = Session {
        resumed: checkpoints.latest().unwrap().checkpoint,
        ..Session::default()
    };
    let error = train(&mut model, &data, &config, session).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("train.seed: 42 then, 43 now"), "{error}");
    assert!(error.contains("step-"), "{error}");
}

/// What a case that goes on in `folder` says.
fn refusal(case: &Case, folder: &Path) -> String {
    let checkpoints = Checkpoints::new(folder, CheckpointConfig::default());
    let mut model = Dlrm::new(case.preset.config(case.data.features(), 8), 42).unwrap();
    let session = Session {
        resumed: checkpoints.latest().unwrap().checkpoint,
        checkpoints: Some(checkpoints),
        ..Session::default()
    };
    let ended = train(&mut model, case.data, &case.config, session);
    ended.unwrap_err().to_string()
}

#[test]
fn a_checkpoint_of_other_rows_or_stars_is_refused_though_they_are_as_many() {
    let data = dataset(false);
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new(&data, Preset::Dlrm, Algorithm::Adam);
    assert!(case.run(Some(folder.path()), 3).is_none());

    let movielens = crate::training::movielens();
    let split = Split::random(movielens.ratings.len(), 0.2, 43).unwrap();
    let split = split.with_validation(0.1, &movielens.ratings).unwrap();
    let others = Dataset::new(&movielens, split, Vec::new()).unwrap();
    let error = refusal(
        &Case::new(&others, Preset::Dlrm, Algorithm::Adam),
        folder.path(),
    );
    assert!(error.contains("training rows: "), "{error}");
    assert!(error.contains("then and now, but others"), "{error}");
    // Of the same shape, with the same numbers of ratings of everybody.
    assert!(!error.contains("users"), "{error}");
}

#[test]
fn the_best_epoch_of_another_run_is_refused() {
    let data = dataset(false);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let case = Case::new(&data, Preset::Dlrm, Algorithm::Adam);
    let mut other = Case::new(&data, Preset::Dlrm, Algorithm::Adam);
    other.config.optimizer.learning_rate = 0.02;
    for (case, folder) in [(&case, &folders[0]), (&other, &folders[1])] {
        case.run(Some(folder.path()), usize::MAX).unwrap();
    }
    let [best, others] = folders.each_ref().map(|it| {
        let entries = std::fs::read_dir(it.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_best = |path: &PathBuf| path.to_string_lossy().contains("best-");
        paths.filter(is_best).max().unwrap()
    });
    std::fs::copy(&others, &best).unwrap();
    let error = refusal(&case, folders[0].path());
    assert!(error.contains("best-"), "{error}");
    assert!(
        error.contains("learning_rate: 0.02 then, 0.01 now"),
        "{error}"
    );
}

#[test]
fn a_run_without_validation_rows_cannot_end_early() {
    let data = crate::training::dataset();
    let mut model = Dlrm::new(Preset::Dlrm.config(data.features(), 8), 42).unwrap();
    let config = TrainConfig {
        patience: Some(1),
        ..TrainConfig::default()
    };
    let session = Session::default();
    let error = train(&mut model, &data, &config, session).unwrap_err();
    assert!(error.to_string().contains("validation rows"), "{error}");
}
