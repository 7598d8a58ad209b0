//! Pictures cut into patches, as vision transformers take them.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use crate::models::layers::Linear;

/// `x · Wᵀ + b` of each patch's numbers: the convolution of vision transformers as a matrix,
/// since its stride is its size.
pub(crate) struct Patches {
    /// `[width, 3 · size · size]`.
    projection: Linear,
    size: usize,
}

impl Patches {
    /// Reads `weight`, `[width, 3, size, size]`, and `bias` where there is one.
    pub fn read(width: usize, size: usize, has_bias: bool, weights: &VarBuilder) -> Result<Self> {
        let weight = weights.get((width, 3, size, size), "weight")?;
        let bias = has_bias.then(|| weights.get(width, "bias")).transpose()?;
        let weight = weight.reshape((width, 3 * size * size))?;
        Ok(Self {
            projection: Linear::new(weight, bias, weights)?,
            size,
        })
    }

    /// `[batch, 3, side, side]` → `[batch, grid · grid, width]`, row by row; pixels right and
    /// below of the last whole patch are left out.
    pub fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let (batch, channels, side, _) = pixels.dims4()?;
        let (grid, size) = (side / self.size, self.size);
        let pixels = pixels
            .narrow(2, 0, grid * size)?
            .narrow(3, 0, grid * size)?;
        let patches = pixels
            .reshape((batch, channels, grid, size, grid, size))?
            .permute([0, 2, 4, 1, 3, 5])?
            .reshape((batch, grid * grid, channels * size * size))?;
        self.projection.forward(&patches)
    }
}
