//! What is kept of a chain.

use mmdlrm_kernels::dot;
use rayon::prelude::*;

use super::chain::Chain;

/// What users, or items, come to on average: `A, P` or `w₀ + B, Q`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Means {
    /// Over all draws, `[rows]`.
    pub biases: Vec<f32>,
    /// Over the draws of each stretch, `[rows, S·k]`.
    pub factors: Vec<f32>,
}

/// The last draw of each stretch, of items or of what may be in a history.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draws {
    /// `[rows, S]`.
    pub biases: Vec<f32>,
    /// `[rows, S·k]`.
    pub factors: Vec<f32>,
}

/// Everything that a prediction needs, for anybody and any item. Of stretches that are not over
/// all numbers are 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Samples {
    pub rank: usize,
    /// How many stretches there are to be, `S`.
    pub stretches: usize,
    pub users: Means,
    pub items: Means,
    /// Of each stretch that is over, what is thought of somebody new: `α`, and `μ` and `λ` of
    /// users' own weights, `[over, 1 + 2·(k + 1)]`.
    pub priors: Vec<f32>,
    /// `w₀ + B, Q` of items.
    pub draws: Draws,
    /// `w, v` of items in histories.
    pub histories: Option<Draws>,
}

impl Means {
    pub fn new(rows: usize, width: usize) -> Self {
        Self {
            biases: vec![0.0; rows],
            factors: vec![0.0; rows * width],
        }
    }

    /// Takes one more draw in, which has a share of each mean.
    fn add<'a>(
        &mut self,
        [of_all, of_stretch]: [f64; 2],
        (stretch, width): (usize, usize),
        draw: impl Fn(usize) -> (f64, &'a [f64]) + Sync,
    ) {
        let factors = self.factors.par_chunks_exact_mut(width);
        let rows = self.biases.par_iter_mut().zip(factors).enumerate();
        rows.for_each(|(row, (mean, means))| {
            let (bias, factors) = draw(row);
            approach(mean, bias, of_all);
            let means = means[stretch * factors.len()..].iter_mut();
            means
                .zip(factors)
                .for_each(|(mean, &factor)| approach(mean, factor, of_stretch));
        });
    }
}

fn approach(mean: &mut f32, x: f64, share: f64) {
    let before = f64::from(*mean);
    *mean = (before + share * (x - before)) as f32;
}

impl Draws {
    fn new(rows: usize, stretches: usize, rank: usize) -> Self {
        Self {
            biases: vec![0.0; rows * stretches],
            factors: vec![0.0; rows * stretches * rank],
        }
    }

    fn put(
        &mut self,
        stretch: usize,
        (stretches, rank): (usize, usize),
        weight: impl Fn(usize, usize) -> f64 + Sync,
    ) {
        let factors = self.factors.par_chunks_exact_mut(stretches * rank);
        let biases = self.biases.par_chunks_exact_mut(stretches);
        let rows = biases.zip(factors).enumerate();
        rows.for_each(|(row, (biases, factors))| {
            biases[stretch] = weight(row, 0) as f32;
            let factors = factors[stretch * rank..][..rank].iter_mut();
            let columns = factors.zip(1..);
            columns.for_each(|(factor, column)| *factor = weight(row, column) as f32);
        });
    }
}

impl Samples {
    pub fn new(chain: &Chain, stretches: usize, rank: usize) -> Self {
        let (users, items) = (chain.users.rows(), chain.items.rows());
        let histories = chain.users.implicit.as_ref();
        Self {
            rank,
            stretches,
            users: Means::new(users, stretches * rank),
            items: Means::new(items, stretches * rank),
            priors: Vec::with_capacity(stretches * of_prior(rank)),
            draws: Draws::new(items, stretches, rank),
            histories: histories.map(|_| Draws::new(items, stretches, rank)),
        }
    }

    /// How many stretches are over.
    pub fn over(&self) -> usize {
        self.priors.len() / of_prior(self.rank)
    }

    /// Numbers of a row's factors.
    pub fn width(&self) -> usize {
        self.stretches * self.rank
    }

    /// Takes what the chain has drawn last into the means: the `number`th draw of all, from 1, and
    /// of its stretch. Whoever rated nothing, and what nobody rated, is as all others are.
    pub fn add(&mut self, chain: &Chain, [number, of_stretch]: [usize; 2]) {
        let shares = [1.0 / number as f64, 1.0 / of_stretch as f64];
        let place = (self.over(), self.width());
        let (users, items, level) = (&chain.users, &chain.items, chain.level.mean);
        self.users.add(shares, place, |user| users.drawn(user));
        self.items.add(shares, place, |item| {
            let (bias, factors) = items.drawn(item);
            (level + bias, factors)
        });
    }

    /// Ends a stretch, where the chain is.
    pub fn end_stretch(&mut self, chain: &Chain) {
        let (stretch, shape) = (self.over(), (self.stretches, self.rank));
        let (items, level) = (&chain.items, chain.level.mean);
        self.draws.put(stretch, shape, |item, column| {
            let (bias, factors) = items.drawn(item);
            match column {
                0 => level + bias,
                _ => factors[column - 1],
            }
        });
        if let (Some(kept), Some(drawn)) = (&mut self.histories, &chain.users.implicit) {
            kept.put(stretch, shape, |item, column| drawn.weight(item, column));
        }
        let prior = &chain.users.prior;
        self.priors.push(chain.level.precision as f32);
        let numbers = prior.means.iter().chain(&prior.precisions);
        self.priors.extend(numbers.map(|&x| x as f32));
    }

    /// `α`, and `μ` and `λ`, `[k + 1]` each.
    pub fn prior(&self, stretch: usize) -> (f32, &[f32], &[f32]) {
        let length = of_prior(self.rank);
        let prior = &self.priors[stretch * length..][..length];
        let (means, precisions) = prior[1..].split_at(self.rank + 1);
        (prior[0], means, precisions)
    }

    /// The bias and the factors of a row in a draw.
    pub fn draw<'a>(&self, draws: &'a Draws, row: u32, stretch: usize) -> (f64, &'a [f32]) {
        let place = row as usize * self.stretches + stretch;
        let factors = &draws.factors[place * self.rank..][..self.rank];
        (f64::from(draws.biases[place]), factors)
    }

    /// The mean of `A + w₀ + B + ⟨P, Q⟩`.
    #[inline(always)]
    pub fn predict(&self, people: &Means, person: u32, item: u32) -> f32 {
        let (person, item, width) = (person as usize, item as usize, self.width());
        let p = &people.factors[person * width..][..width];
        let q = &self.items.factors[item * width..][..width];
        people.biases[person] + self.items.biases[item] + dot(p, q) / self.over() as f32
    }
}

/// Numbers of a stretch's `α`, `μ` and `λ`.
pub(super) fn of_prior(rank: usize) -> usize {
    1 + 2 * (rank + 1)
}
