use mmdlrm_features::{Features, TrainingData};
use serde::Serialize;
use serde_json::Value;

use crate::{Persist, Ranker, Result, Session};

/// A way to learn a model: settings that, with the data, decide everything it comes to.
///
/// An experiment that is handed one trains, keeps, measures and reports its model as it does
/// its own, goes on with it where the run was stopped, and refuses to where the settings are
/// others.
pub trait Fit: Serialize {
    /// What is learned.
    type Model: Ranker + Persist;

    /// Finds out whether [`Self::fit`] will refuse its settings or what is known of users and
    /// items: a run that gives way to this one is gone after it. Returns what `config.json`
    /// is to say of the model: its shape.
    ///
    /// # Errors
    /// Settings that make no sense.
    fn check(&self, features: &Features) -> Result<Value> {
        let _ = features;
        Ok(Value::Null)
    }

    /// Training rows that it goes over in all, as [`Session::on_step`] counts them; 0 where
    /// it tells nobody.
    fn rows(&self, data: &dyn TrainingData) -> usize {
        let _ = data;
        0
    }

    /// Bytes of memory that learning holds at most beside the data, as far as they grow with it, to
    /// within about a half; 0 where that is little. Who would rather be told than run out of memory
    /// asks beforehand.
    fn memory(&self, data: &dyn TrainingData) -> u64 {
        let _ = data;
        0
    }

    /// Learns, from the beginning or from where `session` says. What learns by
    /// [`learn`](crate::learn) keeps checkpoints and tells of epochs; what does not tells of
    /// them by [`Session::on_epoch`], if it has any, and begins anew where it was stopped.
    ///
    /// # Errors
    /// Settings that make no sense, data that cannot be learned from, what the session says.
    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<Self::Model>;
}
