//! [`Dlrm`]s that learn to put lists in order.

use std::fmt;

use mmdlrm_data::{Batch, BatchSchema, DataFingerprint, Modality};
use mmdlrm_model::{Dlrm, DlrmConfig, Predictor};
use serde::{Deserialize, Serialize};

use super::cpu::{CpuStepper, Source};
use super::input::{TrainingBatches, Wiring};
use super::{TrainConfig, unsound};
use crate::{Error, Measured, Measuring, Result, Session, learn};

/// Lists of items that compete for one user each, drawn anew for each epoch.
pub trait ListData {
    /// What the batches hold.
    fn schema(&self) -> &BatchSchema;

    /// What their columns of vectors refer to.
    fn modalities(&self) -> &[Modality];

    /// Lists of an epoch.
    fn lists(&self) -> usize;

    /// Items of a list; a divisor of 96.
    fn length(&self) -> usize;

    /// The lists of an epoch that is drawn by `draw`, the epoch's
    /// [number](TrainConfig::draw_of_epoch), `lists` a batch (the last may have fewer),
    /// without the `first` first batches: whole lists, one after another, [`Batch::stars`] being
    /// the relevance of each item, 0 or more.
    ///
    /// # Errors
    /// Ratings that cannot be read.
    fn batches(&self, lists: usize, draw: u64, first: usize) -> Result<ListBatches<'_>>;

    /// Of which data: a model that was trained on these fits no others.
    fn fingerprint(&self) -> DataFingerprint;
}

/// Batches of an epoch of [`ListData`].
pub type ListBatches<'a> = Box<dyn Iterator<Item = Result<Batch>> + 'a>;

/// All that a run is told.
#[derive(Serialize, Deserialize)]
struct Settings {
    lists: TrainConfig,
    model: DlrmConfig,
}

/// Trains `model` to put the relevant items of each list first, by [`Loss::Lists`](mmdlrm_model::Loss::Lists); the
/// [`Session`] says whether the run goes on from a checkpoint and writes some, and who is told
/// of steps and epochs. The rows that it tells of are items of lists.
///
/// The same configuration and data give the same model, to the bit, on any number of threads,
/// and however often the run was stopped and resumed.
///
/// # Errors
/// Settings that make no sense, a model that does not fit the data, a checkpoint of another run,
/// a loss that diverges, [`Error::Stopped`], or whatever the session's `on_epoch` returns.
pub fn train_lists(
    model: &mut Dlrm,
    data: &dyn ListData,
    config: &TrainConfig,
    mut session: Session,
) -> Result<()> {
    config.validate_for_lists(data.length())?;
    if !session.measuring.name().is_empty() {
        return Err(Error::Setting {
            setting: "measured_by",
            value: session.measuring.name().to_owned(),
            rule: "lists are measured by nothing; leave it out",
        });
    }
    let settings = Settings {
        lists: config.clone(),
        model: model.config().clone(),
    };
    let wiring = Wiring::of(model.config(), data.schema(), data.modalities())?;
    let measuring = std::mem::take(&mut session.measuring);
    let mut stepper = CpuStepper::new(model, data, wiring, config, measuring)?;
    let pace = config.pace(&config.schedule);
    learn(&mut stepper, &pace, &settings, data.fingerprint(), session)
}

impl<'a> Source<'a> for &'a dyn ListData {
    fn rows(&self) -> usize {
        self.lists() * self.length()
    }

    fn batches(&self, size: usize, order: u64, first: usize) -> TrainingBatches<'a> {
        let data: &'a dyn ListData = *self;
        match data.batches(size / data.length(), order, first) {
            Ok(batches) => batches,
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }

    fn measure(&self, _model: &Dlrm, _measuring: &Measuring) -> Result<Measured> {
        Ok(Measured::default())
    }
}

/// A trained model, ready to score items of lists. Any number of threads may ask at once.
pub struct ListScorer {
    predictor: Predictor<Dlrm>,
    schema: BatchSchema,
    modalities: Vec<Modality>,
}

impl fmt::Debug for ListScorer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("ListScorer")
            .field("model", self.model().config())
            .finish_non_exhaustive()
    }
}

impl ListScorer {
    /// Of a model that takes batches of this schema, whose columns of vectors refer to
    /// `modalities`.
    ///
    /// # Errors
    /// A model that does not fit them.
    pub fn new(model: Dlrm, schema: BatchSchema, modalities: Vec<Modality>) -> Result<Self> {
        let wiring = Wiring::of(model.config(), &schema, &modalities)?;
        let vectors = wiring.vectors();
        Ok(Self {
            predictor: Predictor::new(model, &vectors)?,
            schema,
            modalities,
        })
    }

    /// What its batches hold.
    pub fn schema(&self) -> &BatchSchema {
        &self.schema
    }

    /// The model.
    pub fn model(&self) -> &Dlrm {
        self.predictor.model()
    }

    /// Writes the score of each row of a batch; `scores` is resized to fit.
    ///
    /// # Errors
    /// A batch of other columns; scores that are no numbers.
    pub fn score(&self, batch: &Batch, scores: &mut Vec<f32>) -> Result<()> {
        let wiring = Wiring::of(self.model().config(), &self.schema, &self.modalities)?;
        wiring.with(batch, |input| self.predictor.predict(input, scores))?;
        match scores.iter().find(|score| !score.is_finite()) {
            None => Ok(()),
            Some(&score) => Err(unsound(score, self.model().extreme_parameter()?)),
        }
    }
}
