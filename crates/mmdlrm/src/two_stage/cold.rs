//! Movies that nobody has rated: proposed by those that are like them.

use std::collections::BTreeSet;
use std::sync::Arc;

use mmdlrm_baselines::Ease;
use mmdlrm_data::{RatedBag, RatedBags};
use mmdlrm_features::{ColdAffinities, Features, Likeness};
use mmdlrm_model::top_k;
use mmdlrm_train::Result;

use super::TwoStage;
use super::columns::Inputs;
use super::shortlist::counts;
use super::task::{Choose, Proposed, Proposes, Task, drawn, random};

/// What proposes movies without ratings, by the scores that EASE gives to the rated ones that are
/// like them.
pub(super) struct ColdShortlist {
    ease: Arc<Ease>,
    affinities: ColdAffinities,
}

impl ColdShortlist {
    /// Of `movies`, ascending, none of which `ease` has seen.
    pub fn of(ease: Arc<Ease>, likeness: &Likeness, features: &Features, movies: Vec<u32>) -> Self {
        let counts = counts(ease.histories(), ease.items());
        Self {
            affinities: ColdAffinities::fit(likeness, features, &counts, movies),
            ease,
        }
    }

    /// What a DLRM looks at of movies that are alike so. Vectors go in by whom they are like:
    /// towers of so few movies remember them, and do worse (`docs/accuracy.md`).
    pub fn inputs(likeness: &Likeness) -> Inputs {
        Inputs {
            names: ColdAffinities::names_of(likeness),
            has_towers: false,
        }
    }

    /// The movies that nobody has rated, ascending.
    pub fn movies(&self) -> &[u32] {
        self.affinities.movies()
    }
}

impl Proposes for ColdShortlist {
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
        let places = 0..self.movies().len();
        let by_place: Vec<f32> = places
            .map(|place| self.affinities.score(place, scores))
            .collect();
        let place = |movie: &u32| self.movies().binary_search(movie).ok();
        let passed_over = passed_over.iter().filter_map(place);
        let passed_over: Vec<u32> = passed_over.map(|place| place as u32).collect();
        let best = top_k(&by_place, count, &passed_over).into_iter();
        let best = best.map(|(place, score)| (self.movies()[place as usize], score));
        let movies = choose(best.collect());
        let mut rated = history.ids.to_vec();
        rated.sort_unstable();
        rated.dedup();
        let width = self.affinities.names().len();
        let mut features = vec![0.0; movies.len() * width];
        for (&(movie, _), out) in movies.iter().zip(features.chunks_exact_mut(width)) {
            if let Some(place) = place(&movie) {
                self.affinities.fill(place, &rated, scores, out);
            }
        }
        Proposed { movies, features }
    }
}

/// To find what users rate of movies all ratings of which are held back.
pub(super) struct Unrated<'a> {
    pub config: &'a TwoStage,
    pub features: &'a Features,
    pub likeness: Likeness,
}

impl Task for Unrated<'_> {
    type First = ColdShortlist;

    fn name(&self) -> &'static str {
        "two stages, movies without ratings"
    }

    fn inputs(&self) -> Inputs {
        ColdShortlist::inputs(&self.likeness)
    }

    fn held_back(&self, histories: &RatedBags, seed: u64) -> Vec<Vec<bool>> {
        let counts = counts(histories, self.features.movies().len());
        let rated = counts.iter().filter(|&&count| count > 0).count();
        let mut of_rated = drawn(rated, self.config.held_back, &mut random(seed, 0)).into_iter();
        let held: Vec<bool> = counts
            .iter()
            .map(|&count| count > 0 && of_rated.next().unwrap_or(false))
            .collect();
        let users = 0..histories.len() as u32;
        let of_user = |user| {
            let ids = histories.row(user).ids.iter();
            ids.map(|&movie| held[movie as usize]).collect()
        };
        users.map(of_user).collect()
    }

    fn most(&self) -> usize {
        usize::MAX
    }

    fn fit(&self, kept: Arc<RatedBags>, held_back: &RatedBags) -> Result<ColdShortlist> {
        let ease = Ease::of(kept, self.features.movies().len(), &self.config.ease)?;
        let users = 0..held_back.len() as u32;
        let movies = users.flat_map(|user| held_back.row(user).ids);
        let movies: BTreeSet<u32> = movies.copied().collect();
        let movies = movies.into_iter().collect();
        Ok(ColdShortlist::of(
            Arc::new(ease),
            &self.likeness,
            self.features,
            movies,
        ))
    }
}
