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
        let beside = beside(features.process_share(), &own, &background);
        let of_model = 1.0 - features.process_share();
        let movies = found.chunks_exact(parts.len().max(1)).zip(beside);
        let shares = movies.map(|(found, beside)| {
            let of_parts = parts.iter().zip(found).map(|(part, &stars)| Share {
                part: name(part),
                amount: of_model * stars,
            });
            of_parts.chain(beside).collect()
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

/// What stands beside the model: biases, and the Gaussian process beyond them.
fn beside(share: f32, own: &Batch, background: &Batch) -> Vec<Vec<Share>> {
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len().max(1) as f32;
    let bias_mean = mean(&background.base);
    let beyond = |process: &[f32], base: &[f32]| -> Vec<f32> {
        let pairs = process.iter().zip(base);
        pairs.map(|(process, base)| process - base).collect()
    };
    let process = beyond(&own.process, &own.base);
    let process_mean = mean(&beyond(&background.process, &background.base));
    let of_row = |row: usize| {
        let bias = own.base.get(row).map(|base| Share {
            part: Share::BIAS.to_owned(),
            amount: base - bias_mean,
        });
        let process = process.get(row).map(|process| Share {
            part: Share::PROCESS.to_owned(),
            amount: share * (process - process_mean),
        });
        bias.into_iter().chain(process).collect()
    };
    (0..own.len()).map(of_row).collect()
}
