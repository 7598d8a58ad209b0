//! Features of a user's sittings: the ratings near in time and in rank.

use std::sync::LazyLock;

use mmdlrm_data::{Rated, RatedBag};

use super::around::{Around, KernelMean, REACH, falling};

/// Seconds in which the nearest of the kernels of time falls to 1/e.
const SHORTEST: f32 = 20.0;
/// Each of the kernels of time is as many times wider than the one before.
const WIDER: i32 = 8;
const TIME_KERNELS: usize = 5;
/// Ratings in which each kernel of rank falls to 1/e.
const RANKS: [f32; 3] = [1.0, 3.0, 10.0];
/// Kernels of a user's ratings by time, the narrowest first, and then by rank.
const SITTING_KERNELS: usize = TIME_KERNELS + RANKS.len();
/// A rating's weight under each kernel.
pub(crate) type Weights = [f32; SITTING_KERNELS];
/// Weights of the kernels of rank, by how many ratings stand between.
static RANK_WEIGHTS: LazyLock<[[f32; RANKS.len()]; REACH]> =
    LazyLock::new(|| std::array::from_fn(|rank| RANKS.map(|width| falling(rank as f32 / width))));
/// Seconds that a sitting lasts.
const SITTING: f32 = 1800.0;

/// The user's other ratings before and after. `weights` is scratch.
pub(crate) fn of_sittings(
    history: RatedBag,
    around: &Around,
    rated: &Rated,
    residuals: &[f32],
    weights: &mut Vec<Weights>,
    out: &mut Vec<f32>,
) {
    let (mut nearest, mut sitting) = (f32::MAX, 0f32);
    let widest = SHORTEST * (WIDER.pow(TIME_KERNELS as u32 - 1)) as f32;
    let rank_weights = &*RANK_WEIGHTS;
    weights.clear();
    around.for_each(|at, rank| {
        let apart = rated.timestamp.abs_diff(history.timestamps[at]) as f32;
        nearest = nearest.min(apart);
        sitting += if apart < SITTING { 1.0 } else { 0.0 };
        let mut weights_here = [0f32; SITTING_KERNELS];
        weights_here[TIME_KERNELS - 1] = falling(apart / widest);
        weights_here[TIME_KERNELS..].copy_from_slice(&rank_weights[rank]);
        weights.push(weights_here);
    });
    // A kernel after another: the powers of one rating wait for each other.
    for kernel in (1..TIME_KERNELS).rev() {
        for weights in &mut *weights {
            // Eight times narrower.
            weights[kernel - 1] = weights[kernel].powi(WIDER);
        }
    }
    let (mut masses, mut sums) = ([0f32; SITTING_KERNELS], [0f32; SITTING_KERNELS]);
    for (weights, residual) in weights.iter().zip(residuals) {
        for kernel in 0..SITTING_KERNELS {
            masses[kernel] += weights[kernel];
            sums[kernel] += weights[kernel] * residual;
        }
    }
    for (number, (mass, sum)) in masses.into_iter().zip(sums).enumerate() {
        // Ratings of the average.
        let shrinkage = if number < TIME_KERNELS { 1.0 } else { 0.5 };
        KernelMean { mass, sum }.write(shrinkage, out);
    }
    out.extend([nearest.min(1e9).ln_1p(), sitting.ln_1p()]);
}
