//! Steps on a device of candle's.

use std::borrow::Cow;

use candle_core::{Tensor, Var};
use mmdlrm_model::{Batch, DeviceDlrm, DeviceGradients, Dlrm, Loss};

use crate::checkpoint::{Checkpoint, Tensors};
use crate::optimizer::{
    ADAGRAD_EPSILON, ADAM_BETAS, ADAM_EPSILON, Rule, adam_corrections, dense_rule, rule,
};
use crate::stepper::Stepper;
use crate::{OptimizerConfig, Result};

/// Steps after which somebody waits for the device, to see its losses.
const STEPS_UNSEEN: usize = 100;

/// An [`Optimizer`](crate::Optimizer) whose state lies on the device, with a
/// [`DeviceDlrm`]. Only the rows that a step touches are read and written.
#[derive(Debug)]
pub struct DeviceOptimizer {
    config: OptimizerConfig,
    step: u64,
    dense: Vec<Tensor>,
    tables: Vec<Vec<Tensor>>,
}

impl DeviceOptimizer {
    /// For `model`, with a state of zeros.
    ///
    /// # Errors
    /// A setting that makes no sense; a device that fails.
    pub fn new(config: OptimizerConfig, model: &DeviceDlrm) -> Result<Self> {
        config.validate()?;
        let dense = state(dense_rule(config.algorithm), model.dense())?;
        let tables = model.tables().iter();
        let tables = tables.map(|table| state(rule(config.algorithm), table));
        Ok(Self {
            dense,
            tables: tables.collect::<Result<_>>()?,
            config,
            step: 0,
        })
    }

    /// Moves the model by one step; `factor` scales both learning rates.
    ///
    /// # Errors
    /// A device that fails.
    pub fn step(
        &mut self,
        model: &DeviceDlrm,
        gradients: &DeviceGradients,
        factor: f64,
    ) -> Result<()> {
        self.step += 1;
        let config = &self.config;
        let clip = self.clip(gradients)?;
        let clipped = |gradient: &Tensor| match &clip {
            Some(scale) => gradient.broadcast_mul(scale),
            None => Ok(gradient.clone()),
        };
        let rate = config.learning_rate * factor;
        let update = Update {
            rule: dense_rule(config.algorithm),
            rate,
            kept: 1.0 - rate * config.weight_decay,
            step: self.step,
        };
        let dense: &Var = model.dense();
        let gradient = clipped(&gradients.dense)?;
        let (moved, state) = update.apply(dense.as_tensor(), &self.dense, &gradient)?;
        dense.set(&moved)?;
        self.dense = state;

        let rate = config.table_rate() * factor;
        let update = Update {
            rule: rule(config.algorithm),
            rate,
            kept: 1.0 - rate * config.table_weight_decay,
            step: self.step,
        };
        let tables = model.tables().iter().zip(&self.tables);
        for ((table, state), (rows, gradient)) in tables.zip(&gradients.tables) {
            if rows.elem_count() == 0 {
                continue;
            }
            let of_rows = |all: &Tensor| all.index_select(rows, 0);
            let state_of_rows = state
                .iter()
                .map(of_rows)
                .collect::<candle_core::Result<Vec<_>>>()?;
            let (moved, new_state) =
                update.apply(&of_rows(table)?, &state_of_rows, &clipped(gradient)?)?;
            write_rows(table, rows, &moved)?;
            for (all, new) in state.iter().zip(&new_state) {
                write_rows(all, rows, new)?;
            }
        }
        Ok(())
    }

    /// The tensors of its state, with their names.
    fn named(&self) -> impl Iterator<Item = (String, &Tensor)> {
        let named = |of: String, tensors: &'_ [Tensor]| {
            let numbers = 0..tensors.len();
            numbers
                .map(move |number| format!("{of}.{number}"))
                .collect()
        };
        let dense: Vec<String> = named("optimizer.dense".to_owned(), &self.dense);
        let tables = self.tables.iter().enumerate();
        let tables = tables.flat_map(move |(number, state)| {
            let names: Vec<String> = named(format!("optimizer.table.{number}"), state);
            names.into_iter().zip(state)
        });
        dense.into_iter().zip(&self.dense).chain(tables)
    }

    /// Takes over the state that a checkpoint kept.
    fn restore<M>(&mut self, checkpoint: &Checkpoint<M>) -> Result<()> {
        self.step = checkpoint.progress.step;
        let loaded = self.named().map(|(name, tensor)| {
            let mut values = vec![0f32; tensor.elem_count()];
            checkpoint.load(&name, &mut values)?;
            Ok(Tensor::from_vec(values, tensor.shape(), tensor.device())?)
        });
        let mut loaded = loaded.collect::<Result<Vec<_>>>()?.into_iter();
        let tables = self.tables.iter_mut().flatten();
        for (tensor, kept) in self.dense.iter_mut().chain(tables).zip(&mut loaded) {
            *tensor = kept;
        }
        Ok(())
    }

    /// What gradients are multiplied by so that their norm is at most the one
    /// allowed: computed where they lie.
    fn clip(&self, gradients: &DeviceGradients) -> Result<Option<Tensor>> {
        let Some(most) = self.config.clip_norm else {
            return Ok(None);
        };
        let mut squares = gradients.dense.sqr()?.sum_all()?;
        for (_, values) in &gradients.tables {
            squares = (squares + values.sqr()?.sum_all()?)?;
        }
        let scale = (squares.sqrt()?.recip()? * most)?;
        Ok(Some(scale.minimum(1.0)?))
    }
}

/// A rule's state of zeros for parameters, `[length]` or `[rows, dim]`.
fn state(rule: Rule, parameters: &Tensor) -> Result<Vec<Tensor>> {
    let zeros = || parameters.zeros_like();
    Ok(match rule {
        Rule::Sgd => Vec::new(),
        Rule::Adagrad => vec![zeros()?],
        Rule::RowWiseAdagrad => {
            let shape = (parameters.dim(0)?, 1);
            vec![Tensor::zeros(
                shape,
                parameters.dtype(),
                parameters.device(),
            )?]
        }
        Rule::Adam => vec![zeros()?, zeros()?],
    })
}

/// Replaces some rows of a table, in place.
fn write_rows(table: &Tensor, rows: &Tensor, values: &Tensor) -> Result<()> {
    let places = rows.unsqueeze(1)?.broadcast_as(values.shape())?;
    Ok(table.scatter_set(&places.contiguous()?, &values.contiguous()?, 0)?)
}

struct Update {
    rule: Rule,
    rate: f64,
    kept: f64,
    step: u64,
}

impl Update {
    /// Parameters and state after the step.
    fn apply(
        &self,
        x: &Tensor,
        state: &[Tensor],
        gradient: &Tensor,
    ) -> candle_core::Result<(Tensor, Vec<Tensor>)> {
        let x = if self.kept == 1.0 {
            x.clone()
        } else {
            (x * self.kept)?
        };
        let by_root = |square: &Tensor, gradient: &Tensor| {
            let root = (square.sqrt()? + f64::from(ADAGRAD_EPSILON))?;
            (gradient * self.rate)?.broadcast_div(&root)
        };
        Ok(match (self.rule, state) {
            (Rule::Adagrad, [squares]) => {
                let squares = (squares + gradient.sqr()?)?;
                let change = by_root(&squares, gradient)?;
                ((x - change)?, vec![squares])
            }
            (Rule::RowWiseAdagrad, [squares]) => {
                let squares = (squares + gradient.sqr()?.mean_keepdim(1)?)?;
                let change = by_root(&squares, gradient)?;
                ((x - change)?, vec![squares])
            }
            (Rule::Adam, [first, second]) => {
                let (beta1, beta2) = (f64::from(ADAM_BETAS.0), f64::from(ADAM_BETAS.1));
                let corrections = adam_corrections(self.step);
                let first = (first + ((gradient - first)? * (1.0 - beta1))?)?;
                let second = (second + ((gradient.sqr()? - second)? * (1.0 - beta2))?)?;
                let deviation =
                    ((&second * f64::from(corrections.1))?.sqrt()? + f64::from(ADAM_EPSILON))?;
                let rate = self.rate * f64::from(corrections.0);
                let change = ((&first * rate)? / deviation)?;
                ((x - change)?, vec![first, second])
            }
            _ => ((x - (gradient * self.rate)?)?, Vec::new()),
        })
    }
}

/// Steps on a device.
pub(crate) struct DeviceStepper<'a> {
    pub host: &'a mut Dlrm,
    pub model: DeviceDlrm,
    pub optimizer: DeviceOptimizer,
    pub loss: Loss,
    pub unseen: Vec<Tensor>,
}

impl Stepper for DeviceStepper<'_> {
    fn step(&mut self, batch: &Batch, targets: &[f32], factor: f64) -> Result<()> {
        let gradients = self.model.gradients(batch, targets, self.loss)?;
        self.optimizer.step(&self.model, &gradients, factor)?;
        self.unseen.push(gradients.loss);
        Ok(())
    }

    fn losses(&mut self, all: bool) -> Result<Vec<f64>> {
        if self.unseen.is_empty() || !all && self.unseen.len() < STEPS_UNSEEN {
            return Ok(Vec::new());
        }
        let losses: Vec<f32> = Tensor::stack(&self.unseen, 0)?.to_vec1()?;
        self.unseen.clear();
        Ok(losses.into_iter().map(f64::from).collect())
    }

    fn model(&mut self) -> Result<&Dlrm> {
        self.model.copy_to(self.host)?;
        Ok(self.host)
    }

    fn optimizer(&self) -> Result<Tensors<'_>> {
        let named = self.optimizer.named();
        let values = named.map(|(name, tensor)| {
            let values = tensor.flatten_all()?.to_vec1()?;
            Ok((name, Cow::Owned(values)))
        });
        values.collect()
    }

    fn restore<M>(&mut self, checkpoint: &Checkpoint<M>) -> Result<()> {
        self.optimizer.restore(checkpoint)
    }
}
