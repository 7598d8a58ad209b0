use crate::{Kept, Persist, Result, Tensors};

/// A model that learns step by step, as [`learn`](crate::learn) asks it to. What is
/// particular to the model is here: what a step learns from, gradients, the optimizer, what
/// an epoch came to. The order of the rows, the schedule, checkpoints, the best epoch and
/// when to end are the loop's.
///
/// Nobody sees the model whole but [`Persist`]: parameters may lie on a device, or be
/// spread over several.
pub trait Stepper {
    /// What one step learns from.
    type Batch;
    /// The batches of an epoch.
    type Batches: Iterator<Item = Result<Self::Batch>>;

    /// Rows of an epoch.
    fn rows(&self) -> usize;

    /// The batches of an epoch, without the `first` first: `size` rows each, the last may
    /// have fewer, all rows once, in an order drawn by `order`.
    ///
    /// # Errors
    /// Of an item: rows that cannot be read.
    fn batches(&self, size: usize, order: u64, first: usize) -> Self::Batches;

    /// Rows of a batch.
    fn rows_of(&self, batch: &Self::Batch) -> usize;

    /// Learns from a batch. `step` is the number of the step, from 0 over the whole run:
    /// what is drawn is drawn by it, so that a run that was stopped goes on to the same
    /// bits. `factor` scales the learning rates.
    ///
    /// A model whose loss is no number is left as it was.
    ///
    /// # Errors
    /// A batch that does not fit the model, or a device that fails.
    fn step(&mut self, batch: &Self::Batch, step: u64, factor: f64) -> Result<()>;

    /// The mean losses of the steps that have not been handed out yet, in order. Those of
    /// a device are waited for where `all` are wanted, and now and then.
    ///
    /// # Errors
    /// A device that fails.
    fn losses(&mut self, all: bool) -> Result<Vec<f64>>;

    /// What the model is worth after an epoch, on rows that it does not learn from.
    ///
    /// # Errors
    /// [`Error::Unsound`](crate::Error::Unsound) of a model that says what is no number;
    /// rows that cannot be read.
    fn measure(&mut self) -> Result<Measured> {
        Ok(Measured::default())
    }

    /// Name and value of the parameter furthest from 0, NaN being further than any other.
    ///
    /// # Errors
    /// A device that fails.
    fn extreme_parameter(&mut self) -> Result<(String, f32)>;

    /// The model's parameters: what the best epoch is kept by.
    ///
    /// # Errors
    /// A device that fails.
    fn parameters(&mut self) -> Result<Tensors<'_>>;

    /// Parameters and the optimizer's state: what a checkpoint is made of.
    ///
    /// # Errors
    /// A device that fails.
    fn state(&mut self) -> Result<Tensors<'_>>;

    /// Takes over [parameters](Self::parameters).
    ///
    /// # Errors
    /// Numbers that are missing, or of another model.
    fn load_parameters(&mut self, kept: &Kept) -> Result<()>;

    /// Takes over a [state](Self::state) as it was after `steps` steps.
    ///
    /// # Errors
    /// Numbers that are missing, or of another model.
    fn restore(&mut self, kept: &Kept, steps: u64) -> Result<()>;

    /// The model, to be written.
    ///
    /// # Errors
    /// A device that fails.
    fn model(&mut self) -> Result<&dyn Persist>;
}

/// What a model is worth after an epoch: root mean squared errors in stars on the validation
/// rows, by which the best epoch is chosen, and on the held-out ones; or, of a model that predicts
/// no stars, how it ranks what is validated on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Measured {
    /// On the validation rows, where there are any.
    pub validation_rmse: Option<f64>,
    /// On the held-out rows.
    pub test_rmse: Option<f64>,
    /// nDCG@10 over the users with validation rows, as [`validation_ndcg`](crate::validation_ndcg)
    /// has it: the best epoch is chosen by it where there is no error to choose by.
    pub validation_ndcg: Option<f64>,
    /// Mean cross-entropy on the validation rows, in nats, of a model that says how likely a label
    /// is; the best epoch is chosen by it where there is no error in stars.
    pub validation_log_loss: Option<f64>,
    /// Area under the ROC curve on them.
    pub validation_auc: Option<f64>,
    /// The same as the former on the held-out rows, …
    pub test_log_loss: Option<f64>,
    /// … and as the latter.
    pub test_auc: Option<f64>,
}

impl Measured {
    /// Of both.
    pub fn new(validation_rmse: Option<f64>, test_rmse: Option<f64>) -> Self {
        Self {
            validation_rmse,
            test_rmse,
            ..Self::default()
        }
    }

    /// Of a model that predicts no stars.
    pub fn of_ranking(validation_ndcg: Option<f64>) -> Self {
        Self {
            validation_ndcg,
            ..Self::default()
        }
    }
}
