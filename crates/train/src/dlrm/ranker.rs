//! A [`Dlrm`] behind the seam.

use std::borrow::Borrow;
use std::sync::atomic::AtomicBool;

use mmdlrm_data::{Batch, Rated, Target};
use mmdlrm_features::{Known, NewMovie};
use mmdlrm_model::Dlrm;

use crate::{
    Error, NewUser, Persist, Ranker, RateNewcomer, Rater, Result, Scorer, Share, Visitor, Who,
};

impl<M: Borrow<Dlrm> + Send + Sync> Ranker for Scorer<M> {
    fn parameters(&self) -> usize {
        self.model().parameters().len()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        match who {
            Who::Users(users) => Self::score(self, users, scores),
            Who::Visitor(visitor) => self.score_for(visitor.state()?, scores),
        }
    }

    fn meet(&self, ratings: &[Rated], stop: Option<&AtomicBool>) -> Result<Visitor> {
        let new = self.fold_in(ratings, stop)?;
        Ok(Visitor::new(ratings.to_vec(), new))
    }

    fn rater(&self) -> Option<&dyn Rater> {
        // How likely an interaction is, is known up to how many zeros were drawn beside it.
        (self.features().target() != Target::Implicit).then_some(self)
    }

    fn explain(&self, who: Who, items: &[u32]) -> Result<Option<Vec<Vec<Share>>>> {
        let (new, user) = match who {
            Who::Users(&[user]) => (None, user),
            Who::Users(users) => {
                return Err(Error::Mismatch(format!(
                    "a score is explained for one user, and there are {}",
                    users.len()
                )));
            }
            Who::Visitor(visitor) => (Some(visitor.state()?), 0),
        };
        Ok(Some(self.shares(new, user, items)?))
    }

    fn item_vectors(&self) -> Result<Option<Vec<f32>>> {
        Ok(Some(self.movie_vectors()?))
    }

    fn newcomer(&self, movie: &NewMovie) -> Result<Option<RateNewcomer<'_>>> {
        let features = self.features().with_new_movie(movie)?;
        let row = features.movies().len() as u32;
        let scorer = self.of_new_movie(features)?;
        Ok(Some(Box::new(move |users, stars| {
            let features = scorer.features();
            let rows = users.iter().map(|&user| features.unrated(user, row));
            let rows: Vec<Rated> = rows.collect();
            scorer.predict(&features.test_batch(&rows), stars)
        })))
    }
}

impl<M: Borrow<Dlrm> + Send + Sync> Rater for Scorer<M> {
    fn rate(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.predict(batch, stars)
    }

    fn rate_items(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        self.rate_items_unbounded(who, items, stars)?;
        self.keep_within_bounds(stars);
        Ok(())
    }

    fn rate_unbounded(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.predict_unbounded(None, batch, stars)
    }

    fn rate_items_unbounded(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        let (new, users) = match who {
            Who::Users(users) => (None, users),
            Who::Visitor(visitor) => (Some(visitor.state::<NewUser>()?), &[0][..]),
        };
        let features = new.map_or(self.features(), NewUser::features);
        self.check_users(features, users)?;
        let pairs = users
            .iter()
            .flat_map(|&user| items.iter().map(move |&item| (user, item)));
        let rows = pairs.map(|(user, item)| features.unrated(user, item));
        let rows: Vec<Rated> = rows.collect();
        self.predict_unbounded(new, &features.test_batch(&rows), stars)
    }
}

impl Persist for Scorer<Dlrm> {
    fn kind() -> &'static str {
        Dlrm::kind()
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        Persist::to_safetensors(self.model())
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        Self::new(Dlrm::load(file, known)?, known.features().clone())
    }
}
