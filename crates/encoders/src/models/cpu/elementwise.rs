//! What lies between the matrix products: activations, norms, softmax.
//!
//! Plain loops without branches, which the compiler turns into vector
//! instructions where they are inlined into dispatched code.

use mmdlrm_kernels::{exp, vectorize};
use serde::Deserialize;

/// Partial sums kept side by side: as many as fill the widest registers.
const LANES: usize = 16;

/// An activation of a hidden layer, by its names in configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Activation {
    /// `x · sigmoid(1.702 x)`.
    QuickGelu,
    /// `x · Φ(x)`.
    Gelu,
    /// `x · ½ (1 + tanh(√(2/π) (x + 0.044715 x³)))`, which is nearly that.
    #[serde(rename = "gelu_pytorch_tanh", alias = "gelu_new", alias = "gelu_fast")]
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `g · sigmoid(g) · x` of rows that are `g`, then `x`: half as wide as they are.
    #[serde(skip)]
    SwiGlu,
}

impl Activation {
    #[inline(always)]
    pub fn apply(self, values: &mut [f32]) {
        match self {
            Self::QuickGelu => values.iter_mut().for_each(|x| *x /= 1.0 + exp(-1.702 * *x)),
            Self::Gelu => values
                .iter_mut()
                .for_each(|x| *x *= 0.5 + 0.5 * erf(*x * std::f32::consts::FRAC_1_SQRT_2)),
            // ½ (1 + tanh(y)) is the sigmoid of 2y.
            Self::GeluTanh => values.iter_mut().for_each(|x| {
                let cubic = *x + 0.044_715 * *x * *x * *x;
                *x /= 1.0 + exp(-2.0 * SQRT_2_OVER_PI * cubic);
            }),
            Self::Relu => values
                .iter_mut()
                .for_each(|x| *x = if *x > 0.0 { *x } else { 0.0 }),
            // Of whole rows: `swiglu`.
            Self::SwiGlu => {}
        }
    }
}

/// `√(2/π)`.
const SQRT_2_OVER_PI: f32 = 0.797_884_6;

/// [`Activation::SwiGlu`] of rows, `[rows, 2 · width]`, which leaves `[rows, width]`.
pub(super) fn swiglu(rows: &mut Vec<f32>, width: usize) {
    let count = rows.len() / (2 * width);
    vectorize(
        #[inline(always)]
        || {
            for row in 0..count {
                // A row ends up where it began, or before.
                for at in 0..width {
                    let (gate, x) = (rows[2 * row * width + at], rows[(2 * row + 1) * width + at]);
                    rows[row * width + at] = gate / (1.0 + exp(-gate)) * x;
                }
            }
        },
    );
    rows.truncate(count * width);
}

/// The error function within 1.5e-7 (Abramowitz and Stegun, 7.1.26).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let mut poly = 1.061_405_4;
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_72, 0.254_829_6] {
        poly = poly * t + coefficient;
    }
    (1.0 - poly * t * exp(-x * x)).copysign(x)
}

/// `(x − mean) / √(variance + ε) · weight + bias`, row by row (Ba et al., 2016).
#[inline(always)]
fn layer_norm_row(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    let count = x.len() as f32;
    let mean = sum(x, |x| x) / count;
    let variance = sum(x, |x| (x - mean) * (x - mean)) / count;
    let scale = 1.0 / (variance + epsilon).sqrt();
    for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
        *out = (x - mean) * scale * weight + bias;
    }
}

/// Layer norm of rows as wide as `weight`.
pub(crate) fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = weight.len();
    vectorize(
        #[inline(always)]
        || {
            for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                layer_norm_row(x, weight, bias, epsilon, out);
            }
        },
    );
}

/// `softmax(scale · scores)` of each row's first `seen(row)` scores, zeros
/// after them.
pub(crate) fn softmax(scores: &mut [f32], width: usize, scale: f32, seen: impl Fn(usize) -> usize) {
    vectorize(
        #[inline(always)]
        || {
            for (row, scores) in scores.chunks_exact_mut(width).enumerate() {
                let (scores, unseen) = scores.split_at_mut(seen(row));
                let most = max(scores);
                for score in &mut *scores {
                    *score = exp(scale * (*score - most));
                }
                let total = 1.0 / sum(scores, |x| x);
                scores.iter_mut().for_each(|score| *score *= total);
                unseen.fill(0.0);
            }
        },
    );
}

#[inline(always)]
fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|&x| term(x)).sum();
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += term(x);
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[inline(always)]
fn max(values: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| if a > b { a } else { b };
    let mut most = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied();
    let rest = rest.fold(f32::NEG_INFINITY, greater);
    for chunk in chunks {
        for (most, &x) in most.iter_mut().zip(chunk) {
            *most = greater(*most, x);
        }
    }
    most.iter().copied().fold(rest, greater)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: f32, to: f32) -> impl Iterator<Item = f32> {
        (0..=10_000).map(move |i| from + (to - from) * i as f32 / 10_000.0)
    }

    #[test]
    fn erf_is_that_of_the_library() {
        for x in range(-6.0, 6.0) {
            let (found, expected) = (f64::from(erf(x)), libm::erf(f64::from(x)));
            assert!((found - expected).abs() < 4e-7, "{x}: {found} {expected}");
        }
    }

    #[test]
    fn activations_match_their_definitions() {
        let close = |activation: Activation, expected: &dyn Fn(f64) -> f64| {
            for x in range(-30.0, 30.0) {
                let mut found = [x];
                activation.apply(&mut found);
                let expected = expected(f64::from(x));
                assert!(
                    (f64::from(found[0]) - expected).abs() < 2e-6,
                    "{x}: {found:?}"
                );
            }
        };
        close(Activation::QuickGelu, &|x| x / (1.0 + (-1.702 * x).exp()));
        let cubic = |x: f64| (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
        close(Activation::GeluTanh, &|x| 0.5 * x * (1.0 + cubic(x).tanh()));
        close(Activation::Gelu, &|x| {
            0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))
        });
    }

    #[test]
    fn a_gate_opens_as_far_as_its_sigmoid_and_halves_rows() {
        let (gates, values) = ([-1.0f32, 0.5, 2.0], [3.0f32, -4.0, 5.0]);
        let mut rows = [gates, values, values, gates].concat();
        swiglu(&mut rows, 3);
        let silu = |x: f32| x / (1.0 + (-x).exp());
        let expected = |gates: [f32; 3], values: [f32; 3]| {
            std::array::from_fn::<f32, 3, _>(|at| silu(gates[at]) * values[at])
        };
        let expected = [expected(gates, values), expected(values, gates)].concat();
        assert_eq!(rows.len(), expected.len());
        for (found, expected) in rows.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn softmax_adds_up_to_one_over_what_is_seen() {
        let width = 37;
        let mut scores: Vec<f32> = (0..width * width).map(|i| (i * 31 % 17) as f32).collect();
        let before = scores.clone();
        softmax(&mut scores, width, 0.5, |row| row + 1);
        for (row, (found, before)) in scores.chunks(width).zip(before.chunks(width)).enumerate() {
            let exps = before[..=row].iter().map(|&x| (0.5 * f64::from(x)).exp());
            let total: f64 = exps.clone().sum();
            for (found, expected) in found.iter().zip(exps) {
                assert!((f64::from(*found) - expected / total).abs() < 1e-6);
            }
            assert!(found[row + 1..].iter().all(|&x| x == 0.0));
        }
    }

    #[test]
    fn a_norm_takes_out_mean_and_deviation_and_survives_constant_rows() {
        let width = 35;
        let varied: Vec<f32> = (0..width).map(|i| 1000.0 + (i % 7) as f32).collect();
        let x = [varied, vec![1e4; width]].concat();
        let (weight, bias) = (vec![2.0; width], vec![3.0; width]);
        let mut out = vec![0.0; x.len()];
        layer_norm(&x, &weight, &bias, 1e-5, &mut out);
        let mean = out[..width].iter().sum::<f32>() / width as f32;
        let spread = out[..width].iter().map(|x| (x - mean).powi(2)).sum::<f32>() / width as f32;
        assert!((mean - 3.0).abs() < 1e-3 && (spread - 4.0).abs() < 1e-2);
        assert_eq!(out[width..], bias);
    }
}
