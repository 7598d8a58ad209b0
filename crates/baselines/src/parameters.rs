//! The parameters of a model in one piece, and what they begin with.

use mmdlrm_train::{Kept, Result, Tensors};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// A matrix, `[rows, columns]`, that lies row by row among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrix {
    start: usize,
    pub rows: usize,
    pub columns: usize,
}

impl Matrix {
    pub fn of(self, values: &[f32]) -> &[f32] {
        &values[self.start..][..self.rows * self.columns]
    }

    pub fn of_mut(self, values: &mut [f32]) -> &mut [f32] {
        &mut values[self.start..][..self.rows * self.columns]
    }
}

/// Everything that a model learns. Optimizers and files see one piece, or names; a model keeps
/// the [`Matrix`] of each.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    names: Vec<(String, Matrix)>,
    pub values: Vec<f32>,
}

impl Parameters {
    /// Adds a matrix of zeros. Names are each used once.
    pub fn add(&mut self, name: impl Into<String>, rows: usize, columns: usize) -> Matrix {
        let matrix = Matrix {
            start: self.values.len(),
            rows,
            columns,
        };
        self.values.resize(matrix.start + rows * columns, 0.0);
        self.names.push((name.into(), matrix));
        matrix
    }

    /// Hands over all of them, to be kept.
    pub fn save<'a>(&'a self, tensors: &mut Tensors<'a>) {
        for (name, matrix) in &self.names {
            tensors.put(name, matrix.of(&self.values));
        }
    }

    /// Takes over those that were kept.
    ///
    /// # Errors
    /// Numbers that are missing, or of another shape.
    pub fn load(&mut self, kept: &Kept) -> Result<()> {
        for (name, matrix) in &self.names {
            kept.load(name, matrix.of_mut(&mut self.values))?;
        }
        Ok(())
    }

    /// Name and value of the number furthest from 0, NaN being further than any other.
    pub fn extreme(&self) -> (String, f32) {
        let of_matrix = |(name, matrix): &(String, Matrix)| {
            let values = matrix.of(&self.values).iter().copied();
            let extreme = values.max_by(|a, b| a.abs().total_cmp(&b.abs()));
            (name.clone(), extreme.unwrap_or_default())
        };
        let extremes = self.names.iter().map(of_matrix);
        let furthest = extremes.max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()));
        furthest.unwrap_or_default()
    }

    #[cfg(test)]
    pub fn names(&self) -> &[(String, Matrix)] {
        &self.names
    }
}

/// Normal, of deviation `deviation`.
pub(crate) fn normal(values: &mut [f32], deviation: f32, random: &mut ChaCha8Rng) {
    for value in values {
        let drawn: f32 = StandardNormal.sample(random);
        *value = deviation * drawn;
    }
}

/// Even between `-bound` and `bound`.
pub(crate) fn uniform(values: &mut [f32], bound: f32, random: &mut ChaCha8Rng) {
    values
        .iter_mut()
        .for_each(|value| *value = bound * random.random_range(-1.0..=1.0f32));
}

/// Of a matrix by the sizes of its two sides (Glorot and Bengio, 2010), normal.
pub(crate) fn xavier_normal(matrix: Matrix, values: &mut [f32], random: &mut ChaCha8Rng) {
    normal(matrix.of_mut(values), (2.0 / sides(matrix)).sqrt(), random);
}

/// The same, even.
pub(crate) fn xavier_uniform(matrix: Matrix, values: &mut [f32], random: &mut ChaCha8Rng) {
    uniform(matrix.of_mut(values), (6.0 / sides(matrix)).sqrt(), random);
}

fn sides(matrix: Matrix) -> f32 {
    (matrix.rows + matrix.columns).max(1) as f32
}
