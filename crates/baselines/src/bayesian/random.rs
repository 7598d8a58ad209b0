//! Normal and gamma numbers by chance, the same on any number of threads.

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Layers of equal area that the normal density is cut into.
const LAYERS: usize = 256;
/// Where the lowest layer's tail begins, and the area of each (Marsaglia and Tsang, 2000).
const TAIL: f64 = 3.654_152_885_361_009;
const AREA: f64 = 0.004_928_673_233_974_658;
/// Numbers that are drawn from one stream.
const PIECE: usize = 2048;

/// Draws numbers by a seed. What is drawn at once, and much of it, comes from streams of its own,
/// a [`PIECE`] each.
#[derive(Clone)]
pub(super) struct Random {
    /// At its beginning, of which streams are made.
    seeded: ChaCha8Rng,
    /// What is drawn one by one: stream 0.
    single: ChaCha8Rng,
    streams: u64,
    ziggurat: Ziggurat,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        let seeded = ChaCha8Rng::seed_from_u64(seed);
        Self {
            single: seeded.clone(),
            seeded,
            streams: 0,
            ziggurat: Ziggurat::new(),
        }
    }

    /// Fills with standard normal numbers.
    pub fn fill_normals(&mut self, out: &mut [f64]) {
        let first = self.streams + 1;
        self.streams += out.len().div_ceil(PIECE) as u64;
        let pieces = out.par_chunks_mut(PIECE).enumerate();
        pieces.for_each(|(piece, out)| {
            let mut stream = self.seeded.clone();
            stream.set_stream(first + piece as u64);
            out.fill_with(|| self.ziggurat.normal(&mut stream));
        });
    }

    /// A normal number of mean 0 and variance 1.
    pub fn normal(&mut self) -> f64 {
        self.ziggurat.normal(&mut self.single)
    }

    /// A number of density `x^(shape − 1)·e^(−rate·x)`, whose mean is `shape/rate`, for a shape of
    /// at least 1 (Marsaglia and Tsang, «A simple method for generating gamma variables», 2000).
    pub fn gamma(&mut self, shape: f64, rate: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            let u = uniform(&mut self.single);
            if v > 0.0 && u.ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
                return d * v / rate;
            }
        }
    }
}

/// From above 0 to 1.
fn uniform(random: &mut ChaCha8Rng) -> f64 {
    1.0 - random.random::<f64>()
}

/// Normal numbers by the ziggurat method (Marsaglia and Tsang, 2000), exact to `f64`.
#[derive(Clone)]
struct Ziggurat {
    /// How wide each layer is, the lowest first and 0 last.
    widths: [f64; LAYERS + 1],
    /// `e^(−x²/2)` there.
    heights: [f64; LAYERS + 1],
}

impl Ziggurat {
    fn new() -> Self {
        let height = |x: f64| (-0.5 * x * x).exp();
        let mut widths = [0.0; LAYERS + 1];
        widths[0] = AREA / height(TAIL);
        widths[1] = TAIL;
        for layer in 2..LAYERS {
            let below = widths[layer - 1];
            widths[layer] = (-2.0 * (height(below) + AREA / below).ln()).sqrt();
        }
        Self {
            widths,
            heights: widths.map(height),
        }
    }

    #[inline]
    fn normal(&self, random: &mut ChaCha8Rng) -> f64 {
        loop {
            let bits = random.next_u64();
            let layer = (bits % LAYERS as u64) as usize;
            // The upper 53 bits: from −1 to below 1.
            let x = ((bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * self.widths[layer];
            if x.abs() < self.widths[layer + 1] {
                return x;
            }
            if layer == 0 {
                return tail(random).copysign(x);
            }
            let (top, bottom) = (self.heights[layer + 1], self.heights[layer]);
            if top + (bottom - top) * uniform(random) < (-0.5 * x * x).exp() {
                return x;
            }
        }
    }
}

/// A normal number that lies beyond [`TAIL`] (Marsaglia, 1964).
#[cold]
fn tail(random: &mut ChaCha8Rng) -> f64 {
    loop {
        let beyond = -uniform(random).ln() / TAIL;
        if -2.0 * uniform(random).ln() > beyond * beyond {
            return TAIL + beyond;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 1 << 20;

    fn mean(values: impl Iterator<Item = f64>) -> f64 {
        values.sum::<f64>() / DRAWS as f64
    }

    #[test]
    fn normal_numbers_have_the_moments_and_the_tails_of_the_normal_density() {
        let mut drawn = vec![0.0; DRAWS];
        Random::new(3).fill_normals(&mut drawn);
        // 1, 0, 1, 0, 3, 0, 15: five standard errors of each.
        for (power, expected, error) in
            [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)]
        {
            let found = mean(drawn.iter().map(|x: &f64| x.powi(power)));
            let error = 5.0 * f64::sqrt(error / DRAWS as f64);
            assert!((found - expected).abs() < error, "{power}: {found}");
        }
        // P(|x| > t), from tables.
        for (t, expected) in [(0.5, 0.617_075), (2.0, 0.045_500), (TAIL, 2.580_3e-4)] {
            let found = mean(drawn.iter().map(|x| f64::from(x.abs() > t)));
            let error = 5.0 * f64::sqrt(expected / DRAWS as f64);
            assert!((found - expected).abs() < error, "{t}: {found}");
        }
        let above = mean(drawn.iter().map(|x| f64::from(*x > TAIL)));
        assert!((above - 1.290e-4).abs() < 6e-5, "{above}");
    }

    #[test]
    fn gamma_numbers_have_the_mean_and_the_variance_of_their_density() {
        let mut random = Random::new(4);
        for (shape, rate) in [(1.0, 2.0), (40.0, 0.1)] {
            let drawn: Vec<f64> = (0..DRAWS).map(|_| random.gamma(shape, rate)).collect();
            let found = mean(drawn.iter().copied());
            let variance = mean(drawn.iter().map(|x| (x - found).powi(2)));
            let (expected, spread) = (shape / rate, shape / (rate * rate));
            assert!((found / expected - 1.0).abs() < 0.01, "{found} {expected}");
            assert!(
                (variance / spread - 1.0).abs() < 0.02,
                "{variance} {spread}"
            );
        }
    }

    #[test]
    fn no_two_draws_are_of_one_stream() {
        let mut random = Random::new(5);
        let mut drawn = vec![random.normal()];
        for length in [PIECE + 1, 3, PIECE] {
            let mut more = vec![0.0; length];
            random.fill_normals(&mut more);
            drawn.extend(more);
        }
        drawn.sort_by(f64::total_cmp);
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
