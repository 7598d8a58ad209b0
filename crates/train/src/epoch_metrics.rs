use serde::{Deserialize, Serialize};

/// What one epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochMetrics {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the training rows while they were learned from.
    pub train_loss: f64,
    /// Root mean squared error on the validation rows after the epoch, in stars; `None`
    /// where there are none, or where the model predicts no stars. The epoch with the
    /// least is kept.
    pub validation_rmse: Option<f64>,
    /// The same on the held-out rows. It is shown, and nothing is chosen by it.
    pub test_rmse: Option<f64>,
    /// Mean nDCG@10 over the users with validation rows, of a model that learns what users rate
    /// and not how high: the epoch with the most is kept, where none has an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_ndcg: Option<f64>,
    /// Mean cross-entropy on the validation rows, in nats, of a model that says how likely a label
    /// is: the epoch with the least is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_log_loss: Option<f64>,
    /// Area under the ROC curve on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_auc: Option<f64>,
    /// The same as the former on the held-out rows, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_log_loss: Option<f64>,
    /// … and as the latter. They are shown, and nothing is chosen by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_auc: Option<f64>,
    /// Seconds of training, without the evaluation.
    pub seconds: f64,
    /// Training rows a second.
    pub samples_per_s: f64,
}

impl EpochMetrics {
    /// Of an epoch, from 1, over `rows` training rows, by which nothing was measured.
    pub fn new(epoch: usize, train_loss: f64, rows: usize, seconds: f64) -> Self {
        Self {
            epoch,
            train_loss,
            validation_rmse: None,
            test_rmse: None,
            validation_ndcg: None,
            validation_log_loss: None,
            validation_auc: None,
            test_log_loss: None,
            test_auc: None,
            seconds,
            samples_per_s: rows as f64 / seconds,
        }
    }
}
