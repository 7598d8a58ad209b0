//! Click logs, from files to a run's folder and back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mmdlrm::data::clicks::{ClickLog, ClickLogConfig, PlantedClicks};
use mmdlrm::data::{Samples, SplitPart};
use mmdlrm::model::{Dlrm, Loss};
use mmdlrm::train::{
    Algorithm, CheckpointConfig, EpochMetrics, LabelErrors, OptimizerConfig, RunFolder, Session,
    TrainConfig, shapes, train_samples,
};
use mmdlrm::{
    ClickConfig, ClickExperiment, Error, Experiment, Observer, Recommender, Silent, Stage,
};

const PLANTED: PlantedClicks = {
    // What is made up in a moment.
    let mut planted = PlantedClicks::with_rows(21_000);
    planted.values = 12;
    planted
};

fn log_in(folder: &Path) -> PathBuf {
    let path = folder.join("clicks.txt");
    PLANTED.write(&path, |_| {}).unwrap();
    path
}

fn config(path: PathBuf, out: PathBuf) -> ClickConfig {
    ClickConfig {
        log: ClickLogConfig {
            files: vec![path],
            days: Some(7),
            ..ClickLogConfig::default()
        },
        dim: 8,
        bottom: vec![32],
        top: vec![32],
        train: TrainConfig {
            epochs: 3,
            batch_size: 128,
            loss: Loss::Bce,
            optimizer: OptimizerConfig {
                learning_rate: 0.003,
                ..OptimizerConfig::default()
            },
            ..TrainConfig::default()
        },
        out,
        ..ClickConfig::default()
    }
}

/// Stops the training after so many rows.
struct Stopper(Arc<AtomicBool>, u64);

impl Observer for Stopper {
    fn begin(&mut self, _stage: Stage, _total: u64) {}

    fn advance(&mut self, done: u64) {
        self.1 = self.1.saturating_sub(done);
        self.0.store(self.1 == 0, Ordering::Relaxed);
    }
}

fn model_of(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("model.safetensors")).unwrap()
}

#[test]
fn a_model_learns_nearly_all_that_is_planted() {
    let folder = tempfile::tempdir().unwrap();
    let planted = PlantedClicks {
        rows: 210_000,
        ..PLANTED
    };
    let path = folder.path().join("clicks.txt");
    planted.write(&path, |_| {}).unwrap();
    let config = config(path, folder.path().join("run"));
    let experiment = ClickExperiment::new(config).unwrap();
    let (mut likely, mut labels) = (Vec::new(), Vec::new());
    let test = |rows: &mmdlrm::data::clicks::ClickRows| {
        for row in rows.iter() {
            likely.push(planted.probability(&row) as f32);
            labels.push(f32::from(u8::from(row.label)));
        }
    };
    experiment.log().for_each(SplitPart::Test, test).unwrap();
    let best = LabelErrors::of_predictions(&likely, &labels)
        .unwrap()
        .unwrap();
    let report = experiment.run(&mut Silent).unwrap();
    assert_eq!(report.test.rows, 15_000);
    // Of 180,000 rows it cannot be all.
    let (auc, of_best) = (report.test.auc.unwrap(), best.auc.unwrap());
    assert!(
        auc > of_best - 0.02 && auc < of_best + 0.005,
        "{auc} of {of_best}"
    );
    assert!(
        (report.test.predicted - report.test.label).abs() < 0.03,
        "{report}"
    );
    // What is kept says the same.
    let again = ClickExperiment::evaluate(folder.path().join("run"), &[], &mut Silent);
    assert_eq!(again.unwrap(), report.test);
}

#[test]
fn a_run_that_was_stopped_comes_to_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(folder.path());
    let whole = folder.path().join("whole");
    let config = |out: &Path, stream| {
        let mut config = config(path.clone(), out.to_owned());
        config.checkpoints = CheckpointConfig {
            every_steps: 50,
            ..CheckpointConfig::default()
        };
        config.log.stream = stream;
        config
    };
    let report = ClickExperiment::new(config(&whole, false))
        .unwrap()
        .run(&mut Silent)
        .unwrap();
    for (name, stream) in [("kept", false), ("streamed", true)] {
        let stopped = folder.path().join(name);
        let stop = Arc::new(AtomicBool::new(false));
        let run = ClickExperiment::new(config(&stopped, stream)).unwrap();
        let outcome = run
            .stop_when(Arc::clone(&stop))
            .run(&mut Stopper(stop, 30_000));
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, Error::Train(mmdlrm::train::Error::Stopped { .. })),
            "{error}"
        );
        let resumed = ClickExperiment::resume(&stopped)
            .unwrap()
            .run(&mut Silent)
            .unwrap();
        assert_eq!(resumed.test, report.test);
        assert_eq!(model_of(&stopped), model_of(&whole));
        let epochs = |folder: &Path| -> Vec<(f64, Option<f64>)> {
            let run = RunFolder::open(folder).unwrap();
            let epochs: Vec<EpochMetrics> = run.read_metrics().unwrap();
            epochs
                .iter()
                .map(|it| (it.train_loss, it.test_auc))
                .collect()
        };
        assert_eq!(epochs(&stopped), epochs(&whole));
        assert_eq!(epochs(&stopped).len(), 3);
    }
}

#[test]
fn the_best_epoch_is_chosen_by_log_loss() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(folder.path());
    let log = ClickLog::open(&config(path, PathBuf::new()).log).unwrap();
    let shape = shapes::labels(&log.encoder().table_rows(), 13, 8, &[32], &[32]);
    let mut model = Dlrm::new(shape, 1).unwrap();
    let config = TrainConfig {
        // It knows the training rows by heart in the end.
        epochs: 12,
        patience: Some(3),
        batch_size: 64,
        loss: Loss::Bce,
        optimizer: OptimizerConfig {
            learning_rate: 0.01,
            ..OptimizerConfig::default()
        },
        ..TrainConfig::default()
    };
    let mut epochs = Vec::new();
    let session = Session::default().on_epoch(|epoch, _| {
        epochs.push(epoch.validation_log_loss.unwrap());
        Ok(())
    });
    train_samples(&mut model, &log, &config, session).unwrap();
    let least = epochs.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(
        epochs.last() > Some(&least) && epochs.len() < 12,
        "{epochs:?}"
    );
    let kept = LabelErrors::of(&model, &log, SplitPart::Validation)
        .unwrap()
        .unwrap();
    assert_eq!(kept.log_loss, least);
}

#[test]
fn threads_make_no_difference() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(folder.path());
    let train = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let log = ClickLog::open(&config(path.clone(), PathBuf::new()).log).unwrap();
            let shape = shapes::labels(&log.encoder().table_rows(), 13, 8, &[32], &[32]);
            let mut model = Dlrm::new(shape, 1).unwrap();
            let config = TrainConfig {
                epochs: 1,
                batch_size: 500,
                loss: Loss::Bce,
                optimizer: OptimizerConfig {
                    algorithm: Algorithm::Adagrad,
                    learning_rate: 0.01,
                    ..OptimizerConfig::default()
                },
                ..TrainConfig::default()
            };
            train_samples(&mut model, &log, &config, Session::default()).unwrap();
            (log.fingerprint(), model.parameters().clone())
        })
    };
    assert!(train(1) == train(5));
}

#[test]
fn other_rows_can_be_tested_on_and_changed_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(folder.path());
    let out = folder.path().join("run");
    let mut config = config(path.clone(), out.clone());
    config.train.epochs = 1;
    let report = ClickExperiment::new(config.clone())
        .unwrap()
        .run(&mut Silent)
        .unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let others = folder.path().join("others.txt");
    std::fs::write(&others, lines[18_000..19_500].join("\n")).unwrap();
    let evaluate = |files: &[PathBuf]| ClickExperiment::evaluate(&out, files, &mut Silent);
    // The very rows that were held out.
    assert_eq!(evaluate(&[others]).unwrap(), report.test);
    std::fs::write(&path, lines[..20_900].join("\n")).unwrap();
    let error = evaluate(&[]).unwrap_err().to_string();
    assert!(
        error.contains("rows of the log: 21,000 then, 20,900 now"),
        "{error}"
    );
    let error = ClickExperiment::resume(&out).unwrap_err().to_string();
    assert!(error.contains("rows of the log: 21,000 then"), "{error}");
    let error = ClickExperiment::new(config).unwrap_err().to_string();
    assert!(error.contains("holds a run"), "{error}");
}

#[test]
fn a_run_of_clicks_is_no_run_of_ratings_and_damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(folder.path());
    let out = folder.path().join("run");
    let mut config = config(path, out.clone());
    config.train.epochs = 1;
    ClickExperiment::new(config)
        .unwrap()
        .run(&mut Silent)
        .unwrap();
    let said = "is a run on clicks, and one on ratings is needed";
    let error = Recommender::load(&out, &mut Silent)
        .unwrap_err()
        .to_string();
    assert!(error.contains(said), "{error}");
    let error = Experiment::resume(&out).unwrap_err().to_string();
    assert!(error.contains(said), "{error}");
    let categories = out.join("categories.safetensors");
    let mut bytes = std::fs::read(&categories).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 4;
    std::fs::write(&categories, bytes).unwrap();
    let error = ClickExperiment::evaluate(&out, &[], &mut Silent)
        .unwrap_err()
        .to_string();
    assert!(error.contains("does not have the hash"), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |change: &dyn Fn(&mut ClickConfig), said: &str| {
        let mut config = config("nowhere.txt".into(), "runs/none".into());
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    };
    refused(
        &|config| config.train.loss = Loss::Mse,
        "learned by cross-entropy",
    );
    refused(&|config| config.dim = 0, "dim");
    refused(&|config| config.top = vec![0], "top");
    refused(&|config| config.log.files.clear(), "name one or more");
    refused(&|config| config.train.batch_size = 0, "batch_size");
}
