use std::cell::RefCell;

use mmdlrm::Preset;
use mmdlrm::data::{MovieLens, Split, generate};
use mmdlrm::encoders::Device;
use mmdlrm::features::{Dataset, TrainingData};
use mmdlrm::model::Dlrm;
use mmdlrm::train::{
    Algorithm, CheckpointConfig, Checkpoints, Decay, Error, Measured, OptimizerConfig, Rater,
    Schedule, Session, TrainConfig, measure, predict_test, train, train_on,
};

pub fn movielens() -> MovieLens {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    let config = generate::GeneratorConfig {
        users: 60,
        movies: 80,
        ratings: 2000,
        seed: 9,
        contents: true,
    };
    generate::write(&dir, &config, |_| {}).unwrap();
    MovieLens::open(&dir).unwrap()
}

pub fn dataset() -> Dataset {
    let movielens = movielens();
    let split = Split::random(movielens.ratings.len(), 0.2, 42).unwrap();
    Dataset::new(&movielens, split, Vec::new()).unwrap()
}

fn losses(data: &dyn TrainingData, algorithm: Algorithm, learning_rate: f64) -> (Vec<f64>, Dlrm) {
    let mut model = Dlrm::new(Preset::Dlrm.config(data.features(), 8), 42).unwrap();
    let config = TrainConfig {
        epochs: 4,
        batch_size: 64,
        optimizer: OptimizerConfig {
            algorithm,
            learning_rate,
            ..OptimizerConfig::default()
        },
        ..TrainConfig::default()
    };
    let mut losses = Vec::new();
    let session = Session::default().on_epoch(|epoch, _model| {
        losses.push(epoch.train_loss);
        Ok(())
    });
    train(&mut model, data, &config, session).unwrap();
    (losses, model)
}

#[test]
fn every_optimizer_brings_the_loss_down() {
    let dataset = dataset();
    for (algorithm, learning_rate) in [
        (Algorithm::Sgd, 0.05),
        (Algorithm::Adagrad, 0.02),
        (Algorithm::RowWiseAdagrad, 0.02),
        (Algorithm::Adam, 0.003),
    ] {
        let (losses, _) = losses(&dataset, algorithm, learning_rate);
        assert!(losses[3] < 0.97 * losses[0], "{algorithm:?}: {losses:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_model_to_the_bit() {
    let dataset = dataset();
    let (first, model) = losses(&dataset, Algorithm::Adam, 0.003);
    let (second, again) = losses(&dataset, Algorithm::Adam, 0.003);
    assert_eq!(first, second);
    assert_eq!(model.parameters(), again.parameters());
}

#[test]
fn a_diverging_loss_stops_the_run_and_names_the_step() {
    let dataset = dataset();
    let mut model = Dlrm::new(Preset::Dlrm.config(dataset.features(), 8), 42).unwrap();
    let config = TrainConfig {
        optimizer: OptimizerConfig {
            algorithm: Algorithm::Sgd,
            learning_rate: 1e12,
            ..OptimizerConfig::default()
        },
        batch_size: 64,
        ..TrainConfig::default()
    };
    let session = Session::default();
    let error = train(&mut model, &dataset, &config, session).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("at step 2 (epoch 1), when "), "{error}");
    assert!(error.contains("_l."), "{error}");
}

/// One step, so large that no loss can tell of it: there is none after it.
#[test]
fn a_last_step_that_goes_too_far_is_told_by_itself() {
    let dataset = dataset();
    for learning_rate in [1e25, 1e38] {
        let config = TrainConfig {
            epochs: 1,
            batch_size: 1 << 20,
            optimizer: OptimizerConfig {
                algorithm: Algorithm::Sgd,
                learning_rate,
                ..OptimizerConfig::default()
            },
            ..TrainConfig::default()
        };
        let model = || Dlrm::new(Preset::Dlrm.config(dataset.features(), 8), 42).unwrap();
        let session = || {
            Session::default()
                .on_epoch(|_, _| panic!("an epoch of a model that diverged is handed on"))
        };
        let results = [
            train(&mut model(), &dataset, &config, session()),
            train_on(&Device::Cpu, &mut model(), &dataset, &config, session()),
        ];
        for result in results {
            let error = result.unwrap_err().to_string();
            assert!(error.contains("at step 1 (epoch 1), when "), "{error}");
            assert!(error.contains("lower the learning rate"), "{error}");
        }
    }
}

#[test]
fn the_best_epoch_is_the_one_that_the_sessions_measure_likes_best() {
    let dataset = dataset();
    let config = TrainConfig {
        epochs: 3,
        batch_size: 64,
        ..TrainConfig::default()
    };
    let predictions = |model: &dyn Rater, data: &dyn TrainingData| {
        let mut found = Vec::new();
        predict_test(model, data, |rated| {
            found.extend(rated.iter().map(|rated| rated.prediction));
            Ok(())
        })
        .unwrap();
        found
    };
    for on_device in [false, true] {
        let (mut figures, seen) = (Vec::new(), RefCell::new(Vec::new()));
        let session = Session::default()
            .measured_by("liking", |model, data| {
                let mut seen = seen.borrow_mut();
                seen.push(predictions(model, data));
                let error = [3.0, 1.0, 2.0][seen.len() - 1];
                Ok(Measured::new(Some(error), None))
            })
            .on_epoch(|metrics, _model| {
                figures.push((metrics.validation_rmse, metrics.test_rmse));
                Ok(())
            });
        let mut model = Dlrm::new(Preset::Dlrm.config(dataset.features(), 8), 42).unwrap();
        match on_device {
            true => train_on(&Device::Cpu, &mut model, &dataset, &config, session),
            false => train(&mut model, &dataset, &config, session),
        }
        .unwrap();
        assert_eq!(figures, [3.0, 1.0, 2.0].map(|error| (Some(error), None)));
        let kept = predictions(&crate::scorer(&model, &dataset), &dataset);
        let seen = seen.borrow();
        let same: Vec<bool> = seen.iter().map(|seen| *seen == kept).collect();
        assert_eq!(same, [false, true, false], "on a device: {on_device}");
    }
}

#[test]
fn a_checkpoint_of_a_run_that_was_measured_otherwise_is_refused() {
    let dataset = dataset();
    let config = TrainConfig {
        epochs: 2,
        ..TrainConfig::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
    let go_on = |name: &str| {
        let session = Session {
            checkpoints: Some(checkpoints.clone()),
            resumed: checkpoints.latest().unwrap().checkpoint,
            ..Session::default()
        };
        let session = session.measured_by(name, measure);
        let mut model = Dlrm::new(Preset::Dlrm.config(dataset.features(), 8), 42).unwrap();
        train(&mut model, &dataset, &config, session)
    };
    go_on("one way").unwrap();
    go_on("one way").unwrap();
    for other in ["another", ""] {
        let error = go_on(other).unwrap_err().to_string();
        assert!(error.contains("measured"), "{error}");
    }
}

/// NaN in a row that no batch touches shows in no loss.
#[test]
fn a_model_with_a_parameter_that_is_no_number_is_not_kept() {
    let dataset = dataset();
    let mut config = Preset::Dlrm.config(dataset.features(), 8);
    config.tables[0].rows += 1;
    let mut model = Dlrm::new(config, 42).unwrap();
    let users = model.parameters_mut().tables[0].store_mut();
    *users.as_mut_slice().unwrap().last_mut().unwrap() = f32::NAN;
    let folder = tempfile::tempdir().unwrap();
    let every_step = CheckpointConfig {
        every_steps: 1,
        ..CheckpointConfig::default()
    };
    let session = Session {
        checkpoints: Some(Checkpoints::new(folder.path(), every_step)),
        ..Session::default()
    };
    let config = TrainConfig::default();
    let error = train(&mut model, &dataset, &config, session);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("at step 1 (epoch 1), when emb_l.0.weight had reached NaN"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[track_caller]
fn refused(config: &TrainConfig, part: &str) {
    let dataset = dataset();
    let mut model = Dlrm::new(Preset::Dlrm.config(dataset.features(), 8), 42).unwrap();
    let session = Session::default();
    let error = train(&mut model, &dataset, config, session);
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Setting { .. }), "{error:?}");
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn decay_that_takes_a_tenth_of_a_parameter_a_step_is_refused() {
    let of = |learning_rate, table_learning_rate, weight_decay, table_weight_decay| {
        let optimizer = OptimizerConfig {
            learning_rate,
            table_learning_rate,
            weight_decay,
            table_weight_decay,
            ..OptimizerConfig::default()
        };
        TrainConfig {
            epochs: 1,
            optimizer,
            ..TrainConfig::default()
        }
    };
    // Tables that are halved, and set to 0, by each step.
    for rate in [0.1, 0.2] {
        let part = format!("table_weight_decay is 5 at a learning rate of {rate}");
        refused(&of(rate, None, 0.0, 5.0), &part);
    }
    let part = "weight_decay is 101 at a learning rate of 0.001";
    refused(&of(1e-3, None, 101.0, 0.0), part);
    let part = "table_weight_decay is 3 at a learning rate of 0.05";
    refused(&of(1e-3, Some(0.05), 0.0, 3.0), part);
    assert!(of(0.02, None, 5.0, 5.0).validate().is_ok());
    // Rates that are 0 or infinite in single precision.
    refused(&of(1e-50, None, 0.0, 0.0), "learning_rate is 0.00");
    refused(&of(1e39, None, 0.0, 0.0), "learning_rate is 1000");
}

#[test]
fn runs_that_no_counter_holds_are_refused() {
    let epochs = usize::MAX;
    refused(
        &TrainConfig {
            epochs,
            ..TrainConfig::default()
        },
        "epochs is 18446744073709551615",
    );
    let schedule = Schedule {
        warmup_steps: 17,
        decay: Decay::Constant,
    };
    refused(
        &TrainConfig {
            epochs: 8,
            schedule,
            ..TrainConfig::default()
        },
        "schedule.warmup_steps is 17 of 16 steps",
    );
}

#[test]
fn predictions_do_not_see_the_labels_of_the_test_rows() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    generate::write(&dir, &generate::GeneratorConfig::tiny(), |_| {}).unwrap();
    let predict = || {
        let movielens = MovieLens::open(&dir).unwrap();
        let split = Split::random(movielens.ratings.len(), 0.2, 42).unwrap();
        let dataset = Dataset::new(&movielens, split, Vec::new()).unwrap();
        let (_, model) = losses(&dataset, Algorithm::Adam, 0.003);
        let mut predictions = Vec::new();
        mmdlrm::train::predict_test(&crate::scorer(&model, &dataset), &dataset, |rated| {
            predictions.extend(rated.iter().map(|rated| rated.prediction.to_bits()));
            Ok(())
        })
        .unwrap();
        (dataset.split().test().to_vec(), predictions)
    };
    let (test, before) = predict();
    // Every label of the test set becomes noise.
    let path = dir.join("ratings.csv");
    let mut lines: Vec<String> = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    for row in test {
        let mut fields: Vec<&str> = lines[row as usize + 1].split(',').collect();
        let noise = format!("{}", f64::from(row % 10 + 1) / 2.0);
        fields[2] = &noise;
        lines[row as usize + 1] = fields.join(",");
    }
    std::fs::write(&path, lines.join("\n")).unwrap();
    assert_eq!(predict().1, before);
}
