//! Every ranking figure with the simple baselines beside.

use crate::rankings::{Ranking, RankingFigure, notes};

/// A table; empty where nothing was ranked.
#[derive(Default)]
pub(super) struct RankingTable {
    pub baselines: Vec<String>,
    pub rows: Vec<Row>,
    pub notes: Vec<String>,
}

pub(super) struct Row {
    pub metric: String,
    pub protocol: String,
    pub value: String,
    pub interval: String,
    /// As the table's.
    pub baselines: Vec<String>,
    pub difference: String,
    pub over: String,
}

impl RankingTable {
    pub fn of(rankings: &[Ranking]) -> Self {
        let rows = rankings.iter().flat_map(|ranking| {
            let figures = ranking.figures.iter();
            figures.map(|figure| Row::of(ranking, figure))
        });
        let first = rankings.first().and_then(|ranking| ranking.figures.first());
        let baselines = first.into_iter().flat_map(|figure| &figure.baselines);
        Self {
            baselines: baselines.map(|baseline| baseline.name.clone()).collect(),
            rows: rows.collect(),
            notes: notes(rankings),
        }
    }

    /// The same, and whom the catalogue was ranked for.
    pub fn for_users(mut self, ranked: &str) -> Self {
        self.notes.push(format!("ranked for {ranked}"));
        self
    }
}

impl Row {
    fn of(ranking: &Ranking, figure: &RankingFigure) -> Self {
        let baselines = figure.baselines.iter();
        let best = figure.best_baseline();
        Self {
            metric: figure.metric.clone(),
            protocol: ranking.protocol.clone(),
            value: format!("{:.4}", figure.value),
            interval: crate::report::interval(figure.interval),
            baselines: baselines.map(|it| format!("{:.4}", it.value)).collect(),
            difference: best.map_or(String::new(), ToString::to_string),
            over: ranking.over(),
        }
    }
}
