//! Scores that are products of two vectors.

use mmdlrm_data::Error as DataError;
use mmdlrm_kernels::{InstructionSet, Panels, add_scaled, copy_rows, dot, store, vectorize};
use mmdlrm_train::{Result, check_rows};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::Vectors;
use crate::ease::symmetric::Symmetric;
use crate::pairs::Pairs;

/// Users that a thread scores at a time.
const USERS: usize = 8;
/// Triples by which somebody new is learned.
const TRIPLES: usize = 2048;
/// Steps of that: more change nothing that matters.
const STEPS: usize = 30;

/// `score = ⟨user, item⟩`: vectors of users and items, `[users, width]` and `[items, width]`.
#[derive(Debug, Clone, Default)]
pub struct Factors {
    users: Vec<f32>,
    items: Vec<f32>,
    width: usize,
    /// Of the vectors of all users, `[width]`.
    mean: Vec<f32>,
    /// `items` once more, as products read them.
    panels: Panels,
}

impl Factors {
    /// Who rated nothing gets the mean of the others' vectors.
    pub fn new(mut users: Vec<f32>, items: Vec<f32>, width: usize, pairs: &Pairs) -> Self {
        let known = |user: usize| !pairs.of_user(user as u32).is_empty();
        let mut mean = vec![0.0; width];
        let count = (0..pairs.users())
            .filter(|&user| known(user))
            .count()
            .max(1);
        for (user, vector) in users.chunks_exact(width.max(1)).enumerate() {
            if known(user) {
                add_scaled(&mut mean, vector, 1.0 / count as f32);
            }
        }
        for (user, vector) in users.chunks_exact_mut(width.max(1)).enumerate() {
            if !known(user) {
                vector.copy_from_slice(&mean);
            }
        }
        let panels = Panels::of_transposed(&items, pairs.items(), width);
        Self {
            users,
            items,
            width,
            mean,
            panels,
        }
    }

    /// The mean of the vectors of all users.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    pub(crate) fn vectors(&self) -> Vectors<'_> {
        Vectors {
            users: &self.users,
            items: &self.items,
            width: self.width,
        }
    }

    /// Scores of all items for some users, `[users, items]`.
    pub fn score_users(&self, users: &[u32], scores: &mut Vec<f32>) -> Result<()> {
        check_rows(
            "user",
            users.iter().copied(),
            self.users.len() / self.width.max(1),
        )?;
        let vectors = users.iter().flat_map(|&user| self.vectors().user(user));
        self.score(&vectors.copied().collect::<Vec<_>>(), scores);
        Ok(())
    }

    /// Scores of all items for some vectors, `[_, items]`.
    pub fn score(&self, vectors: &[f32], scores: &mut Vec<f32>) {
        let width = self.width.max(1);
        let items = self.items.len() / width;
        scores.resize(vectors.len() / width * items, 0.0);
        let out = scores.par_chunks_mut((USERS * items).max(1));
        let pieces = vectors.par_chunks(USERS * width).zip(out);
        pieces.for_each_init(Vec::new, |scratch, (vectors, out)| {
            let rows = copy_rows(vectors, width);
            let count = vectors.len() / width;
            self.panels
                .multiply(rows, count, (out, items), store(), scratch);
        });
    }

    /// The vector of somebody new, learned as those of users are with the items' as they stand:
    /// the least of
    ///
    /// ```text
    /// mean softplus(⟨x, y_j − y_i⟩) + ridge/2·‖x‖²
    /// ```
    ///
    /// over triples of a rated item `i` and another `j`, which are drawn evenly by a fixed seed.
    /// Zeros for who rated everything, as there is no other.
    ///
    /// The loss is convex, and bounded by a parabola of the curvature `¼·δδᵀ` wherever it is
    /// touched (Böhning, 1992): each step goes to the lowest point of that one.
    pub fn fold_in(&self, rated: &[u32], ridge: f64) -> Vec<f32> {
        let (width, items) = (self.width, self.items.len() / self.width.max(1));
        if rated.len() == items {
            return vec![0.0; width];
        }
        let differences = self.differences(rated);
        let count = differences.len() / width;
        let curvature = |row: usize, column: usize| {
            let products = differences
                .chunks_exact(width)
                .map(|it| it[row] * it[column]);
            products.map(f64::from).sum::<f64>() / (4 * count) as f64
        };
        let mut matrix = Symmetric::default();
        let ridge = ridge.max(1e-6);
        let curvatures = Symmetric::of(width, |row, out| {
            for (column, out) in out.iter_mut().enumerate() {
                *out = curvature(row, column) + if row == column { ridge } else { 0.0 };
            }
        });
        let mut x = vec![0.0f64; width];
        for _ in 0..STEPS {
            let downhill = downhill(&differences, &x, ridge);
            let step = matrix.solve(width, |row, out| match row < width {
                true => out.copy_from_slice(curvatures.row(row)),
                false => out[..width].copy_from_slice(&downhill),
            });
            let Ok(step) = step else { break };
            x.iter_mut().zip(step).for_each(|(x, step)| *x += step);
        }
        x.into_iter().map(|x| x as f32).collect()
    }

    /// `y_j − y_i` of the triples that somebody new is learned by, `[triples, width]`.
    fn differences(&self, rated: &[u32]) -> Vec<f32> {
        let items = (self.items.len() / self.width) as u32;
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let mut differences = Vec::with_capacity(TRIPLES * self.width);
        let times = TRIPLES.div_ceil(rated.len());
        for &item in rated.iter().cycle().take(times * rated.len()) {
            let other = loop {
                let other = random.random_range(0..items);
                if rated.binary_search(&other).is_err() {
                    break other;
                }
            };
            let (own, other) = (self.vectors().item(item), self.vectors().item(other));
            differences.extend(other.iter().zip(own).map(|(other, own)| other - own));
        }
        differences
    }
}

/// Minus the gradient at `x`.
fn downhill(differences: &[f32], x: &[f64], ridge: f64) -> Vec<f64> {
    let width = x.len();
    let count = differences.len() / width;
    let at: Vec<f32> = x.iter().map(|&x| x as f32).collect();
    let mut sums = vec![0.0f64; width];
    for difference in differences.chunks_exact(width) {
        let product = vectorize(
            #[inline(always)]
            || dot(difference, &at),
        );
        let slope = (1.0 + (-f64::from(product)).exp()).recip() / count as f64;
        let terms = sums.iter_mut().zip(difference);
        terms.for_each(|(sum, d)| *sum -= slope * f64::from(*d));
    }
    sums.iter_mut()
        .zip(x)
        .for_each(|(sum, x)| *sum -= ridge * x);
    sums
}

/// Refuses to begin where the products' instructions are not to be had.
pub(crate) fn check_instructions() -> Result<()> {
    InstructionSet::in_use()
        .map(drop)
        .map_err(|error| DataError::External(error.into()).into())
}
