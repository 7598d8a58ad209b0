use mmdlrm_kernels::vectorize;
use serde::{Deserialize, Serialize};

use crate::{Error, ListSoftmax, Output, OutputActivation, Result};

/// The longest logarithm that cross-entropy takes of a probability, as
/// PyTorch's `BCELoss`.
const LEAST_LOG: f32 = -100.0;
/// What the derivative of cross-entropy is divided by at least, `p·(1 − p)`, as there.
const LEAST_VARIANCE: f32 = 1e-12;
/// By how much rounding may carry a target beyond 0 to 1 when it is normalized.
const ROUNDING: f32 = 1e-6;

/// What a step brings down: the mean over the batch, on normalized targets
/// `t = (y − offset) / scale` and predictions `p = activation(z)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// `(p − t)²`.
    #[default]
    Mse,
    /// `−t·ln p − (1 − t)·ln(1 − p)`, for targets `t` from 0 to 1.
    Bce,
    /// The same times `positive·t + negative·(1 − t)`. Weights are 0 or more, and one
    /// of them is above 0.
    WeightedBce {
        /// Weight of a sample of target 0.
        negative: f32,
        /// Weight of a sample of target 1.
        positive: f32,
    },
    /// Bayesian personalized ranking (Rendle et al., 2009): samples `2k` and
    /// `2k + 1` are a pair, of which the one with the higher target is to have
    /// the higher `z`, `−ln σ(z_high − z_low)`, the mean over the pairs. A pair
    /// with equal targets counts as 0.
    Bpr,
    /// Softmax over lists of samples: [`ListSoftmax`].
    Lists {
        /// Samples of a list; a divisor of 96.
        length: usize,
        /// With 1 each list counts the same, with 0 each unit of relevance.
        power: f32,
    },
}

/// What a step brings down, and its slope: [`Loss`], or one of one's own.
///
/// ```
/// use mmdlrm_model::{Objective, Output, Result};
///
/// /// Huber's loss at 1: `d²` up to there, `2·|d| − 1` beyond, `d = z − t`.
/// struct Huber;
///
/// impl Objective for Huber {
///     fn check(&self, _output: &Output, _targets: &[f32]) -> Result<()> {
///         Ok(())
///     }
///
///     fn of_samples(
///         &self,
///         z: &[f32],
///         targets: &[f32],
///         output: &Output,
///         share: f32,
///         slopes: &mut [f32],
///     ) -> f64 {
///         let mut sum = 0.0;
///         for ((slope, z), target) in slopes.iter_mut().zip(z).zip(targets) {
///             let d = z - (target - output.offset) / output.scale;
///             sum += f64::from(if d.abs() < 1.0 { d * d } else { 2.0 * d.abs() - 1.0 });
///             *slope = share * 2.0 * d.clamp(-1.0, 1.0);
///         }
///         sum
///     }
/// }
///
/// let mut slopes = [0.0; 2];
/// let sum = Huber.of_samples(&[0.5, 4.0], &[0.0, 1.0], &Output::default(), 0.5, &mut slopes);
/// assert_eq!((sum, slopes), (0.25 + 5.0, [0.5, 1.0]));
/// ```
pub trait Objective: Sync {
    /// Checks that it is defined for an output and for the targets of a batch, which are
    /// finite.
    ///
    /// # Errors
    /// Targets or an output that make no sense.
    fn check(&self, output: &Output, targets: &[f32]) -> Result<()>;

    /// How many samples, one after another from the first of a batch on, are compared with each
    /// other and so come together: 1, or another divisor of 96, by which the number of samples of
    /// a step has to be divisible. [`Loss::Bpr`] takes pairs, [`ListSoftmax`] lists.
    fn samples_together(&self) -> usize {
        1
    }

    /// Sum of the losses of some samples, given what the top MLP says of each before the
    /// output's activation, `z`, `[samples]`, and `targets`, `[samples]`, in the unit of the
    /// predictions. Writes the derivative of each loss by its `z`, times `share`, into
    /// `slopes`, `[samples]`. Samples come in groups, in the order of the batch, those that are
    /// [together](Self::samples_together) in one of them.
    fn of_samples(
        &self,
        z: &[f32],
        targets: &[f32],
        output: &Output,
        share: f32,
        slopes: &mut [f32],
    ) -> f64;
}

impl<O: Objective + ?Sized> Objective for &O {
    fn check(&self, output: &Output, targets: &[f32]) -> Result<()> {
        (**self).check(output, targets)
    }

    fn samples_together(&self) -> usize {
        (**self).samples_together()
    }

    fn of_samples(
        &self,
        z: &[f32],
        targets: &[f32],
        output: &Output,
        share: f32,
        slopes: &mut [f32],
    ) -> f64 {
        (**self).of_samples(z, targets, output, share, slopes)
    }
}

impl Objective for Loss {
    fn samples_together(&self) -> usize {
        match self {
            Self::Bpr => 2,
            Self::Lists { length, .. } => *length,
            _ => 1,
        }
    }

    fn check(&self, output: &Output, targets: &[f32]) -> Result<()> {
        match *self {
            Self::Mse => Ok(()),
            Self::Bce => check_probabilities(output, targets),
            Self::WeightedBce { negative, positive } => {
                check_weights(negative, positive)?;
                check_probabilities(output, targets)
            }
            Self::Bpr if targets.len() % 2 == 1 => Err(Error::OddBatch {
                samples: targets.len(),
            }),
            Self::Bpr => Ok(()),
            Self::Lists { length, power } => {
                ListSoftmax::new(length, power)?.check(output, targets)
            }
        }
    }

    fn of_samples(
        &self,
        last: &[f32],
        targets: &[f32],
        output: &Output,
        share: f32,
        slopes: &mut [f32],
    ) -> f64 {
        if let Self::Lists { length, power } = *self {
            let lists = ListSoftmax { length, power };
            return lists.of_samples(last, targets, output, share, slopes);
        }
        let mut sum = 0.0;
        if *self == Self::Bpr {
            let pairs = last.chunks_exact(2).zip(targets.chunks_exact(2));
            for ((z, target), slopes) in pairs.zip(slopes.chunks_exact_mut(2)) {
                let sign = match target[0].total_cmp(&target[1]) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Less => -1.0,
                    std::cmp::Ordering::Equal => 0.0,
                };
                let margin = sign * (z[0] - z[1]);
                if sign != 0.0 {
                    // ln(1 + e⁻ᵐ) without overflow. Two samples a pair.
                    sum += 2.0 * f64::from((-margin.abs()).exp().ln_1p() + (-margin).max(0.0));
                }
                let slope = -2.0 * sign * share * sigmoid(-margin);
                slopes[0] = slope;
                slopes[1] = -slope;
            }
            return sum;
        }
        for ((slope, &z), &target) in slopes.iter_mut().zip(last).zip(targets) {
            let target = (target - output.offset) / output.scale;
            let (value, by_z) = self.of(z, target, output.activation);
            sum += f64::from(value);
            *slope = by_z * share;
        }
        sum
    }
}

impl Loss {
    /// Loss of one sample and its derivative by `z`.
    #[inline]
    fn of(self, z: f32, target: f32, activation: OutputActivation) -> (f32, f32) {
        let p = activation.apply(z);
        let slope = match activation {
            OutputActivation::Identity => 1.0,
            OutputActivation::Sigmoid => p * (1.0 - p),
        };
        let cross_entropy = |weight: f32| {
            let log = |x: f32| x.ln().max(LEAST_LOG);
            let value = -target * log(p) - (1.0 - target) * log(1.0 - p);
            // d/dz of the cross-entropy of a sigmoid is p − t, and 0 where the logarithm is cut
            // off: a probability that is 0 or 1 in single precision.
            let variance = p * (1.0 - p);
            let share = variance / variance.max(LEAST_VARIANCE);
            (weight * value, weight * (p - target) * share)
        };
        match self {
            Self::Mse | Self::Bpr | Self::Lists { .. } => {
                ((p - target).powi(2), 2.0 * (p - target) * slope)
            }
            Self::Bce => cross_entropy(1.0),
            Self::WeightedBce { negative, positive } => {
                cross_entropy(positive * target + negative * (1.0 - target))
            }
        }
    }
}

/// Cross-entropy is of probabilities: the output must be one, and targets too once they
/// are normalized.
fn check_probabilities(output: &Output, targets: &[f32]) -> Result<()> {
    if output.activation != OutputActivation::Sigmoid {
        return Err(Error::Loss {
            output: format!("{:?}", output.activation),
        });
    }
    let outside = |target: f32| {
        let normalized = (target - output.offset) / output.scale;
        (normalized - 0.5).abs() > 0.5 + ROUNDING
    };
    let found = vectorize(
        #[inline(always)]
        || {
            let targets = targets.iter();
            targets.fold(false, |found, &target| found | outside(target))
        },
    );
    if !found {
        return Ok(());
    }
    let sample = targets.iter().position(|&target| outside(target));
    sample.map_or(Ok(()), |sample| {
        Err(Error::Target {
            value: targets[sample],
            sample,
            low: output.offset,
            high: output.offset + output.scale,
        })
    })
}

fn check_weights(negative: f32, positive: f32) -> Result<()> {
    let is_weight = |weight: f32| weight.is_finite() && weight >= 0.0;
    if is_weight(negative) && is_weight(positive) && negative + positive > 0.0 {
        return Ok(());
    }
    Err(Error::Setting {
        setting: "loss weights (negative, positive)".to_owned(),
        value: format!("({negative}, {positive})"),
        rule: "both must be finite and 0 or more, and one above 0".to_owned(),
    })
}

#[inline]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

impl OutputActivation {
    #[inline]
    pub(crate) fn apply(self, z: f32) -> f32 {
        match self {
            Self::Identity => z,
            Self::Sigmoid => sigmoid(z),
        }
    }
}
