//! A [`BiasModel`] behind the seam.

use std::sync::atomic::AtomicBool;

use mmdlrm_data::{Batch, Rated};
use mmdlrm_train::{Ranker, Rater, Result, Visitor, Who, check_rows, keep_within_bounds};

use super::BiasModel;
use crate::visitor;

/// The bias of somebody new.
struct Guest(f32);

impl BiasModel {
    /// `b_u` of each user, or of the visitor.
    fn biases(&self, who: Who) -> Result<Vec<f32>> {
        let known = self.users();
        match who {
            Who::Users(users) => {
                check_rows("user", users.iter().copied(), known.len())?;
                Ok(users.iter().map(|&user| known[user as usize]).collect())
            }
            Who::Visitor(visitor) => Ok(vec![visitor.state::<Guest>()?.0]),
        }
    }

    fn check_movies(&self, movies: &[u32]) -> Result<()> {
        check_rows("movie", movies.iter().copied(), self.movies().len())
    }
}

impl Ranker for BiasModel {
    fn parameters(&self) -> usize {
        self.baseline.parameters()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        let movies: Vec<u32> = (0..self.movies().len() as u32).collect();
        self.rate_items_unbounded(who, &movies, scores)
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        let history = visitor::history(ratings, self.movies().len())?;
        let bias = self.baseline.of_history(history.row(0).stars_by_id());
        Ok(Visitor::new(ratings.to_vec(), Guest(bias)))
    }

    fn rater(&self) -> Option<&dyn Rater> {
        Some(self)
    }
}

impl Rater for BiasModel {
    fn rate(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.rate_unbounded(batch, stars)?;
        keep_within_bounds(stars);
        Ok(())
    }

    fn rate_items(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        self.rate_items_unbounded(who, items, stars)?;
        keep_within_bounds(stars);
        Ok(())
    }

    fn rate_unbounded(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        let biases = self.biases(Who::Users(&batch.users))?;
        self.check_movies(&batch.movies)?;
        let rows = biases.iter().zip(&batch.movies);
        stars.clear();
        stars.extend(rows.map(|(&bias, &movie)| self.baseline.stars(bias, movie)));
        Ok(())
    }

    fn rate_items_unbounded(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        self.check_movies(items)?;
        stars.clear();
        for bias in self.biases(who)? {
            let of_items = items.iter().map(|&item| self.baseline.stars(bias, item));
            stars.extend(of_items);
        }
        Ok(())
    }
}
