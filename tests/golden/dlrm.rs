//! Against facebookresearch/dlrm: predictions, gradients, and the weights
//! after three steps.

use mmdlrm::model::{
    BottomConfig, Dlrm, DlrmConfig, Gradients, Inputs, Interaction, Loss, Output, OutputActivation,
    Side, TableConfig, TableInput,
};
use mmdlrm::train::{Algorithm, Optimizer, OptimizerConfig};
use safetensors::SafeTensors;
use serde::Deserialize;

const ONE_PASS: f32 = 1e-5;
const THREE_STEPS: f32 = 1e-4;

#[derive(Deserialize)]
struct Golden {
    interaction: String,
    itself: bool,
    loss: String,
    optimizer: String,
    lr: f64,
    embedding_sizes: Vec<usize>,
    dim: usize,
    bottom: Vec<usize>,
    top: Vec<usize>,
    losses: Vec<f64>,
}

struct Case {
    name: String,
    golden: Golden,
    bytes: Vec<u8>,
}

const CASES: [&str; 3] = ["cat_mse_sgd", "dot_bce_sgd", "dot_itself_mse_adagrad"];

fn case(name: &str) -> Case {
    let path = crate::folder().join(format!("dlrm/dlrm_{name}.json"));
    Case {
        name: name.to_owned(),
        golden: crate::read_json(&path),
        bytes: std::fs::read(path.with_extension("safetensors")).unwrap(),
    }
}

fn cases() -> [Case; 3] {
    CASES.map(case)
}

impl Case {
    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let tensor = self.tensors();
        let data = tensor.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        let tensor = self.tensors();
        let data = tensor.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(8)
            .map(|b| {
                i64::from_le_bytes(b.try_into().unwrap())
                    .try_into()
                    .unwrap()
            })
            .collect()
    }

    /// The model with Meta's weights from before training.
    fn model(&self) -> Dlrm {
        let golden = &self.golden;
        let interaction = match golden.interaction.as_str() {
            "cat" => Interaction::Cat,
            _ => Interaction::Dot {
                itself: golden.itself,
            },
        };
        let sizes = golden.embedding_sizes.iter().enumerate();
        let config = DlrmConfig {
            dim: golden.dim,
            bottoms: vec![BottomConfig::new(
                Side::Pair,
                0..golden.bottom[0],
                golden.bottom[1..].to_vec(),
            )],
            tables: sizes
                .map(|(number, &rows)| TableConfig::new(&number.to_string(), rows, Side::Item))
                .collect(),
            interaction,
            top: golden.top[1..golden.top.len() - 1].to_vec(),
            output: Output {
                activation: OutputActivation::Sigmoid,
                ..Output::default()
            },
            ..DlrmConfig::default()
        };
        let mut model = Dlrm::new(config, 1).unwrap();
        model.load_parameters(&self.weights("before.")).unwrap();
        model
    }

    /// The tensors of a prefix, without it, as a file of their own.
    fn weights(&self, prefix: &str) -> Vec<u8> {
        let tensors = self.tensors();
        let chosen: Vec<_> = tensors
            .tensors()
            .into_iter()
            .filter_map(|(name, view)| Some((name.strip_prefix(prefix)?.to_owned(), view)))
            .collect();
        safetensors::serialize(chosen, None).unwrap()
    }

    /// Calls `check` with Meta's batch and targets.
    fn with_batch<T>(&self, check: impl FnOnce(&Inputs, &[f32]) -> T) -> T {
        let dense = self.floats("in.dense");
        let lists: Vec<(Vec<u32>, Vec<u32>)> = (0..self.golden.embedding_sizes.len())
            .map(|table| {
                let ids = self.ids(&format!("in.indices.{table}"));
                // Meta's offsets leave out the end.
                let mut offsets = self.ids(&format!("in.offsets.{table}"));
                offsets.push(ids.len() as u32);
                (offsets, ids)
            })
            .collect();
        let bags: Vec<TableInput> = lists
            .iter()
            .map(|(offsets, ids)| TableInput::Lists { offsets, ids })
            .collect();
        let batch = Inputs {
            dense: &dense,
            tables: &bags,
            modalities: &[],
        };
        check(&batch, &self.floats("in.target"))
    }

    fn loss(&self) -> Loss {
        match self.golden.loss.as_str() {
            "bce" => Loss::Bce,
            _ => Loss::Mse,
        }
    }
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let norm = |x: &mut dyn Iterator<Item = f32>| x.map(|x| x * x).sum::<f32>().sqrt();
    let error = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    let size = norm(&mut expected.iter().copied());
    assert!(
        error <= tolerance * size,
        "{what}: off by {error} of {size}"
    );
}

#[test]
fn a_pytorch_checkpoint_loads_as_the_model_it_describes() {
    let path = crate::folder().join("pytorch/dlrm.pt");
    let found = Dlrm::from_pytorch(&path).unwrap();
    let rows: Vec<usize> = found
        .config()
        .tables
        .iter()
        .map(|table| table.rows)
        .collect();
    assert_eq!(rows, [50, 30, 20]);
    let dot = Interaction::Dot { itself: false };
    assert_eq!(found.config().interaction, dot);
    let mut expected = case("dot_bce_sgd").model();
    assert_eq!(found.parameters(), expected.parameters());
    expected.load_pytorch(&path).unwrap();
    let mut other = Dlrm::new(DlrmConfig::default(), 1).unwrap();
    let error = other.load_pytorch(&path).unwrap_err().to_string();
    assert!(
        error.contains("'emb_l.0.weight' is not a parameter"),
        "{error}"
    );
    assert!(
        error.contains("'bot_l.0.weight' is [32, 13], not [128, 1]"),
        "{error}"
    );
    let bytes = std::fs::read(&path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for length in [0, 100, bytes.len() / 2, bytes.len() - 1] {
        let cut = folder.path().join("cut.pt");
        std::fs::write(&cut, &bytes[..length]).unwrap();
        assert!(Dlrm::from_pytorch(&cut).is_err(), "{length}");
    }
    let error = Dlrm::from_pytorch("no-such.pt").unwrap_err().to_string();
    assert!(error.contains("no-such.pt"), "{error}");
}

#[test]
fn golden_dlrm_predictions_equal_meta() {
    for case in cases() {
        let mut predictions = Vec::new();
        case.with_batch(|batch, _| case.model().predict(batch, &mut predictions))
            .unwrap();
        assert_close(
            &predictions,
            &case.floats("out.prediction"),
            ONE_PASS,
            &case.name,
        );
    }
}

#[test]
fn golden_dlrm_gradients_equal_meta() {
    for case in cases() {
        let model = case.model();
        let mut gradients = Gradients::default();
        let loss = case
            .with_batch(|batch, targets| {
                model.gradients(batch, targets, case.loss(), &mut gradients)
            })
            .unwrap();
        let expected = case.golden.losses[0];
        assert!(
            (loss / expected - 1.0).abs() < 1e-5,
            "{}: {loss} {expected}",
            case.name
        );
        for segment in model.segments() {
            let found = &gradients.dense[segment.range()];
            let name = format!("grad.{}", segment.name);
            assert_close(
                found,
                &case.floats(&name),
                ONE_PASS,
                &format!("{} {name}", case.name),
            );
        }
        for (number, rows) in gradients.tables.iter().enumerate() {
            let name = format!("grad.emb_l.{number}.weight");
            let expected = case.floats(&name);
            let mut found = vec![0.0; expected.len()];
            let dim = case.golden.dim;
            for (&row, values) in rows.rows().iter().zip(rows.values.chunks_exact(dim)) {
                found[row as usize * dim..][..dim].copy_from_slice(values);
            }
            assert_close(
                &found,
                &expected,
                ONE_PASS,
                &format!("{} {name}", case.name),
            );
        }
    }
}

#[test]
fn golden_dlrm_weights_after_three_steps_equal_meta() {
    for case in cases() {
        let mut model = case.model();
        let config = OptimizerConfig {
            algorithm: match case.golden.optimizer.as_str() {
                "adagrad" => Algorithm::Adagrad,
                _ => Algorithm::Sgd,
            },
            learning_rate: case.golden.lr,
            ..OptimizerConfig::default()
        };
        let mut optimizer = Optimizer::new(config, &model).unwrap();
        let mut gradients = Gradients::default();
        case.with_batch(|batch, targets| {
            for &expected in &case.golden.losses {
                let loss = model
                    .gradients(batch, targets, case.loss(), &mut gradients)
                    .unwrap();
                assert!(
                    (loss / expected - 1.0).abs() < 1e-4,
                    "{}: {loss} {expected}",
                    case.name
                );
                optimizer.step(&mut model, &gradients, 1.0).unwrap();
            }
        });
        let mut expected = model.clone();
        expected.load_parameters(&case.weights("after3.")).unwrap();
        let (found, expected) = (model.parameters(), expected.parameters());
        assert_close(&found.dense, &expected.dense, THREE_STEPS, &case.name);
        for (found, expected) in found.tables.iter().zip(&expected.tables) {
            let (found, expected) = (found.values().unwrap(), expected.values().unwrap());
            assert_close(&found, &expected, THREE_STEPS, &case.name);
        }
    }
}
