//! Settings of any model, and how they are tried.

use mmdlrm_features::{Features, TrainingData};
use mmdlrm_train::{Fit, Ranker, Result, Session};
use serde::Serialize;
use serde_json::Value;

/// A way to learn some model.
pub(super) trait Settings {
    /// What `config.json` would say of them.
    fn describe(&self) -> Result<Value>;

    /// As [`Fit::check`].
    fn check(&self, features: &Features) -> Result<Value>;

    /// As [`Fit::fit`].
    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<Box<dyn Ranker>>;

    /// Whether validation rows tell how many epochs are enough.
    fn has_epochs(&self) -> bool;

    /// The same with another seed, and another number of epochs where they have one.
    fn with(&self, seed: u64, epochs: Option<usize>) -> Box<dyn Settings>;
}

/// Sets a number of some settings.
type Set<C, T> = fn(&mut C, T);

/// Those of a [`Fit`].
#[derive(Clone)]
pub(super) struct Of<C> {
    config: C,
    seed: Option<Set<C, u64>>,
    epochs: Option<Set<C, usize>>,
}

impl<C: Fit<Model: 'static> + Clone + 'static> Of<C> {
    /// Of a model without chance or epochs.
    pub fn exact(config: C) -> Box<dyn Settings> {
        Self::of(config, None, None)
    }

    /// Of one with chance, and epochs of its own.
    pub fn seeded(config: C, seed: Set<C, u64>) -> Box<dyn Settings> {
        Self::of(config, Some(seed), None)
    }

    /// Of one with chance, and epochs that validation rows choose.
    pub fn learned(config: C, seed: Set<C, u64>, epochs: Set<C, usize>) -> Box<dyn Settings> {
        Self::of(config, Some(seed), Some(epochs))
    }

    fn of(
        config: C,
        seed: Option<Set<C, u64>>,
        epochs: Option<Set<C, usize>>,
    ) -> Box<dyn Settings> {
        Box::new(Self {
            config,
            seed,
            epochs,
        })
    }
}

impl<C: Fit<Model: 'static> + Clone + Serialize + 'static> Settings for Of<C> {
    fn describe(&self) -> Result<Value> {
        Ok(serde_json::to_value(&self.config)?)
    }

    fn check(&self, features: &Features) -> Result<Value> {
        self.config.check(features)
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<Box<dyn Ranker>> {
        Ok(Box::new(self.config.fit(data, session)?))
    }

    fn has_epochs(&self) -> bool {
        self.epochs.is_some()
    }

    fn with(&self, seed: u64, epochs: Option<usize>) -> Box<dyn Settings> {
        let mut changed = self.clone();
        if let Some(set) = self.seed {
            set(&mut changed.config, seed);
        }
        if let (Some(set), Some(epochs)) = (self.epochs, epochs) {
            set(&mut changed.config, epochs);
        }
        Box::new(changed)
    }
}
