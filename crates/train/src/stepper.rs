use mmdlrm_model::{Batch, Dlrm, Gradients, Loss};

use crate::checkpoint::{Checkpoint, Tensors};
use crate::{Optimizer, Result};

/// Where steps are taken.
pub(crate) trait Stepper {
    /// Learns from a batch; `factor` scales the learning rates.
    fn step(&mut self, batch: &Batch, targets: &[f32], factor: f64) -> Result<()>;

    /// The losses that have not been handed out yet, in order. Those of a device
    /// are waited for where `all` are wanted, and now and then.
    fn losses(&mut self, all: bool) -> Result<Vec<f64>>;

    /// The model as it stands.
    fn model(&mut self) -> Result<&Dlrm>;

    /// Names and numbers of the optimiser's state.
    fn optimizer(&self) -> Result<Tensors<'_>>;

    /// Takes over the optimiser's state and the number of steps of a checkpoint; the
    /// model has its parameters already.
    fn restore<M>(&mut self, checkpoint: &Checkpoint<M>) -> Result<()>;
}

/// Steps on the CPU.
pub(crate) struct CpuStepper<'a> {
    pub model: &'a mut Dlrm,
    pub optimizer: Optimizer,
    pub loss: Loss,
    gradients: Gradients,
    losses: Vec<f64>,
}

impl<'a> CpuStepper<'a> {
    /// `seed` is that of what dropout drops.
    pub fn new(model: &'a mut Dlrm, optimizer: Optimizer, loss: Loss, seed: u64) -> Self {
        Self {
            model,
            optimizer,
            loss,
            gradients: Gradients::with_seed(seed),
            losses: Vec::new(),
        }
    }
}

impl Stepper for CpuStepper<'_> {
    fn step(&mut self, batch: &Batch, targets: &[f32], factor: f64) -> Result<()> {
        let Self {
            model,
            optimizer,
            gradients,
            ..
        } = self;
        let loss = optimizer.learn(model, (batch, targets), self.loss, gradients, factor)?;
        self.losses.push(loss);
        Ok(())
    }

    fn losses(&mut self, _all: bool) -> Result<Vec<f64>> {
        Ok(std::mem::take(&mut self.losses))
    }

    fn model(&mut self) -> Result<&Dlrm> {
        Ok(self.model)
    }

    fn optimizer(&self) -> Result<Tensors<'_>> {
        Ok(self.optimizer.state())
    }

    fn restore<M>(&mut self, checkpoint: &Checkpoint<M>) -> Result<()> {
        // Dropout depends on the step.
        self.gradients.step = checkpoint.progress.step;
        self.optimizer.restore(checkpoint)
    }
}
