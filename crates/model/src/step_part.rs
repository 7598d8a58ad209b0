use crate::{Error, Result};

/// Which of a step's samples a batch has, where the step is divided.
///
/// Losses and gradients are then shares of the mean over the whole step: those of all its
/// parts add up to those of the step, within rounding, and what is dropped is the same.
///
/// ```
/// use mmdlrm_model::{
///     TableInput, Inputs, Dlrm, DlrmConfig, Gradients, Loss, Side, StepPart, TableConfig,
/// };
///
/// let config = DlrmConfig {
///     tables: vec![TableConfig::new("movie", 9, Side::Item)],
///     ..DlrmConfig::default()
/// };
/// let model = Dlrm::new(config, 1)?;
/// let (movies, stars) = ([3, 1, 4, 1], [4.0, 2.5, 5.0, 1.0]);
/// let dense = vec![0.5; 4 * model.config().dense_features()];
/// let loss = |samples: std::ops::Range<usize>, part: Option<StepPart>| {
///     let batch = Inputs {
///         dense: &dense[..samples.len() * model.config().dense_features()],
///         tables: &[TableInput::Single(&movies[samples.clone()])],
///         modalities: &[],
///     };
///     let mut gradients = Gradients::default();
///     gradients.part = part;
///     model.gradients(&batch, &stars[samples], Loss::Mse, &mut gradients)
/// };
/// let part = |first| Some(StepPart { first, samples: 4 });
/// let parts = loss(0..1, part(0))? + loss(1..4, part(1))?;
/// assert!((parts - loss(0..4, None)?).abs() < 1e-6);
/// # Ok::<(), mmdlrm_model::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepPart {
    /// Number of the batch's first sample among the step's.
    pub first: usize,
    /// Samples of the whole step.
    pub samples: usize,
}

impl StepPart {
    /// The part that a batch of `batch` samples is; all of the step where nothing is said.
    pub(crate) fn of(part: Option<Self>, batch: usize) -> Result<Self> {
        let Some(part) = part else {
            return Ok(Self {
                first: 0,
                samples: batch,
            });
        };
        match part.first.checked_add(batch) {
            Some(end) if end <= part.samples => Ok(part),
            _ => Err(part.refuse("it ends beyond the step")),
        }
    }

    /// Whether `batch` samples are all of it.
    pub(crate) fn is_whole(self, batch: usize) -> bool {
        self.samples == batch
    }

    /// The share in the step of a batch of `batch` samples.
    pub(crate) fn share(self, batch: usize) -> f32 {
        match self.is_whole(batch) {
            true => 1.0,
            false => batch as f32 / self.samples as f32,
        }
    }

    pub(crate) fn refuse(self, problem: &'static str) -> Error {
        Error::StepPart {
            first: self.first,
            samples: self.samples,
            problem,
        }
    }
}
