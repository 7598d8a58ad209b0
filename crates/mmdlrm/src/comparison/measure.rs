//! Figures of a model, user by user.

use std::collections::BTreeMap;

use mmdlrm_data::Candidates;
use mmdlrm_features::TrainingData;
use mmdlrm_metrics::{Protocol, Regression};
use mmdlrm_train::{Ranker, predict_test};

use super::outcome::{UserErrors, UserRanking};
use crate::rankings::{RANKING_CUT_OFF, UserFigures, figures_of_candidates, figures_of_users};
use crate::{Result, SplitConfig};

/// What is held out, and how it is ranked.
#[derive(Clone, Copy)]
pub(super) struct HeldOut<'a> {
    pub data: &'a dyn TrainingData,
    pub split: &'a SplitConfig,
    /// Where it is candidates that are ranked, and not the catalogue.
    pub candidates: Option<&'a Candidates>,
    /// Users that the catalogue is ranked for, ascending; `None` for all.
    pub users: Option<&'a [u32]>,
}

impl HeldOut<'_> {
    /// Errors of the ratings, where a model predicts stars.
    pub fn errors(self, model: &dyn Ranker) -> Result<Option<UserErrors>> {
        let Some(rater) = model.rater() else {
            return Ok(None);
        };
        let mut users: BTreeMap<u32, Regression> = BTreeMap::new();
        predict_test(rater, self.data, |rated| {
            for rated in rated {
                let user = users.entry(rated.user).or_default();
                user.add(rated.prediction, rated.rating)?;
            }
            Ok(())
        })?;
        let mut errors = UserErrors::default();
        for user in users.values() {
            let count = user.count() as f64;
            errors.squares.push(user.squared_error());
            errors.absolutes.push(user.mae().unwrap_or(0.0) * count);
            errors.counts.push(count);
        }
        Ok(Some(errors))
    }

    /// Figures of each protocol that follows from the split.
    pub fn rankings(self, model: &dyn Ranker) -> Result<Vec<UserRanking>> {
        let found = match self.candidates {
            Some(candidates) => {
                let features = self.data.features();
                vec![figures_of_candidates(model, features, candidates)?]
            }
            None => figures_of_users(model, self.data, self.split, self.users)?,
        };
        Ok(found.into_iter().map(of_protocol).collect())
    }
}

fn of_protocol((protocol, users): (Protocol, Vec<UserFigures>)) -> UserRanking {
    let metrics = protocol.metrics().iter();
    UserRanking {
        protocol: protocol.to_string(),
        metrics: metrics
            .map(|metric| format!("{metric}@{RANKING_CUT_OFF}"))
            .collect(),
        users: users.into_iter().flatten().collect(),
    }
}
