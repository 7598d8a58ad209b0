//! Which outputs of a hidden layer a training step leaves out.

/// Dropout of one step. Whether a number is dropped depends on the step, the
/// layer, the sample and the number's place alone, not on threads or pieces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    /// What is left is multiplied by this.
    pub scale: f32,
    /// Drawn numbers below this are dropped.
    threshold: u32,
    step: u64,
    /// Number in the batch of the first row at hand.
    first_sample: usize,
}

impl Dropout {
    /// Of a `share` of all numbers; `None` where it is 0.
    pub fn new(share: f32, step: u64) -> Option<Self> {
        (share > 0.0).then(|| Self {
            scale: 1.0 / (1.0 - share),
            threshold: (f64::from(share) * 2f64.powi(32)) as u32,
            step,
            first_sample: 0,
        })
    }

    /// For rows of which the first is the batch's sample `sample`.
    pub fn from(self, sample: usize) -> Self {
        Self {
            first_sample: sample,
            ..self
        }
    }

    /// Sets what is dropped of `[rows, width]` to 0 and scales the rest.
    /// `layer` is any number that the layer alone has.
    pub fn apply(self, values: &mut [f32], width: usize, layer: usize) {
        for (row, values) in values.chunks_exact_mut(width).enumerate() {
            let sample = (self.first_sample + row) as u64;
            let key = mix(mix(mix(self.step) ^ layer as u64) ^ sample);
            for (place, x) in values.iter_mut().enumerate() {
                let drawn = mix(key.wrapping_add(place as u64)) as u32;
                *x = if drawn < self.threshold {
                    0.0
                } else {
                    *x * self.scale
                };
            }
        }
    }
}

/// The finaliser of SplitMix64 (Steele et al., 2014) behind its increment.
#[inline(always)]
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_dropped_and_the_mean_stays() {
        let dropout = Dropout::new(0.25, 7).unwrap();
        let mut values = vec![1.0f32; 40_000];
        dropout.apply(&mut values, 100, 3);
        let dropped = values.iter().filter(|&&x| x == 0.0).count() as f32 / 40_000.0;
        assert!((dropped - 0.25).abs() < 0.01, "{dropped}");
        let mean = values.iter().sum::<f32>() / 40_000.0;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert!(Dropout::new(0.0, 7).is_none());
    }

    #[test]
    fn what_is_dropped_depends_on_step_layer_and_sample() {
        let drop = |step, sample, layer| {
            let mut values = vec![1.0f32; 64];
            let dropout = Dropout::new(0.5, step).unwrap().from(sample);
            dropout.apply(&mut values, 64, layer);
            values
        };
        assert_eq!(drop(1, 2, 3), drop(1, 2, 3));
        for other in [drop(2, 2, 3), drop(1, 3, 3), drop(1, 2, 4)] {
            assert_ne!(drop(1, 2, 3), other);
        }
    }
}
