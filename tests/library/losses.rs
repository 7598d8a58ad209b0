//! Losses that are not defined, and what would draw or keep a model that is none.

use mmdlrm::encoders::Device;
use mmdlrm::features::TrainingData;
use mmdlrm::model::{
    Compression, DeviceDlrm, Dlrm, DlrmConfig, Error, Gradients, Inputs, Interaction, Loss,
    Objective, Output, Side, TableConfig, TableInput,
};
use mmdlrm::train::{Session, TrainConfig, train, train_on};

use crate::gradients::{Input, WIDTH, config};
use crate::training::dataset;

fn of_probabilities() -> DlrmConfig {
    DlrmConfig {
        output: Output::within(0.5, 5.0),
        ..config(Interaction::default(), vec![WIDTH])
    }
}

/// What a step says of targets that are 2 stars but for one of them, on the CPU and on
/// a device.
fn refused(loss: Loss, target: f32) -> [Option<Error>; 2] {
    let input = Input::new();
    let mut targets = vec![2.0; input.targets.len()];
    targets[3] = target;
    let model = Dlrm::new(of_probabilities(), 1).unwrap();
    let vectors = [input.vectors.as_slice().into()];
    let on_device = DeviceDlrm::new(&model, &vectors, &Device::Cpu).unwrap();
    input.with(|batch| {
        let mut gradients = Gradients::default();
        [
            model.gradients(batch, &targets, loss, &mut gradients).err(),
            on_device.gradients(batch, &targets, loss).err(),
        ]
    })
}

#[test]
fn targets_that_a_loss_is_not_defined_for_are_refused() {
    let weighted = Loss::WeightedBce {
        negative: 1.0,
        positive: 2.0,
    };
    for loss in [Loss::Bce, weighted] {
        for target in [0.49, 5.1, -1e30] {
            for error in refused(loss, target) {
                let error = error.unwrap().to_string();
                let expected = format!("targets from 0.5 to 5, but that of sample 3 is {target}");
                assert!(error.contains(&expected), "{error}");
            }
        }
        for target in [0.5, 5.0, 3.3] {
            assert!(matches!(refused(loss, target), [None, None]), "{target}");
        }
    }
    for loss in [Loss::Mse, Loss::Bce, weighted, Loss::Bpr] {
        for target in [f32::NAN, f32::INFINITY] {
            for error in refused(loss, target) {
                let error = error.unwrap().to_string();
                assert!(error.contains("targets: column 0 of sample 3"), "{error}");
            }
        }
    }
}

#[test]
fn weights_of_a_loss_that_make_no_sense_are_refused() {
    for (negative, positive) in [
        (-1.0, 1.0),
        (1.0, -0.1),
        (0.0, 0.0),
        (f32::NAN, 1.0),
        (1.0, f32::INFINITY),
    ] {
        let loss = Loss::WeightedBce { negative, positive };
        for error in refused(loss, 2.0) {
            let error = error.unwrap().to_string();
            assert!(
                error.contains("loss weights (negative, positive)"),
                "{error}"
            );
        }
    }
}

#[test]
fn pairs_of_different_users_are_not_trained_on() {
    let dataset = dataset();
    let config = TrainConfig {
        loss: Loss::Bpr,
        ..TrainConfig::default()
    };
    let model = mmdlrm::train::shapes::dlrm(dataset.features(), 8);
    let mut model = Dlrm::new(model, 1).unwrap();
    let session = Session::default();
    let error = train(&mut model, &dataset, &config, session);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("compares samples of one user"), "{error}");
    let config = TrainConfig {
        loss: Loss::Lists {
            length: 2,
            power: 1.0,
        },
        ..config
    };
    for error in [
        train(&mut model, &dataset, &config, Session::default()),
        train_on(
            &Device::Cpu,
            &mut model,
            &dataset,
            &config,
            Session::default(),
        ),
    ] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("compares samples of one user"), "{error}");
    }
}

/// As facebookresearch/dlrm, which makes the table short first and draws it then.
#[test]
fn hashed_tables_are_drawn_by_the_rows_that_are_stored() {
    let table = TableConfig {
        compression: Compression::Hashed { buckets: 16 },
        ..TableConfig::new("user", 1_000_000, Side::User)
    };
    let config = DlrmConfig {
        tables: vec![table],
        ..DlrmConfig::default()
    };
    let model = Dlrm::new(config, 1).unwrap();
    let values = model.parameters().tables[0].values().unwrap();
    let most = values.iter().fold(0f32, |most, x| most.max(x.abs()));
    assert!((0.24..=0.25).contains(&most), "{most}");
}

#[test]
fn a_seed_of_its_own_drops_other_numbers() {
    let input = Input::new();
    let dropped = DlrmConfig {
        dropout: 0.5,
        ..config(Interaction::default(), vec![WIDTH])
    };
    let model = Dlrm::new(dropped, 3).unwrap();
    let loss = |gradients: &mut Gradients| {
        input
            .with(|batch| model.gradients(batch, &input.targets, Loss::Mse, gradients))
            .unwrap()
    };
    let of_seed = |seed| loss(&mut Gradients::with_seed(seed));
    assert_eq!(of_seed(42), loss(&mut Gradients::default()));
    assert_eq!(of_seed(7), of_seed(7));
    assert_ne!(of_seed(7), of_seed(42));
    assert_ne!(of_seed(7), of_seed(8));
}

/// More parts than a wave has: the parts of a batch of 20,000 samples go in one wave, in
/// two or in three.
#[test]
fn gradients_of_a_large_batch_are_the_same_bits_in_waves_of_any_length() {
    const SAMPLES: usize = 20_000;
    let jumble = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
    let ids: Vec<u32> = (0..SAMPLES).map(|i| (i * i % 11) as u32).collect();
    let dense: Vec<f32> = (0..SAMPLES).map(jumble).collect();
    let targets: Vec<f32> = (0..SAMPLES).map(|i| jumble(i + 9000)).collect();
    let config = DlrmConfig {
        tables: vec![TableConfig::new("user", 11, Side::User)],
        ..DlrmConfig::default()
    };
    let model = Dlrm::new(config, 1).unwrap();
    let gradients = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let mut gradients = Gradients::default();
        let batch = Inputs {
            dense: &dense,
            tables: &[TableInput::Single(&ids)],
            modalities: &[],
        };
        let loss = pool.build().unwrap().install(|| {
            model
                .gradients(&batch, &targets, Loss::Mse, &mut gradients)
                .unwrap()
        });
        (loss.to_bits(), gradients)
    };
    let (loss, one) = gradients(1);
    for threads in [3, 30, 60] {
        let (of_many, many) = gradients(threads);
        assert_eq!(of_many, loss, "{threads} threads");
        assert_eq!(many.dense, one.dense, "{threads} threads");
        assert_eq!(many.tables, one.tables, "{threads} threads");
    }
}

#[test]
fn cross_entropy_of_what_is_nearly_certain_is_pytorchs() {
    // torch.sigmoid and torch.nn.functional.binary_cross_entropy 2.15, in single precision:
    // beyond what a probability can tell from 0 or 1 the loss is cut off, and flat.
    let cases: [(f32, f32, f64, f32); 9] = [
        (20.0, 0.0, 100.0, 0.0),
        (-30.0, 1.0, 30.0, -0.093_576),
        (15.0, 0.0, 14.843_773, 1.0),
        (-20.0, 1.0, 20.0, -1.0),
        (3.0, 1.0, 0.048_587, -0.047_426),
        (-3.0, 0.0, 0.048_587, 0.047_426),
        (40.0, 1.0, 0.0, 0.0),
        (-90.0, 0.0, 0.0, 0.0),
        (-100.0, 1.0, 100.0, 0.0),
    ];
    for (z, target, loss, slope) in cases {
        let mut slopes = [0.0];
        let output = Output::within(0.0, 1.0);
        let found = Loss::Bce.of_samples(&[z], &[target], &output, 1.0, &mut slopes);
        assert!((found - loss).abs() < 1e-5 * loss.max(1.0), "{z}: {found}");
        assert!((slopes[0] - slope).abs() < 1e-5, "{z}: {}", slopes[0]);
    }
}
