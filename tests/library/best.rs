//! The preset `best`: what is held out stays hidden, and it beats biases.

use std::fs;

use mmdlrm::data::{MovieLens, Split, generate};
use mmdlrm::features::{ContextConfig, Dataset, TrainingData};
use mmdlrm::metrics::Regression;
use mmdlrm::model::Dlrm;
use mmdlrm::train::{Preset, Session, TrainConfig, predict_test, train};
use mmdlrm::{Experiment, ExperimentConfig, Silent, Source, SplitConfig};

use crate::support::shared;

const RATINGS: usize = 3000;

/// A made-up folder's ratings, `held_out` replacing the stars of the test rows.
fn dataset(held_out: impl Fn(usize, &str) -> String, context: ContextConfig) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    let config = generate::GeneratorConfig {
        users: 80,
        movies: 100,
        ratings: RATINGS as u64,
        seed: 9,
        contents: false,
    };
    generate::write(&dir, &config, |_| {}).unwrap();
    let split = Split::random(RATINGS, 0.2, 42).unwrap();
    let path = dir.join("ratings.csv");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for &row in split.test() {
        let line = &mut lines[row as usize + 1];
        let columns: Vec<&str> = line.split(',').collect();
        let stars = held_out(row as usize, columns[2]);
        *line = format!("{},{},{stars},{}", columns[0], columns[1], columns[3]);
    }
    fs::write(&path, lines.join("\n")).unwrap();
    let movielens = MovieLens::open(&dir).unwrap();
    let dataset = Dataset::new(&movielens, split, Vec::new()).unwrap();
    dataset.with_context(context).unwrap()
}

fn context(timestamps: bool, process_share: f32) -> ContextConfig {
    ContextConfig {
        timestamps,
        process_share,
        ..ContextConfig::default()
    }
}

/// Trains and predicts the held-out rows: bits of the predictions, and errors of
/// the model and of the biases alone.
fn predictions(data: &Dataset) -> (Vec<u64>, Regression, Regression) {
    let experiment = ExperimentConfig::of(Preset::Best);
    let mut model = Dlrm::new(Preset::Best.config(data.features(), 16), 42).unwrap();
    let mut biases = Regression::default();
    for batch in data.test_batches(1000) {
        let batch = batch.unwrap();
        for (base, stars) in batch.base.iter().zip(&batch.stars) {
            biases.add(f64::from(*base), f64::from(*stars)).unwrap();
        }
    }
    let config = TrainConfig {
        epochs: 6,
        batch_size: 256,
        ..experiment.train
    };
    let session = Session::default();
    train(&mut model, data, &config, session).unwrap();
    let (mut bits, mut errors) = (Vec::new(), Regression::default());
    predict_test(&crate::scorer(&model, data), data, |rated| {
        for rated in rated {
            bits.push(rated.prediction.to_bits());
            errors.add(rated.prediction, rated.rating)?;
        }
        Ok(())
    })
    .unwrap();
    (bits, errors, biases)
}

#[test]
fn predictions_do_not_depend_on_held_out_ratings_to_the_bit() {
    for timestamps in [true, false] {
        let context = context(timestamps, 0.3);
        let (honest, ..) = predictions(&dataset(|_, stars| stars.to_owned(), context));
        let noise = |row: usize, _: &str| format!("{}.5", row * 7919 % 5);
        let (noisy, ..) = predictions(&dataset(noise, context));
        assert_eq!(honest.len(), RATINGS / 5);
        assert!(honest == noisy, "with times: {timestamps}");
    }
}

#[test]
fn an_untrained_model_predicts_the_biases_and_a_trained_one_better() {
    let data = dataset(|_, stars| stars.to_owned(), context(true, 0.0));
    let (_, errors, biases) = predictions(&data);
    assert!(
        errors.rmse().unwrap() < biases.rmse().unwrap() - 0.02,
        "{:?} {:?}",
        errors.rmse(),
        biases.rmse()
    );
    let untrained = Dlrm::new(Preset::Best.config(data.features(), 16), 42).unwrap();
    let bases = data
        .test_batches(1000)
        .flat_map(|batch| batch.unwrap().base);
    let bases: Vec<f32> = bases.collect();
    let mut found = Vec::new();
    predict_test(&crate::scorer(&untrained, &data), &data, |rated| {
        found.extend(rated.iter().map(|rated| rated.prediction as f32));
        Ok(())
    })
    .unwrap();
    let clamped: Vec<f32> = bases.iter().map(|base| base.clamp(0.5, 5.0)).collect();
    assert_eq!(found, clamped);
}

#[test]
fn the_process_takes_its_share_of_predictions_and_knows_more_than_biases() {
    let of_share = |share| {
        let data = dataset(|_, stars| stars.to_owned(), context(true, share));
        let untrained = Dlrm::new(Preset::Best.config(data.features(), 16), 42).unwrap();
        let (mut found, mut errors) = (Vec::new(), Regression::default());
        predict_test(&crate::scorer(&untrained, &data), &data, |rated| {
            for rated in rated {
                found.push(rated.prediction);
                errors.add(rated.prediction, rated.rating)?;
            }
            Ok(())
        })
        .unwrap();
        (found, errors.rmse().unwrap())
    };
    let ((biases, error), (process, process_error)) = (of_share(0.0), of_share(1.0));
    assert!(process_error < error - 0.02, "{process_error} {error}");
    let inside = |x: f64| x > 0.5 && x < 5.0;
    let mut checked = 0;
    for ((half, b), p) in of_share(0.5).0.iter().zip(biases).zip(process) {
        if inside(b) && inside(p) {
            assert!((half - (b + p) / 2.0).abs() < 1e-5, "{half} {b} {p}");
            checked += 1;
        }
    }
    assert!(checked > RATINGS / 10, "{checked}");
}

/// The published peers have 0.8324 without times and 0.8278 with them.
#[test]
fn real_ratings_are_predicted_better_than_by_any_published_peer() {
    let Some(shared) = shared() else { return };
    for (timestamps, limit) in [(true, 0.773), (false, 0.794)] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = ExperimentConfig {
            source: Source::Folder {
                data: shared.join("data/ml-latest-small"),
                posters: None,
                summaries: None,
            },
            split: SplitConfig::TestRows(
                shared.join("data/splits/ml-latest-small-random42-test.csv"),
            ),
            out: folder.path().join(format!("run-{timestamps}")),
            ..ExperimentConfig::of(Preset::Best)
        };
        config.context.timestamps = timestamps;
        let report = Experiment::new(config).unwrap().run(&mut Silent).unwrap();
        assert!(
            report.rmse().unwrap() < limit,
            "with times: {timestamps}: {}",
            report.rmse().unwrap()
        );
    }
}
