use mmdlrm_model::{NextItem, NextItemConfig, NextItemGradients};
use serde::{Deserialize, Serialize};

use super::data::{Example, Examples};
use super::{NextItemData, NextItemRanker, NextItemTrainConfig};
use crate::optimizer::DenseAdam;
use crate::{Decay, Kept, Pace, Persist, Result, Schedule, Session, Stepper, Tensors, learn};

/// Name of the parameters in a checkpoint.
const PARAMETERS: &str = "parameters";

/// All that a run is told.
#[derive(Serialize, Deserialize)]
struct Settings {
    train: NextItemTrainConfig,
    model: NextItemConfig,
}

/// Trains a model to tell what each user rates next, among all movies of the
/// catalogue; the [`Session`] says whether the run goes on from a checkpoint and writes
/// some, and who is told of steps and epochs.
///
/// The same configuration and data give the same model, to the bit, on any number
/// of threads, and however often the run was stopped and resumed.
///
/// # Errors
/// Settings that make no sense, a checkpoint of another run, a loss that diverges, [`Error::Stopped`](crate::Error::Stopped), or whatever the session's
/// `on_epoch` returns.
pub fn train_next_item(
    ranker: &mut NextItemRanker,
    config: &NextItemTrainConfig,
    session: Session,
) -> Result<()> {
    config.validate()?;
    let settings = Settings {
        train: config.clone(),
        model: ranker.model.config().clone(),
    };
    let fingerprint = ranker.data.fingerprint();
    let mut stepper = NextItemStepper {
        optimizer: DenseAdam::new(ranker.model.parameters().len()),
        rows: ranker.data.sequences().places(0).len(),
        config,
        ranker,
        gradients: NextItemGradients::default(),
        losses: Vec::new(),
    };
    let steps = (stepper.rows.div_ceil(config.batch_size) * config.epochs) as u64;
    let pace = Pace {
        epochs: config.epochs,
        batch_size: config.batch_size,
        seed: config.seed,
        patience: None,
        schedule: &Schedule {
            warmup_steps: steps / 10,
            decay: Decay::Cosine,
        },
    };
    learn(&mut stepper, &pace, &settings, fingerprint, session)
}

struct NextItemStepper<'a> {
    ranker: &'a mut NextItemRanker,
    config: &'a NextItemTrainConfig,
    rows: usize,
    optimizer: DenseAdam,
    gradients: NextItemGradients,
    losses: Vec<f64>,
}

impl Stepper for NextItemStepper<'_> {
    /// Users and places.
    type Batch = Vec<(u32, u32)>;
    type Batches = Box<dyn Iterator<Item = Result<Self::Batch>>>;

    fn rows(&self) -> usize {
        self.rows
    }

    fn batches(&self, size: usize, order: u64, first: usize) -> Self::Batches {
        let places = self.ranker.data.sequences().places(order);
        let starts = (first * size..places.len()).step_by(size);
        Box::new(starts.map(move |start| {
            let end = places.len().min(start + size);
            Ok(places[start..end].to_vec())
        }))
    }

    fn rows_of(&self, batch: &Self::Batch) -> usize {
        batch.len()
    }

    fn step(&mut self, batch: &Self::Batch, step: u64, factor: f64) -> Result<()> {
        let Self {
            ranker,
            config,
            gradients,
            ..
        } = self;
        let NextItemRanker { model, data, .. } = &mut **ranker;
        let draw = config.seed.rotate_left(32) ^ step;
        let loss = next_item_gradients(model, data, batch, draw, gradients)?;
        if loss.is_finite() {
            let rate = config.learning_rate * factor;
            let parameters = model.parameters_mut();
            self.optimizer
                .step(parameters, &gradients.values, rate, config.weight_decay);
        }
        self.losses.push(loss);
        Ok(())
    }

    fn losses(&mut self, _all: bool) -> Result<Vec<f64>> {
        Ok(std::mem::take(&mut self.losses))
    }

    fn extreme_parameter(&mut self) -> Result<(String, f32)> {
        Ok(self.ranker.model.extreme_parameter())
    }

    fn parameters(&mut self) -> Result<Tensors<'_>> {
        let mut tensors = Tensors::default();
        tensors.put(PARAMETERS, self.ranker.model.parameters());
        Ok(tensors)
    }

    fn state(&mut self) -> Result<Tensors<'_>> {
        let mut tensors = Tensors::default();
        tensors.put(PARAMETERS, self.ranker.model.parameters());
        self.optimizer.save(&mut tensors);
        Ok(tensors)
    }

    fn load_parameters(&mut self, kept: &Kept) -> Result<()> {
        kept.load(PARAMETERS, self.ranker.model.parameters_mut())
    }

    fn restore(&mut self, kept: &Kept, steps: u64) -> Result<()> {
        self.load_parameters(kept)?;
        self.optimizer.restore(kept, steps)
    }

    fn model(&mut self) -> Result<&dyn Persist> {
        Ok(self.ranker)
    }
}

/// Gradients of the mean loss at the places of a batch, which is returned.
fn next_item_gradients(
    model: &NextItem,
    data: &NextItemData,
    batch: &[(u32, u32)],
    draw: u64,
    gradients: &mut NextItemGradients,
) -> Result<f64> {
    let examples = batch
        .iter()
        .map(|&(user, place)| data.example(data.sequences().of(user), place as usize));
    let examples = Examples {
        data,
        examples: examples.collect(),
    };
    let next = |example: &Example| example.sequence.ids[example.place];
    let views = examples.views(next);
    Ok(model.gradients(&data.inputs(), &views, &examples, draw, gradients)?)
}
