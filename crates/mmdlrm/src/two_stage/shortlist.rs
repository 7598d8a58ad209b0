//! The first stage: which movies a DLRM is asked about, and what it is told of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mmdlrm_baselines::{Ease, EaseConfig};
use mmdlrm_data::{RatedBag, RatedBags};
use mmdlrm_features::{Affinities, Features, UserAffinity};
use mmdlrm_model::top_k;
use mmdlrm_train::Result;

use super::columns::Inputs;
use super::task::{Choose, Proposed, Proposes};

/// Movies beside another that are kept.
const NEIGHBOURS: usize = 256;

/// Both fitted to the same histories: what proposes, and what is known of what is proposed.
pub(super) struct Shortlist {
    pub ease: Arc<Ease>,
    affinities: Affinities,
    /// Movies that nobody has rated, ascending, of which neither knows anything.
    pub unrated: Vec<u32>,
    /// Kept from one user to the next.
    users: Mutex<Vec<UserAffinity>>,
}

impl Shortlist {
    pub fn fit(histories: Arc<RatedBags>, features: &Features, ease: &EaseConfig) -> Result<Self> {
        let ease = Ease::of(histories, features.movies().len(), ease)?;
        Ok(Self::of(Arc::new(ease), features))
    }

    pub fn of(ease: Arc<Ease>, features: &Features) -> Self {
        let counts = counts(ease.histories(), ease.items());
        let unrated = (0..).zip(counts).filter(|&(_, count)| count == 0);
        Self {
            unrated: unrated.map(|(movie, _)| movie).collect(),
            affinities: Affinities::fit(ease.histories(), features, NEIGHBOURS),
            ease,
            users: Mutex::default(),
        }
    }

    /// What a DLRM looks at of each movie.
    pub fn inputs() -> Inputs {
        let names = Affinities::names().iter();
        Inputs {
            names: names.map(|&name| name.to_owned()).collect(),
            has_towers: true,
        }
    }

    /// The histories that both are fitted to.
    pub fn histories(&self) -> &Arc<RatedBags> {
        self.ease.histories()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<UserAffinity>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proposes for Shortlist {
    fn ease(&self) -> &Ease {
        &self.ease
    }

    fn propose(
        &self,
        scores: &[f32],
        history: RatedBag,
        passed_over: &[u32],
        count: usize,
        choose: Choose,
    ) -> Proposed {
        let mut user = self.lock().pop().unwrap_or_default();
        let passed_over = [passed_over, &self.unrated].concat();
        let movies = choose(top_k(scores, count, &passed_over));
        let ids: Vec<u32> = movies.iter().map(|&(movie, _)| movie).collect();
        self.affinities.look_at(history, &ids, &mut user);
        let width = Affinities::names().len();
        let mut features = vec![0.0; movies.len() * width];
        for (&(movie, score), out) in movies.iter().zip(features.chunks_exact_mut(width)) {
            self.affinities.fill(&user, movie, score, out);
        }
        self.lock().push(user);
        Proposed { movies, features }
    }
}

/// Ratings of each movie.
pub(super) fn counts(histories: &RatedBags, movies: usize) -> Vec<u32> {
    let mut counts = vec![0; movies];
    for user in 0..histories.len() as u32 {
        for &movie in histories.row(user).ids {
            counts[movie as usize] += 1;
        }
    }
    counts
}
