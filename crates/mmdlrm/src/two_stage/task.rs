//! What a DLRM of the second stage learns to put in order.

use std::sync::Arc;

use mmdlrm_baselines::Ease;
use mmdlrm_data::{RatedBag, RatedBags};
use mmdlrm_features::Features;
use mmdlrm_train::Result;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::columns::Inputs;
use super::shortlist::Shortlist;
use super::{ToFind, TwoStage};

/// Movies for one user, with the scores of the first stage, and what is known of each, as it is,
/// `[movies, features]`.
pub(super) struct Proposed {
    pub movies: Vec<(u32, f32)>,
    pub features: Vec<f32>,
}

/// Takes some of the movies that could be proposed.
pub(super) type Choose<'a> = &'a mut dyn FnMut(Vec<(u32, f32)>) -> Vec<(u32, f32)>;

/// A first stage, fitted to what users rated.
pub(super) trait Proposes: Send + Sync {
    /// What gives movies the scores by which they are proposed.
    fn ease(&self) -> &Ease;

    /// The best `count` movies for whoever rated `history` and has `scores`, those of all movies,
    /// best first, the ones that are passed over left out, after `choose` had a choice of them.
    fn propose(
        &self,
        scores: &[f32],
        history: RatedBag,
        passed_over: &[u32],
        count: usize,
        choose: Choose,
    ) -> Proposed;
}

/// What a draw holds back, and what proposes it by the rest.
pub(super) trait Task: Sync {
    type First: Proposes;

    /// For data that are made for one task and no other.
    fn name(&self) -> &'static str;

    /// What is known of the movies that are proposed.
    fn inputs(&self) -> Inputs;

    /// Which ratings of each user are held back.
    fn held_back(&self, histories: &RatedBags, seed: u64) -> Vec<Vec<bool>>;

    /// How many of a user's, the earliest, are to be found, at most.
    fn most(&self) -> usize;

    /// Fits the first stage to what is kept.
    fn fit(&self, kept: Arc<RatedBags>, held_back: &RatedBags) -> Result<Self::First>;
}

/// To find what users rate of movies that others have rated.
pub(super) struct Rated<'a> {
    pub config: &'a TwoStage,
    pub features: &'a Features,
}

impl Task for Rated<'_> {
    type First = Shortlist;

    fn name(&self) -> &'static str {
        "two stages"
    }

    fn inputs(&self) -> Inputs {
        Shortlist::inputs()
    }

    fn held_back(&self, histories: &RatedBags, seed: u64) -> Vec<Vec<bool>> {
        let share = self.config.held_back;
        let users = (0..histories.len() as u32).into_par_iter();
        let held = users.map(|user| {
            let (history, random) = (histories.row(user).ids, &mut random(seed, user));
            match self.config.to_find {
                ToFind::Any => any(history, share, random),
                ToFind::Latest | ToFind::Next => latest(history.len(), share, random),
            }
        });
        held.collect()
    }

    fn most(&self) -> usize {
        match self.config.to_find {
            ToFind::Next => 1,
            ToFind::Any | ToFind::Latest => usize::MAX,
        }
    }

    fn fit(&self, kept: Arc<RatedBags>, _held_back: &RatedBags) -> Result<Shortlist> {
        Shortlist::fit(kept, self.features, &self.config.ease)
    }
}

/// Each movie with a chance of `share`, its ratings together; one movie or more, and never all.
fn any(history: &[u32], share: f64, random: &mut ChaCha8Rng) -> Vec<bool> {
    let mut movies = history.to_vec();
    movies.sort_unstable();
    movies.dedup();
    let drawn = drawn(movies.len(), share, random);
    let held = history.iter().map(|id| movies.binary_search(id));
    held.map(|place| place.is_ok_and(|place| drawn[place]))
        .collect()
}

/// Each of `count` with a chance of `share`; one or more, and never all.
pub(super) fn drawn(count: usize, share: f64, random: &mut ChaCha8Rng) -> Vec<bool> {
    let mut drawn: Vec<bool> = (0..count).map(|_| random.random_bool(share)).collect();
    // One is to be found, and one to find it by.
    let (all, none) = (drawn.iter().all(|&it| it), drawn.iter().all(|&it| !it));
    match count {
        0 | 1 => drawn.fill(false),
        _ if all || none => drawn[random.random_range(0..count)] = none,
        _ => {}
    }
    drawn
}

/// The latest of `count` ratings: one, or any number up to `share` of them; never all.
fn latest(count: usize, share: f64, random: &mut ChaCha8Rng) -> Vec<bool> {
    let mut held = vec![false; count];
    if count > 1 {
        let most = ((count as f64 * share).ceil() as usize).clamp(1, count - 1);
        held[count - random.random_range(1..=most)..].fill(true);
    }
    held
}

/// Numbers of a user of a draw, whatever thread asks.
pub(super) fn random(seed: u64, user: u32) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(user.into());
    random
}
