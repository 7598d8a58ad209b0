//! Alternating least squares.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use mmdlrm_kernels::vectorize;
use mmdlrm_train::{EpochMetrics, Result, Session};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::equations::{Equations, ROUGHLY};
use super::fixed::{Fixed, across};
use super::lanes::{Lanes, dot};
use super::{Ials, IalsConfig};
use crate::incidence::Incidence;
use crate::progress::step_is_over;

/// Standard deviation of the products that the first step begins with.
const SPREAD: f32 = 0.1;
/// Rows that a thread takes at a time, at most: those of much rated items take long, and may stand
/// together.
const ROWS_AT_A_TIME: usize = 16;

/// Items' vectors to begin with: uniform, of standard deviation `SPREAD/√factors`.
pub(super) fn drawn(items: usize, config: &IalsConfig) -> Fixed {
    let (factors, across) = (config.factors, across(config.factors));
    let mut random = ChaCha8Rng::seed_from_u64(config.seed);
    let most = SPREAD * (3.0 / factors as f32).sqrt();
    let mut vectors = vec![Lanes::default(); items * across];
    for row in vectors.chunks_exact_mut(across) {
        row.as_flattened_mut()[..factors].fill_with(|| random.random_range(-most..most));
    }
    Fixed::of(vectors, factors)
}

impl Ials {
    /// Solves for the users and for the items, by turns.
    pub(super) fn learn(mut self, items: &Incidence, mut session: Session) -> Result<Self> {
        let (ratings, stop) = (self.users.ones(), session.stop);
        for iteration in 0..self.config.iterations {
            let start = Instant::now();
            let step = 2 * iteration as u64;
            let (users, _) = in_pool(|| self.half_step(&self.vectors, &self.users, stop));
            step_is_over(&mut session, step + 1, ratings)?;
            let (vectors, rest) = in_pool(|| self.half_step(&users, items, stop));
            step_is_over(&mut session, step + 2, ratings)?;
            self.vectors = vectors;
            let loss = (rest + self.ridges(&users)) / ratings.max(1) as f64;
            let seconds = start.elapsed().as_secs_f64();
            let metrics = EpochMetrics::new(iteration + 1, loss, ratings, seconds);
            (session.on_epoch)(&metrics, &self)?;
        }
        Ok(self)
    }

    /// Vectors of all who `rated` some of `fixed`, zeros of who rated nothing, and what they leave of
    /// the loss but the ridges of `fixed`. Not all of them where it is to stop.
    fn half_step(
        &self,
        fixed: &Fixed,
        rated: &Incidence,
        stop: Option<&AtomicBool>,
    ) -> (Fixed, f64) {
        let mut vectors = vec![Lanes::default(); rated.rows() * fixed.across()];
        let rows = vectors.par_chunks_exact_mut(fixed.across());
        let rows = rows.enumerate().with_max_len(ROWS_AT_A_TIME);
        let losses = rows.map_init(Equations::default, |equations, (row, out)| {
            let own = rated.row(row as u32);
            let is_stopped = stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
            if own.is_empty() || is_stopped {
                return 0.0;
            }
            let ridge = self.config.ridge(own.len(), fixed.len());
            equations.set(fixed, own, self.config.alpha, ridge);
            equations.vector(out, own.len(), ROUGHLY)
        });
        let losses: Vec<f64> = losses.collect();
        let vectors = Fixed::of(vectors, self.config.factors);
        (vectors, losses.iter().sum())
    }

    /// What the vectors of the users add to the loss.
    fn ridges(&self, users: &Fixed) -> f64 {
        let of_user = |(user, x): (usize, &[Lanes])| {
            let rated = self.users.row(user as u32).len();
            self.config.ridge(rated, self.items()) * f64::from(dot(x, x))
        };
        vectorize(
            #[inline(always)]
            || users.rows().enumerate().map(of_user).sum(),
        )
    }
}

/// Does all of it on threads of the pool: each part by itself would be handed over and waited for.
fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::join(work, || ()).0
}
