use serde::{Deserialize, Serialize};

/// How a learning rate moves over a run: a factor of the configured rate. [`Schedule`] is
/// what a configuration names; others go to [`train_with`](crate::train_with).
///
/// ```
/// use mmdlrm_train::LearningRate;
///
/// /// One cycle: up to the middle of the run, and down again (Smith, 2017).
/// struct OneCycle;
///
/// impl LearningRate for OneCycle {
///     fn factor(&self, step: u64, total: u64) -> f64 {
///         let progress = step as f64 / total as f64;
///         1.0 - (2.0 * progress - 1.0).abs()
///     }
/// }
///
/// assert_eq!(OneCycle.factor(25, 100), 0.5);
/// assert_eq!(OneCycle.factor(50, 100), 1.0);
/// ```
pub trait LearningRate {
    /// The factor at `step` (from 0) of `total` steps.
    fn factor(&self, step: u64, total: u64) -> f64;
}

/// How the learning rate moves over a run, as a factor of the configured rate.
///
/// ```
/// use mmdlrm_train::{Decay, LearningRate, Schedule};
///
/// let schedule = Schedule { warmup_steps: 10, decay: Decay::Cosine };
/// assert_eq!(schedule.factor(4, 110), 0.5);
/// assert_eq!(schedule.factor(10, 110), 1.0);
/// assert!(schedule.factor(109, 110) < 0.001);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// Steps over which the rate rises from 0, evenly.
    pub warmup_steps: u64,
    /// What it does after that.
    pub decay: Decay,
}

/// How the learning rate falls after its warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Not at all.
    Constant,
    /// Evenly to 0 at the last step.
    Linear,
    /// Along half a cosine to 0 at the last step.
    Cosine,
}

impl Default for Schedule {
    /// No warm-up, cosine.
    fn default() -> Self {
        Self {
            warmup_steps: 0,
            decay: Decay::Cosine,
        }
    }
}

impl LearningRate for Schedule {
    fn factor(&self, step: u64, total: u64) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / self.warmup_steps as f64;
        }
        let after = (step - self.warmup_steps) as f64;
        let progress = (after / total.saturating_sub(self.warmup_steps).max(1) as f64).min(1.0);
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - progress,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        }
    }
}
