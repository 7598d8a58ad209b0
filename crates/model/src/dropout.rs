//! Which outputs of a hidden layer a training step leaves out.

/// The seed that [`Gradients`](crate::Gradients) begin with, and the commands too.
///
/// Draws of this seed are those of the bare number of the step: dropout knew no seed
/// when the published figures were measured, with this one, and they stay as they are.
pub(crate) const DEFAULT_SEED: u64 = 42;

/// Dropout of one step. Whether a number is dropped depends on the seed, the step,
/// the layer, the sample and the number's place alone, not on threads or pieces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    /// What is left is multiplied by this.
    pub scale: f32,
    /// Drawn numbers below this are dropped.
    threshold: u32,
    /// Of the seed and the step.
    key: u64,
    /// Number in the batch of the first row at hand.
    first_sample: usize,
}

impl Dropout {
    /// Of a `share` of all numbers; `None` where it is 0.
    pub fn new(share: f32, seed: u64, step: u64) -> Option<Self> {
        (share > 0.0).then(|| Self {
            scale: 1.0 / (1.0 - share),
            threshold: (f64::from(share) * 2f64.powi(32)) as u32,
            key: step ^ mix(seed) ^ mix(DEFAULT_SEED),
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
            let key = mix(mix(mix(self.key) ^ layer as u64) ^ sample);
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
        let dropout = Dropout::new(0.25, 42, 7).unwrap();
        let mut values = vec![1.0f32; 40_000];
        dropout.apply(&mut values, 100, 3);
        let dropped = values.iter().filter(|&&x| x == 0.0).count() as f32 / 40_000.0;
        assert!((dropped - 0.25).abs() < 0.01, "{dropped}");
        let mean = values.iter().sum::<f32>() / 40_000.0;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert!(Dropout::new(0.0, 42, 7).is_none());
    }

    #[test]
    fn what_is_dropped_depends_on_seed_step_layer_and_sample() {
        let drop = |seed, step, sample, layer| {
            let mut values = vec![1.0f32; 64];
            let dropout = Dropout::new(0.5, seed, step).unwrap().from(sample);
            dropout.apply(&mut values, 64, layer);
            values
        };
        let first = drop(0, 1, 2, 3);
        assert_eq!(drop(0, 1, 2, 3), first);
        let others = [
            drop(9, 1, 2, 3),
            drop(0, 2, 2, 3),
            drop(0, 1, 3, 3),
            drop(0, 1, 2, 4),
        ];
        for other in others {
            assert_ne!(other, first);
        }
    }

    #[test]
    fn the_default_seed_drops_what_published_figures_were_measured_with() {
        let mut values = vec![1.0f32; 16];
        let dropout = Dropout::new(0.5, DEFAULT_SEED, 7).unwrap().from(5);
        dropout.apply(&mut values, 16, 3);
        let key = mix(mix(mix(7) ^ 3) ^ 5);
        let of_step = |place| match mix(key + place) as u32 >> 31 {
            0 => 0.0,
            _ => 2.0,
        };
        assert_eq!(values, (0..16).map(of_step).collect::<Vec<f32>>());
    }
}
