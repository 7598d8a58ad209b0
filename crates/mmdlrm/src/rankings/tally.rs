use mmdlrm_metrics::{PerUser, Protocol, RankingMetric, Standings};

use super::Asked;
use super::protocols::protocol_in;
use super::report::{BaselineFigure, RANKING_CUT_OFF, Ranking, RankingFigure};
use crate::measure::{CONFIDENCE, RESAMPLES};

/// Figures of one user by one ranker, one a metric of the protocol; `None` where the user has
/// nothing relevant.
pub(crate) type UserFigures = Option<Vec<f64>>;

/// What a protocol says of one ranking of one user.
pub(super) fn figures(
    protocol: Protocol,
    standings: &Standings,
) -> mmdlrm_metrics::Result<UserFigures> {
    if standings.relevant() == 0 {
        return Ok(None);
    }
    let metrics = protocol.metrics().iter();
    let figures = metrics.map(|metric| metric.of(standings, RANKING_CUT_OFF));
    figures.collect::<mmdlrm_metrics::Result<_>>().map(Some)
}

/// Figures under one protocol, user by user, of all rankers.
pub(super) struct Tally {
    protocol: Protocol,
    metrics: &'static [RankingMetric],
    /// `[rankers][metrics]`; the model is the first ranker.
    values: Vec<Vec<PerUser>>,
    left_out: u64,
    without_history: u64,
}

impl Tally {
    pub fn new(protocol: Protocol, rankers: usize) -> Self {
        let metrics = protocol.metrics();
        Self {
            protocol,
            metrics,
            values: vec![vec![PerUser::default(); metrics.len()]; rankers],
            left_out: 0,
            without_history: 0,
        }
    }

    /// Adds a user: figures of each ranker, all of which have some or none.
    pub fn add<'a>(
        &mut self,
        figures: impl Iterator<Item = &'a UserFigures>,
        has_history: bool,
    ) -> mmdlrm_metrics::Result<()> {
        let mut is_counted = false;
        for (values, figures) in self.values.iter_mut().zip(figures) {
            for (value, &figure) in values.iter_mut().zip(figures.iter().flatten()) {
                value.add(figure)?;
                is_counted = true;
            }
        }
        match is_counted {
            true => self.without_history += u64::from(!has_history),
            false => self.left_out += 1,
        }
        Ok(())
    }

    /// Means and intervals; `None` where no user has a figure. `competing` is the number of
    /// movies that compete at most.
    pub fn ranking(
        &self,
        asked: &Asked,
        competing: usize,
        baselines: impl Iterator<Item = &'static str> + Clone,
    ) -> mmdlrm_metrics::Result<Option<Ranking>> {
        let Some((model, others)) = self.values.split_first() else {
            return Ok(None);
        };
        let mut figures = Vec::new();
        for (number, metric) in self.metrics.iter().enumerate() {
            let of_model = &model[number];
            let Some(value) = of_model.mean() else {
                return Ok(None);
            };
            let named = baselines.clone().zip(others);
            let beside = named.map(|(name, values)| beside(of_model, name, &values[number]));
            figures.push(RankingFigure {
                metric: format!("{metric}@{RANKING_CUT_OFF}"),
                value,
                interval: of_model.interval(CONFIDENCE, RESAMPLES, 0),
                baselines: beside.collect::<mmdlrm_metrics::Result<_>>()?,
            });
        }
        Ok(Some(Ranking {
            held_out: asked.held_out.clone(),
            items: asked.words.items.clone(),
            protocol: protocol_in(&asked.words, self.protocol),
            users: model.first().map_or(0, PerUser::users),
            left_out: self.left_out,
            without_history: self.without_history,
            competing,
            figures,
        }))
    }
}

/// A baseline beside the model, on the same users.
fn beside(
    model: &PerUser,
    name: &str,
    baseline: &PerUser,
) -> mmdlrm_metrics::Result<BaselineFigure> {
    Ok(BaselineFigure {
        name: name.to_owned(),
        value: baseline.mean().unwrap_or(0.0),
        difference: model.difference(baseline)?.unwrap_or(0.0),
        difference_interval: model.difference_interval(baseline, CONFIDENCE, RESAMPLES, 0)?,
    })
}
