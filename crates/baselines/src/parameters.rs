//! The parameters of a model in one piece, and what they begin with.

use mmdlrm_train::{Error, Kept, Result, Tensors};
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
    /// How many numbers it has; more than there can be where the product overflows.
    pub fn len(self) -> usize {
        self.rows.saturating_mul(self.columns)
    }

    pub fn of(self, values: &[f32]) -> &[f32] {
        &values[self.start..][..self.len()]
    }

    pub fn of_mut(self, values: &mut [f32]) -> &mut [f32] {
        &mut values[self.start..][..self.len()]
    }
}

/// Everything that a model learns. Optimizers and files see one piece, or names; a model keeps
/// the [`Matrix`] of each.
///
/// Shapes come first, and take no room: what settings ask for is compared with what a file holds
/// before anything of that size is made. Numbers come all at once, by [`zero`](Self::zero) or
/// [`load`](Self::load).
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    names: Vec<(String, Matrix)>,
    count: usize,
    /// As many as [`count`](Self::count) says, or none before they are made.
    pub values: Vec<f32>,
}

impl Parameters {
    /// Adds the shape of a matrix. Names are each used once.
    pub fn add(&mut self, name: impl Into<String>, rows: usize, columns: usize) -> Matrix {
        let matrix = Matrix {
            start: self.count,
            rows,
            columns,
        };
        self.count = self.count.saturating_add(matrix.len());
        self.names.push((name.into(), matrix));
        matrix
    }

    /// Numbers of all matrices.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Makes all of them 0.
    pub fn zero(&mut self) {
        self.values.clear();
        self.values.resize(self.count, 0.0);
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
    /// Numbers that are missing, or not as many, before there is room for any.
    pub fn load(&mut self, kept: &Kept) -> Result<()> {
        for (name, matrix) in &self.names {
            let found = kept.get(name)?.len();
            if found != matrix.len() {
                return Err(Error::Mismatch(format!(
                    "there are {found} numbers of {name} in the model's file, and its settings \
                     ask for {} times {}: it is damaged, or of other data",
                    matrix.rows, matrix.columns
                )));
            }
        }
        self.values.resize(self.count, 0.0);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_compared_with_a_file_before_there_is_room_for_them() {
        let mut tensors = Tensors::default();
        tensors.put("a", vec![1.0, 2.0]);
        tensors.put("b", vec![3.0]);
        let kept = Kept::from(tensors);
        for (rows, columns) in [
            (1 << 20, 1 << 20),
            (usize::MAX, 2),
            (1 << 63, 2),
            (0, 7),
            (2, 1),
        ] {
            let mut parameters = Parameters::default();
            let a = parameters.add("a", 1, 2);
            parameters.add("b", rows, columns);
            let error = parameters.load(&kept).unwrap_err().to_string();
            assert!(error.contains("1 numbers of b"), "{error}");
            assert!(parameters.values.is_empty());
            assert_eq!(a.start, 0);
        }
        let mut parameters = Parameters::default();
        let shapes = [parameters.add("a", 1, 2), parameters.add("b", 1, 1)];
        parameters.load(&kept).unwrap();
        assert_eq!(
            shapes.map(|it| it.of(&parameters.values)),
            [&[1.0, 2.0][..], &[3.0]]
        );
        parameters.zero();
        assert_eq!(parameters.values, [0.0; 3]);
    }
}
