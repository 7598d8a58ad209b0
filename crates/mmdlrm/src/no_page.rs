//! Without the feature `report`, a run leaves no page.

use mmdlrm_features::TrainingData;
use mmdlrm_train::{EpochMetrics, Ranker, RunFolder};

use crate::made_from::Learned;
use crate::{Catalogue, ComparisonReport, ExperimentConfig, RankingReport, Report, Result};

pub(crate) fn write_for_model(
    _: &RunFolder,
    _: (&ExperimentConfig, &Learned),
    _: &Report,
    _: &[EpochMetrics],
    _: &dyn Ranker,
    _: &dyn TrainingData,
    _: &Catalogue,
) -> Result<()> {
    Ok(())
}

pub(crate) fn write_for_ranking(
    _: &RunFolder,
    _: &ExperimentConfig,
    _: &RankingReport,
    _: &[EpochMetrics],
) -> Result<()> {
    Ok(())
}

pub(crate) fn of_comparison(_: &ComparisonReport) -> Result<Option<String>> {
    Ok(None)
}
