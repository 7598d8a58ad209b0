//! What is done to the rows of a matrix beside products: softmax, dropout, the norm of a layer.
//! All of it is `#[inline(always)]`, for loops that are vectorized.

use mmdlrm_kernels::{dot, exp};

/// Numbers that are looked at together.
const LANES: usize = 16;
/// What keeps a row of equal numbers from a division by 0, `ε` of the norm.
const EPSILON: f32 = 1e-5;

/// Each row of `n` numbers becomes its softmax.
#[inline(always)]
pub(super) fn softmax(rows: &mut [f32], n: usize) {
    for row in rows.chunks_exact_mut(n) {
        let (chunks, rest) = row.as_chunks_mut::<LANES>();
        // What is behind the row adds e^-87 of the largest at most.
        let mut last = [f32::NEG_INFINITY; LANES];
        last[..rest.len()].copy_from_slice(rest);
        let mut most = last;
        for chunk in chunks.iter() {
            for (most, &x) in most.iter_mut().zip(chunk) {
                *most = if x > *most { x } else { *most };
            }
        }
        let largest = most.iter().fold(f32::NEG_INFINITY, |most, x| most.max(*x));
        let mut sums = [0.0; LANES];
        for chunk in chunks.iter_mut().chain(std::iter::once(&mut last)) {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *x = exp(*x - largest);
                *sum += *x;
            }
        }
        rest.copy_from_slice(&last[..rest.len()]);
        let factor = sums.iter().sum::<f32>().recip();
        row.iter_mut().for_each(|x| *x *= factor);
    }
}

/// Of `kept`, the gradients of weights, those of the scores that they are the softmax of:
/// `w·(g − Σ w·g)` of each row, `w·g` being `kept·gradient` of what dropout left.
#[inline(always)]
pub(super) fn softmax_back(gradients: &mut [f32], weights: &[f32], kept: &[f32], n: usize) {
    let rows = weights.chunks_exact(n).zip(kept.chunks_exact(n));
    for (row, (weights, kept)) in gradients.chunks_exact_mut(n).zip(rows) {
        let total = dot(row, kept);
        for ((x, weight), kept) in row.iter_mut().zip(weights).zip(kept) {
            *x = *x * kept - weight * total;
        }
    }
}

/// Which weights are dropped, by a hash of their places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropout {
    /// Of 2³², those that are dropped.
    threshold: u32,
    /// Of those that are not.
    scale: f32,
}

impl Dropout {
    /// None are.
    pub const NONE: Self = Self {
        threshold: 0,
        scale: 1.0,
    };

    /// Of a share from 0 to below 1.
    pub fn new(share: f64) -> Self {
        Self {
            threshold: (share * f64::from(u32::MAX)).round() as u32,
            scale: (1.0 / (1.0 - share)) as f32,
        }
    }

    /// What is left of `weights`; `key` tells the draw from others.
    #[inline(always)]
    pub fn apply(self, weights: &[f32], kept: &mut [f32], key: u32) {
        for (place, (kept, weight)) in (0u32..).zip(kept.iter_mut().zip(weights)) {
            let drawn = mixed(key.wrapping_add(place.wrapping_mul(0x9e37_79b9)));
            let factor = if drawn < self.threshold {
                0.0
            } else {
                self.scale
            };
            *kept = factor * weight;
        }
    }
}

/// A hash of 32 bits, each of whose bits depends on all of those of `x` (Wellons, 2018).
#[inline(always)]
fn mixed(mut x: u32) -> u32 {
    x = (x ^ x >> 16).wrapping_mul(0x7feb_352d);
    x = (x ^ x >> 15).wrapping_mul(0x846c_a68b);
    x ^ x >> 16
}

/// A key of a draw and what in it is meant (Steele et al., 2014).
pub(super) fn key(draw: u64, number: u64) -> u64 {
    let mut x = draw.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// The norm of a layer: `x̂ = (y − mean)/√(variance + ε)` of each row of `y`, `[rows, D]`, and
/// `1/√…`, `[rows]`; `out = scale·x̂ + shift`.
#[inline(always)]
pub(super) fn norm(
    y: &[f32],
    (scale, shift, ones): (&[f32], &[f32], &[f32]),
    (normal, factors): (&mut [f32], &mut [f32]),
    out: &mut [f32],
) {
    let dim = scale.len();
    let share = 1.0 / dim as f32;
    let rows = y.chunks_exact(dim).zip(normal.chunks_exact_mut(dim));
    let rows = rows.zip(factors).zip(out.chunks_exact_mut(dim));
    for (((y, normal), kept), out) in rows {
        let mean = dot(y, ones) * share;
        normal.iter_mut().zip(y).for_each(|(x, y)| *x = y - mean);
        let factor = (dot(normal, normal) * share + EPSILON).sqrt().recip();
        *kept = factor;
        for (((x, scale), shift), out) in normal.iter_mut().zip(scale).zip(shift).zip(out) {
            *x *= factor;
            *out = scale * *x + shift;
        }
    }
}

/// Gradients of `out` become those of `y`; those of `scale` and `shift` are added to theirs.
#[inline(always)]
pub(super) fn norm_back(
    gradients: &mut [f32],
    (normal, factors): (&[f32], &[f32]),
    (scale, ones): (&[f32], &[f32]),
    (of_scale, of_shift): (&mut [f32], &mut [f32]),
) {
    let dim = scale.len();
    let share = 1.0 / dim as f32;
    let rows = normal.chunks_exact(dim).zip(factors);
    for (row, (normal, factor)) in gradients.chunks_exact_mut(dim).zip(rows) {
        let sums = of_scale.iter_mut().zip(of_shift.iter_mut());
        let columns = row.iter_mut().zip(normal).zip(scale);
        for (((x, normal), scale), (of_scale, of_shift)) in columns.zip(sums) {
            *of_scale += *x * normal;
            *of_shift += *x;
            *x *= scale;
        }
        let mean = dot(row, ones) * share;
        let along = dot(row, normal) * share;
        let columns = row.iter_mut().zip(normal);
        columns.for_each(|(x, normal)| *x = factor * (*x - mean - normal * along));
    }
}

/// Adds the rows of a matrix, `[_, D]`, to a row.
#[inline(always)]
pub(super) fn add_sum(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len().max(1)) {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_weights_are_dropped_as_should_be_and_others_by_another_key() {
        let weights = vec![1.0; 100_000];
        let (mut kept, mut others) = (weights.clone(), weights.clone());
        let dropout = Dropout::new(0.1);
        dropout.apply(&weights, &mut kept, 7);
        dropout.apply(&weights, &mut others, 8);
        let dropped = |of: &[f32]| of.iter().filter(|&&x| x == 0.0).count();
        assert!(
            (9_700..10_300).contains(&dropped(&kept)),
            "{}",
            dropped(&kept)
        );
        let mean = kept.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e5;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let both = kept.iter().zip(&others).filter(|(a, b)| **a + **b == 0.0);
        assert!((800..1200).contains(&both.count()));
        Dropout::new(0.0).apply(&weights, &mut kept, 7);
        assert_eq!(kept, weights);
    }

    #[test]
    fn weights_are_those_of_the_definition_at_any_length() {
        for n in [1, 3, 16, 19, 51] {
            let scores: Vec<f32> = (0..2 * n).map(|at| 5.0 * (at as f32).sin()).collect();
            let mut weights = scores.clone();
            softmax(&mut weights, n);
            for (scores, weights) in scores.chunks(n).zip(weights.chunks(n)) {
                let total: f64 = scores.iter().map(|&x| f64::from(x).exp()).sum();
                for (&score, &weight) in scores.iter().zip(weights) {
                    let expected = f64::from(score).exp() / total;
                    assert!((f64::from(weight) - expected).abs() < 1e-6);
                }
            }
        }
    }
}
