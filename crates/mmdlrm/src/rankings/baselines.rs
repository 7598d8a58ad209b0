//! The simple models that every ranking figure is held against.

use mmdlrm_baselines::{EaseConfig, PopularityConfig};
use mmdlrm_features::TrainingData;
use mmdlrm_train::{Fit, Ranker, Session};

use crate::Result;

/// What is rated together.
pub(super) const EASE: &str = "EASE";

/// A simple model and what it is called.
type Baseline = (&'static str, Box<dyn Ranker>);

/// Those that stand beside every figure, in the order of their columns: how often a movie is
/// rated, and the best of the simple ones on every data set that was measured, what is rated
/// together. Each learns from the training rows of `data` alone. The latter holds all of them, and so
/// is left out of what is `streamed`.
fn simple_baselines(data: &dyn TrainingData, streamed: bool) -> Result<Vec<Baseline>> {
    let popularity = PopularityConfig::default().fit(data, Session::default())?;
    let mut baselines: Vec<Baseline> = vec![("popularity", Box::new(popularity))];
    if !streamed {
        let ease = EaseConfig::default().fit(data, Session::default())?;
        baselines.push((EASE, Box::new(ease)));
    }
    Ok(baselines)
}

/// A model and the baselines, which go through the same passes over the same users.
pub(crate) struct Contestants<'a> {
    model: &'a dyn Ranker,
    baselines: Vec<Baseline>,
}

impl<'a> Contestants<'a> {
    /// `model`, and the baselines on the training rows of `data`.
    pub fn new(model: &'a dyn Ranker, data: &dyn TrainingData, streamed: bool) -> Result<Self> {
        Ok(Self {
            model,
            baselines: simple_baselines(data, streamed)?,
        })
    }

    /// The model first.
    pub fn rankers(&self) -> Vec<&dyn Ranker> {
        let baselines = self.baselines.iter().map(|(_, ranker)| &**ranker);
        std::iter::once(self.model).chain(baselines).collect()
    }

    /// What the baselines are called.
    pub fn baselines(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.baselines.iter().map(|(name, _)| *name)
    }
}
