//! The preset `best`: what is held out stays hidden, and it beats biases.

use std::fs;

use mmdlrm::baselines::GaussianProcessConfig;
use mmdlrm::data::generate;
use mmdlrm::features::{Dataset, Known, TrainingData};
use mmdlrm::metrics::Regression;
use mmdlrm::model::Dlrm;
use mmdlrm::train::{Fit, Persist, Ranker, Rater, Session, predict_test};
use mmdlrm::{
    Best, BestContext, BestModel, Experiment, ExperimentConfig, Preset, Recommender, Silent,
    Source, SplitConfig,
};

use crate::held_out::{RATINGS, with_held_out};
use crate::support::shared;

/// A made-up folder's ratings, `held_out` replacing the stars of the test rows.
fn dataset(held_out: impl Fn(usize, &str) -> String, context: BestContext) -> Dataset {
    let (movielens, split) = with_held_out(|row, columns, _is_free| {
        let stars = held_out(row, columns[2]);
        format!("{},{stars},{}", columns[1], columns[3])
    });
    let dataset = Dataset::new(&movielens, split, Vec::new()).unwrap();
    dataset.with_context(context.of_batches()).unwrap()
}

fn context(timestamps: bool, process_share: f32) -> BestContext {
    BestContext {
        timestamps,
        process_share,
        ..BestContext::default()
    }
}

/// What learns in a moment.
fn best(context: BestContext) -> Best {
    let mut best = Best {
        context,
        dim: 16,
        ..Best::default()
    };
    (best.train.epochs, best.train.batch_size) = (6, 256);
    best
}

/// Predictions of the held-out rows, and their errors.
fn predict(model: &dyn Rater, data: &Dataset) -> (Vec<f64>, Regression) {
    let (mut found, mut errors) = (Vec::new(), Regression::default());
    predict_test(model, data, |rated| {
        for rated in rated {
            found.push(rated.prediction);
            errors.add(rated.prediction, rated.rating)?;
        }
        Ok(())
    })
    .unwrap();
    (found, errors)
}

#[test]
fn predictions_do_not_depend_on_held_out_ratings_to_the_bit() {
    for timestamps in [true, false] {
        let context = context(timestamps, 0.3);
        let bits = |data: Dataset| -> Vec<u64> {
            let model = best(context).fit(&data, Session::default()).unwrap();
            let (found, _) = predict(&model, &data);
            found.into_iter().map(f64::to_bits).collect()
        };
        let honest = bits(dataset(|_, stars| stars.to_owned(), context));
        let noise = |row: usize, _: &str| format!("{}.5", row * 7919 % 5);
        let noisy = bits(dataset(noise, context));
        assert_eq!(honest.len(), RATINGS / 5);
        assert!(honest == noisy, "with times: {timestamps}");
    }
}

#[test]
fn an_untrained_model_predicts_the_biases_and_a_trained_one_better() {
    let context = context(true, 0.0);
    let data = dataset(|_, stars| stars.to_owned(), context);
    let mut biases = Regression::default();
    let mut bases: Vec<f32> = Vec::new();
    for batch in data.test_batches(1000) {
        let batch = batch.unwrap();
        for (base, stars) in batch.base.iter().zip(&batch.stars) {
            biases.add(f64::from(*base), f64::from(*stars)).unwrap();
        }
        bases.extend(&batch.base);
    }
    let trained = best(context).fit(&data, Session::default()).unwrap();
    assert!(trained.process().is_none());
    let (_, errors) = predict(&trained, &data);
    assert!(
        errors.rmse().unwrap() < biases.rmse().unwrap() - 0.02,
        "{:?} {:?}",
        errors.rmse(),
        biases.rmse()
    );
    let untrained = Dlrm::new(Best::shape(data.features(), 16), 42).unwrap();
    let (found, _) = predict(&crate::scorer(&untrained, &data), &data);
    let clamped = bases.iter().map(|base| f64::from(base.clamp(0.5, 5.0)));
    assert_eq!(found, clamped.collect::<Vec<_>>());
}

#[test]
fn the_process_takes_its_share_of_predictions_and_knows_more_than_biases() {
    let data = dataset(|_, stars| stars.to_owned(), context(true, 0.5));
    let untrained = Dlrm::new(Best::shape(data.features(), 16), 42).unwrap();
    let scorer = crate::scorer(&untrained, &data);
    let process = GaussianProcessConfig::default();
    let process = process.fit(&data, Session::default()).unwrap();
    let of_share = |share| {
        let parts: (&dyn Ranker, &dyn Ranker) = (&scorer, &process);
        let blend = context(true, share).blend(parts.0, Some(parts.1)).unwrap();
        let (found, errors) = predict(&blend, &data);
        (found, errors.rmse().unwrap())
    };
    let ((biases, error), (alone, process_error)) = (of_share(0.0), of_share(1.0));
    assert_eq!(biases, predict(&scorer, &data).0);
    assert!(process_error < error - 0.02, "{process_error} {error}");
    let inside = |x: f64| x > 0.5 && x < 5.0;
    let mut checked = 0;
    for ((half, b), p) in of_share(0.5).0.iter().zip(biases).zip(alone) {
        if inside(b) && inside(p) {
            assert!((half - (b + p) / 2.0).abs() < 1e-5, "{half} {b} {p}");
            checked += 1;
        }
    }
    assert!(checked > RATINGS / 10, "{checked}");
}

#[test]
fn figures_and_files_of_epochs_are_of_the_whole_blend_and_open_to_the_same_bits() {
    let context = context(true, 0.3);
    let data = dataset(|_, stars| stars.to_owned(), context);
    let (mut files, mut figures) = (Vec::new(), Vec::new());
    let session = Session::default().on_epoch(|metrics, model| {
        files.push(model.to_safetensors()?);
        figures.push(metrics.test_rmse.unwrap());
        Ok(())
    });
    let model = best(context).fit(&data, session).unwrap();
    for (file, figure) in files.iter().zip(&figures) {
        let opened = BestModel::load(file, &Known::of(&data).unwrap()).unwrap();
        assert_eq!(predict(&opened, &data).1.rmse(), Some(*figure));
    }
    assert_eq!(files.len(), 6);
    assert!(files.last() == Some(&model.to_safetensors().unwrap()));
    let alone = predict(model.dlrm(), &data).1.rmse().unwrap();
    assert!((figures[5] - alone).abs() > 1e-4, "{alone}");
}

#[test]
fn a_run_of_when_features_held_the_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ExperimentConfig {
        source: Source::Sample(generate::GeneratorConfig {
            contents: false,
            ..generate::GeneratorConfig::tiny()
        }),
        out: folder.path().join("run"),
        ..ExperimentConfig::of(Preset::Best)
    };
    config.train.epochs = 1;
    let run = config.out.clone();
    Experiment::new(config).unwrap().run(&mut Silent).unwrap();
    Recommender::load(&run, &mut Silent).unwrap();
    let path = run.join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    let kind = r#""model_kind": "best""#;
    assert!(text.contains(kind), "{text}");
    fs::write(&path, text.replace(kind, r#""model_kind": "dlrm""#)).unwrap();
    let error = Recommender::load(&run, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("earlier version"), "{error}");
}

#[test]
fn what_best_cannot_be_learned_from_is_refused() {
    let context = context(true, 0.3);
    let data = dataset(|_, stars| stars.to_owned(), context);
    let refused = |context: BestContext, why: &str| {
        let error = best(context).fit(&data, Session::default());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    let other = BestContext {
        timestamps: false,
        ..context
    };
    refused(other, "Dataset::with_context");
    for share in [1.5, -0.1, f32::NAN] {
        let nonsense = BestContext {
            process_share: share,
            ..context
        };
        refused(nonsense, "it must be from 0 to 1");
        let config = ExperimentConfig {
            context: nonsense,
            ..ExperimentConfig::of(Preset::Best)
        };
        assert!(config.validate().is_err(), "{share}");
    }
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
