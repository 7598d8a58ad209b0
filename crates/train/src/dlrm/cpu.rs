//! Steps on the CPU.

use mmdlrm_data::Batch;
use mmdlrm_features::TrainingData;
use mmdlrm_model::{Dlrm, Gradients, Objective};

use super::input::{TrainingBatches, Wiring, batches, beyond_base};
use super::tensors::{load_parameters, parameter_tensors};
use crate::{
    Algorithm, Kept, Measured, Measuring, Optimizer, Persist, Result, Rule, Scorer, Stepper,
    Tensors, TrainConfig,
};

/// Where batches to learn from come from.
pub(super) trait Source<'a> {
    /// Rows of an epoch.
    fn rows(&self) -> usize;

    /// The batches of an epoch, as [`Stepper::batches`].
    fn batches(&self, size: usize, order: u64, first: usize) -> TrainingBatches<'a>;

    /// What a model is worth after an epoch.
    fn measure(&self, model: &Dlrm, measuring: &Measuring) -> Result<Measured>;
}

impl<'a> Source<'a> for &'a dyn TrainingData {
    fn rows(&self) -> usize {
        self.rows_of_epoch()
    }

    fn batches(&self, size: usize, order: u64, first: usize) -> TrainingBatches<'a> {
        batches(*self, size, order, first)
    }

    fn measure(&self, model: &Dlrm, measuring: &Measuring) -> Result<Measured> {
        let scorer = Scorer::new(model, self.features().clone())?;
        measuring.measure(&scorer, *self)
    }
}

/// A model in memory, that learns by this project's own loops.
pub(super) struct CpuStepper<'a, R, S> {
    pub model: &'a mut Dlrm,
    pub source: S,
    pub wiring: Wiring<'a>,
    pub optimizer: Optimizer<R>,
    pub loss: &'a dyn Objective,
    pub gradients: Gradients,
    pub losses: Vec<f64>,
    pub measuring: Measuring<'a>,
}

impl<'a, S> CpuStepper<'a, Algorithm, S> {
    /// By the loss and the optimizer of a configuration.
    pub fn new(
        model: &'a mut Dlrm,
        source: S,
        wiring: Wiring<'a>,
        config: &'a TrainConfig,
        measuring: Measuring<'a>,
    ) -> Result<Self> {
        Ok(Self {
            wiring,
            optimizer: Optimizer::new(config.optimizer.clone(), model)?,
            loss: &config.loss,
            gradients: Gradients::with_seed(config.seed),
            losses: Vec::new(),
            measuring,
            model,
            source,
        })
    }
}

impl<'a, R: Rule, S: Source<'a>> Stepper for CpuStepper<'a, R, S> {
    type Batch = Batch;
    type Batches = TrainingBatches<'a>;

    fn rows(&self) -> usize {
        self.source.rows()
    }

    fn batches(&self, size: usize, order: u64, first: usize) -> TrainingBatches<'a> {
        self.source.batches(size, order, first)
    }

    fn rows_of(&self, batch: &Batch) -> usize {
        batch.len()
    }

    fn step(&mut self, batch: &Batch, step: u64, factor: f64) -> Result<()> {
        let Self {
            model,
            optimizer,
            gradients,
            loss,
            ..
        } = self;
        // Dropout depends on it.
        gradients.step = step;
        let targets = beyond_base(batch);
        let loss = self.wiring.with(batch, |input| {
            optimizer.learn(model, (input, &targets), *loss, gradients, factor)
        })?;
        self.losses.push(loss);
        Ok(())
    }

    fn losses(&mut self, _all: bool) -> Result<Vec<f64>> {
        Ok(std::mem::take(&mut self.losses))
    }

    fn measure(&mut self) -> Result<Measured> {
        self.source.measure(self.model, &self.measuring)
    }

    fn extreme_parameter(&mut self) -> Result<(String, f32)> {
        Ok(self.model.extreme_parameter()?)
    }

    fn parameters(&mut self) -> Result<Tensors<'_>> {
        parameter_tensors(self.model.parameters())
    }

    fn state(&mut self) -> Result<Tensors<'_>> {
        let mut tensors = parameter_tensors(self.model.parameters())?;
        self.optimizer.save(&mut tensors);
        Ok(tensors)
    }

    fn load_parameters(&mut self, kept: &Kept) -> Result<()> {
        load_parameters(kept, self.model.parameters_mut())
    }

    fn restore(&mut self, kept: &Kept, steps: u64) -> Result<()> {
        self.load_parameters(kept)?;
        self.optimizer.restore(kept, steps)
    }

    fn model(&mut self) -> Result<&dyn Persist> {
        Ok(self.model)
    }
}
