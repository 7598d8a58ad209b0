use candle_core::Tensor;

use crate::{Loss, Output, OutputActivation, Result};

impl Loss {
    /// The mean loss of the last numbers `z`, `[batch]`.
    pub(super) fn on_device(self, z: &Tensor, targets: &[f32], output: &Output) -> Result<Tensor> {
        let device = z.device();
        if self == Self::Bpr {
            let signs: Vec<f32> = targets
                .chunks_exact(2)
                .map(|pair| match pair[0].total_cmp(&pair[1]) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Less => -1.0,
                    std::cmp::Ordering::Equal => 0.0,
                })
                .collect();
            let pairs = signs.len();
            let signs = Tensor::new(signs, device)?;
            let z = z.reshape((pairs, 2))?;
            let difference = (z.narrow(1, 0, 1)? - z.narrow(1, 1, 1)?)?.squeeze(1)?;
            let losses = softplus(&(difference * &signs)?.neg()?)?;
            return Ok(((losses * signs.abs()?)?.sum_all()? / pairs as f64)?);
        }
        if let Self::Lists { length, power } = self {
            return of_lists(z, targets, length, power);
        }
        let normalized = targets.iter().map(|y| (y - output.offset) / output.scale);
        let targets = Tensor::new(normalized.collect::<Vec<f32>>(), device)?;
        // −t·ln σ(z) − (1 − t)·ln(1 − σ(z)), without overflow.
        let cross_entropy = || softplus(z)? - (z * &targets)?;
        let losses = match self {
            Self::Mse | Self::Bpr | Self::Lists { .. } => {
                let p = match output.activation {
                    OutputActivation::Identity => z.clone(),
                    OutputActivation::Sigmoid => (z.neg()?.exp()? + 1.0)?.recip()?,
                };
                (p - targets)?.sqr()?
            }
            Self::Bce => cross_entropy()?,
            Self::WeightedBce { negative, positive } => {
                let (negative, positive) = (f64::from(negative), f64::from(positive));
                let weights = targets.affine(positive - negative, negative)?;
                (cross_entropy()? * weights)?
            }
        };
        Ok(losses.mean_all()?)
    }
}

/// As [`ListSoftmax`](crate::ListSoftmax).
fn of_lists(z: &Tensor, relevance: &[f32], length: usize, power: f32) -> Result<Tensor> {
    let lists = relevance.chunks_exact(length);
    let count = lists.len();
    let weights = lists.flat_map(|list| {
        let total = list.iter().sum::<f32>();
        let scale = if total > 0.0 { total.powf(-power) } else { 0.0 };
        list.iter().map(move |relevance| relevance * scale)
    });
    let weights = Tensor::from_iter(weights.collect::<Vec<f32>>(), z.device())?;
    let (weights, z) = (
        weights.reshape((count, length))?,
        z.reshape((count, length))?,
    );
    let z = z.broadcast_sub(&z.max_keepdim(1)?.detach())?;
    let log_sums = z.exp()?.sum_keepdim(1)?.log()?;
    let losses = (weights * log_sums.broadcast_sub(&z)?)?;
    Ok((losses.sum_all()? / count as f64)?)
}

/// `ln(1 + eˣ)`.
fn softplus(x: &Tensor) -> candle_core::Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}
