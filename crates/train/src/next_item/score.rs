use mmdlrm_data::RatedBag;
use mmdlrm_model::NextItem;

use super::NextItemData;
use super::data::Examples;
use crate::Result;
use crate::dlrm::unsound;

/// Scores of the catalogue after all of each sequence, `[sequences, items]`.
pub(super) fn scores_after(
    model: &NextItem,
    data: &NextItemData,
    sequences: &[RatedBag<'_>],
) -> Result<Vec<f32>> {
    let examples = sequences.iter();
    let examples = Examples {
        data,
        examples: examples
            .map(|&sequence| data.example(sequence, sequence.len()))
            .collect(),
    };
    let scores = model.scores(&data.inputs(), &examples.views(|_| 0), &examples)?;
    match scores.iter().find(|score| !score.is_finite()) {
        None => Ok(scores),
        Some(&score) => Err(unsound(score, model.extreme_parameter())),
    }
}
