//! Steps on the CPU.

use mmdlrm_data::Batch;
use mmdlrm_features::TrainingData;
use mmdlrm_model::{Dlrm, Gradients, Objective};

use super::input::{TrainingBatches, Wiring, batches, beyond_base};
use super::tensors::{load_parameters, parameter_tensors};
use crate::{
    Kept, Measured, Measuring, Optimizer, Persist, Result, Rule, Scorer, Stepper, Tensors,
};

/// A model in memory, that learns by this project's own loops.
pub(super) struct CpuStepper<'a, R> {
    pub model: &'a mut Dlrm,
    pub data: &'a dyn TrainingData,
    pub wiring: Wiring<'a>,
    pub optimizer: Optimizer<R>,
    pub loss: &'a dyn Objective,
    pub gradients: Gradients,
    pub losses: Vec<f64>,
    pub measuring: Measuring<'a>,
}

impl<R: Rule> Stepper for CpuStepper<'_, R> {
    type Batch = Batch;
    type Batches = TrainingBatches;

    fn rows(&self) -> usize {
        self.data.training_rows()
    }

    fn batches(&self, size: usize, order: u64, first: usize) -> TrainingBatches {
        batches(self.data, size, order, first)
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
        let scorer = Scorer::new(&*self.model, self.data.features().clone())?;
        self.measuring.measure(&scorer, self.data)
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
