//! The model on a device of candle's against the one on the CPU: candle's own
//! CPU, which every machine has, runs the same operations.

use mmdlrm::Preset;
use mmdlrm::encoders::{Device, device};
use mmdlrm::features::TrainingData;
use mmdlrm::model::{
    BottomConfig, Combine, Compression, DeviceDlrm, Dlrm, DlrmConfig, Gradients, Interaction, Loss,
    Output, Pooling, Side,
};
use mmdlrm::train::{
    Algorithm, DeviceOptimizer, Optimizer, OptimizerConfig, Session, TrainConfig, train, train_on,
};

use crate::gradients::{Input, WIDTH, config, weighted};

const CLOSE: f32 = 1e-5;

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let size = expected.iter().map(|x| x * x).sum::<f32>().sqrt();
    let error = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2));
    let error = error.sum::<f32>().sqrt();
    assert!(error <= CLOSE * (size + 1e-3), "off by {error} of {size}");
}

/// Takes three steps on both and compares losses, gradients and parameters.
#[track_caller]
fn check(input: &Input, config: DlrmConfig, loss: Loss, optimizer: OptimizerConfig) {
    let mut model = Dlrm::new(config, 3).unwrap();
    let vectors = [input.vectors.as_slice().into()];
    let on_device = DeviceDlrm::new(&model, &vectors, &Device::Cpu).unwrap();
    let mut host = Optimizer::new(optimizer.clone(), &model).unwrap();
    let mut device = DeviceOptimizer::new(optimizer, &on_device).unwrap();
    let mut gradients = Gradients::default();
    for _ in 0..3 {
        let (expected, found) = input.with(|batch| {
            let expected = model.gradients(batch, &input.targets, loss, &mut gradients);
            let found = on_device.gradients(batch, &input.targets, loss);
            (expected.unwrap(), found.unwrap())
        });
        assert_close(&[found.loss.to_scalar().unwrap()], &[expected as f32]);
        assert_close(&found.dense.to_vec1().unwrap(), &gradients.dense);
        assert_eq!(found.tables.len(), gradients.tables.len());
        for ((rows, values), expected) in found.tables.iter().zip(&gradients.tables) {
            assert_eq!(rows.to_vec1::<u32>().unwrap(), expected.rows());
            let values: Vec<f32> = values.flatten_all().unwrap().to_vec1().unwrap();
            assert_close(&values, &expected.values);
        }
        host.step(&mut model, &gradients, 0.5).unwrap();
        device.step(&on_device, &found, 0.5).unwrap();
    }
    let mut found = model.clone();
    on_device.copy_to(&mut found).unwrap();
    assert_close(&found.parameters().dense, &model.parameters().dense);
    let tables = found.parameters().tables.iter();
    for (found, expected) in tables.zip(&model.parameters().tables) {
        assert_close(&found.values().unwrap(), &expected.values().unwrap());
    }
}

fn sgd() -> OptimizerConfig {
    OptimizerConfig {
        algorithm: Algorithm::Sgd,
        learning_rate: 0.1,
        ..OptimizerConfig::default()
    }
}

#[test]
fn a_device_agrees_on_every_update_rule() {
    for algorithm in [
        Algorithm::Sgd,
        Algorithm::Adagrad,
        Algorithm::RowWiseAdagrad,
        Algorithm::Adam,
    ] {
        let optimizer = OptimizerConfig {
            algorithm,
            learning_rate: 0.01,
            table_learning_rate: Some(0.02),
            weight_decay: 0.1,
            table_weight_decay: 0.2,
            clip_norm: Some(0.05),
        };
        let config = config(Interaction::default(), vec![4, WIDTH]);
        check(&Input::new(), config, Loss::Mse, optimizer);
    }
}

#[test]
fn a_device_agrees_on_every_kind_of_table() {
    for (combine, own) in [
        (Combine::Product, None),
        (Combine::Sum, Some(2)),
        (Combine::Cat, Some(4)),
    ] {
        let mut config = config(Interaction::default(), vec![WIDTH]);
        config.tables[0].dim = own;
        config.tables[0].compression = Compression::QuotientRemainder {
            collisions: 4,
            combine,
        };
        config.tables[1].compression = Compression::Hashed { buckets: 4 };
        check(&Input::new(), config, Loss::Mse, sgd());
    }
    let mut config = config(Interaction::default(), vec![WIDTH]);
    config.tables[0].learned_weights = true;
    config.tables[1].learned_weights = true;
    config.tables[1].pooling = Pooling::Sum;
    check(&weighted(), config, Loss::Mse, sgd());
}

#[test]
fn a_device_agrees_on_interactions_losses_and_penalties() {
    let sigmoid = |config: DlrmConfig| DlrmConfig {
        output: Output::within(-0.5, 1.5),
        ..config
    };
    let weighted = Loss::WeightedBce {
        negative: 0.5,
        positive: 2.0,
    };
    let itself = Interaction::Dot { itself: true };
    let mut by_side = config(itself, vec![WIDTH]);
    by_side.bottoms = vec![
        BottomConfig::new(Side::Item, [1], vec![WIDTH]),
        BottomConfig::new(Side::User, [2, 0], vec![4, WIDTH]),
    ];
    let penalized = DlrmConfig {
        wide: true,
        l2: 0.05,
        table_l2: 0.01,
        embedding_norm: 0.2,
        ..config(Interaction::default(), vec![WIDTH])
    };
    for (config, loss) in [
        (config(Interaction::Cat, vec![]), Loss::Mse),
        (by_side, Loss::Bpr),
        (
            config(Interaction::default(), vec![WIDTH]),
            Loss::Lists {
                length: 2,
                power: 0.5,
            },
        ),
        (sigmoid(config(itself, vec![WIDTH])), Loss::Bce),
        (
            sigmoid(config(Interaction::default(), vec![WIDTH])),
            weighted,
        ),
        (sigmoid(penalized), Loss::Mse),
    ] {
        check(&Input::new(), config, loss, sgd());
    }
}

#[test]
fn a_run_on_a_device_learns_what_one_on_the_cpu_learns() {
    let dataset = crate::training::dataset();
    let config = TrainConfig {
        epochs: 2,
        batch_size: 64,
        ..TrainConfig::default()
    };
    let model = Dlrm::new(Preset::Dlrm.config(dataset.features(), 8), 42).unwrap();
    let (mut host, mut found) = (model.clone(), model);
    let (mut expected_losses, mut losses) = (Vec::new(), Vec::new());
    let session = Session::default().on_epoch(|epoch, _model| {
        expected_losses.push(epoch.train_loss as f32);
        Ok(())
    });
    train(&mut host, &dataset, &config, session).unwrap();
    let device = device("cpu").unwrap();
    let session = Session::default().on_epoch(|epoch, _model| {
        losses.push(epoch.train_loss as f32);
        Ok(())
    });
    train_on(&device, &mut found, &dataset, &config, session).unwrap();
    assert_eq!((losses.len(), expected_losses.len()), (2, 2));
    for (found, expected) in losses.iter().zip(expected_losses) {
        assert!((found / expected - 1.0).abs() < 1e-3, "{found} {expected}");
    }
}

#[test]
fn a_device_drops_a_share_while_it_trains() {
    let input = Input::new();
    let dropped = DlrmConfig {
        dropout: 0.5,
        ..config(Interaction::default(), vec![WIDTH])
    };
    let model = Dlrm::new(dropped, 3).unwrap();
    let vectors = [input.vectors.as_slice().into()];
    let on_device = DeviceDlrm::new(&model, &vectors, &Device::Cpu).unwrap();
    let loss = || -> f32 {
        let found = input.with(|batch| on_device.gradients(batch, &input.targets, Loss::Mse));
        found.unwrap().loss.to_scalar().unwrap()
    };
    assert_ne!(loss(), loss());
}
