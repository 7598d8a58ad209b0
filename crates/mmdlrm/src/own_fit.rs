//! Learning of the presets that are a [`Dlrm`] and nothing else.

use std::cell::RefCell;

use mmdlrm_features::{Features, TrainingData};
use mmdlrm_model::{Dlrm, DlrmConfig, Loss};
use mmdlrm_train::{Fit, Scorer, Session, TrainConfig, train};
use serde::Serialize;
use serde_json::Value;

use crate::ExperimentConfig;
use crate::device::Device;

/// The model that a configuration describes, all of it a [`Dlrm`].
#[derive(Clone, Serialize)]
pub(crate) struct OwnFit {
    config: ExperimentConfig,
    #[serde(skip)]
    device: Device,
    /// Made when its shape is checked, before anything gives way to the run.
    #[serde(skip)]
    model: RefCell<Option<Dlrm>>,
}

impl OwnFit {
    pub fn new(config: ExperimentConfig, device: Device) -> Self {
        Self {
            config,
            device,
            model: RefCell::default(),
        }
    }

    /// Of parameters, of what is dropped, and of the order of the rows.
    pub fn set_seed(&mut self, seed: u64) {
        (self.config.seed, self.config.train.seed) = (seed, seed);
        self.model = RefCell::default();
    }

    /// How likely a 1 is, is learned by cross-entropy, where squares are what ratings are learned by.
    fn learned_by(&self, features: &Features) -> TrainConfig {
        let mut config = self.config.train.clone();
        if features.target().is_probability() && config.loss == Loss::Mse {
            config.loss = Loss::Bce;
        }
        config
    }

    fn untrained(&self, features: &Features) -> mmdlrm_train::Result<Dlrm> {
        let shape = self.config.preset.config(features, self.config.dim);
        Ok(Dlrm::new(shape, self.config.seed)?)
    }
}

/// Bytes that a DLRM of some shape takes while it is trained: its numbers, two moments of each, and
/// the best so far; 0 of a shape that makes no sense, which is refused elsewhere.
pub(crate) fn memory_of(shape: &DlrmConfig) -> u64 {
    let numbers = shape.parameters().unwrap_or(0) as u64;
    4 * size_of::<f32>() as u64 * numbers
}

impl Fit for OwnFit {
    type Model = Scorer<Dlrm>;

    fn check(&self, features: &Features) -> mmdlrm_train::Result<Value> {
        let model = self.untrained(features)?;
        let shape = serde_json::to_value(model.config())?;
        self.model.replace(Some(model));
        Ok(shape)
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        data.rows_of_epoch() * self.config.train.epochs
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        let shape = self.config.preset.config(data.features(), self.config.dim);
        memory_of(&shape)
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> mmdlrm_train::Result<Self::Model> {
        let mut model = match self.model.take() {
            Some(model) => model,
            None => self.untrained(data.features())?,
        };
        let config = self.learned_by(data.features());
        match &self.device {
            Device::Cpu => train(&mut model, data, &config, session)?,
            #[cfg(feature = "device")]
            device => mmdlrm_train::train_on(device, &mut model, data, &config, session)?,
        }
        Scorer::new(model, data.features().clone())
    }
}
