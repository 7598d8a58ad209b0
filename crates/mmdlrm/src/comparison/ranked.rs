//! For whom the catalogue is ranked.

use mmdlrm_features::{Dataset, TrainingData};

use crate::{ExperimentConfig, Result, Words};

/// Users that the catalogue is ranked for, where they are not all.
pub(super) struct Ranked {
    pub held_out: Option<Vec<u32>>,
    pub validation: Option<Vec<u32>>,
    /// Of those with held-out ratings, as a report says it.
    pub about: Option<String>,
}

impl Ranked {
    /// As [`RankedUsers`](crate::RankedUsers) says, of those with held-out ratings and of those with
    /// validation ratings, which `inner` holds out.
    pub fn draw(config: &ExperimentConfig, whole: &Dataset, inner: &Dataset) -> Result<Self> {
        let draw = |data: &dyn TrainingData| -> Result<_> {
            let mut all = Vec::new();
            data.for_each_user(|user| {
                if !user.held_out.ids.is_empty() {
                    all.push(user.user);
                }
                Ok::<_, mmdlrm_data::Error>(())
            })?;
            let words = Words::of(&config.source, data.features().target());
            let (count, movies) = (all.len(), data.features().movies().len());
            let drawn = config.ranking.draw(all, movies, config.seed, &words);
            Ok(drawn.filter(|drawn| drawn.users.len() < count))
        };
        let (held_out, validation) = (draw(whole)?, draw(inner)?);
        Ok(Self {
            about: held_out.as_ref().map(|drawn| drawn.about.clone()),
            held_out: held_out.map(|drawn| drawn.users),
            validation: validation.map(|drawn| drawn.users),
        })
    }
}
