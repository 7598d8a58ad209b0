//! A linear layer over many rows, and its gradients.
//!
//! For `x` of `[rows, inputs]`, `W` of `[outputs, inputs]` and `b` of `[outputs]`:
//!
//! ```text
//! y = x·Wᵀ + b        ∂L/∂W = gᵀ·x   ∂L/∂b = Σ_rows g   ∂L/∂x = g·W,     g = ∂L/∂y
//! ```

use mmdlrm_kernels::{Finish, Panels, add_scaled, add_transposed, copy_rows, store, vectorize};
use rayon::prelude::*;

use crate::parameters::{Matrix, Parameters};

/// Rows that a thread takes at a time.
const ROWS: usize = 256;

/// A layer's weight, `[outputs, inputs]`, and bias, `[1, outputs]`, among the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Linear {
    pub weight: Matrix,
    pub bias: Matrix,
}

impl Linear {
    /// Adds `NAME.weight` and `NAME.bias`.
    pub fn add(parameters: &mut Parameters, name: &str, inputs: usize, outputs: usize) -> Self {
        Self {
            weight: parameters.add(format!("{name}.weight"), outputs, inputs),
            bias: parameters.add(format!("{name}.bias"), 1, outputs),
        }
    }

    pub fn inputs(self) -> usize {
        self.weight.columns
    }

    pub fn outputs(self) -> usize {
        self.weight.rows
    }

    /// `x·Wᵀ + b`, `[rows, outputs]`.
    pub fn forward(self, values: &[f32], x: &[f32]) -> Vec<f32> {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let panels = Panels::of_transposed(self.weight.of(values), outputs, inputs);
        let bias = self.bias.of(values);
        let mut out = vec![0.0; x.len() / inputs * outputs];
        let pieces = x
            .par_chunks(ROWS * inputs)
            .zip(out.par_chunks_mut(ROWS * outputs));
        pieces.for_each_init(Vec::new, |scratch, (x, out)| {
            let finish = Finish::new(
                Some(bias),
                false,
                #[inline(always)]
                |_, _, _: &mut [f32]| {},
            );
            let rows = copy_rows(x, inputs);
            panels.multiply(rows, x.len() / inputs, (out, outputs), finish, scratch);
        });
        out
    }

    /// Adds the gradients of weight and bias, given that of the outputs, `[rows, outputs]`.
    pub fn add_gradients(self, upstream: &[f32], x: &[f32], gradients: &mut [f32]) {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let pieces = upstream
            .par_chunks(ROWS * outputs)
            .zip(x.par_chunks(ROWS * inputs));
        let sums = pieces.map(|(upstream, x)| {
            let (mut weight, mut bias) = (vec![0.0; inputs * outputs], vec![0.0; outputs]);
            let sizes = (outputs, inputs);
            add_transposed(
                &mut weight,
                upstream,
                copy_rows(x, inputs),
                sizes,
                &mut Vec::new(),
            );
            vectorize(
                #[inline(always)]
                || {
                    for row in upstream.chunks_exact(outputs) {
                        add_scaled(&mut bias, row, 1.0);
                    }
                },
            );
            (weight, bias)
        });
        // In the order of the rows, on any number of threads.
        for (weight, bias) in sums.collect::<Vec<_>>() {
            add_scaled(self.weight.of_mut(gradients), &weight, 1.0);
            add_scaled(self.bias.of_mut(gradients), &bias, 1.0);
        }
    }

    /// The gradient of the inputs, `[rows, inputs]`.
    pub fn input_gradient(self, values: &[f32], upstream: &[f32]) -> Vec<f32> {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let mut panels = Panels::default();
        panels.fill((self.weight.of(values), inputs), outputs, inputs);
        let mut out = vec![0.0; upstream.len() / outputs * inputs];
        let pieces = upstream
            .par_chunks(ROWS * outputs)
            .zip(out.par_chunks_mut(ROWS * inputs));
        pieces.for_each_init(Vec::new, |scratch, (upstream, out)| {
            let rows = copy_rows(upstream, outputs);
            let count = upstream.len() / outputs;
            panels.multiply(rows, count, (out, inputs), store(), scratch);
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut parameters = Parameters::default();
        let layer = Linear::add(&mut parameters, "layer", 3, 2);
        let wave = |count: usize| (0..count).map(|at| (at as f32).sin()).collect::<Vec<_>>();
        parameters.values = wave(parameters.count());
        // More rows than one thread takes at a time.
        let (x, upstream) = (wave(300 * 3), wave(300 * 2));
        let mut gradients = vec![0.0; parameters.values.len()];
        layer.add_gradients(&upstream, &x, &mut gradients);
        let of_input = layer.input_gradient(&parameters.values, &upstream);
        let loss = |values: &[f32], x: &[f32]| {
            let out = layer.forward(values, x);
            let terms = out.iter().zip(&upstream);
            terms
                .map(|(y, g)| f64::from(*y) * f64::from(*g))
                .sum::<f64>()
        };
        let (moved, step) = (
            |at: &[f32], place: usize, by: f32| {
                let mut at = at.to_vec();
                at[place] += by;
                at
            },
            0.25,
        );
        for (place, &gradient) in gradients.iter().enumerate() {
            let up = loss(&moved(&parameters.values, place, step), &x);
            let down = loss(&moved(&parameters.values, place, -step), &x);
            let found = (up - down) / f64::from(2.0 * step);
            assert!(
                (found - f64::from(gradient)).abs() < 1e-3,
                "{place}: {found} {gradient}"
            );
        }
        for place in [0, 5, 449, 899] {
            let up = loss(&parameters.values, &moved(&x, place, step));
            let down = loss(&parameters.values, &moved(&x, place, -step));
            let found = (up - down) / f64::from(2.0 * step);
            assert!((found - f64::from(of_input[place])).abs() < 1e-3);
        }
    }
}
