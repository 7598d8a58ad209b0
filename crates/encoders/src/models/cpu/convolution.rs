use candle_core::{Result, Tensor};

use super::dense::Dense;
use super::elementwise::Activation;

/// Places of a feature map whose patches lie side by side at a time, so that
/// they stay in the second-level cache.
const PLACES_AT_A_TIME: usize = 192;

/// What a convolution sees and gives, `[height, width, channels]`.
pub(crate) struct FeatureMap {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub data: Vec<f32>,
}

impl FeatureMap {
    /// The largest of each 3 × 3 neighbours, every other place: PyTorch's
    /// `MaxPool2d(3, 2, 1)`.
    pub fn max_pool(&self) -> Self {
        let (height, width) = (self.height.div_ceil(2), self.width.div_ceil(2));
        let mut data = vec![f32::NEG_INFINITY; height * width * self.channels];
        for (place, out) in data.chunks_exact_mut(self.channels).enumerate() {
            let (y, x) = (place / width, place % width);
            for row in (2 * y).saturating_sub(1)..(2 * y + 2).min(self.height) {
                for column in (2 * x).saturating_sub(1)..(2 * x + 2).min(self.width) {
                    let seen = &self.data[(row * self.width + column) * self.channels..];
                    for (out, &x) in out.iter_mut().zip(seen) {
                        *out = if x > *out { x } else { *out };
                    }
                }
            }
        }
        Self {
            height,
            width,
            channels: self.channels,
            data,
        }
    }

    /// The mean of each channel.
    pub fn mean(&self) -> Vec<f32> {
        let mut sums = vec![0.0; self.channels];
        for place in self.data.chunks_exact(self.channels) {
            sums.iter_mut().zip(place).for_each(|(sum, x)| *sum += x);
        }
        let places = (self.height * self.width) as f32;
        sums.iter_mut().for_each(|sum| *sum /= places);
        sums
    }
}

/// A convolution with a bias, padded so that a stride of one keeps the size:
/// each place's patch, `[side, side, inputs]`, goes through a linear layer.
pub(crate) struct Convolution {
    dense: Dense,
    inputs: usize,
    side: usize,
    stride: usize,
}

impl Convolution {
    /// `kernel` is `[outputs, inputs, side, side]`, `bias` `[outputs]`.
    pub fn new(kernel: &Tensor, bias: &Tensor, stride: usize) -> Result<Self> {
        let (outputs, inputs, side, _) = kernel.dims4()?;
        let patches = kernel.permute((0, 2, 3, 1))?.contiguous()?;
        let weight = patches.reshape((outputs, side * side * inputs))?;
        Ok(Self {
            dense: Dense::new(&weight, Some(bias))?,
            inputs,
            side,
            stride,
        })
    }

    /// The convolution of `x`, added to `onto` where there is one, and
    /// `activation` of that.
    pub fn apply(
        &self,
        x: &FeatureMap,
        onto: Option<FeatureMap>,
        activation: Option<Activation>,
    ) -> FeatureMap {
        let (height, width) = (
            x.height.div_ceil(self.stride),
            x.width.div_ceil(self.stride),
        );
        let add = onto.is_some();
        let mut out = onto.unwrap_or_else(|| FeatureMap {
            height,
            width,
            channels: self.dense.outputs(),
            data: vec![0.0; height * width * self.dense.outputs()],
        });
        let (mut patches, mut scratch) = (Vec::new(), Vec::new());
        let places = PLACES_AT_A_TIME * self.dense.outputs();
        for (number, out) in out.data.chunks_mut(places).enumerate() {
            let first = number * PLACES_AT_A_TIME;
            let count = out.len() / self.dense.outputs();
            let rows = match (self.side, self.stride) {
                (1, 1) => &x.data[first * self.inputs..(first + count) * self.inputs],
                _ => {
                    patches.clear();
                    (first..first + count).for_each(|place| {
                        self.patch(x, place / width, place % width, &mut patches)
                    });
                    &patches
                }
            };
            self.dense.run(rows, out, activation, add, &mut scratch);
        }
        out
    }

    /// Appends the patch of an output's place.
    fn patch(&self, x: &FeatureMap, row: usize, column: usize, out: &mut Vec<f32>) {
        let reach = self.side / 2;
        for row in row * self.stride..row * self.stride + self.side {
            for column in column * self.stride..column * self.stride + self.side {
                // Shifted by the padding, so that no number is negative.
                let inside = (reach..x.height + reach).contains(&row)
                    && (reach..x.width + reach).contains(&column);
                if inside {
                    let place = (row - reach) * x.width + column - reach;
                    out.extend_from_slice(&x.data[place * self.inputs..][..self.inputs]);
                } else {
                    out.extend(std::iter::repeat_n(0.0, self.inputs));
                }
            }
        }
    }
}
