//! [`Dlrm`]s that learn from any [`Samples`].

use std::fmt;

use mmdlrm_data::{Samples, SplitPart};
use mmdlrm_metrics::{Probabilities, Regression, roc_auc};
use mmdlrm_model::{Dlrm, DlrmConfig, Loss, Predictor};
use serde::{Deserialize, Serialize};

use super::TrainConfig;
use super::config::check_loss;
use super::cpu::{CpuStepper, Source};
use super::input::{TrainingBatches, Wiring};
use super::trainer::check_schedule;
use crate::evaluate::all_came;
use crate::{Error, Measured, Measuring, Result, Session, check_numbers, learn};

/// Rows that are predicted at a time.
const ROWS_AT_A_TIME: usize = 16_384;
/// Of calibration, which no epoch is told of.
const BINS: usize = 10;

/// Trains `model` on samples of whatever they are; the [`Session`] says whether the run goes on
/// from a checkpoint and writes some, and who is told of steps and epochs.
///
/// By [cross-entropy](Loss::Bce) a model learns to say how likely a 1 is, and an epoch is measured
/// by log loss and AUC; by squares by the root mean squared error. With validation rows, the
/// model ends with the parameters of the epoch that has the least log loss, or error, on them.
///
/// The same configuration and data give the same model, to the bit, on any number of threads, and
/// however often the run was stopped and resumed.
///
/// ```
/// use mmdlrm_data::clicks::{ClickLog, ClickLogConfig, PlantedClicks};
/// use mmdlrm_model::{Dlrm, Loss};
/// use mmdlrm_train::{Session, TrainConfig, shapes, train_samples};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("clicks.txt");
/// PlantedClicks { values: 4, ..PlantedClicks::with_rows(14_000) }.write(&path, |_| {})?;
/// let log = ClickLog::open(&ClickLogConfig {
///     files: vec![path],
///     days: Some(7),
///     ..ClickLogConfig::default()
/// })?;
/// let shape = shapes::labels(&log.encoder().table_rows(), 13, 8, &[32], &[32]);
/// let mut model = Dlrm::new(shape, 42)?;
/// let config = TrainConfig { epochs: 3, batch_size: 64, loss: Loss::Bce, ..TrainConfig::default() };
/// let mut auc = None;
/// let session = Session::default().on_epoch(|epoch, _model| {
///     auc = epoch.test_auc;
///     Ok(())
/// });
/// train_samples(&mut model, &log, &config, session)?;
/// assert!(auc > Some(0.6), "{auc:?}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Settings that make no sense, a model that does not fit the data, a checkpoint of another run,
/// a loss that diverges, [`Error::Stopped`], or whatever the session's `on_epoch` returns.
pub fn train_samples(
    model: &mut Dlrm,
    data: &dyn Samples,
    config: &TrainConfig,
    mut session: Session,
) -> Result<()> {
    config.validate()?;
    check_loss(&config.loss)?;
    check_schedule(data.rows(SplitPart::Train), config)?;
    if config.patience.is_some() && data.rows(SplitPart::Validation) == 0 {
        return Err(Error::Setting {
            setting: "patience",
            value: format!("{:?}", config.patience),
            rule: "only validation rows can tell when to end, and there are none",
        });
    }
    if !session.measuring.name().is_empty() {
        return Err(Error::Setting {
            setting: "measured_by",
            value: session.measuring.name().to_owned(),
            rule: "samples are measured by their loss; leave it out",
        });
    }
    let settings = Settings {
        samples: config.clone(),
        model: model.config().clone(),
    };
    let wiring = Wiring::of(model.config(), data.schema(), data.modalities())?;
    let source = Learned {
        data,
        loss: config.loss,
    };
    let measuring = std::mem::take(&mut session.measuring);
    let mut stepper = CpuStepper::new(model, source, wiring, config, measuring)?;
    let pace = config.pace(&config.schedule);
    learn(&mut stepper, &pace, &settings, data.fingerprint(), session)
}

/// All that a run is told.
#[derive(Serialize, Deserialize)]
struct Settings {
    samples: TrainConfig,
    model: DlrmConfig,
}

/// Samples, and by what they are learned.
struct Learned<'a> {
    data: &'a dyn Samples,
    loss: Loss,
}

impl<'a> Source<'a> for Learned<'a> {
    fn rows(&self) -> usize {
        self.data.rows(SplitPart::Train)
    }

    fn batches(&self, size: usize, order: u64, first: usize) -> TrainingBatches<'a> {
        let batches = self.data.training_batches_from(size, order, first);
        Box::new(batches.map(|batch| Ok(batch?)))
    }

    fn measure(&self, model: &Dlrm, _measuring: &Measuring) -> Result<Measured> {
        let mut measured = Measured::default();
        if let Loss::Bce | Loss::WeightedBce { .. } = self.loss {
            let validation = LabelErrors::of(model, self.data, SplitPart::Validation)?;
            let test = LabelErrors::of(model, self.data, SplitPart::Test)?;
            measured.validation_log_loss = validation.map(|it| it.log_loss);
            measured.validation_auc = validation.and_then(|it| it.auc);
            measured.test_log_loss = test.map(|it| it.log_loss);
            measured.test_auc = test.and_then(|it| it.auc);
            return Ok(measured);
        }
        let rmse = |part| {
            let mut errors = Regression::default();
            predict_samples(model, self.data, part, |predictions, targets| {
                for (&prediction, &target) in predictions.iter().zip(targets) {
                    errors.add(f64::from(prediction), f64::from(target))?;
                }
                Ok(())
            })?;
            Ok::<_, Error>(errors.rmse())
        };
        Ok(Measured::new(
            rmse(SplitPart::Validation)?,
            rmse(SplitPart::Test)?,
        ))
    }
}

/// What predicted probabilities are worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LabelErrors {
    /// Number of rows.
    pub rows: usize,
    /// Mean cross-entropy, in nats.
    pub log_loss: f64,
    /// Area under the ROC curve; `None` where all labels are the same.
    pub auc: Option<f64>,
    /// Mean prediction.
    pub predicted: f64,
    /// Mean label.
    pub label: f64,
    /// [Expected calibration error](Probabilities::calibration_error), ten bins.
    pub calibration_error: f64,
}

impl LabelErrors {
    /// Of what a model says of a part; `None` of one without rows. Eight bytes a row are held.
    ///
    /// # Errors
    /// As [`predict_samples`]; predictions beyond 0 and 1, and labels that are neither.
    pub fn of(model: &Dlrm, data: &dyn Samples, part: SplitPart) -> Result<Option<Self>> {
        let (mut predicted, mut labels) = (Vec::new(), Vec::new());
        predict_samples(model, data, part, |predictions, targets| {
            predicted.extend_from_slice(predictions);
            labels.extend_from_slice(targets);
            Ok(())
        })?;
        Self::of_predictions(&predicted, &labels)
    }

    /// Of predictions and the labels of the same rows, 0 or 1; `None` of none.
    ///
    /// # Errors
    /// Another number of labels, predictions beyond 0 and 1, and labels that are neither.
    ///
    /// ```
    /// use mmdlrm_train::LabelErrors;
    ///
    /// let errors = LabelErrors::of_predictions(&[0.9, 0.2, 0.6], &[1.0, 0.0, 0.0])?;
    /// let errors = errors.ok_or("there are rows")?;
    /// assert_eq!((errors.rows, errors.auc), (3, Some(1.0)));
    /// assert!((errors.log_loss - 0.41493).abs() < 1e-5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_predictions(predictions: &[f32], labels: &[f32]) -> Result<Option<Self>> {
        let auc = roc_auc(labels, predictions)?;
        let mut all = Probabilities::new(BINS)?;
        let (mut predicted, mut label) = (0.0, 0.0);
        for (&prediction, &of_row) in predictions.iter().zip(labels) {
            all.add(f64::from(prediction), f64::from(of_row))?;
            predicted += f64::from(prediction);
            label += f64::from(of_row);
        }
        let rows = predictions.len();
        let both = all.log_loss().zip(all.calibration_error());
        Ok(both.map(|(log_loss, calibration_error)| Self {
            rows,
            log_loss,
            auc,
            predicted: predicted / rows as f64,
            label: label / rows as f64,
            calibration_error,
        }))
    }
}

impl fmt::Display for LabelErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.auc {
            Some(auc) => write!(f, "AUC {auc:.4}  ")?,
            None => write!(f, "no AUC, all labels being the same  ")?,
        }
        let Self {
            rows,
            log_loss,
            predicted,
            label,
            ..
        } = self;
        write!(
            f,
            "log loss {log_loss:.4}  mean prediction {predicted:.4}, label {label:.4}  of {rows} rows"
        )
    }
}

/// Predicts all rows of a part, in the order in which they are written, and hands out predictions
/// and targets, some at a time.
///
/// # Errors
/// A model that does not fit the data, data of which rows are missing, or what `take` returns.
pub fn predict_samples(
    model: &Dlrm,
    data: &dyn Samples,
    part: SplitPart,
    mut take: impl FnMut(&[f32], &[f32]) -> Result<()>,
) -> Result<()> {
    let wiring = Wiring::of(model.config(), data.schema(), data.modalities())?;
    let predictor = Predictor::new(model, &wiring.vectors())?;
    let (mut predictions, mut seen) = (Vec::new(), 0);
    for batch in data.batches(part, ROWS_AT_A_TIME) {
        let batch = batch?;
        wiring.with(&batch, |input| predictor.predict(input, &mut predictions))?;
        check_numbers("predictions", &predictions, batch.len())?;
        seen += batch.len();
        take(&predictions, &batch.stars)?;
    }
    all_came("rows", seen, data.rows(part))
}
