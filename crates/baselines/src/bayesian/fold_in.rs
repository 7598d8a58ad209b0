//! Somebody new.

use std::sync::atomic::{AtomicBool, Ordering};

use mmdlrm_data::RatedBag;
use mmdlrm_train::{Error, Result};

use super::equations::{factorize, solve};
use super::folded::width;
use super::moments::Moments;
use super::samples::{Draws, Means, Samples};

/// The mean of what would be drawn for somebody, given one draw of the items: a ridge regression of
/// what they rated, with the ridge that was drawn with the items. `H` and the rest of `A` are those
/// of the history, as in training, and `φ = (1, H + Q)` of each item that was rated:
///
/// ```text
/// θ = (α·Σ φ·φᵀ + Λ)⁻¹·(α·Σ φ·y + Λ·μ)        y = r − w₀ − B − A₀ − ⟨H, Q⟩
/// A = A₀ + θ_0 + ⟨H, θ_1…⟩                    P = H + θ_1…
/// ```
///
/// Keep one, and with it its memory.
#[derive(Debug, Clone)]
pub(super) struct FoldIn {
    rank: usize,
    /// `A₀`.
    base: f64,
    /// `H`.
    shared: Vec<f64>,
    moments: Moments,
    /// `φ`, with zeros to its width.
    phi: Vec<f64>,
    /// The Cholesky factor of `α·Σ φ·φᵀ + Λ`.
    factor: Vec<f64>,
    /// `θ`.
    own: Vec<f64>,
}

impl FoldIn {
    pub fn new(rank: usize) -> Self {
        let width = width(rank);
        Self {
            rank,
            base: 0.0,
            shared: vec![0.0; rank],
            moments: Moments::new(rank),
            phi: vec![0.0; width],
            factor: vec![0.0; (rank + 1) * width],
            own: vec![0.0; rank + 1],
        }
    }

    /// Looks at what somebody rated, in the order of its ids.
    pub fn meet(&mut self, samples: &Samples, bag: RatedBag, stretch: usize) {
        self.shared.fill(0.0);
        self.base = 0.0;
        if let Some(histories) = &samples.histories {
            self.share(samples, histories, bag, stretch);
        }
        self.solve(samples, bag, stretch);
    }

    /// `A`, and `P` of each factor.
    pub fn found(&self) -> (f64, impl Iterator<Item = f64>) {
        let shared = self.shared.iter().zip(&self.own[1..]);
        let products = shared.clone().map(|(shared, own)| shared * own);
        let bias = self.base + self.own[0] + products.sum::<f64>();
        (bias, shared.map(|(shared, own)| shared + own))
    }

    /// `A₀`.
    #[cfg(test)]
    pub fn base(&self) -> f64 {
        self.base
    }

    /// Writes `H` and `A₀`.
    fn share(&mut self, samples: &Samples, histories: &Draws, bag: RatedBag, stretch: usize) {
        let scale = (bag.len().max(1) as f64).sqrt().recip();
        let mut last = None;
        for &item in bag.ids {
            if last.replace(item) == Some(item) {
                continue;
            }
            let (bias, factors) = samples.draw(histories, item, stretch);
            self.base += scale * bias;
            for (shared, &factor) in self.shared.iter_mut().zip(factors) {
                let part = scale * f64::from(factor);
                *shared += part;
                self.base -= 0.5 * part * part;
            }
        }
        let squares = self.shared.iter().map(|shared| shared * shared);
        self.base += 0.5 * squares.sum::<f64>();
    }

    /// Writes `θ`.
    fn solve(&mut self, samples: &Samples, bag: RatedBag, stretch: usize) {
        let (alpha, means, precisions) = samples.prior(stretch);
        let alpha = f64::from(alpha);
        self.moments.clear();
        for (item, stars) in bag.stars_by_id() {
            let target = self.look_at(samples, item, stars, stretch);
            self.moments.add([(&self.phi, target)]);
        }
        let width = self.phi.len();
        for (column, row) in self.factor.chunks_exact_mut(width).enumerate() {
            let products = self.moments.products(column);
            let precision = f64::from(precisions[column]);
            row.iter_mut()
                .zip(products)
                .for_each(|(out, x)| *out = alpha * x);
            row[column] += precision;
            let target = self.moments.targets()[column];
            self.own[column] = alpha * target + precision * f64::from(means[column]);
        }
        factorize(&mut self.factor, self.rank + 1, width);
        solve(&self.factor, width, &mut self.own);
    }

    /// Writes `φ` of a rating, and returns `y`.
    pub fn look_at(&mut self, samples: &Samples, item: u32, stars: f32, stretch: usize) -> f64 {
        let (bias, factors) = samples.draw(&samples.draws, item, stretch);
        let shared = self.turn_to(factors);
        f64::from(stars) - bias - self.base - shared
    }

    /// Writes `φ` of an item, and returns `⟨H, Q⟩`.
    pub fn turn_to(&mut self, factors: &[f32]) -> f64 {
        self.phi[0] = 1.0;
        let mut product = 0.0;
        let phi = self.phi[1..].iter_mut().zip(&self.shared);
        for ((phi, &share), &factor) in phi.zip(factors) {
            let factor = f64::from(factor);
            *phi = share + factor;
            product += share * factor;
        }
        product
    }

    /// `φ`, as it was written last.
    pub fn phi(&self) -> &[f64] {
        &self.phi[..=self.rank]
    }

    /// `x → (α·Σ φ·φᵀ + Λ)⁻¹·x`.
    pub fn invert(&self, x: &mut [f64]) {
        solve(&self.factor, self.phi.len(), x);
    }
}

impl Samples {
    /// Whoever rated a bag, in the order of its ids: the only row.
    ///
    /// # Errors
    /// [`Error::CalledOff`] when `stop` becomes true.
    pub fn meet(&self, bag: RatedBag, stop: Option<&AtomicBool>) -> Result<Means> {
        let mut means = Means::new(1, self.width());
        let mut fold_in = FoldIn::new(self.rank);
        let mut sum = 0.0;
        for stretch in 0..self.over() {
            if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(Error::CalledOff);
            }
            fold_in.meet(self, bag, stretch);
            let (bias, factors) = fold_in.found();
            sum += bias;
            let out = means.factors[stretch * self.rank..].iter_mut();
            out.zip(factors)
                .for_each(|(out, factor)| *out = factor as f32);
        }
        means.biases[0] = (sum / self.over() as f64) as f32;
        Ok(means)
    }
}
