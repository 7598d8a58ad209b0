//! What a group of weights has in common.

use super::random::Random;

/// `α₀`, `β₀` and `γ₀` of the paper, in which `λ ~ Γ(α₀/2, β₀/2)` and `μ ~ N(0, 1/(γ₀·λ))`.
const SHAPE: f64 = 1.0;
const RATE: f64 = 1.0;
const WEIGHT: f64 = 1.0;
/// `λ` where a chain begins, which the first draw forgets.
const FIRST_PRECISION: f64 = 1e-5;

/// The normal densities that a group's weights are of: that of its biases first, then one a
/// factor, `[k + 1]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prior {
    /// `μ`.
    pub means: Vec<f64>,
    /// `λ`.
    pub precisions: Vec<f64>,
}

/// What a draw of a density looks at, of `θ` weights.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spread {
    /// `Σ θ`.
    pub sum: f64,
    /// `Σ (θ − μ)²`.
    pub squares: f64,
}

impl Spread {
    #[inline(always)]
    pub fn add(&mut self, weight: f64, mean: f64) {
        self.sum += weight;
        self.squares += (weight - mean) * (weight - mean);
    }
}

impl Prior {
    pub fn new(columns: usize) -> Self {
        Self {
            means: vec![0.0; columns],
            precisions: vec![FIRST_PRECISION; columns],
        }
    }

    /// Draws each density from what is known of it by the `count` weights of its group:
    ///
    /// ```text
    /// λ ~ Γ((α₀ + count + 1)/2, (β₀ + Σ (θ − μ)² + γ₀·μ²)/2)
    /// μ ~ N(Σ θ/(γ₀ + count), 1/((γ₀ + count)·λ))
    /// ```
    pub fn draw(&mut self, count: usize, spreads: &[Spread], random: &mut Random) {
        let count = count as f64;
        let densities = self.means.iter_mut().zip(&mut self.precisions);
        for ((mean, precision), spread) in densities.zip(spreads) {
            let squares = spread.squares + WEIGHT * *mean * *mean;
            let shape = (SHAPE + count + 1.0) / 2.0;
            *precision = random.gamma(shape, (RATE + squares) / 2.0);
            let weight = WEIGHT + count;
            *mean = spread.sum / weight + random.normal() / (weight * *precision).sqrt();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_weights_it_is_their_own_mean_and_precision() {
        let mut random = Random::new(1);
        let weights: Vec<f64> = (0..20_000).map(|_| 0.3 + random.normal() / 5.0).collect();
        let mut prior = Prior::new(1);
        for _ in 0..3 {
            let mut spread = Spread::default();
            weights
                .iter()
                .for_each(|&weight| spread.add(weight, prior.means[0]));
            prior.draw(weights.len(), &[spread], &mut random);
        }
        assert!((prior.means[0] - 0.3).abs() < 0.01, "{prior:?}");
        assert!((prior.precisions[0] - 25.0).abs() < 1.5, "{prior:?}");
    }

    #[test]
    fn of_no_weights_it_is_drawn_from_what_is_thought_beforehand() {
        // Means of λ ~ Γ(1/2, 1/2) and of λ·μ², of a chain that is at home there.
        let mut random = Random::new(2);
        let mut prior = Prior::new(1);
        let (mut precision, mut square, draws) = (0.0, 0.0, 200_000);
        for _ in 0..draws {
            prior.draw(0, &[Spread::default()], &mut random);
            precision += prior.precisions[0] / f64::from(draws);
            square += prior.precisions[0] * prior.means[0].powi(2) / f64::from(draws);
        }
        assert!((precision - 1.0).abs() < 0.05, "{precision}");
        assert!((square - 1.0).abs() < 0.05, "{square}");
    }
}
