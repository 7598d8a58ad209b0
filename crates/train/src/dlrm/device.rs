//! Steps on a device of candle's.

use candle_core::{Device, Tensor, Var};
use mmdlrm_data::Batch;
use mmdlrm_features::TrainingData;
use mmdlrm_model::{DeviceDlrm, DeviceGradients, Dlrm, Loss};

use super::input::{TrainingBatches, Wiring, batches, beyond_base};
use super::tensors::{load_parameters, parameter_tensors};
use crate::optimizer::rule::{ADAGRAD_EPSILON, ADAM_BETAS, ADAM_EPSILON, adam_corrections};
use crate::{
    Algorithm, Kept, Measured, Measuring, OptimizerConfig, Persist, Result, Scorer, Stepper,
    Tensors, TrainConfig,
};

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
        let dense = state(config.algorithm.dense(), model.dense())?;
        let tables = model.tables().iter();
        let tables = tables.map(|table| state(config.algorithm, table));
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
            algorithm: config.algorithm.dense(),
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
            algorithm: config.algorithm,
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

    /// Takes over the state that was kept after `steps` steps.
    fn restore(&mut self, kept: &Kept, steps: u64) -> Result<()> {
        self.step = steps;
        let loaded = self.named().map(|(name, tensor)| {
            let mut values = vec![0f32; tensor.elem_count()];
            kept.load(&name, &mut values)?;
            Ok(Tensor::from_vec(values, tensor.shape(), tensor.device())?)
        });
        let mut loaded = loaded.collect::<Result<Vec<_>>>()?.into_iter();
        let tables = self.tables.iter_mut().flatten();
        for (tensor, values) in self.dense.iter_mut().chain(tables).zip(&mut loaded) {
            *tensor = values;
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

/// An algorithm's state of zeros for parameters, `[length]` or `[rows, dim]`.
fn state(algorithm: Algorithm, parameters: &Tensor) -> Result<Vec<Tensor>> {
    let zeros = || parameters.zeros_like();
    Ok(match algorithm {
        Algorithm::Sgd => Vec::new(),
        Algorithm::Adagrad => vec![zeros()?],
        Algorithm::RowWiseAdagrad => {
            let shape = (parameters.dim(0)?, 1);
            vec![Tensor::zeros(
                shape,
                parameters.dtype(),
                parameters.device(),
            )?]
        }
        Algorithm::Adam => vec![zeros()?, zeros()?],
    })
}

/// Replaces some rows of a table, in place.
fn write_rows(table: &Tensor, rows: &Tensor, values: &Tensor) -> Result<()> {
    let places = rows.unsqueeze(1)?.broadcast_as(values.shape())?;
    Ok(table.scatter_set(&places.contiguous()?, &values.contiguous()?, 0)?)
}

struct Update {
    algorithm: Algorithm,
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
        Ok(match (self.algorithm, state) {
            (Algorithm::Adagrad, [squares]) => {
                let squares = (squares + gradient.sqr()?)?;
                let change = by_root(&squares, gradient)?;
                ((x - change)?, vec![squares])
            }
            (Algorithm::RowWiseAdagrad, [squares]) => {
                let squares = (squares + gradient.sqr()?.mean_keepdim(1)?)?;
                let change = by_root(&squares, gradient)?;
                ((x - change)?, vec![squares])
            }
            (Algorithm::Adam, [first, second]) => {
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
    host: &'a mut Dlrm,
    data: &'a dyn TrainingData,
    wiring: Wiring<'a>,
    device: &'a Device,
    model: DeviceDlrm,
    optimizer: DeviceOptimizer,
    loss: Loss,
    seed: u64,
    /// Losses that nobody has waited for.
    unseen: Vec<Tensor>,
    measuring: Measuring<'a>,
}

impl<'a> DeviceStepper<'a> {
    /// With the parameters of `host`.
    pub fn new(
        device: &'a Device,
        host: &'a mut Dlrm,
        data: &'a dyn TrainingData,
        config: &TrainConfig,
        measuring: Measuring<'a>,
    ) -> Result<Self> {
        let wiring = Wiring::new(host.config(), data.features())?;
        let model = DeviceDlrm::new(host, &wiring.vectors(), device)?;
        let stepper = Self {
            optimizer: DeviceOptimizer::new(config.optimizer.clone(), &model)?,
            host,
            data,
            wiring,
            device,
            model,
            loss: config.loss,
            seed: config.seed,
            unseen: Vec::new(),
            measuring,
        };
        stepper.seed_dropout(0)?;
        Ok(stepper)
    }

    /// Of what is dropped from `step` on; candle's CPU cannot be seeded.
    fn seed_dropout(&self, step: u64) -> Result<()> {
        if !self.device.is_cpu() {
            self.device.set_seed(self.seed.wrapping_add(step))?;
        }
        Ok(())
    }

    /// The model as it stands.
    fn host(&mut self) -> Result<&Dlrm> {
        self.model.copy_to(self.host)?;
        Ok(self.host)
    }
}

impl Stepper for DeviceStepper<'_> {
    type Batch = Batch;
    type Batches = TrainingBatches<'static>;

    fn rows(&self) -> usize {
        self.data.rows_of_epoch()
    }

    fn batches(&self, size: usize, order: u64, first: usize) -> TrainingBatches<'static> {
        batches(self.data, size, order, first)
    }

    fn rows_of(&self, batch: &Batch) -> usize {
        batch.len()
    }

    fn step(&mut self, batch: &Batch, _step: u64, factor: f64) -> Result<()> {
        let targets = beyond_base(batch);
        let gradients = self.wiring.with(batch, |input| {
            self.model.gradients(input, &targets, self.loss)
        })?;
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

    fn measure(&mut self) -> Result<Measured> {
        self.host()?;
        let scorer = Scorer::new(&*self.host, self.data.features().clone())?;
        self.measuring.measure(&scorer, self.data)
    }

    fn extreme_parameter(&mut self) -> Result<(String, f32)> {
        Ok(self.host()?.extreme_parameter()?)
    }

    fn parameters(&mut self) -> Result<Tensors<'_>> {
        parameter_tensors(self.host()?.parameters())
    }

    fn state(&mut self) -> Result<Tensors<'_>> {
        self.host()?;
        let mut tensors = parameter_tensors(self.host.parameters())?;
        for (name, tensor) in self.optimizer.named() {
            tensors.put(name, tensor.flatten_all()?.to_vec1()?);
        }
        Ok(tensors)
    }

    /// Into the host's model alone: the device is not asked any more.
    fn load_parameters(&mut self, kept: &Kept) -> Result<()> {
        load_parameters(kept, self.host.parameters_mut())
    }

    fn restore(&mut self, kept: &Kept, steps: u64) -> Result<()> {
        self.load_parameters(kept)?;
        self.model = DeviceDlrm::new(self.host, &self.wiring.vectors(), self.device)?;
        self.optimizer.restore(kept, steps)?;
        self.seed_dropout(steps)
    }

    fn model(&mut self) -> Result<&dyn Persist> {
        Ok(self.host()?)
    }
}
