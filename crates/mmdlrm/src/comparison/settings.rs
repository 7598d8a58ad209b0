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

    /// As [`Fit::memory`].
    fn memory(&self, data: &dyn TrainingData) -> u64;

    /// As [`Fit::rows`].
    fn rows(&self, data: &dyn TrainingData) -> usize;

    /// Training rows that learning goes over at least, 0 where that is not known.
    fn least_rows(&self, data: &dyn TrainingData) -> usize;

    /// Whether validation rows tell how many epochs are enough.
    fn has_epochs(&self) -> bool;

    /// Whether another seed makes another model.
    fn has_seed(&self) -> bool;

    /// The same with another seed, and another number of epochs where they have one.
    fn with(&self, seed: u64, epochs: Option<usize>) -> Box<dyn Settings>;
}

/// Sets a number of some settings.
type Set<C, T> = fn(&mut C, T);

/// How many epochs validation rows choose from: at most so many, and none after so many without a
/// better one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epochs {
    pub most: usize,
    pub patience: usize,
}

/// Those of a [`Fit`].
#[derive(Clone)]
pub(super) struct Of<C> {
    config: C,
    seed: Option<Set<C, u64>>,
    epochs: Option<Set<C, usize>>,
    /// Those that are tried, until it is known how many are enough.
    tried: Option<Epochs>,
}

impl<C: Fit<Model: 'static> + Clone + 'static> Of<C> {
    /// Of a model without chance or epochs.
    pub fn exact(config: C) -> Box<dyn Settings> {
        Self::of(config, None, None, None)
    }

    /// Of one with chance, and epochs of its own.
    pub fn seeded(config: C, seed: Set<C, u64>) -> Box<dyn Settings> {
        Self::of(config, Some(seed), None, None)
    }

    /// Of one with chance, and epochs that validation rows choose.
    pub fn learned(
        config: C,
        tried: Epochs,
        seed: Set<C, u64>,
        epochs: Set<C, usize>,
    ) -> Box<dyn Settings> {
        Self::of(config, Some(seed), Some(epochs), Some(tried))
    }

    fn of(
        config: C,
        seed: Option<Set<C, u64>>,
        epochs: Option<Set<C, usize>>,
        tried: Option<Epochs>,
    ) -> Box<dyn Settings> {
        Box::new(Self {
            config,
            seed,
            epochs,
            tried,
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

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        self.config.memory(data)
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        self.config.rows(data)
    }

    fn least_rows(&self, data: &dyn TrainingData) -> usize {
        let rows = self.config.rows(data);
        match self.tried {
            Some(Epochs { most, patience }) => rows / most.max(1) * most.min(patience + 1),
            None => rows,
        }
    }

    fn has_epochs(&self) -> bool {
        self.epochs.is_some()
    }

    fn has_seed(&self) -> bool {
        self.seed.is_some()
    }

    fn with(&self, seed: u64, epochs: Option<usize>) -> Box<dyn Settings> {
        let mut changed = self.clone();
        if let Some(set) = self.seed {
            set(&mut changed.config, seed);
        }
        if let (Some(set), Some(epochs)) = (self.epochs, epochs) {
            set(&mut changed.config, epochs);
            changed.tried = None;
        }
        Box::new(changed)
    }
}
