//! Fewer items than users: `XᵀX + Λ`, `[items, items]`, is inverted.
//!
//! Kept are the partial correlations `ρ_ij = −P_ij/√(P_ii·P_jj)`, which are symmetric, and `√P_ii`:
//!
//! ```text
//! B_ij = √P_ii · ρ_ij / √P_jj          ρ_jj = 0
//! ```

use mmdlrm_kernels::{add_scaled, vectorize};

use super::inputs::Inputs;
use super::packed::{self, Packed};
use super::symmetric::{Singular, Symmetric};
use crate::sparse::{Sparse, add_product};

#[derive(Debug, Clone)]
pub(super) struct ByItems {
    /// `√P_ii`, `[items]`.
    scales: Vec<f32>,
    /// `ρ`, `[items, items]`: all of it, so that rows lie side by side.
    correlations: Vec<f32>,
}

impl ByItems {
    pub fn fit(x: &Sparse, inputs: &Inputs) -> Result<Self, Singular> {
        let items = inputs.ridges.len();
        let transposed = x.transposed(items);
        let gram = Symmetric::of(items, |item, out| {
            out.fill(0.0);
            add_product(transposed.row(item), |_| 1.0, x, out);
            out[item] += inputs.ridges[item];
        });
        drop(transposed);
        let inverse = gram.invert()?;
        let scales: Vec<f64> = (0..items)
            .map(|item| inverse.row(item)[item].sqrt())
            .collect();
        let triangle = Packed::of(items, |item, out| {
            let others = inverse.row(item).iter().zip(&scales);
            let others = others.map(|(p, scale)| (-p / (scale * scales[item])) as f32);
            out.iter_mut().zip(others).for_each(|(out, x)| *out = x);
            out[item] = 0.0;
        });
        drop(inverse);
        let scales: Vec<f32> = scales.iter().map(|&scale| scale as f32).collect();
        match scales.iter().all(|&scale| scale > 0.0) {
            true => Ok(Self::of(scales, &triangle)),
            false => Err(Singular),
        }
    }

    /// Of what [`Self::parts`] says; `None` where that does not fit together.
    pub fn from_parts(scales: &[f32], triangle: &[f32]) -> Option<Self> {
        let triangle = Packed::from_numbers(triangle, scales.len())?;
        let is_sound = (0..scales.len()).all(|item| triangle.get(item, item) == 0.0);
        let is_sound = is_sound && scales.iter().all(|&scale| scale > 0.0);
        is_sound.then(|| Self::of(scales.to_vec(), &triangle))
    }

    fn of(scales: Vec<f32>, triangle: &Packed) -> Self {
        let items = scales.len();
        let mut correlations = vec![0.0; items * items];
        for item in 0..items {
            let own = triangle.row(item);
            correlations[item * items..][..=item].copy_from_slice(own);
            let column = correlations[item..].iter_mut().step_by(items.max(1));
            column.zip(own).for_each(|(out, x)| *out = *x);
        }
        Self {
            scales,
            correlations,
        }
    }

    /// `√P_ii`, and the lower triangle of `ρ`.
    pub fn parts(&self) -> (&[f32], Vec<f32>) {
        let items = self.scales.len();
        let mut triangle = Vec::with_capacity(packed::length(items));
        (0..items).for_each(|item| triangle.extend(&self.row(item)[..=item]));
        (&self.scales, triangle)
    }

    pub fn parameters(&self) -> usize {
        packed::length(self.scales.len())
    }

    fn row(&self, item: usize) -> &[f32] {
        &self.correlations[item * self.scales.len()..][..self.scales.len()]
    }

    /// `xB`, `[items]`.
    pub fn score(&self, history: &[(u32, f32)], scores: &mut [f32]) {
        scores.fill(0.0);
        vectorize(
            #[inline(always)]
            || {
                for &(item, weight) in history {
                    let scale = self.scales[item as usize];
                    add_scaled(scores, self.row(item as usize), weight * scale);
                }
                let scales = scores.iter_mut().zip(&self.scales);
                scales.for_each(|(score, scale)| *score /= scale);
            },
        );
    }

    /// `B_ij` of each `i` of a history.
    pub fn column(&self, history: &[(u32, f32)], item: u32) -> Vec<f32> {
        let (row, own) = (self.row(item as usize), self.scales[item as usize]);
        let of = |&(other, _): &(u32, f32)| self.scales[other as usize] * row[other as usize] / own;
        history.iter().map(of).collect()
    }
}
