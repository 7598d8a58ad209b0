//! Weights of what rows share: the items of a history, the users of an audience.

use mmdlrm_data::RatedBags;
use mmdlrm_kernels::vectorize;
use rayon::prelude::*;

use super::block::FIRST_DEVIATION;
use super::folded::Folded;
use super::left::Left;
use super::links::Links;
use super::prior::{Prior, Spread};
use super::random::Random;

/// Rows that a thread takes at a time.
const ROWS: usize = 1024;

/// Features that rows share, each with weights `w, v`: a row of `n` ratings has those that are
/// linked to it, `x = 1/√n` of each. They add to what the row comes to, `P` being its factors with
/// all that is shared:
///
/// ```text
/// H = x·Σ_j v_j                                                      [k]
/// A = w + x·Σ_j w_j + ⟨v, H⟩ + ½·(⟨H, H⟩ − x²·Σ_j ⟨v_j, v_j⟩)        P = v + H
/// ```
///
/// The last part of `A` is what the features do to each other, as in any factorization machine.
#[derive(Debug, Clone)]
pub(super) struct Implicit {
    pub links: Links,
    /// `x` of each row, 0 without ratings.
    scales: Vec<f64>,
    /// `w, v` of each feature, `[k + 1, features]`; of one without a row nothing is drawn.
    pub weights: Vec<f64>,
    pub prior: Prior,
    normals: Vec<f64>,
    sweep: Sweep,
}

/// What draws of one factor look at and change, row by row.
#[derive(Debug, Clone)]
struct Sweep {
    cells: Vec<Cell>,
    /// [`Cell::residual`] before the first draw, `[rows]`.
    before: Vec<f64>,
    /// How much `A, P` have changed since the rows' own weights were drawn, `[rows, k + 1]`.
    changes: Vec<f64>,
}

/// A row's ratings, as they look to a factor that is shared.
///
/// A prediction changes by `x·(h + q)` where the factor of one feature changes by 1, with `q` of
/// the partner and `h = P − x·v` what the row's other features come to. As a row of `n` ratings has
/// `x² = 1/n`, sums over them are those of means and variances:
///
/// ```text
/// t           = h + mean(q)
/// Σ φ²        = t² + var(q)
/// Σ φ·(r − r̂) = t·x·Σ(r − r̂) + x·Σ (q − mean(q))·(r − r̂)
/// ```
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// `P + mean(q)`.
    level: f64,
    /// `x`.
    scale: f64,
    /// `var(q)`.
    variance: f64,
    /// `x·Σ (r − r̂)`.
    residual: f64,
    /// `x·Σ (q − mean(q))·(r − r̂)`.
    slope: f64,
}

impl Implicit {
    pub fn new(links: Links, bags: &RatedBags, columns: usize, random: &mut Random) -> Self {
        let mut weights = vec![0.0; columns * links.len()];
        random.fill_normals(&mut weights);
        weights.iter_mut().for_each(|it| *it *= FIRST_DEVIATION);
        let counts = (0..bags.len() as u32).map(|row| bags.row(row).len());
        let scale = |count| match count {
            0 => 0.0,
            count => (count as f64).sqrt().recip(),
        };
        Self {
            scales: counts.map(scale).collect(),
            normals: vec![0.0; weights.len()],
            weights,
            prior: Prior::new(columns),
            sweep: Sweep {
                cells: vec![Cell::default(); bags.len()],
                before: vec![0.0; bags.len()],
                changes: vec![0.0; bags.len() * columns],
            },
            links,
        }
    }

    /// A weight of a feature; one that no row has is not drawn, and has the mean that all have.
    pub fn weight(&self, feature: usize, column: usize) -> f64 {
        match self.links.rows(feature).is_empty() {
            true => self.prior.means[column],
            false => self.weights[column * self.links.len() + feature],
        }
    }

    /// Adds to `A` and `P`, all of which are 0, what is shared.
    pub fn fold(&self, folded: &mut Folded) {
        let width = folded.width;
        for (column, weights) in self.weights.chunks_exact(self.links.len()).enumerate() {
            for (feature, weight) in weights.iter().enumerate() {
                for &row in self.links.rows(feature) {
                    let row = row as usize;
                    let part = self.scales[row] * weight;
                    if column == 0 {
                        folded.biases[row] += part;
                    } else {
                        folded.rows[row * width + column] += part;
                        folded.biases[row] -= 0.5 * part * part;
                    }
                }
            }
        }
        let rows = folded.rows.chunks_exact(width);
        for (row, bias) in rows.zip(&mut folded.biases) {
            *bias += 0.5 * row[1..].iter().map(|shared| shared * shared).sum::<f64>();
        }
    }

    /// Draws all weights, one after another: those of the biases, then factor by factor.
    pub fn draw(&mut self, folded: &mut Folded, left: &Left, precision: f64, random: &mut Random) {
        self.draw_prior(random);
        random.fill_normals(&mut self.normals);
        let columns = self.prior.means.len();
        self.sweep.begin(&self.scales, left);
        self.draw_biases(precision);
        for column in 1..columns {
            self.sweep.turn(column, folded, left);
            self.draw_factor(column, precision);
        }
        self.sweep.turn(columns, folded, left);
    }

    fn draw_prior(&mut self, random: &mut Random) {
        let columns = self.weights.chunks_exact(self.links.len());
        let spreads = columns.zip(&self.prior.means).map(|(weights, &mean)| {
            let mut spread = Spread::default();
            let used = self.links.used();
            used.for_each(|feature| spread.add(weights[feature], mean));
            spread
        });
        let spreads: Vec<Spread> = spreads.collect();
        self.prior.draw(self.links.used().count(), &spreads, random);
    }

    /// Draws `w` of each feature: `x²·n` of a row is 1.
    fn draw_biases(&mut self, alpha: f64) {
        let (mean, precision) = (self.prior.means[0], self.prior.precisions[0]);
        let weights = self.weights.iter_mut().zip(&self.normals);
        let cells = &mut self.sweep.cells;
        for (feature, (weight, normal)) in weights.take(self.links.len()).enumerate() {
            let rows = self.links.rows(feature);
            if rows.is_empty() {
                continue;
            }
            let residuals = rows.iter().map(|&row| cells[row as usize].residual);
            let linear = alpha * residuals.sum::<f64>() + precision * (mean - *weight);
            let scale = (alpha * rows.len() as f64 + precision).sqrt().recip();
            let change = scale * (scale * linear + normal);
            *weight += change;
            for &row in rows {
                cells[row as usize].residual -= change;
            }
        }
    }

    /// Draws `v_f` of each feature for one factor `f`.
    fn draw_factor(&mut self, column: usize, alpha: f64) {
        let features = self.links.len();
        let (mean, precision) = (self.prior.means[column], self.prior.precisions[column]);
        let weights = &mut self.weights[column * features..][..features];
        let normals = &self.normals[column * features..][..features];
        let (links, cells) = (&self.links, self.sweep.cells.as_mut_slice());
        vectorize(
            #[inline(always)]
            || {
                for (feature, (weight, normal)) in weights.iter_mut().zip(normals).enumerate() {
                    let rows = links.rows(feature);
                    if rows.is_empty() {
                        continue;
                    }
                    let (mut squares, mut residual) = (0.0, 0.0);
                    for &row in rows {
                        let cell = &cells[row as usize];
                        let t = cell.level - cell.scale * *weight;
                        squares += t * t + cell.variance;
                        residual += t * cell.residual + cell.slope;
                    }
                    let scale = (alpha * squares + precision).sqrt().recip();
                    let linear = alpha * residual + precision * (mean - *weight);
                    let change = scale * (scale * linear + normal);
                    for &row in rows {
                        let cell = &mut cells[row as usize];
                        let t = cell.level - cell.scale * *weight;
                        cell.level += cell.scale * change;
                        cell.residual -= t * change;
                        cell.slope -= cell.variance * change;
                    }
                    *weight += change;
                }
            },
        );
    }
}

impl Sweep {
    fn begin(&mut self, scales: &[f64], left: &Left) {
        self.changes.fill(0.0);
        let cells = self.cells.iter_mut().zip(&mut self.before).zip(scales);
        for (row, ((cell, before), &scale)) in cells.enumerate() {
            *before = scale * left.residual(row, 0);
            *cell = Cell {
                scale,
                residual: *before,
                ..Cell::default()
            };
        }
    }

    /// From one column, whose weights have been drawn, to `column`, the next one, if there is one:
    /// writes what the former come to, and finds out how the ratings look to the latter.
    fn turn(&mut self, column: usize, folded: &mut Folded, left: &Left) {
        let (width, columns) = (folded.width, left.columns());
        let cells = self.cells.par_chunks_mut(ROWS);
        let cells = cells.zip(self.before.par_chunks_mut(ROWS));
        let cells = cells.zip(self.changes.par_chunks_mut(ROWS * columns));
        let biases = folded.biases.par_chunks_mut(ROWS);
        let folded = biases.zip(folded.rows.par_chunks_mut(ROWS * width));
        let pieces = cells.zip(folded).enumerate();
        pieces.for_each(|(piece, (((cells, before), changes), (biases, rows)))| {
            let changes = changes.chunks_exact_mut(columns);
            let folded = biases.iter_mut().zip(rows.chunks_exact_mut(width));
            let rows = cells.iter_mut().zip(before).zip(changes).zip(folded);
            for (row, (((cell, before), changes), (bias, factors))) in rows.enumerate() {
                let row = piece * ROWS + row;
                let products = left.products(row, column - 1);
                let change = cell.settle(products, *before, &mut factors[column - 1]);
                *bias += change.0;
                changes[0] += change.0;
                changes[column - 1] += change.1;
                if column < columns {
                    *before = cell.residual;
                    let residual = left.residual(row, column);
                    cell.turn(
                        left.products(row, column),
                        residual,
                        changes,
                        factors[column],
                    );
                }
            }
        });
    }
}

impl Cell {
    /// How much `A` and `P_f` have changed by the draws of a column; of the biases' there is no
    /// `P`, and nothing but the residual has moved. `before` is what that was, `products` are
    /// `Σ q_f·(1, q)`.
    fn settle(&self, products: &[f64], before: f64, factor: &mut f64) -> (f64, f64) {
        let residual = self.scale * (before - self.residual);
        if products.len() == 1 {
            return (residual, 0.0);
        }
        let mean = self.scale * self.scale * products[0];
        let change = self.level - mean - *factor;
        *factor += change;
        (residual - mean * change, change)
    }

    /// Looks at a factor `P_f`, where `changes` have been made since `residual` was
    /// `Σ q_f·(r − r̂)`.
    fn turn(&mut self, products: &[f64], residual: f64, changes: &[f64], factor: f64) {
        let of_mean = self.scale * self.scale;
        let mean = of_mean * products[0];
        let column = products.len() - 1;
        let moved: f64 = products[..column]
            .iter()
            .zip(changes)
            .map(|(x, y)| x * y)
            .sum();
        self.level = factor + mean;
        self.variance = (of_mean * products[column] - mean * mean).max(0.0);
        self.slope = self.scale * (residual - moved) - mean * self.residual;
    }
}
