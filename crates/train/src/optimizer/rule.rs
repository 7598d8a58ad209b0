//! How gradients become steps.

use crate::Algorithm;

/// PyTorch's `Adagrad(eps)`.
pub(crate) const ADAGRAD_EPSILON: f32 = 1e-10;
/// PyTorch's `Adam(betas, eps)`.
pub(crate) const ADAM_BETAS: (f32, f32) = (0.9, 0.999);
pub(crate) const ADAM_EPSILON: f32 = 1e-8;

/// A rule by which an [`Optimizer`](crate::Optimizer) moves parameters against their
/// gradients: [`Algorithm`], or one of one's own.
///
/// Its methods run within loops that are compiled for the processor's vector instructions:
/// with `#[inline(always)]` they are too.
///
/// ```
/// use mmdlrm_train::{Rule, StepSize};
///
/// /// `m ← β·m + g; x ← x − lr·m` (Polyak, 1964).
/// #[derive(Debug, Clone, Copy)]
/// struct Momentum {
///     beta: f32,
/// }
///
/// impl Rule for Momentum {
///     fn state_width(&self, parameters: usize) -> usize {
///         parameters
///     }
///
///     #[inline(always)]
///     fn update(&self, x: &mut [f32], state: &mut [f32], gradient: &[f32], step: &StepSize) {
///         for ((x, m), g) in x.iter_mut().zip(state).zip(gradient) {
///             *m = self.beta * *m + step.scale * g;
///             *x -= step.rate * *m;
///         }
///     }
/// }
///
/// let (mut x, mut m) = ([1.0], [0.0]);
/// let step = StepSize::new(0.5, 1.0, 1);
/// Momentum { beta: 0.5 }.update(&mut x, &mut m, &[1.0], &step);
/// Momentum { beta: 0.5 }.update(&mut x, &mut m, &[1.0], &step);
/// assert_eq!((x, m), ([-0.25], [1.5]));
/// ```
pub trait Rule: Copy + Send + Sync {
    /// Numbers of state for so many parameters of the MLPs and towers; they begin at 0.
    fn state_width(&self, parameters: usize) -> usize;

    /// Moves parameters `x`, `[parameters]`, by `step.scale` times their `gradient`,
    /// `[parameters]`. Weight decay was taken off them before.
    fn update(&self, x: &mut [f32], state: &mut [f32], gradient: &[f32], step: &StepSize);

    /// The same as [`Self::state_width`], of a row of a table.
    fn row_state_width(&self, dim: usize) -> usize {
        self.state_width(dim)
    }

    /// The same as [`Self::update`], of a row of a table that the step touches.
    #[inline(always)]
    fn update_row(&self, x: &mut [f32], state: &mut [f32], gradient: &[f32], step: &StepSize) {
        self.update(x, state, gradient, step);
    }
}

/// How far one step goes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StepSize {
    /// Learning rate.
    pub rate: f32,
    /// What clipping leaves of a gradient.
    pub scale: f32,
    /// The step, from 1.
    pub number: u64,
    /// Adam's factors for moments that began at zero.
    adam: (f32, f32),
}

impl StepSize {
    /// Of the step `number`, from 1.
    pub fn new(rate: f64, scale: f32, number: u64) -> Self {
        Self {
            rate: rate as f32,
            scale,
            number,
            adam: adam_corrections(number),
        }
    }
}

/// Adam's factors at `step`, from 1, for moments that began at zero.
pub(crate) fn adam_corrections(step: u64) -> (f32, f32) {
    let step = step.min(i32::MAX as u64) as i32;
    let correction = |beta: f32| (1.0 - f64::from(beta).powi(step)).recip() as f32;
    (correction(ADAM_BETAS.0), correction(ADAM_BETAS.1))
}

impl Algorithm {
    /// What moves the MLPs where it moves the tables.
    pub(crate) fn dense(self) -> Self {
        match self {
            Self::RowWiseAdagrad => Self::Adagrad,
            other => other,
        }
    }
}

impl Rule for Algorithm {
    fn state_width(&self, parameters: usize) -> usize {
        self.dense().row_state_width(parameters)
    }

    #[inline(always)]
    fn update(&self, x: &mut [f32], state: &mut [f32], gradient: &[f32], step: &StepSize) {
        self.dense().update_row(x, state, gradient, step);
    }

    fn row_state_width(&self, dim: usize) -> usize {
        match self {
            Self::Sgd => 0,
            Self::RowWiseAdagrad => 1,
            Self::Adagrad => dim,
            Self::Adam => 2 * dim,
        }
    }

    #[inline(always)]
    fn update_row(&self, x: &mut [f32], state: &mut [f32], gradient: &[f32], step: &StepSize) {
        let rate = step.rate;
        let gradient = gradient.iter().map(|g| step.scale * g);
        match self {
            Self::Sgd => {
                x.iter_mut().zip(gradient).for_each(|(x, g)| *x -= rate * g);
            }
            Self::Adagrad => {
                for ((x, s), g) in x.iter_mut().zip(state).zip(gradient) {
                    *s += g * g;
                    *x -= rate * g / (s.sqrt() + ADAGRAD_EPSILON);
                }
            }
            Self::RowWiseAdagrad => {
                state[0] += mean_square(gradient.clone(), x.len());
                let rate = rate / (state[0].sqrt() + ADAGRAD_EPSILON);
                x.iter_mut().zip(gradient).for_each(|(x, g)| *x -= rate * g);
            }
            Self::Adam => adam(x, state, gradient, step),
        }
    }
}

#[inline(always)]
fn adam(x: &mut [f32], state: &mut [f32], gradient: impl Iterator<Item = f32>, step: &StepSize) {
    let (first, second) = state.split_at_mut(x.len());
    let (beta1, beta2) = ADAM_BETAS;
    for (((x, m), v), g) in x.iter_mut().zip(first).zip(second).zip(gradient) {
        *m += (1.0 - beta1) * (g - *m);
        *v += (1.0 - beta2) * (g * g - *v);
        let deviation = (*v * step.adam.1).sqrt() + ADAM_EPSILON;
        *x -= step.rate * step.adam.0 * *m / deviation;
    }
}

/// Mean of squares, in partial sums that fill a vector register.
#[inline(always)]
fn mean_square(values: impl Iterator<Item = f32>, count: usize) -> f32 {
    let mut sums = [0.0; 16];
    for (place, x) in values.enumerate() {
        sums[place % 16] += x * x;
    }
    sums.iter().sum::<f32>() / count as f32
}
