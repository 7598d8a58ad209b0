//! How gradients become steps.

mod config;
pub(crate) mod rule;
mod schedule;

use mmdlrm_kernels::{prefetch, vectorize};
use mmdlrm_model::{Dlrm, Gradients, Inputs, Objective, RowGradients};
use rayon::prelude::*;

pub use self::config::{Algorithm, OptimizerConfig};
pub use self::rule::{Rule, StepSize};
pub use self::schedule::{Decay, LearningRate, Schedule};
use crate::{Kept, Result, Tensors};

/// Rows that one thread updates without asking for help.
const ROWS_PER_TASK: usize = 512;
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
                let row_state = rule.row_state_width(table.dim);
                vec![0.0; table.values.len() / table.dim * row_state]
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
    /// A batch that does not fit the model.
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
                self.step(model, gradients, factor);
            }
            Ok(loss)
        })
    }

    /// Moves the model by one step; `factor` scales both learning rates.
    pub fn step(&mut self, model: &mut Dlrm, gradients: &Gradients, factor: f64) {
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
        rayon::join(dense, || {
            tables.for_each(|((table, state), gradients)| {
                update.rows(&mut table.values, state, gradients);
            });
        });
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

/// Adam with decoupled weight decay for parameters that lie in one piece.
#[derive(Debug, Clone)]
pub(crate) struct DenseAdam {
    state: Vec<f32>,
    step: u64,
}

impl DenseAdam {
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
    pub fn restore(&mut self, kept: &Kept, steps: u64) -> Result<()> {
        self.step = steps;
        kept.load("optimizer", &mut self.state)
    }

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

    /// Updates the touched rows of a table.
    fn rows(&self, table: &mut [f32], state: &mut [f32], gradients: &RowGradients) {
        let (rows, dim) = (gradients.rows(), gradients.dim);
        self.rows_from(0, table, state, rows, &gradients.values, dim);
    }

    /// Updates rows of a table that begins at row `first`. Rows ascend, so
    /// halves of the list touch separate halves of the table, which is how
    /// threads share them without a race.
    fn rows_from(
        &self,
        first: usize,
        table: &mut [f32],
        state: &mut [f32],
        rows: &[u32],
        gradients: &[f32],
        dim: usize,
    ) {
        let width = self.rule.row_state_width(dim);
        if rows.len() <= ROWS_PER_TASK {
            vectorize(
                #[inline(always)]
                || {
                    let rows_and_gradients = rows.iter().zip(gradients.chunks_exact(dim));
                    for (number, (&row, gradient)) in rows_and_gradients.enumerate() {
                        if let Some(&ahead) = rows.get(number + PREFETCH) {
                            let at = ahead as usize - first;
                            prefetch(&table[at * dim..(at + 1) * dim]);
                            prefetch(&state[at * width..(at + 1) * width]);
                        }
                        let at = row as usize - first;
                        self.row(
                            &mut table[at * dim..(at + 1) * dim],
                            &mut state[at * width..(at + 1) * width],
                            gradient,
                        );
                    }
                },
            );
            return;
        }
        let (low, high) = rows.split_at(rows.len() / 2);
        let cut = high[0] as usize - first;
        let (low_table, high_table) = table.split_at_mut(cut * dim);
        let (low_state, high_state) = state.split_at_mut(cut * width);
        let (low_gradients, high_gradients) = gradients.split_at(low.len() * dim);
        rayon::join(
            || self.rows_from(first, low_table, low_state, low, low_gradients, dim),
            || {
                self.rows_from(
                    first + cut,
                    high_table,
                    high_state,
                    high,
                    high_gradients,
                    dim,
                )
            },
        );
    }
}
