//! The first stage: which movies a DLRM is asked about, and what it is told of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mmdlrm_baselines::{Ease, EaseConfig};
use mmdlrm_data::{RatedBag, RatedBags};
use mmdlrm_features::{Affinities, Features, UserAffinity};
use mmdlrm_model::top_k;
use mmdlrm_train::Result;

/// Movies beside another that are kept.
const NEIGHBOURS: usize = 256;

/// Both fitted to the same histories: what proposes, and what is known of what is proposed.
pub(super) struct Shortlist {
    pub ease: Ease,
    affinities: Affinities,
    /// Kept from one user to the next.
    users: Mutex<Vec<UserAffinity>>,
}

/// Movies for one user, and the affinities of each, as they are, `[movies, features]`.
pub(super) struct Proposed {
    pub movies: Vec<(u32, f32)>,
    pub affinities: Vec<f32>,
}

impl Shortlist {
    pub fn fit(histories: Arc<RatedBags>, features: &Features, ease: &EaseConfig) -> Result<Self> {
        let ease = Ease::of(histories, features.movies().len(), ease)?;
        Ok(Self::of(ease, features))
    }

    pub fn of(ease: Ease, features: &Features) -> Self {
        Self {
            affinities: Affinities::fit(ease.histories(), features, NEIGHBOURS),
            ease,
            users: Mutex::default(),
        }
    }

    /// The histories that both are fitted to.
    pub fn histories(&self) -> &Arc<RatedBags> {
        self.ease.histories()
    }

    /// The `count` movies with the highest scores of whoever rated `history`, best first, those
    /// of the history left out, after `choose` had a choice of them. `scores` gets the scores of
    /// all.
    pub fn propose(
        &self,
        history: RatedBag,
        count: usize,
        choose: impl FnOnce(Vec<(u32, f32)>) -> Vec<(u32, f32)>,
        scores: &mut Vec<f32>,
    ) -> Result<Proposed> {
        let mut user = self.lock().pop().unwrap_or_default();
        self.ease.score_history(history, scores)?;
        let movies = choose(top_k(scores, count, history.ids));
        self.affinities.look_at(history, &mut user);
        let width = Affinities::names().len();
        let mut affinities = vec![0.0; movies.len() * width];
        for (&(movie, score), out) in movies.iter().zip(affinities.chunks_exact_mut(width)) {
            self.affinities.fill(&user, movie, score, out);
        }
        self.lock().push(user);
        Ok(Proposed { movies, affinities })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<UserAffinity>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
