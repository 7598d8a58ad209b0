use crate::{Error, Objective, Output, OutputActivation, Result};

/// Softmax over lists: the relevant samples of a list are to have the largest `z` of it
/// (ListNet's top-one loss: Cao et al., 2007).
///
/// A batch is lists of `length` samples, one after another: those that compete for the attention
/// of one user. With the relevance `t ≥ 0` of each sample, its target,
///
/// ```text
/// loss(list) = −Σ_j q_j · ln softmax(z)_j      q_j = t_j / (Σ_list t)^power
/// ```
///
/// and that of a batch is the mean over its lists. With `power` 1 each list counts the same,
/// with 0 each unit of relevance. A list without a relevant sample counts as 0.
///
/// ```
/// use mmdlrm_model::{ListSoftmax, Objective, Output};
///
/// let loss = ListSoftmax::new(3, 1.0)?;
/// let (z, relevance) = ([0.0, 0.0, 0.0], [5.0, 0.0, 0.0]);
/// let mut slopes = [0.0; 3];
/// // The share of a sample in a batch of one list.
/// let sum = loss.of_samples(&z, &relevance, &Output::default(), 1.0 / 3.0, &mut slopes);
/// assert!((sum / 3.0 - 3f64.ln()).abs() < 1e-6);
/// assert!((slopes[0] - (1.0 / 3.0 - 1.0)).abs() < 1e-6);
/// # Ok::<(), mmdlrm_model::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListSoftmax {
    pub(crate) length: usize,
    pub(crate) power: f32,
}

impl ListSoftmax {
    /// Of lists of `length` samples.
    ///
    /// # Errors
    /// A length that does not divide 96, or a power that is not from 0 to 1.
    pub fn new(length: usize, power: f32) -> Result<Self> {
        let refused = |setting: &str, value: String, rule: &str| {
            Err(Error::Setting {
                setting: setting.to_owned(),
                value,
                rule: rule.to_owned(),
            })
        };
        if length == 0 || !crate::forward::PIECE.is_multiple_of(length) {
            return refused("length of a list", length.to_string(), "it must divide 96");
        }
        if !(0.0..=1.0).contains(&power) {
            let power = power.to_string();
            return refused(
                "power of a list's relevance",
                power,
                "it must be from 0 to 1",
            );
        }
        Ok(Self { length, power })
    }
}

impl Objective for ListSoftmax {
    fn check(&self, output: &Output, targets: &[f32]) -> Result<()> {
        if output.activation != OutputActivation::Identity {
            return Err(Error::Setting {
                setting: "activation of the output".to_owned(),
                value: format!("{:?}", output.activation),
                rule: "a softmax over lists is of the last numbers as they are; leave it out"
                    .to_owned(),
            });
        }
        if !targets.len().is_multiple_of(self.length) {
            return Err(Error::Setting {
                setting: "samples of a batch of lists".to_owned(),
                value: targets.len().to_string(),
                rule: format!("lists have {} each; give whole ones", self.length),
            });
        }
        match targets.iter().position(|&target| target < 0.0) {
            None => Ok(()),
            Some(sample) => Err(Error::Setting {
                setting: format!("relevance of sample {sample}"),
                value: targets[sample].to_string(),
                rule: "it must be 0 or more".to_owned(),
            }),
        }
    }

    fn samples_together(&self) -> usize {
        self.length
    }

    fn of_samples(
        &self,
        z: &[f32],
        targets: &[f32],
        _output: &Output,
        share: f32,
        slopes: &mut [f32],
    ) -> f64 {
        let lists = z.chunks_exact(self.length);
        let lists = lists.zip(targets.chunks_exact(self.length));
        let of_lists = lists.zip(slopes.chunks_exact_mut(self.length));
        of_lists
            .map(|((z, relevance), slopes)| self.of_list(z, relevance, share, slopes))
            .sum()
    }
}

impl ListSoftmax {
    /// The loss of a list, as often as it has samples.
    fn of_list(&self, z: &[f32], relevance: &[f32], share: f32, slopes: &mut [f32]) -> f64 {
        let total: f32 = relevance.iter().sum();
        if total <= 0.0 {
            slopes.fill(0.0);
            return 0.0;
        }
        let highest = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (slope, z) in slopes.iter_mut().zip(z) {
            *slope = (z - highest).exp();
        }
        let sum: f32 = slopes.iter().sum();
        let log_sum = highest + sum.ln();
        let scale = total.powf(-self.power);
        let of_list = self.length as f32 * share * scale;
        let mut loss = 0.0;
        for ((slope, &z), &relevance) in slopes.iter_mut().zip(z).zip(relevance) {
            loss += f64::from(relevance * (log_sum - z));
            *slope = of_list * (total * *slope / sum - relevance);
        }
        loss * f64::from(scale) * self.length as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: fn() -> Output = Output::default;

    #[test]
    fn slopes_are_those_of_the_loss() {
        let loss = ListSoftmax::new(4, 0.3).unwrap();
        let relevance = [0.0, 3.5, 0.0, 5.0, 0.0, 0.0, 1.0, 0.0];
        let z = [0.3f32, -1.2, 2.0, 0.1, -0.4, 0.0, 0.9, 1.1];
        let sum = |z: &[f32]| {
            let mut slopes = [0.0; 8];
            let sum = loss.of_samples(z, &relevance, &OUTPUT(), 0.125, &mut slopes);
            (sum / 8.0, slopes)
        };
        let (_, slopes) = sum(&z);
        for place in 0..z.len() {
            let moved = |by: f32| {
                let mut z = z;
                z[place] += by;
                sum(&z).0
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((slope - f64::from(slopes[place])).abs() < 1e-4, "{place}");
        }
    }

    #[test]
    fn a_list_without_relevance_moves_nothing_and_large_numbers_do_not_overflow() {
        let loss = ListSoftmax::new(2, 1.0).unwrap();
        let mut slopes = [9.0; 4];
        let (z, relevance) = ([500.0, -500.0, 300.0, 300.0], [0.0, 1.0, 0.0, 0.0]);
        let sum = loss.of_samples(&z, &relevance, &OUTPUT(), 0.25, &mut slopes);
        assert_eq!(sum / 4.0, 500.0);
        assert_eq!(slopes, [0.5, -0.5, 0.0, 0.0]);
    }

    #[test]
    fn lists_that_do_not_fit_a_piece_are_refused() {
        for length in [0, 5, 97, 192] {
            assert!(ListSoftmax::new(length, 1.0).is_err(), "{length}");
        }
        assert!(ListSoftmax::new(96, 1.5).is_err());
        let loss = ListSoftmax::new(2, 1.0).unwrap();
        let error = loss.check(&OUTPUT(), &[1.0, -1.0]).unwrap_err().to_string();
        assert!(error.contains("-1"), "{error}");
    }
}
