//! Fewer users than items: through users (Woodbury, 1950).
//!
//! With `M = (1 + X·Λ⁻¹·Xᵀ)⁻¹`, `[users, users]`, `P = Λ⁻¹ − Λ⁻¹·Xᵀ·M·X·Λ⁻¹`. Of each item `j`,
//! the column `x_j` of `X` says how well its own weights fit it, `g_j = x_jᵀ·M·x_j / Λ_j`, so that
//! `P_jj = (1 − g_j)/Λ_j`. No matrix of items is made:
//!
//! ```text
//! t = Xᵀ·M·X·Λ⁻¹·w               of the weights w of a history, [items]
//! score_j = (t_j − g_j·w_j) / (1 − g_j)
//! B_ij = x_iᵀ·M·x_j / (Λ_i·(1 − g_j))
//! ```

use rayon::prelude::*;

use super::inputs::Inputs;
use super::packed::Packed;
use super::symmetric::{Singular, Symmetric};
use crate::sparse::{Sparse, add_product};

#[derive(Debug, Clone)]
pub(super) struct ByUsers {
    x: Sparse,
    /// `Xᵀ`.
    transposed: Sparse,
    ridges: Vec<f64>,
    /// `M`.
    inverse: Packed,
    /// `g`, from 0 to below 1.
    fits: Vec<f32>,
}

impl ByUsers {
    pub fn fit(x: Sparse, inputs: &Inputs) -> Result<Self, Singular> {
        let Inputs { ridges, .. } = inputs;
        let transposed = x.transposed(ridges.len());
        let gram = Symmetric::of(x.rows(), |user, out| {
            out.fill(0.0);
            add_product(x.row(user), |item| ridges[item].recip(), &transposed, out);
            out[user] += 1.0;
        });
        let inverse = gram.invert()?;
        let fit = |item: usize| {
            let (users, values) = transposed.row(item);
            let mut sum = 0.0;
            for (at, (&user, &value)) in users.iter().zip(values).enumerate() {
                let row = inverse.row(user as usize);
                let others = users[..at].iter().zip(values);
                let others = others.map(|(&other, &x)| f64::from(x) * row[other as usize]);
                let others: f64 = others.sum();
                let value = f64::from(value);
                sum += value * (2.0 * others + value * row[user as usize]);
            }
            (sum / ridges[item]) as f32
        };
        let fits: Vec<f32> = (0..ridges.len()).into_par_iter().map(fit).collect();
        if !fits.iter().all(is_fit) {
            return Err(Singular);
        }
        let inverse = Packed::of(x.rows(), |user, out| {
            let row = inverse.row(user).iter().map(|&x| x as f32);
            out.iter_mut().zip(row).for_each(|(out, x)| *out = x);
        });
        Ok(Self {
            transposed,
            ridges: ridges.clone(),
            inverse,
            fits,
            x,
        })
    }

    /// Of what [`Self::parts`] says; `None` where that does not fit together.
    pub fn from_parts(x: Sparse, inputs: &Inputs, inverse: &[f32], fits: &[f32]) -> Option<Self> {
        let items = inputs.ridges.len();
        let inverse = Packed::from_numbers(inverse, x.rows())?;
        let is_sound = fits.len() == items && fits.iter().all(is_fit);
        is_sound.then(|| Self {
            transposed: x.transposed(items),
            ridges: inputs.ridges.clone(),
            inverse,
            fits: fits.to_vec(),
            x,
        })
    }

    /// `M`, its lower triangle, and `g`.
    pub fn parts(&self) -> (&[f32], &[f32]) {
        (self.inverse.numbers(), &self.fits)
    }

    pub fn parameters(&self) -> usize {
        self.inverse.numbers().len() + self.fits.len()
    }

    /// `xB`, `[items]`.
    pub fn score(&self, history: &[(u32, f32)], scores: &mut [f32]) {
        let mut by_user = vec![0.0; self.x.rows()];
        for &(item, weight) in history {
            let weight = f64::from(weight) / self.ridges[item as usize];
            let (users, values) = self.transposed.row(item as usize);
            for (&user, &value) in users.iter().zip(values) {
                by_user[user as usize] += weight * f64::from(value);
            }
        }
        let by_user: Vec<f32> = by_user.iter().map(|&x| x as f32).collect();
        let by_user = self.inverse.times(&by_user);
        let mut sums = vec![0.0; scores.len()];
        for (user, &of_user) in by_user.iter().enumerate() {
            let (items, values) = self.x.row(user);
            for (&item, &value) in items.iter().zip(values) {
                sums[item as usize] += f64::from(of_user) * f64::from(value);
            }
        }
        for &(item, weight) in history {
            sums[item as usize] -= f64::from(self.fits[item as usize]) * f64::from(weight);
        }
        for ((score, sum), fit) in scores.iter_mut().zip(sums).zip(&self.fits) {
            *score = (sum / (1.0 - f64::from(*fit))) as f32;
        }
    }

    /// `B_ij` of each `i` of a history.
    pub fn column(&self, history: &[(u32, f32)], item: u32) -> Vec<f32> {
        let mut by_user = vec![0.0; self.x.rows()];
        let (users, values) = self.transposed.row(item as usize);
        for (&user, &value) in users.iter().zip(values) {
            by_user[user as usize] = value;
        }
        let by_user = self.inverse.times(&by_user);
        let rest = 1.0 - f64::from(self.fits[item as usize]);
        let of = |&(other, _): &(u32, f32)| {
            if other == item {
                return 0.0;
            }
            let (users, values) = self.transposed.row(other as usize);
            let products = users.iter().zip(values);
            let products =
                products.map(|(&user, &x)| f64::from(x) * f64::from(by_user[user as usize]));
            let sum: f64 = products.sum();
            (sum / (self.ridges[other as usize] * rest)) as f32
        };
        history.iter().map(of).collect()
    }
}

fn is_fit(fit: &f32) -> bool {
    (0.0..1.0).contains(fit)
}
