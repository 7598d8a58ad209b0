//! What is left to explain, row by row, while shared features are drawn.

use super::moments::Moments;

/// Of each row, what its ratings come to where its own weights have been drawn: the lower triangle
/// of `G = Σ φ·φᵀ` with `φ = (1, q)` of the partner, and `g = Σ φ·(r − r̂)`.
#[derive(Debug, Clone)]
pub(super) struct Left {
    columns: usize,
    /// `[rows, (k + 1)·(k + 2)/2]`.
    products: Vec<f64>,
    /// `[rows, k + 1]`.
    residuals: Vec<f64>,
}

/// Some rows of it, to be written.
pub(super) struct LeftRows<'a> {
    columns: usize,
    products: &'a mut [f64],
    residuals: &'a mut [f64],
}

/// Numbers of the lower triangle of the first `rows` rows.
fn triangle(rows: usize) -> usize {
    rows * (rows + 1) / 2
}

impl Left {
    pub fn new(rows: usize, columns: usize) -> Self {
        Self {
            columns,
            products: vec![0.0; rows * triangle(columns)],
            residuals: vec![0.0; rows * columns],
        }
    }

    /// `k + 1`.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The rows, so many at a time.
    pub fn chunks_mut(&mut self, rows: usize) -> impl Iterator<Item = LeftRows<'_>> {
        let columns = self.columns;
        let products = self.products.chunks_mut(rows * triangle(columns));
        let residuals = self.residuals.chunks_mut(rows * columns);
        let chunks = products.zip(residuals);
        chunks.map(move |(products, residuals)| LeftRows {
            columns,
            products,
            residuals,
        })
    }

    /// `Σ φ_c·φ` of a row up to its diagonal, `[column + 1]`.
    #[inline(always)]
    pub fn products(&self, row: usize, column: usize) -> &[f64] {
        let first = row * triangle(self.columns) + triangle(column);
        &self.products[first..=first + column]
    }

    /// `g_c` of a row.
    #[inline(always)]
    pub fn residual(&self, row: usize, column: usize) -> f64 {
        self.residuals[row * self.columns + column]
    }
}

impl LeftRows<'_> {
    #[inline(always)]
    pub fn put(&mut self, row: usize, moments: &Moments, residuals: &[f64]) {
        let columns = self.columns;
        let triangle_of_row = &mut self.products[row * triangle(columns)..][..triangle(columns)];
        for column in 0..columns {
            let out = &mut triangle_of_row[triangle(column)..=triangle(column) + column];
            out.copy_from_slice(&moments.products(column)[..=column]);
        }
        self.residuals[row * columns..][..columns].copy_from_slice(&residuals[..columns]);
    }
}
