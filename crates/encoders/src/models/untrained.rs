//! Weights from a seed, for a model that nobody trained.

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::Init;
use candle_nn::var_builder::SimpleBackend;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Deviation of position embeddings: small, so that what a token or patch is
/// counts for more than where it is.
const POSITION_DEVIATION: f32 = 0.1;

/// Draws each tensor from the seed and the tensor's name, so that the order of
/// asking does not matter: norms at identity, biases zero, matrices normal
/// with variance one over their inputs.
pub(crate) struct SeededWeights {
    pub seed: u64,
}

impl SimpleBackend for SeededWeights {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let last = name.rsplit('.').next().unwrap_or(name);
        if name.contains("norm") || name.contains("layrnorm") {
            let value = if last == "weight" { 1.0 } else { 0.0 };
            return Tensor::full(value, shape, device)?.to_dtype(dtype);
        }
        if last == "bias" {
            return Tensor::zeros(shape, dtype, device);
        }
        let deviation = if name.contains("position_embedding") {
            POSITION_DEVIATION
        } else if name.contains("token_embedding") || name.contains("class_embedding") {
            1.0
        } else {
            let inputs: usize = shape.dims()[1..].iter().product();
            (1.0 / inputs.max(1) as f32).sqrt()
        };
        let mut random = ChaCha8Rng::seed_from_u64(xxh3_64_with_seed(name.as_bytes(), self.seed));
        let values: Vec<f32> = (0..shape.elem_count())
            .map(|_| {
                let unit: f32 = StandardNormal.sample(&mut random);
                deviation * unit
            })
            .collect();
        Tensor::from_vec(values, shape, device)?.to_dtype(dtype)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("'{name}' has no shape to draw")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}
