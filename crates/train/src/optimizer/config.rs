use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The largest share of a parameter that weight decay may take off in a step. With more
/// a parameter is forgotten in a handful of steps, and from 1 on it changes its sign.
const MOST_DECAYED: f64 = 0.1;

/// How gradients become steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// `x ← x − lr·g`.
    Sgd,
    /// `s ← s + g²; x ← x − lr·g/(√s + ε)` (Duchi et al., 2011).
    Adagrad,
    /// Adagrad with one `s` a table row, the mean of the row's `g²`: a
    /// `dim`-th of the memory. The MLPs keep Adagrad.
    RowWiseAdagrad,
    /// Adam (Kingma and Ba, 2015), lazy on table rows: the moments of a row
    /// move when it is touched.
    #[default]
    Adam,
}

/// What an [`Optimizer`](crate::Optimizer) does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The rule.
    pub algorithm: Algorithm,
    /// Learning rate of MLPs and towers.
    pub learning_rate: f64,
    /// Learning rate of embedding tables; `None` for the same.
    pub table_learning_rate: Option<f64>,
    /// Share of a weight of an MLP or tower, times the learning rate, that is
    /// taken off each step (decoupled, as AdamW). That product may be 0.1 at most.
    pub weight_decay: f64,
    /// The same for the table rows that a step touches, with their rate.
    pub table_weight_decay: f64,
    /// Gradients whose norm, over all parameters together, is above this are
    /// scaled down to it (Pascanu et al., 2013).
    pub clip_norm: Option<f64>,
}

impl Default for OptimizerConfig {
    /// Adam at 0.001, without weight decay.
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Adam,
            learning_rate: 1e-3,
            table_learning_rate: None,
            weight_decay: 0.0,
            table_weight_decay: 0.0,
            clip_norm: None,
        }
    }
}

impl OptimizerConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first value that makes no sense.
    pub fn validate(&self) -> Result<()> {
        let rates = [
            ("learning_rate", Some(self.learning_rate)),
            ("table_learning_rate", self.table_learning_rate),
            ("clip_norm", self.clip_norm),
        ];
        for (setting, rate) in rates {
            // Steps are in single precision.
            let is_right = |rate: f64| rate > 0.0 && (rate as f32).is_normal();
            if let Some(rate) = rate.filter(|&rate| !is_right(rate)) {
                let rule = "it must be above 0, and a number in single precision";
                return Err(Error::Setting {
                    setting,
                    value: rate.to_string(),
                    rule,
                });
            }
        }
        check_decay("weight_decay", self.weight_decay, self.learning_rate)?;
        check_decay(
            "table_weight_decay",
            self.table_weight_decay,
            self.table_rate(),
        )
    }

    /// The same with another rule. A rate of the tables' own and decays are chosen for
    /// a rule: with another there are none.
    ///
    /// ```
    /// use mmdlrm_train::{Algorithm, OptimizerConfig};
    ///
    /// let adam = OptimizerConfig { table_weight_decay: 5.0, ..OptimizerConfig::default() };
    /// assert_eq!(adam.clone().with_algorithm(Algorithm::Adam), adam);
    /// assert_eq!(adam.with_algorithm(Algorithm::Adagrad).table_weight_decay, 0.0);
    /// ```
    #[must_use]
    pub fn with_algorithm(self, algorithm: Algorithm) -> Self {
        if algorithm == self.algorithm {
            return self;
        }
        Self {
            algorithm,
            table_learning_rate: None,
            weight_decay: 0.0,
            table_weight_decay: 0.0,
            ..self
        }
    }

    /// The same at another learning rate. The tables' keeps its proportion to it.
    ///
    /// ```
    /// use mmdlrm_train::OptimizerConfig;
    ///
    /// let config = OptimizerConfig {
    ///     learning_rate: 0.25,
    ///     table_learning_rate: Some(0.5),
    ///     ..OptimizerConfig::default()
    /// };
    /// assert_eq!(config.with_learning_rate(0.125).table_learning_rate, Some(0.25));
    /// ```
    #[must_use]
    pub fn with_learning_rate(self, learning_rate: f64) -> Self {
        let proportion = learning_rate / self.learning_rate;
        Self {
            learning_rate,
            table_learning_rate: self.table_learning_rate.map(|rate| rate * proportion),
            ..self
        }
    }

    /// Learning rate of embedding tables.
    pub(crate) fn table_rate(&self) -> f64 {
        self.table_learning_rate.unwrap_or(self.learning_rate)
    }
}

/// Refuses a weight decay that makes no sense at a learning rate, which no schedule
/// raises.
fn check_decay(setting: &'static str, decay: f64, rate: f64) -> Result<()> {
    let error = |value, rule| {
        Err(Error::Setting {
            setting,
            value,
            rule,
        })
    };
    if !(decay.is_finite() && decay >= 0.0) {
        return error(decay.to_string(), "it must be 0 or more");
    }
    if decay * rate > MOST_DECAYED {
        let rule =
            "their product, the share that a step takes off a parameter, must be 0.1 or less";
        return error(format!("{decay} at a learning rate of {rate}"), rule);
    }
    Ok(())
}
