//! What the authors' own code came to, in `golden/baselines` of the shared folder: a safetensors
//! file and a JSON file a case.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use mmdlrm_train::DenseAdam;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::Value;

use crate::item_features::ItemFeatures;
use crate::pairwise::Triples;
use crate::parameters::Parameters;
use crate::sparse::Sparse;

/// Of a tensor's largest number: how far another may be from it.
const NEAR: f64 = 1e-4;
/// A gradient that is less than this share of its tensor's largest may be rounding alone, of which
/// Adam makes a whole step.
const ROUNDING: f64 = 1e-4;
/// How far rounding takes a gradient from another, as a share of its tensor's largest: Adam's step
/// by a small one is off by so much more.
const ROUNDED: f64 = 1e-6;

/// A case: what goes in, what comes out, gradients, and parameters after three steps.
pub(crate) struct Case {
    name: String,
    pub settings: Value,
    numbers: HashMap<String, (Vec<usize>, Vec<f32>)>,
    ids: HashMap<String, (Vec<usize>, Vec<u32>)>,
}

/// All cases of a model; none, with one line that says so, where there is no shared folder.
pub(crate) fn cases(model: &str) -> Vec<Case> {
    let shared = std::env::var_os("MMDLRM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = shared.join("golden/baselines");
    if !folder.is_dir() {
        // Straight to standard error: the test harness hides what macros print.
        let _ = writeln!(std::io::stderr(), "skipped: no {}", folder.display());
        return Vec::new();
    }
    let files = std::fs::read_dir(&folder).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|it| it.extension() == Some("json".as_ref()))
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let settings: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        (settings["model"] == model).then(|| Case::read(path, settings))
    };
    let cases: Vec<Case> = files.into_iter().filter_map(read).collect();
    assert!(
        !cases.is_empty(),
        "no case of {model} in {}",
        folder.display()
    );
    cases
}

impl Case {
    fn read(path: PathBuf, settings: Value) -> Self {
        let file = std::fs::read(path.with_extension("safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let (mut numbers, mut ids) = (HashMap::new(), HashMap::new());
        for (name, tensor) in tensors.iter() {
            let shape = tensor.shape().to_vec();
            match tensor.dtype() {
                Dtype::F32 => {
                    let values = tensor.data().as_chunks().0.iter();
                    let values = values.map(|&bytes| f32::from_le_bytes(bytes)).collect();
                    numbers.insert(name.to_owned(), (shape, values));
                }
                Dtype::I64 => {
                    let values = tensor.data().as_chunks().0.iter();
                    // The user's place in a history is -1.
                    let values = values.map(|&bytes| i64::from_le_bytes(bytes).max(0) as u32);
                    ids.insert(name.to_owned(), (shape, values.collect()));
                }
                _ => {
                    let values = tensor.data().iter().map(|&byte| u32::from(byte));
                    ids.insert(name.to_owned(), (shape, values.collect()));
                }
            }
        }
        Self {
            name: path.display().to_string(),
            settings,
            numbers,
            ids,
        }
    }

    /// A setting that is a whole number.
    pub fn count(&self, setting: &str) -> usize {
        self.settings[setting].as_u64().unwrap() as usize
    }

    /// A setting that is a number.
    pub fn number(&self, setting: &str) -> f64 {
        self.settings[setting].as_f64().unwrap()
    }

    /// Numbers of a tensor.
    pub fn tensor(&self, name: &str) -> &[f32] {
        &self.numbers[name].1
    }

    pub fn shape(&self, name: &str) -> &[usize] {
        self.numbers
            .get(name)
            .map_or_else(|| &*self.ids[name].0, |it| &*it.0)
    }

    /// Whole numbers of a tensor.
    pub fn ids(&self, name: &str) -> &[u32] {
        &self.ids[name].1
    }

    /// The same, of a tensor that a case need not have.
    pub fn has_ids(&self, name: &str) -> Option<&[u32]> {
        self.ids.get(name).map(|it| &*it.1)
    }

    /// Edges of a user and an item, in order.
    pub fn edges(&self) -> Vec<(u32, u32)> {
        let pairs = self.ids("in.edges").as_chunks::<2>().0;
        let mut edges: Vec<(u32, u32)> = pairs.iter().map(|edge| (edge[0], edge[1])).collect();
        edges.sort_unstable();
        edges
    }

    /// Fills parameters with what `before.` has of their names.
    pub fn fill(&self, parameters: &mut Parameters) {
        parameters.zero();
        let names = parameters.names().to_vec();
        for (name, matrix) in names {
            let (_, values) = &self.numbers[&format!("before.{name}")];
            matrix
                .of_mut(&mut parameters.values)
                .copy_from_slice(values);
        }
    }

    /// Asserts that a tensor is what was computed.
    #[track_caller]
    pub fn assert_near(&self, name: &str, found: &[f32]) {
        let expected = self.tensor(name);
        assert_eq!(found.len(), expected.len(), "{}: {name}", self.name);
        let largest = largest(expected);
        for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
            let off = f64::from((found - expected).abs());
            let at = format!("{}: {name} at {place}", self.name);
            assert!(off <= NEAR * largest, "{at}: {found} and not {expected}");
        }
    }

    /// The same of one number.
    #[track_caller]
    pub fn assert_number(&self, name: &str, found: f64) {
        self.assert_near(name, &[found as f32]);
    }

    /// Asserts that gradients, and three steps of Adam by them, are those of the case;
    /// `loss(values, gradients)` is the loss of the parameters' values.
    #[track_caller]
    pub fn assert_learns(
        &self,
        mut parameters: Parameters,
        mut loss: impl FnMut(&[f32], &mut [f32]) -> f64,
    ) {
        let mut gradients = vec![0.0; parameters.values.len()];
        let found = loss(&parameters.values, &mut gradients);
        self.assert_number("loss.total", found);
        for (name, matrix) in parameters.names() {
            self.assert_near(&format!("grad.{name}"), matrix.of(&gradients));
        }
        let Some(expected) = self.settings["losses_of_3_steps"].as_array() else {
            return;
        };
        let optimizer = &self.settings["optimizer"];
        let rate = optimizer["lr"].as_f64().unwrap();
        let decay = optimizer["weight_decay"].as_f64().unwrap_or(0.0) as f32;
        let mut adam = DenseAdam::new(parameters.values.len());
        let begun = parameters.clone();
        for expected in expected {
            let found = loss(&parameters.values, &mut gradients);
            let expected = expected.as_f64().unwrap();
            assert!(
                (found / expected - 1.0).abs() < NEAR,
                "{found} and not {expected}"
            );
            for (gradient, x) in gradients.iter_mut().zip(&parameters.values) {
                *gradient += decay * x;
            }
            adam.step(&mut parameters.values, &gradients, rate, 0.0);
        }
        for (name, matrix) in begun.names() {
            let (found, before) = (matrix.of(&parameters.values), matrix.of(&begun.values));
            let gradient = self.tensor(&format!("grad.{name}"));
            let expected = self.tensor(&format!("after3.{name}"));
            let (steepest, largest) = (largest(gradient), largest(expected));
            for place in 0..found.len() {
                let gradient = f64::from(gradient[place] + decay * before[place]).abs();
                if gradient <= ROUNDING * steepest.max(0.05) {
                    continue;
                }
                let of_rounding = 3.0 * rate * ROUNDED * steepest / gradient;
                let off = f64::from((found[place] - expected[place]).abs());
                let at = format!("{}: after3.{name} at {place}", self.name);
                assert!(off <= NEAR * largest + of_rounding, "{at}: off by {off}");
            }
        }
    }
}

/// The batch of a case.
pub(crate) fn triples(case: &Case) -> Triples {
    Triples {
        users: case.ids("in.users").to_vec(),
        rated: case.ids("in.pos").to_vec(),
        others: case.has_ids("in.neg").map_or(Vec::new(), <[u32]>::to_vec),
        epoch: 0,
    }
}

/// Some modalities of a case, which knows them by their first letter: `v` of pictures.
pub(crate) fn modalities(case: &Case, names: &[&str]) -> Vec<ItemFeatures> {
    let of = |&name: &&str| {
        let letter = if name == "image" { "v" } else { &name[..1] };
        let tensor = format!("in.{letter}_feat");
        ItemFeatures {
            name: name.to_owned(),
            width: case.shape(&tensor)[1],
            values: case.tensor(&tensor).to_vec(),
        }
    };
    names.iter().map(of).collect()
}

/// Products of all users' vectors with all items', `[users, items]`.
pub(crate) fn score_matrix((users, items, width): &(Vec<f32>, Vec<f32>, usize)) -> Vec<f32> {
    let score = |user: &[f32], item: &[f32]| user.iter().zip(item).map(|(a, b)| a * b).sum();
    let of_user = |user| {
        items
            .chunks_exact(*width)
            .map(move |item| score(user, item))
    };
    users.chunks_exact(*width).flat_map(of_user).collect()
}

/// A matrix of zeros but for some entries.
pub(crate) fn dense(matrix: &Sparse, columns: usize) -> Vec<f32> {
    let rows = (0..matrix.rows())
        .flat_map(|row| (0..columns as u32).map(move |column| matrix.get(row, column)));
    rows.collect()
}

fn largest(values: &[f32]) -> f64 {
    let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    f64::from(largest).max(1e-3)
}
