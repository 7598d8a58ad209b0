use mmdlrm::data::{Dataset, MovieLens, Split, TrainingData, generate};
use mmdlrm::model::Dlrm;
use mmdlrm::train::{Algorithm, OptimizerConfig, Preset, Session, TrainConfig, train};

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

fn losses(data: &impl TrainingData, algorithm: Algorithm, learning_rate: f64) -> (Vec<f64>, Dlrm) {
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
    train(
        &mut model,
        data,
        &config,
        Session::default(),
        |_| {},
        |epoch, _| {
            losses.push(epoch.train_loss);
            Ok(())
        },
    )
    .unwrap();
    (losses, model)
}

#[test]
fn every_optimiser_brings_the_loss_down() {
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
    let error = train(
        &mut model,
        &dataset,
        &config,
        session,
        |_| {},
        |_, _| Ok(()),
    )
    .unwrap_err();
    let error = error.to_string();
    assert!(error.contains("at step 2 (epoch 1), when "), "{error}");
    assert!(error.contains("_l."), "{error}");
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
        mmdlrm::train::predict_test(&model, &dataset, |rated| {
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
