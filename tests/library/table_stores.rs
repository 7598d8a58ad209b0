//! Tables whose rows do not lie in memory as they are, against those that do.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mmdlrm::Preset;
use mmdlrm::features::TrainingData;
use mmdlrm::model::{
    Combine, Compression, Dlrm, DlrmConfig, Gradients, Inputs, Interaction, Loss, Pooling,
    Predictor, RowStep, RowUpdate, SharedBags, Side, StepPart, StoreError, TableConfig, TableInput,
    TableStore,
};
use mmdlrm::train::{
    Algorithm, CheckpointConfig, Checkpoints, Optimizer, OptimizerConfig, Session, TrainConfig,
    train,
};

use crate::gradients::{Input, WIDTH, config, weighted};
use crate::training::dataset;

/// Rows that are to be had one by one, and not at all once they are lost.
#[derive(Clone)]
struct Elsewhere {
    rows: Vec<Vec<f32>>,
    /// Rows that were asked for.
    asked: Arc<AtomicUsize>,
    lost: Arc<AtomicBool>,
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Elsewhere")
    }
}

impl Elsewhere {
    fn reach(&self) -> Result<(), StoreError> {
        match self.lost.load(Ordering::Relaxed) {
            true => Err("no route to the rows".into()),
            false => Ok(()),
        }
    }
}

impl TableStore for Elsewhere {
    fn len(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    fn gather(&self, rows: &[u32], dim: usize, out: &mut [f32]) -> Result<(), StoreError> {
        self.reach()?;
        assert!(!rows.is_empty());
        assert!(rows.is_sorted_by(|a, b| a < b), "{rows:?}");
        self.asked.fetch_add(rows.len(), Ordering::Relaxed);
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(dim)) {
            out.copy_from_slice(&self.rows[row as usize]);
        }
        Ok(())
    }

    fn apply(&mut self, step: RowStep, update: &dyn RowUpdate) -> Result<(), StoreError> {
        let rows = step.rows;
        let mut values = vec![0.0; step.gradients.len()];
        let dim = step.dim;
        self.gather(rows, dim, &mut values)?;
        update.of_gathered(step, &mut values);
        for (&row, values) in rows.iter().zip(values.chunks_exact(dim)) {
            self.rows[row as usize].copy_from_slice(values);
        }
        Ok(())
    }

    fn write(&mut self, first: usize, dim: usize, values: &[f32]) -> Result<(), StoreError> {
        self.reach()?;
        let rows = self.rows[first..].iter_mut();
        rows.zip(values.chunks_exact(dim))
            .for_each(|(row, values)| row.copy_from_slice(values));
        Ok(())
    }

    fn boxed_clone(&self) -> Box<dyn TableStore> {
        Box::new(self.clone())
    }
}

/// What the tables of a model that was taken elsewhere tell.
#[derive(Default)]
struct Told {
    asked: Arc<AtomicUsize>,
    lost: Arc<AtomicBool>,
}

/// The same model with all rows elsewhere.
fn elsewhere(model: &Dlrm) -> (Dlrm, Told) {
    let (mut model, told) = (model.clone(), Told::default());
    for table in &mut model.parameters_mut().tables {
        let values = table.values().unwrap().into_owned();
        let store = Elsewhere {
            rows: values.chunks(table.dim).map(<[f32]>::to_vec).collect(),
            asked: Arc::clone(&told.asked),
            lost: Arc::clone(&told.lost),
        };
        table.set_store(Box::new(store)).unwrap();
    }
    (model, told)
}

/// The two learn the same, to the bit, step by step.
#[track_caller]
fn learns_the_same(
    config: DlrmConfig,
    algorithm: Algorithm,
    with: impl Fn(&dyn Fn(&Inputs, &[f32])),
) {
    let plain = Dlrm::new(config, 3).unwrap();
    let (other, told) = elsewhere(&plain);
    let optimizer = OptimizerConfig {
        algorithm,
        table_weight_decay: 0.01,
        ..OptimizerConfig::default()
    };
    with(&|batch, targets| {
        let learned = [plain.clone(), other.clone()].map(|mut model| {
            let mut optimizer = Optimizer::new(optimizer.clone(), &model).unwrap();
            let mut gradients = Gradients::default();
            let mut losses = Vec::new();
            for _ in 0..4 {
                let learned =
                    optimizer.learn(&mut model, (batch, targets), Loss::Mse, &mut gradients, 1.0);
                losses.push(learned.unwrap());
            }
            let mut predictions = Vec::new();
            model.predict(batch, &mut predictions).unwrap();
            let vectors: Vec<_> = batch.modalities.iter().map(|it| it.vectors).collect();
            let predictor = Predictor::new(&model, &vectors).unwrap();
            let shares = predictor.contributions(batch, batch).unwrap();
            (losses, predictions, shares, model.to_safetensors().unwrap())
        });
        let [plain, other] = learned;
        assert_eq!(plain.0, other.0);
        assert!(plain.0[3] < plain.0[0], "{:?}", plain.0);
        assert!(plain.1 == other.1, "predictions");
        assert!(plain.2 == other.2, "contributions");
        assert!(plain.3 == other.3, "parameters");
    });
    assert!(told.asked.load(Ordering::Relaxed) > 0);
}

#[test]
fn every_kind_of_table_learns_the_same_wherever_its_rows_are() {
    let input = Input::new();
    let even = 6;
    for compression in [
        Compression::None,
        Compression::Hashed { buckets: 4 },
        Compression::QuotientRemainder {
            collisions: 4,
            combine: Combine::Product,
        },
        Compression::QuotientRemainder {
            collisions: 4,
            combine: Combine::Cat,
        },
    ] {
        let mut config = config(Interaction::default(), vec![even]);
        config.dim = even;
        config.bottoms[0].layers = vec![7, even];
        config.tables[0].compression = compression;
        config.tables[1].dim = Some(2);
        config.table_l2 = 0.1;
        learns_the_same(config, Algorithm::Adagrad, |learn| {
            input.with(|batch| learn(batch, &input.targets));
        });
    }
    let input = weighted();
    let mut config = config(Interaction::Dot { itself: true }, vec![WIDTH]);
    config.tables[0].learned_weights = true;
    config.tables[1].learned_weights = true;
    config.tables[1].pooling = Pooling::SqrtN;
    for algorithm in [Algorithm::Sgd, Algorithm::RowWiseAdagrad, Algorithm::Adam] {
        learns_the_same(config.clone(), algorithm, |learn| {
            input.with(|batch| learn(batch, &input.targets));
        });
    }
}

#[test]
fn shared_bags_learn_the_same_wherever_the_rows_are() {
    let table = TableConfig {
        pooling: Pooling::SqrtN,
        ..TableConfig::new("history", 13, Side::User)
    };
    let config = DlrmConfig {
        tables: vec![table],
        ..DlrmConfig::default()
    };
    let shifts = [0.1, -0.2, 0.3, 0.0];
    for shifts in [None, Some(&shifts[..])] {
        let bags = [TableInput::Shared(SharedBags {
            bag_of: &[0, 1, 1, 2],
            offsets: &[0, 3, 5, 5],
            ids: &[7, 12, 3, 3, 0],
            weights: shifts.map(|_| &[0.5, -1.0, 2.0, 1.0, 0.1][..]),
            shifts,
            left_out: &[1, SharedBags::WHOLE, 4, SharedBags::WHOLE],
        })];
        let batch = Inputs {
            dense: &[0.5, -0.5, 0.1, 0.9],
            tables: &bags,
            modalities: &[],
        };
        learns_the_same(config.clone(), Algorithm::Adam, |learn| {
            learn(&batch, &[1.0, 0.5, 0.0, -1.0]);
        });
    }
}

#[test]
fn a_catalogue_is_ranked_the_same_wherever_the_rows_are() {
    let dataset = dataset();
    let plain = Preset::MmdlrmFactored.config(dataset.features(), 8);
    let plain = Dlrm::new(plain, 42).unwrap();
    let (other, told) = elsewhere(&plain);
    let scores = [&plain, &other].map(|model| {
        let scorer = crate::scorer(model, &dataset);
        let mut scores = Vec::new();
        scorer.score(&[3, 0, 1], &mut scores).unwrap();
        scores
    });
    assert!(!scores[0].is_empty() && scores[0] == scores[1]);
    assert!(told.asked.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_run_with_rows_elsewhere_goes_on_from_a_checkpoint_to_the_same_bits() {
    let dataset = dataset();
    let model = Preset::Dlrm.config(dataset.features(), 8);
    let model = Dlrm::new(model, 42).unwrap();
    let config = TrainConfig {
        epochs: 2,
        ..TrainConfig::default()
    };
    let mut expected = model.clone();
    train(&mut expected, &dataset, &config, Session::default()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
    let run = |epochs_wanted: usize| {
        let (mut model, _) = elsewhere(&model);
        let mut epochs = 0;
        let session = Session {
            checkpoints: Some(checkpoints.clone()),
            resumed: checkpoints.latest().unwrap().checkpoint,
            ..Session::default()
        };
        let session = session.on_epoch(|_, _| {
            epochs += 1;
            match epochs < epochs_wanted {
                true => Ok(()),
                false => Err(mmdlrm::train::Error::CalledOff),
            }
        });
        (train(&mut model, &dataset, &config, session), model)
    };
    assert!(run(1).0.is_err());
    let (done, found) = run(9);
    done.unwrap();
    assert!(found.parameters() == expected.parameters());
    assert!(found.to_safetensors().unwrap() == expected.to_safetensors().unwrap());
}

#[test]
fn rows_that_cannot_be_had_are_an_error_with_table_and_cause() {
    let input = Input::new();
    let plain = Dlrm::new(config(Interaction::default(), vec![WIDTH]), 3).unwrap();
    let (mut model, told) = elsewhere(&plain);
    told.lost.store(true, Ordering::Relaxed);
    let mut optimizer = Optimizer::new(OptimizerConfig::default(), &model).unwrap();
    let mut gradients = Gradients::default();
    input.with(|batch| {
        let learned = optimizer.learn(
            &mut model,
            (batch, &input.targets),
            Loss::Mse,
            &mut gradients,
            1.0,
        );
        let errors = [
            learned.unwrap_err().to_string(),
            model
                .predict(batch, &mut Vec::new())
                .unwrap_err()
                .to_string(),
            model.to_safetensors().unwrap_err().to_string(),
            model.extreme_parameter().unwrap_err().to_string(),
        ];
        for error in errors {
            assert!(error.contains("table emb_l."), "{error}");
            assert!(error.contains("no route to the rows"), "{error}");
        }
    });
    assert!(
        model
            .load_parameters(&plain.to_safetensors().unwrap())
            .is_err()
    );
}

#[test]
fn tables_that_no_id_touches_are_left_alone() {
    let tables = ["word", "given"].map(|name| TableConfig::new(name, 5, Side::User));
    let config = DlrmConfig {
        tables: tables.to_vec(),
        ..DlrmConfig::default()
    };
    let vector = vec![0.1; config.dim];
    let bags = [
        TableInput::Lists {
            offsets: &[0, 0, 0],
            ids: &[],
        },
        TableInput::Given {
            vectors: &vector,
            rows: &[0, 0],
        },
    ];
    let batch = Inputs {
        dense: &[0.5, -0.5],
        tables: &bags,
        modalities: &[],
    };
    let (mut model, told) = elsewhere(&Dlrm::new(config, 3).unwrap());
    let mut optimizer = Optimizer::new(OptimizerConfig::default(), &model).unwrap();
    let mut gradients = Gradients::default();
    let learned = optimizer.learn(
        &mut model,
        (&batch, &[1.0, 0.0]),
        Loss::Mse,
        &mut gradients,
        1.0,
    );
    learned.unwrap();
    assert_eq!(told.asked.load(Ordering::Relaxed), 0);
}

/// More rows than one thread moves.
#[test]
fn rows_that_were_gathered_are_moved_by_all_threads() {
    let rows = 4000;
    let config = DlrmConfig {
        tables: vec![TableConfig::new("user", rows, Side::User)],
        ..DlrmConfig::default()
    };
    let users: Vec<u32> = (0..rows as u32).filter(|user| user % 3 != 1).collect();
    let bags = [TableInput::Single(&users)];
    let dense = vec![0.5; users.len()];
    let batch = Inputs {
        dense: &dense,
        tables: &bags,
        modalities: &[],
    };
    learns_the_same(config, Algorithm::Adam, |learn| {
        let targets: Vec<f32> = users.iter().map(|user| (user % 5) as f32).collect();
        learn(&batch, &targets);
    });
}

#[test]
fn a_batch_that_could_not_be_fetched_is_still_the_part_of_a_step_that_it_was() {
    let input = Input::new();
    let plain = Dlrm::new(config(Interaction::default(), vec![WIDTH]), 3).unwrap();
    let (model, told) = elsewhere(&plain);
    let mut gradients = Gradients::default();
    let samples = input.targets.len();
    let part = Some(StepPart {
        first: 0,
        samples: 2 * samples,
    });
    gradients.part = part;
    input.with(|batch| {
        let learn = |gradients: &mut Gradients| {
            model.gradients(batch, &input.targets, Loss::Mse, gradients)
        };
        told.lost.store(true, Ordering::Relaxed);
        learn(&mut gradients).unwrap_err();
        assert_eq!(gradients.part, part);
        told.lost.store(false, Ordering::Relaxed);
        learn(&mut gradients).unwrap();
        assert_eq!(gradients.part, None);
    });
}

/// Has fewer numbers than it says.
#[derive(Debug, Clone)]
struct Short(Vec<f32>);

impl TableStore for Short {
    fn len(&self) -> usize {
        self.0.len() + 1
    }

    fn as_slice(&self) -> Option<&[f32]> {
        Some(&self.0)
    }

    fn gather(&self, _: &[u32], _: usize, _: &mut [f32]) -> Result<(), StoreError> {
        Ok(())
    }

    fn apply(&mut self, _: RowStep, _: &dyn RowUpdate) -> Result<(), StoreError> {
        Ok(())
    }

    fn write(&mut self, _: usize, _: usize, _: &[f32]) -> Result<(), StoreError> {
        Ok(())
    }

    fn boxed_clone(&self) -> Box<dyn TableStore> {
        Box::new(self.clone())
    }
}

#[test]
fn a_store_of_another_length_is_refused() {
    let mut model = Dlrm::new(config(Interaction::default(), vec![WIDTH]), 3).unwrap();
    let table = &mut model.parameters_mut().tables[0];
    let error = table
        .set_store(Box::new(vec![0.0; 3]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("has 3 values"), "{error}");
    assert!(table.set_values(&[0.0; 4]).is_err());
    let short = Short(vec![0.0; table.store().len() - 1]);
    assert!(table.set_store(Box::new(short)).is_err());
}
