//! Vectors of users and movies, padded to whole registers.

use std::f64::consts::TAU;

use mmdlrm_kernels::vectorize;
use mmdlrm_train::{Kept, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Numbers of a block: a vector register.
const LANES: usize = 8;

/// Some numbers of a vector.
pub(super) type Block = [f32; LANES];

/// A vector of each of some rows, `[rows, factors]`; what pads them is 0, and stays so.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Vectors {
    factors: usize,
    /// Of a row.
    blocks: usize,
    values: Vec<Block>,
}

impl Vectors {
    /// Zeros.
    pub fn zeros(rows: usize, factors: usize) -> Self {
        let blocks = factors.div_ceil(LANES);
        Self {
            factors,
            blocks,
            values: vec![[0.0; LANES]; rows * blocks],
        }
    }

    /// Normal numbers of this standard deviation in each of `rows` that is `true`.
    pub fn draw(rows: &[bool], factors: usize, spread: f64, random: &mut ChaCha8Rng) -> Self {
        let mut vectors = Self::zeros(rows.len(), factors);
        for (row, _) in (0..).zip(rows).filter(|&(_, &is_there)| is_there) {
            let numbers = &mut vectors.row_mut(row).as_flattened_mut()[..factors];
            for pair in numbers.chunks_mut(2) {
                let normal = normal_pair(random).map(|x| (spread * x) as f32);
                pair.copy_from_slice(&normal[..pair.len()]);
            }
        }
        vectors
    }

    /// Room for one of them.
    pub fn zero(&self) -> Vec<Block> {
        vec![[0.0; LANES]; self.blocks]
    }

    pub fn rows(&self) -> usize {
        self.values.len() / self.blocks
    }

    #[inline(always)]
    pub fn row(&self, row: u32) -> &[Block] {
        let start = row as usize * self.blocks;
        &self.values[start..start + self.blocks]
    }

    #[inline(always)]
    pub fn row_mut(&mut self, row: u32) -> &mut [Block] {
        let start = row as usize * self.blocks;
        &mut self.values[start..start + self.blocks]
    }

    /// How many numbers they are, without what pads them.
    pub fn parameters(&self) -> usize {
        self.rows() * self.factors
    }

    /// All of them, `[rows, factors]`.
    pub fn numbers(&self) -> Vec<f32> {
        let rows = self.values.chunks_exact(self.blocks);
        rows.flat_map(|row| &row.as_flattened()[..self.factors])
            .copied()
            .collect()
    }

    /// Takes over [`Self::numbers`] that were kept.
    ///
    /// # Errors
    /// Numbers that are missing, or of other rows.
    pub fn load(&mut self, kept: &Kept, name: &str) -> Result<()> {
        let mut numbers = vec![0.0; self.parameters()];
        kept.load(name, &mut numbers)?;
        let factors = self.factors;
        let rows = self.values.chunks_exact_mut(self.blocks);
        rows.zip(numbers.chunks_exact(factors))
            .for_each(|(row, own)| row.as_flattened_mut()[..factors].copy_from_slice(own));
        Ok(())
    }

    /// The number furthest from 0, NaN being further than any other.
    pub fn extreme(&self) -> f32 {
        extreme(self.values.as_flattened())
    }
}

/// The number furthest from 0, NaN being further than any other.
pub(super) fn extreme(numbers: &[f32]) -> f32 {
    // Numbers from 0 on are in the order of their bits, and NaN is behind infinity.
    let distance = |x: &f32| x.abs().to_bits();
    let furthest = vectorize(
        #[inline(always)]
        || numbers.iter().map(distance).max(),
    );
    let found = numbers.iter().find(|x| Some(distance(x)) == furthest);
    found.copied().unwrap_or(0.0)
}

/// Two independent normal numbers (Box and Muller, 1958).
fn normal_pair(random: &mut ChaCha8Rng) -> [f64; 2] {
    // Above 0, of which there is a logarithm.
    let uniform = 1.0 - random.random::<f64>();
    let (sin, cos) = (TAU * random.random::<f64>()).sin_cos();
    let radius = (-2.0 * uniform.ln()).sqrt();
    [radius * cos, radius * sin]
}

/// Scalar product, in an order that does not depend on the machine. The sums of the lanes are added
/// one after another: of halves upon halves the compiler makes additions of two numbers throughout.
#[inline(always)]
pub(super) fn dot(a: &[Block], b: &[Block]) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

/// `out ← scale·out + factor·x`.
#[inline(always)]
pub(super) fn blend(out: &mut [Block], scale: f32, x: &[Block], factor: f32) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = scaled_sum(scale, out, factor, x);
    }
}

/// `scale·a + factor·b`.
#[inline(always)]
pub(super) fn scaled_sum(scale: f32, a: &Block, factor: f32, b: &Block) -> Block {
    std::array::from_fn(|lane| scale * a[lane] + factor * b[lane])
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn drawn_numbers_are_normal_and_what_is_not_there_is_zero() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let there: Vec<bool> = (0..3000).map(|row| row != 7).collect();
        let vectors = Vectors::draw(&there, 5, 0.1, &mut random);
        assert_eq!(vectors.row(7), [[0.0; LANES]]);
        assert_eq!(vectors.row(8)[0][5..], [0.0; LANES - 5]);
        let numbers = vectors.numbers();
        assert_eq!(numbers.len(), vectors.parameters());
        let mean = |power: i32| {
            let powers = numbers.iter().map(|&x| f64::from(x / 0.1).powi(power));
            powers.sum::<f64>() / numbers.len() as f64
        };
        // Of a normal distribution 0, 1, 0 and 3.
        for (power, expected, error) in
            [(1, 0.0, 0.03), (2, 1.0, 0.04), (3, 0.0, 0.1), (4, 3.0, 0.3)]
        {
            let found = mean(power);
            assert!((found - expected).abs() < error, "{power}: {found}");
        }
    }

    #[test]
    fn nan_is_further_from_zero_than_any_other() {
        assert_eq!(extreme(&[1.0, -3.0, 2.0]), -3.0);
        assert!(extreme(&[1.0, f32::NAN, f32::INFINITY]).is_nan());
        assert_eq!(extreme(&[]), 0.0);
    }
}
