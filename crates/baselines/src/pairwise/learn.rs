//! The training loop, of models that learn from triples.

use std::sync::Arc;

use mmdlrm_features::TrainingData;
use mmdlrm_train::{
    Decay, DenseAdam, Error, Kept, Measured, Pace, Persist, Ranker, Result, Schedule, Session,
    Stepper, Tensors, learn, validation_ndcg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Draw, PairwiseTraining, Triples};
use crate::pairs::Pairs;
use crate::parameters::Parameters;

/// Places of a list by which epochs are measured.
const PLACES: usize = 10;

/// A model that learns from triples.
pub(crate) trait Pairwise: Ranker + Persist {
    /// What it learns.
    fn learned(&mut self) -> &mut Parameters;

    /// The loss of some triples, and its gradients, which are written to `gradients`, one a
    /// parameter. What is drawn is drawn by `draw`.
    fn gradients(&mut self, triples: &Triples, draw: u64, gradients: &mut [f32]) -> f64;

    /// Gets ready to rank by the parameters as they stand.
    fn refresh(&mut self) -> Result<()>;
}

/// Lets a model learn; `settings` tell its run from others.
///
/// # Errors
/// Data without a pair to learn from, patience without validation rows, what the session says, a
/// loss that diverges.
pub(crate) fn learn_pairs<S: Serialize + DeserializeOwned>(
    model: &mut impl Pairwise,
    data: &dyn TrainingData,
    (pairs, draw): (&Arc<Pairs>, Draw),
    (training, settings): (&PairwiseTraining, &S),
    session: Session,
) -> Result<()> {
    training.validate()?;
    check_patience(training.patience, data)?;
    let rows = draw.rows(pairs);
    if rows == 0 {
        return Err(Error::Mismatch(
            "no user rated one movie and not another: there is nothing to learn from".to_owned(),
        ));
    }
    let learned = model.learned().values.len();
    let mut stepper = PairwiseStepper {
        model,
        data,
        pairs,
        draw,
        rows,
        training,
        optimizer: DenseAdam::new(learned),
        gradients: vec![0.0; learned],
        losses: Vec::new(),
    };
    let pace = Pace {
        epochs: training.epochs,
        batch_size: training.batch_size,
        seed: training.seed,
        patience: training.patience,
        schedule: &Schedule {
            warmup_steps: 0,
            decay: Decay::Constant,
        },
    };
    learn(&mut stepper, &pace, settings, data.fingerprint(), session)?;
    model.refresh()
}

/// Refuses to wait for what no epoch can tell.
fn check_patience(patience: Option<usize>, data: &dyn TrainingData) -> Result<()> {
    match patience {
        Some(epochs) if data.validation_rows() == 0 => Err(Error::Setting {
            setting: "patience",
            value: epochs.to_string(),
            rule: "only validation rows can tell when to end, and there are none: hold some out, or \
                   leave patience out",
        }),
        _ => Ok(()),
    }
}

struct PairwiseStepper<'a, M> {
    model: &'a mut M,
    data: &'a dyn TrainingData,
    pairs: &'a Arc<Pairs>,
    draw: Draw,
    rows: usize,
    training: &'a PairwiseTraining,
    optimizer: DenseAdam,
    gradients: Vec<f32>,
    losses: Vec<f64>,
}

impl<M: Pairwise> Stepper for PairwiseStepper<'_, M> {
    type Batch = Triples;
    type Batches = Box<dyn Iterator<Item = Result<Triples>>>;

    fn rows(&self) -> usize {
        self.rows
    }

    fn batches(&self, size: usize, order: u64, first: usize) -> Self::Batches {
        Box::new(self.draw.epoch(self.pairs, size, order, first).map(Ok))
    }

    fn rows_of(&self, batch: &Triples) -> usize {
        batch.len()
    }

    fn step(&mut self, batch: &Triples, step: u64, factor: f64) -> Result<()> {
        let draw = self.training.seed.rotate_left(32) ^ step;
        let loss = self.model.gradients(batch, draw, &mut self.gradients);
        if loss.is_finite() {
            let rate = self.training.learning_rate * factor;
            let parameters = &mut self.model.learned().values;
            self.optimizer.step(parameters, &self.gradients, rate, 0.0);
        }
        self.losses.push(loss);
        Ok(())
    }

    fn losses(&mut self, _all: bool) -> Result<Vec<f64>> {
        Ok(std::mem::take(&mut self.losses))
    }

    fn measure(&mut self) -> Result<Measured> {
        self.model.refresh()?;
        let ndcg = validation_ndcg(self.model, self.data, PLACES)?;
        Ok(Measured::of_ranking(ndcg))
    }

    fn extreme_parameter(&mut self) -> Result<(String, f32)> {
        Ok(self.model.learned().extreme())
    }

    fn parameters(&mut self) -> Result<Tensors<'_>> {
        let mut tensors = Tensors::default();
        self.model.learned().save(&mut tensors);
        Ok(tensors)
    }

    fn state(&mut self) -> Result<Tensors<'_>> {
        let mut tensors = Tensors::default();
        self.model.learned().save(&mut tensors);
        self.optimizer.save(&mut tensors);
        Ok(tensors)
    }

    fn load_parameters(&mut self, kept: &Kept) -> Result<()> {
        self.model.learned().load(kept)
    }

    fn restore(&mut self, kept: &Kept, steps: u64) -> Result<()> {
        self.load_parameters(kept)?;
        self.optimizer.restore(kept, steps)
    }

    fn model(&mut self) -> Result<&dyn Persist> {
        Ok(self.model)
    }
}
