//! What carries a score of a [`Dlrm`].

use std::borrow::Borrow;

use mmdlrm_data::{Batch, Rated};
use mmdlrm_model::{Dlrm, Part};

use crate::{NewUser, Result, Scorer, Share};

/// Movies that stand for the average one: so many tell the mean well.
const BACKGROUND: usize = 256;

impl<M: Borrow<Dlrm>> Scorer<M> {
    /// What carries the score of each of `movies`; `user` is the row of somebody `new`, or
    /// of a user of the model's.
    pub(crate) fn shares(
        &self,
        new: Option<&NewUser>,
        user: u32,
        movies: &[u32],
    ) -> Result<Vec<Vec<Share>>> {
        let features = new.map_or(self.features(), NewUser::features);
        let batch = |movies: &mut dyn Iterator<Item = u32>| {
            let rows: Vec<Rated> = movies.map(|movie| features.unrated(user, movie)).collect();
            features.test_batch(&rows)
        };
        let step = features.movies().len().div_ceil(BACKGROUND).max(1);
        let background = batch(&mut (0..features.movies().len() as u32).step_by(step));
        let own = batch(&mut movies.iter().copied());
        let (parts, found) = self.contributions(new, &own, &background)?;
        let movies = found.chunks_exact(parts.len().max(1)).enumerate();
        let shares = movies.map(|(movie, found)| {
            let of_parts = parts.iter().zip(found).map(|(part, &stars)| Share {
                part: name(part),
                amount: stars,
            });
            of_parts.chain(of_bias(movie, &own, &background)).collect()
        });
        Ok(shares.collect())
    }
}

fn name(part: &Part) -> String {
    match &part.second {
        Some(second) => [&part.first, Share::MEETS, second].concat(),
        None => part.first.clone(),
    }
}

/// What stands beside the model in a row of `own`: biases, where there are any.
fn of_bias(row: usize, own: &Batch, background: &Batch) -> Option<Share> {
    let base = own.base.get(row)?;
    let mean = background.base.iter().sum::<f32>() / background.base.len().max(1) as f32;
    Some(Share {
        part: Share::BIAS.to_owned(),
        amount: base - mean,
    })
}
