//! Attention weights of scores, what dropout leaves of them, and the way back.

use mmdlrm_kernels::exp;

use super::lanes::{LANES, Lanes, greatest, total, wide};

/// Each of the rows of `n` scores, which are [`wide`] and -∞ behind, becomes its softmax; `kept`
/// gets what dropout leaves of it, rows of `n` next to each other.
#[inline(always)]
pub(super) fn softmax(
    scores: &mut [f32],
    n: usize,
    (dropout, key): (Dropout, u32),
    kept: &mut [f32],
    lanes: &mut [Lanes],
) {
    let wide = wide(n);
    for (row, most) in scores.chunks_exact(wide).zip(&mut *lanes) {
        let mut lanes = [f32::NEG_INFINITY; LANES];
        for chunk in row.as_chunks::<LANES>().0 {
            for (most, &x) in lanes.iter_mut().zip(chunk) {
                *most = if x > *most { x } else { *most };
            }
        }
        *most = lanes;
    }
    for (row, of_row) in scores.chunks_exact_mut(wide).zip(&mut *lanes) {
        let largest = greatest(of_row);
        let mut sums = [0.0; LANES];
        for chunk in row.as_chunks_mut::<LANES>().0 {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                // Of what is behind the row e^-87 at most.
                *x = exp(*x - largest);
                *sum += *x;
            }
        }
        *of_row = sums;
    }
    for (number, (row, sums)) in scores.chunks_exact_mut(wide).zip(&*lanes).enumerate() {
        let factor = total(sums).recip();
        for (place, chunk) in row.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            chunk.iter_mut().for_each(|x| *x *= factor);
            let first = place * LANES;
            let left = dropout.apply(chunk, key, (number * wide + first) as u32);
            if let Some(kept) = kept[number * n + first..].first_chunk_mut() {
                *kept = left;
            }
        }
    }
}

/// Of the gradients of `kept`, rows that are [`wide`] and 0 behind, those of the scores: with
/// weights `w` `w·(g − Σ w·g)` of each row, `w·g` being what is kept times its gradient. They are
/// written to `out`, rows of `n` next to each other.
#[inline(always)]
pub(super) fn softmax_back(
    gradients: &mut [f32],
    n: usize,
    (weights, kept): (&[f32], &[f32]),
    out: &mut [f32],
    lanes: &mut [Lanes],
) {
    let wide = wide(n);
    for (number, (row, sums)) in gradients
        .chunks_exact_mut(wide)
        .zip(&mut *lanes)
        .enumerate()
    {
        let mut lanes = [0.0; LANES];
        let kept = kept[number * n..][..wide].as_chunks::<LANES>().0;
        for (chunk, kept) in row.as_chunks_mut::<LANES>().0.iter_mut().zip(kept) {
            let products: Lanes = std::array::from_fn(|lane| chunk[lane] * kept[lane]);
            *chunk = products;
            for (sum, product) in lanes.iter_mut().zip(&products) {
                *sum += product;
            }
        }
        *sums = lanes;
    }
    let rows = gradients.chunks_exact(wide).zip(weights.chunks_exact(wide));
    for (number, ((row, weights), sums)) in rows.zip(&*lanes).enumerate() {
        let total = total(sums);
        let chunks = row.as_chunks::<LANES>().0.iter();
        let chunks = chunks.zip(weights.as_chunks::<LANES>().0);
        for (place, (chunk, weights)) in chunks.enumerate() {
            let scores: Lanes = std::array::from_fn(|lane| chunk[lane] - weights[lane] * total);
            if let Some(out) = out[number * n + place * LANES..].first_chunk_mut() {
                *out = scores;
            }
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

    /// What is left of some weights, the first of which stands in place `first`; `key` tells the
    /// draw from others.
    #[inline(always)]
    pub fn apply(self, weights: &Lanes, key: u32, first: u32) -> Lanes {
        std::array::from_fn(
            #[inline(always)]
            |lane| {
                let place = first + lane as u32;
                let drawn = mixed(key.wrapping_add(place.wrapping_mul(0x9e37_79b9)));
                let dropped = drawn < self.threshold;
                weights[lane] * if dropped { 0.0 } else { self.scale }
            },
        )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::light_gt::lanes::length;

    fn dropped(share: f64, key: u32) -> Vec<f32> {
        let firsts = (0..100_000).step_by(LANES);
        let dropout = Dropout::new(share);
        firsts
            .flat_map(|first| dropout.apply(&[1.0; LANES], key, first))
            .collect()
    }

    #[test]
    fn as_many_weights_are_dropped_as_should_be_and_others_by_another_key() {
        let (kept, others) = (dropped(0.1, 7), dropped(0.1, 8));
        let zeros = kept.iter().filter(|&&x| x == 0.0).count();
        assert!((9_700..10_300).contains(&zeros), "{zeros}");
        let mean = kept.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e5;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let both = kept.iter().zip(&others).filter(|(a, b)| **a + **b == 0.0);
        assert!((800..1200).contains(&both.count()));
        assert!(dropped(0.0, 7).iter().all(|&x| x == 1.0));
    }

    #[test]
    fn weights_and_their_gradients_are_those_of_the_definition_at_any_length() {
        for n in [1, 3, 16, 19, 51] {
            let wave = |at: usize, by: f32| 5.0 * (at as f32 * by).sin();
            let rows = |behind: f32, by: f32| -> Vec<f32> {
                let of_row = |row| (0..wide(n)).map(move |at| (row, at));
                let places = (0..2).flat_map(of_row);
                let number = |(row, at)| {
                    if at < n {
                        wave(row * n + at, by)
                    } else {
                        behind
                    }
                };
                places.map(number).collect()
            };
            let mut weights = rows(f32::NEG_INFINITY, 1.0);
            let mut kept = vec![0.0; length(2, n)];
            let lanes = &mut [[0.0; LANES]; 2];
            let drawn = (Dropout::NONE, 0);
            softmax(&mut weights, n, drawn, &mut kept, lanes);
            let mut found = vec![0.0; length(2, n)];
            let mut gradients = rows(0.0, 0.3);
            let of_weights = (&*weights, &*kept);
            softmax_back(&mut gradients, n, of_weights, &mut found, lanes);
            for row in 0..2 {
                let exps = (0..n).map(|at| f64::from(wave(row * n + at, 1.0)).exp());
                let sum: f64 = exps.clone().sum();
                let expected: Vec<f64> = exps.map(|x| x / sum).collect();
                let gradient = |at: usize| f64::from(wave(row * n + at, 0.3));
                let mean: f64 = (0..n).map(|at| expected[at] * gradient(at)).sum();
                for (at, weight) in expected.into_iter().enumerate() {
                    let near = |x: f32, y: f64| (f64::from(x) - y).abs() < 1e-5;
                    assert!(near(weights[row * wide(n) + at], weight));
                    assert!(near(kept[row * n + at], weight));
                    assert!(near(found[row * n + at], weight * (gradient(at) - mean)));
                }
            }
        }
    }
}
