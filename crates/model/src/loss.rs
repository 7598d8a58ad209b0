use serde::{Deserialize, Serialize};

use crate::{Error, Output, OutputActivation, Result};

/// The longest logarithm that cross-entropy takes of a probability, as
/// PyTorch's `BCELoss`.
const LEAST_LOG: f32 = -100.0;

/// What a step brings down: the mean over the batch, on normalised targets
/// `t = (y − offset) / scale` and predictions `p = activation(z)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// `(p − t)²`.
    #[default]
    Mse,
    /// `−t·ln p − (1 − t)·ln(1 − p)`.
    Bce,
}

impl Loss {
    pub(crate) fn check(self, output: &Output) -> Result<()> {
        if self == Self::Bce && output.activation != OutputActivation::Sigmoid {
            return Err(Error::Loss {
                output: format!("{:?}", output.activation),
            });
        }
        Ok(())
    }

    /// Loss of one sample and its derivative by `z`.
    #[inline]
    pub(crate) fn of(self, z: f32, target: f32, activation: OutputActivation) -> (f32, f32) {
        let p = activation.apply(z);
        let slope = match activation {
            OutputActivation::Identity => 1.0,
            OutputActivation::Sigmoid => p * (1.0 - p),
        };
        match self {
            Self::Mse => ((p - target).powi(2), 2.0 * (p - target) * slope),
            Self::Bce => {
                let log = |x: f32| x.ln().max(LEAST_LOG);
                // d/dz of the cross-entropy of a sigmoid is p − t.
                (-target * log(p) - (1.0 - target) * log(1.0 - p), p - target)
            }
        }
    }
}

impl OutputActivation {
    #[inline]
    pub(crate) fn apply(self, z: f32) -> f32 {
        match self {
            Self::Identity => z,
            Self::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        }
    }
}
