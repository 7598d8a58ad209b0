//! How gradients become steps.

mod config;
pub(crate) mod rule;
mod schedule;

use mmdlrm_kernels::{prefetch, vectorize};
use mmdlrm_model::{Dlrm, Gradients, Inputs, Objective, RowStep, RowUpdate};
use rayon::prelude::*;

pub use self::config::{Algorithm, OptimizerConfig};
pub use self::rule::{Rule, StepSize};
pub use self::schedule::{Decay, LearningRate, Schedule};
use crate::{Kept, Result, Tensors};

/// Rows that are asked for ahead of the one that is updated.
const PREFETCH: usize = 8;

/// An optimizer and its state for one model: a [`Rule`], and the rates, decays and clipping
/// of an [`OptimizerConfig`].
#[derive(Debug, Clone)]
pub struct Optimizer<R = Algorithm> {
    config: OptimizerConfig,
    rule: R,
    /// Steps taken.
    step: u64,
    dense: Vec<f32>,
    tables: Vec<Vec<f32>>,
}

impl Optimizer {
    /// For `model`, with the configuration's own rule.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for a setting that makes no sense.
    pub fn new(config: OptimizerConfig, model: &Dlrm) -> Result<Self> {
        Self::with_rule(config.algorithm, config, model)
    }
}

impl<R: Rule> Optimizer<R> {
    /// For `model`, with any rule in place of the configuration's, and a state of zeros.
    ///
    /// # Errors
    /// As [`Optimizer::new`].
    pub fn with_rule(rule: R, config: OptimizerConfig, model: &Dlrm) -> Result<Self> {
        config.validate()?;
        let parameters = model.parameters();
        let dense = vec![0.0; rule.state_width(parameters.dense.len())];
        let tables = parameters
            .tables
            .iter()
            .map(|table| {
                let rows = table.store().state_rows(table.rows());
                vec![0.0; rows * rule.row_state_width(table.dim)]
            })
            .collect();
        Ok(Self {
            config,
            rule,
            step: 0,
            dense,
            tables,
        })
    }

    /// Hands over its state, to be kept.
    pub(crate) fn save<'a>(&'a self, tensors: &mut Tensors<'a>) {
        tensors.put("optimizer.dense", &*self.dense);
        for (number, state) in self.tables.iter().enumerate() {
            tensors.put(table_state(number), &**state);
        }
    }

    /// Takes over the state that was kept after `steps` steps.
    pub(crate) fn restore(&mut self, kept: &Kept, steps: u64) -> Result<()> {
        self.step = steps;
        kept.load("optimizer.dense", &mut self.dense)?;
        for (number, state) in self.tables.iter_mut().enumerate() {
            kept.load(&table_state(number), state)?;
        }
        Ok(())
    }

    /// Learns from a batch: [gradients](Dlrm::gradients) and a [step](Self::step),
    /// where the loss is finite. Returns that loss; `factor` scales both learning
    /// rates.
    ///
    /// # Errors
    /// A batch that does not fit the model, or as [`Self::step`].
    pub fn learn(
        &mut self,
        model: &mut Dlrm,
        (batch, targets): (&Inputs, &[f32]),
        loss: impl Objective,
        gradients: &mut Gradients,
        factor: f64,
    ) -> Result<f64> {
        // On a thread of the pool: handing each stage over to it from outside
        // takes 6 % of a step of 2,048 samples.
        let loss = &loss;
        rayon::scope(|_| {
            let loss = model.gradients(batch, targets, loss, gradients)?;
            // A model that diverges is left as it was.
            if loss.is_finite() {
                self.step(model, gradients, factor)?;
            }
            Ok(loss)
        })
    }

    /// Moves the model by one step; `factor` scales both learning rates.
    ///
    /// # Errors
    /// A [store](mmdlrm_model::TableStore) that fails; the model is not to be used any more
    /// then, since other parameters have moved.
    pub fn step(&mut self, model: &mut Dlrm, gradients: &Gradients, factor: f64) -> Result<()> {
        self.step += 1;
        let config = &self.config;
        let parameters = model.parameters_mut();
        let scale = config
            .clip_norm
            .map_or(1.0, |most| (most / norm(gradients)).min(1.0) as f32);
        let rate = config.learning_rate * factor;
        let update = Update::new(self.rule, rate, config.weight_decay, scale, self.step);
        let dense = || {
            vectorize(
                #[inline(always)]
                || update.dense(&mut parameters.dense, &mut self.dense, &gradients.dense),
            );
        };

        let rate = config.table_rate() * factor;
        let update = Update::new(self.rule, rate, config.table_weight_decay, scale, self.step);
        let tables = parameters.tables.par_iter_mut().zip(&mut self.tables);
        let tables = tables.zip(&gradients.tables);
        let ((), moved) = rayon::join(dense, || {
            tables.try_for_each(|((table, state), gradients)| {
                let step = RowStep::new(gradients.rows(), &gradients.values, state, self.step);
                table.apply(step, &update)
            })
        });
        Ok(moved?)
    }
}

fn table_state(number: usize) -> String {
    format!("optimizer.table.{number}")
}

/// Length of the gradient of all parameters.
fn norm(gradients: &Gradients) -> f64 {
    let squares = |values: &[f32]| values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    let tables = gradients.tables.iter().map(|rows| squares(&rows.values));
    (squares(&gradients.dense) + tables.sum::<f64>()).sqrt()
}

/// Adam with decoupled weight decay for parameters that lie in one piece, all of which each step
/// moves: what a [`Stepper`](crate::Stepper) of one's own can learn by.
///
/// ```
/// use mmdlrm_train::DenseAdam;
///
/// let mut x = [1.0, 1.0];
/// let mut adam = DenseAdam::new(x.len());
/// adam.step(&mut x, &[0.5, 0.0], 0.1, 0.0);
/// // The first step is the rate, whatever the gradient.
/// assert!((x[0] - 0.9).abs() < 1e-6);
/// assert_eq!(x[1], 1.0);
/// ```
#[derive(Debug, Clone)]
pub struct DenseAdam {
    state: Vec<f32>,
    step: u64,
}

impl DenseAdam {
    /// For so many parameters, before the first step.
    pub fn new(parameters: usize) -> Self {
        Self {
            state: vec![0.0; Algorithm::Adam.state_width(parameters)],
            step: 0,
        }
    }

    /// Hands over its state, to be kept.
    pub fn save<'a>(&'a self, tensors: &mut Tensors<'a>) {
        tensors.put("optimizer", &*self.state);
    }

    /// Takes over the state that was kept after `steps` steps.
    ///
    /// # Errors
    /// A state that is missing, or of another number of parameters.
    pub fn restore(&mut self, kept: &Kept, steps: u64) -> Result<()> {
        self.step = steps;
        kept.load("optimizer", &mut self.state)
    }

    /// Moves `x` by one step of the learning rate `rate`, of which `weight_decay` is taken off
    /// `x` first; `gradients` has a number for each of `x`.
    ///
    /// # Panics
    /// Where there are more of `x` than it was made for.
    pub fn step(&mut self, x: &mut [f32], gradients: &[f32], rate: f64, weight_decay: f64) {
        self.step += 1;
        let update = Update::new(Algorithm::Adam, rate, weight_decay, 1.0, self.step);
        vectorize(
            #[inline(always)]
            || update.dense(x, &mut self.state, gradients),
        );
    }
}

/// One step of a rule, weight decay before it.
#[derive(Debug, Clone, Copy)]
struct Update<R> {
    rule: R,
    step: StepSize,
    /// What weight decay leaves of a parameter.
    kept: f32,
}

impl<R: Rule> Update<R> {
    fn new(rule: R, rate: f64, weight_decay: f64, scale: f32, step: u64) -> Self {
        Self {
            rule,
            step: StepSize::new(rate, scale, step),
            kept: (1.0 - rate * weight_decay) as f32,
        }
    }

    #[inline(always)]
    fn dense(&self, x: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        self.decay(x);
        self.rule.update(x, state, gradient, &self.step);
    }

    #[inline(always)]
    fn row(&self, x: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        self.decay(x);
        self.rule.update_row(x, state, gradient, &self.step);
    }

    #[inline(always)]
    fn decay(&self, x: &mut [f32]) {
        if self.kept != 1.0 {
            x.iter_mut().for_each(|x| *x *= self.kept);
        }
    }

    /// Moves each row of a step; `place(number, row)` is where the `number`-th of them, `row`
    /// rows behind the first, stands in `values`, `[.., dim]`.
    #[inline(always)]
    fn rows(&self, step: &mut RowStep, values: &mut [f32], place: impl Fn(usize, usize) -> usize) {
        let (dim, first) = (step.dim, step.first);
        let width = self.rule.row_state_width(dim);
        let range = |place: usize, width: usize| place * width..(place + 1) * width;
        let gradients = step.gradients.chunks_exact(dim);
        for (number, (&row, gradient)) in step.rows.iter().zip(gradients).enumerate() {
            if let Some(&ahead) = step.rows.get(number + PREFETCH) {
                let ahead = ahead as usize - first;
                prefetch(&values[range(place(number + PREFETCH, ahead), dim)]);
                prefetch(&step.state[range(ahead, width)]);
            }
            let row = row as usize - first;
            self.row(
                &mut values[range(place(number, row), dim)],
                &mut step.state[range(row, width)],
                gradient,
            );
        }
    }
}

impl<R: Rule> RowUpdate for Update<R> {
    fn state_width(&self, dim: usize) -> usize {
        self.rule.row_state_width(dim)
    }

    fn in_place(&self, mut step: RowStep, table: &mut [f32]) {
        vectorize(
            #[inline(always)]
            || self.rows(&mut step, table, |_, row| row),
        );
    }

    fn of_gathered(&self, step: RowStep, rows: &mut [f32]) {
        let width = self.state_width(step.dim);
        step.divide_gathered(rows, width, &|mut step, rows| {
            vectorize(
                #[inline(always)]
                || self.rows(&mut step, rows, |number, _| number),
            );
        });
    }
}
