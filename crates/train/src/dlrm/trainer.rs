//! [`Dlrm`]s through the [loop](crate::learn).

use std::fmt;

use mmdlrm_features::TrainingData;
use mmdlrm_model::{Dlrm, DlrmConfig, Gradients, Objective};
use serde::{Deserialize, Serialize};

use super::config::check_loss;
use super::cpu::CpuStepper;
use super::input::Wiring;
use crate::{
    Error, LearningRate, Measuring, Optimizer, Pace, Result, Rule, Session, TrainConfig, learn,
};

/// Trains `model` on the training rows of `data`; the [`Session`] says whether the run goes
/// on from a checkpoint and writes some, and who is told of steps and epochs.
///
/// With validation rows, the model ends with the parameters of the epoch that has the
/// least error on them, and training ends early where the configuration's `patience`
/// says so.
///
/// The same configuration and data give the same model, to the bit, on any number
/// of threads, and however often the run was stopped and resumed.
///
/// # Errors
/// Settings that make no sense, a model that does not fit the data, a checkpoint of
/// another run, a loss that diverges, [`Error::Stopped`], or whatever the session's
/// `on_epoch` returns.
pub fn train(
    model: &mut Dlrm,
    data: &dyn TrainingData,
    config: &TrainConfig,
    session: Session,
) -> Result<()> {
    check(data, config)?;
    check_schedule(data.rows_of_epoch(), config)?;
    let TrainConfig {
        loss,
        optimizer,
        schedule,
        ..
    } = config;
    let recipe = Recipe {
        loss,
        rule: optimizer.algorithm,
        schedule,
    };
    let settings = Settings::new(config, model.config());
    learn_by(model, data, config, recipe, settings, session)
}

/// As [`train`], with a loss, an optimizer's rule and a schedule of one's own in place of
/// the configuration's; all else is as it says. `name` tells them from others: a
/// checkpoint of a run with another name is refused.
///
/// ```
/// # use mmdlrm_data::{MovieLens, Split, generate};
/// # use mmdlrm_features::{Dataset, TrainingData};
/// # use mmdlrm_model::{Dlrm, Loss};
/// use mmdlrm_train::{
///     LearningRate, Recipe, Rule, Session, StepSize, TrainConfig, shapes, train_with,
/// };
///
/// /// Steps by the sign of the gradient alone (Bernstein et al., 2018).
/// #[derive(Clone, Copy)]
/// struct SignSgd;
///
/// impl Rule for SignSgd {
///     fn state_width(&self, _parameters: usize) -> usize {
///         0
///     }
///
///     #[inline(always)]
///     fn update(&self, x: &mut [f32], _: &mut [f32], gradient: &[f32], step: &StepSize) {
///         x.iter_mut().zip(gradient).for_each(|(x, g)| *x -= step.rate * g.signum());
///     }
/// }
///
/// /// Half the rate from the middle of the run on.
/// struct Halved;
///
/// impl LearningRate for Halved {
///     fn factor(&self, step: u64, total: u64) -> f64 {
///         if 2 * step < total { 1.0 } else { 0.5 }
///     }
/// }
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// # generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// # let movielens = MovieLens::open(&folder)?;
/// # let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// # let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let mut model = Dlrm::new(shapes::dlrm(dataset.features(), 16), 42)?;
/// let recipe = Recipe { loss: &Loss::Mse, rule: SignSgd, schedule: &Halved };
/// let mut losses = Vec::new();
/// let session = Session::default().on_epoch(|epoch, _model| {
///     losses.push(epoch.train_loss);
///     Ok(())
/// });
/// train_with(&mut model, &dataset, &TrainConfig::default(), recipe, "sign", session)?;
/// assert!(losses[9] < losses[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`train`].
pub fn train_with<R: Rule>(
    model: &mut Dlrm,
    data: &dyn TrainingData,
    config: &TrainConfig,
    recipe: Recipe<R>,
    name: &str,
    session: Session,
) -> Result<()> {
    check(data, config)?;
    let settings = Settings {
        recipe: Some(name.to_owned()),
        ..Settings::new(config, model.config())
    };
    learn_by(model, data, config, recipe, settings, session)
}

/// What a model is trained by.
#[derive(Clone, Copy)]
pub struct Recipe<'a, R> {
    /// What a step brings down.
    pub loss: &'a dyn Objective,
    /// How a gradient becomes a step.
    pub rule: R,
    /// How the learning rate moves.
    pub schedule: &'a dyn LearningRate,
}

impl<R: fmt::Debug> fmt::Debug for Recipe<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Recipe")
            .field("rule", &self.rule)
            .finish_non_exhaustive()
    }
}

fn learn_by<R: Rule>(
    model: &mut Dlrm,
    data: &dyn TrainingData,
    config: &TrainConfig,
    recipe: Recipe<R>,
    settings: Settings,
    mut session: Session,
) -> Result<()> {
    check_loss(recipe.loss)?;
    let measuring = std::mem::take(&mut session.measuring);
    let settings = settings.measured(&measuring);
    let mut stepper = CpuStepper {
        wiring: Wiring::new(model.config(), data.features())?,
        optimizer: Optimizer::with_rule(recipe.rule, config.optimizer.clone(), model)?,
        loss: recipe.loss,
        gradients: Gradients::with_seed(config.seed),
        losses: Vec::new(),
        measuring,
        model,
        source: data,
    };
    let pace = config.pace(recipe.schedule);
    learn(&mut stepper, &pace, &settings, data.fingerprint(), session)
}

/// As [`train`], on a device of candle's: the parameters go there at the
/// beginning and come back after each epoch; in between they stay, and losses
/// are looked at every hundred steps. On a CPU, [`train`] is far quicker.
///
/// Dropout there is drawn by the device, anew in a run that is resumed.
///
/// # Errors
/// As [`train`], and a device that fails.
#[cfg(feature = "candle")]
pub fn train_on(
    device: &candle_core::Device,
    model: &mut Dlrm,
    data: &dyn TrainingData,
    config: &TrainConfig,
    mut session: Session,
) -> Result<()> {
    check(data, config)?;
    check_loss(&config.loss)?;
    check_schedule(data.rows_of_epoch(), config)?;
    let measuring = std::mem::take(&mut session.measuring);
    let settings = Settings::new(config, model.config()).measured(&measuring);
    let mut stepper = super::device::DeviceStepper::new(device, model, data, config, measuring)?;
    learn(
        &mut stepper,
        &config.pace(&config.schedule),
        &settings,
        data.fingerprint(),
        session,
    )
}

/// Refuses settings that make no sense, alone or with the data.
fn check(data: &dyn TrainingData, config: &TrainConfig) -> Result<()> {
    config.validate()?;
    if config.patience.is_some() && data.validation_rows() == 0 {
        return Err(Error::Setting {
            setting: "patience",
            value: format!("{:?}", config.patience),
            rule: "only validation rows can tell when to end, and there are none",
        });
    }
    Ok(())
}

/// Refuses a warm-up that does not end within a run over so many rows.
pub(super) fn check_schedule(rows: usize, config: &TrainConfig) -> Result<()> {
    let steps = rows.div_ceil(config.batch_size.max(1)) as u64;
    let steps = steps.saturating_mul(config.epochs as u64);
    if config.schedule.warmup_steps > steps {
        return Err(Error::Setting {
            setting: "schedule.warmup_steps",
            value: format!("{} of {steps} steps", config.schedule.warmup_steps),
            rule: "it must end within the run",
        });
    }
    Ok(())
}

/// All that a run is told.
#[derive(Serialize, Deserialize)]
struct Settings {
    train: TrainConfig,
    model: DlrmConfig,
    /// Name of a recipe that is not the configuration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipe: Option<String>,
    /// Name of what the model is measured by, where it is not measured alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    measured: String,
}

impl Settings {
    fn new(train: &TrainConfig, model: &DlrmConfig) -> Self {
        Self {
            train: train.clone(),
            model: model.clone(),
            recipe: None,
            measured: String::new(),
        }
    }

    fn measured(self, measuring: &Measuring) -> Self {
        Self {
            measured: measuring.name().to_owned(),
            ..self
        }
    }
}

impl TrainConfig {
    pub(super) fn pace<'a>(&self, schedule: &'a dyn LearningRate) -> Pace<'a> {
        Pace {
            epochs: self.epochs,
            batch_size: self.batch_size,
            seed: self.seed,
            patience: self.patience,
            schedule,
        }
    }
}
