//! One side of the model: users, or items, and what of the other side describes them.

use mmdlrm_data::RatedBags;
use mmdlrm_kernels::vectorize;
use rayon::prelude::*;

use super::folded::Folded;
use super::implicit::Implicit;
use super::left::Left;
use super::links::Links;
use super::prior::{Prior, Spread};
use super::random::Random;
use super::rows::{Given, Piece, Scratch};

/// Rows that a thread takes at a time.
const ROWS: usize = 32;
/// Standard deviation of what a chain begins with.
pub(super) const FIRST_DEVIATION: f64 = 0.1;

/// What ratings are a sample of: `N(mean + …, 1/precision)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    /// `w₀`.
    pub mean: f64,
    /// `α`.
    pub precision: f64,
}

/// The weights of one side's rows, one row each, and those of the features that its rows share.
#[derive(Debug, Clone)]
pub(super) struct Block {
    columns: usize,
    /// `w, v` of each row, `[rows, k + 1]`; of one without ratings nothing is drawn.
    pub own: Vec<f64>,
    pub prior: Prior,
    pub implicit: Option<Implicit>,
    /// Whether a row has ratings, and so is drawn.
    is_rated: Vec<bool>,
    /// What both come to.
    pub folded: Folded,
    left: Left,
    normals: Vec<f64>,
}

impl Block {
    /// Of rows with these ratings, whose shared features, if they have any, are linked to them.
    pub fn new(bags: &RatedBags, links: Option<Links>, rank: usize, random: &mut Random) -> Self {
        let (rows, columns) = (bags.len(), rank + 1);
        let mut own = vec![0.0; rows * columns];
        random.fill_normals(&mut own);
        own.iter_mut().for_each(|weight| *weight *= FIRST_DEVIATION);
        let implicit = links.map(|links| Implicit::new(links, bags, columns, random));
        let kept = if implicit.is_some() { rows } else { 0 };
        let mut block = Self {
            columns,
            normals: vec![0.0; own.len()],
            own,
            prior: Prior::new(columns),
            implicit,
            is_rated: (0..rows as u32)
                .map(|row| !bags.row(row).is_empty())
                .collect(),
            folded: Folded::new(rows, rank),
            left: Left::new(kept, columns),
        };
        block.fold();
        block
    }

    /// Writes [`Self::folded`] anew: what draws add to it bit by bit.
    pub fn fold(&mut self) {
        let Folded {
            width,
            biases,
            rows,
        } = &mut self.folded;
        let (width, columns) = (*width, self.columns);
        biases.fill(0.0);
        let factors = rows.chunks_exact_mut(width);
        factors.for_each(|row| row[1..columns].fill(0.0));
        if let Some(implicit) = &self.implicit {
            implicit.fold(&mut self.folded);
        }
        let own = self.own.chunks_exact(columns);
        let rows = self.folded.rows.chunks_exact_mut(width);
        for ((own, bias), row) in own.zip(&mut self.folded.biases).zip(rows) {
            *bias += own[0];
            for (own, factor) in own[1..].iter().zip(&mut row[1..]) {
                *bias += own * *factor;
                *factor += own;
            }
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.folded.biases.len()
    }

    /// What a row comes to, `A` and `P`; one without ratings is not drawn, and has the means that
    /// all have.
    pub fn drawn(&self, row: usize) -> (f64, &[f64]) {
        match self.is_rated[row] {
            true => (
                self.folded.biases[row],
                &self.folded.row(row)[1..self.columns],
            ),
            false => (self.prior.means[0], &self.prior.means[1..]),
        }
    }

    /// Draws everything of this side anew, given the other side.
    pub fn draw(&mut self, bags: &RatedBags, partners: &Folded, level: Level, random: &mut Random) {
        self.draw_prior(random);
        self.draw_own(bags, partners, level, random);
        if let Some(implicit) = &mut self.implicit {
            implicit.draw(&mut self.folded, &self.left, level.precision, random);
        }
    }

    fn draw_prior(&mut self, random: &mut Random) {
        let mut spreads = vec![Spread::default(); self.columns];
        let mut count = 0;
        let rows = self.own.chunks_exact(self.columns).zip(&self.is_rated);
        for (own, _) in rows.filter(|&(_, &is_rated)| is_rated) {
            count += 1;
            let weights = own.iter().zip(&self.prior.means);
            for ((&weight, &mean), spread) in weights.zip(&mut spreads) {
                spread.add(weight, mean);
            }
        }
        self.prior.draw(count, &spreads, random);
    }

    /// Draws the rows' own weights, which know nothing of each other: on all threads.
    fn draw_own(&mut self, bags: &RatedBags, partners: &Folded, level: Level, random: &mut Random) {
        random.fill_normals(&mut self.normals);
        let columns = self.columns;
        let Folded {
            width,
            biases,
            rows,
        } = &mut self.folded;
        let own = self.own.chunks_mut(ROWS * columns);
        let biases = biases.chunks_mut(ROWS);
        let rows = rows.chunks_mut(ROWS * *width);
        let normals = self.normals.chunks(ROWS * columns);
        let mut left = self.left.chunks_mut(ROWS);
        let pieces = own.zip(biases).zip(rows).zip(normals).enumerate();
        let pieces = pieces.map(|(piece, (((own, biases), rows), normals))| Piece {
            first: piece * ROWS,
            own,
            biases,
            rows,
            normals,
            left: left.next(),
        });
        let pieces: Vec<Piece> = pieces.collect();
        let given = Given {
            bags,
            partners,
            level,
            prior: &self.prior,
        };
        pieces.into_par_iter().for_each_init(
            || Scratch::new(columns - 1),
            |scratch, mut piece| {
                vectorize(
                    #[inline(always)]
                    || piece.draw(&given, scratch),
                );
            },
        );
    }
}
