use mmdlrm_data::{Candidates, RatedBag};
use mmdlrm_model::NextItem;

use super::NextItemData;
use super::data::Examples;
use crate::Result;
use crate::dlrm::unsound;

/// Users that are ranked at once.
const USERS: usize = 512;

/// The score of one candidate of one user.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct CandidateScore {
    /// Raw user id.
    pub user_id: u32,
    /// Raw movie id.
    pub movie_id: u32,
    /// Higher is better; comparable within the user alone.
    pub score: f64,
    /// Whether it is the movie that was held out.
    pub held_out: bool,
}

/// Scores every candidate of every user, after all training ratings; `write` gets
/// the scores of one user after the other. A user without any is told popularity.
///
/// # Errors
/// A model that does not fit the data, or whatever `write` returns.
pub fn score_candidates(
    model: &NextItem,
    data: &NextItemData,
    candidates: &Candidates,
    mut write: impl FnMut(&[CandidateScore]) -> Result<()>,
) -> Result<()> {
    let sequences = data.sequences();
    let items = sequences.catalogue().len();
    let counts = sequences.counts();
    for rows in candidates.rows().chunks(USERS) {
        let known = rows
            .iter()
            .filter_map(|row| sequences.users().row(row.user_id));
        let known: Vec<RatedBag> = known.map(|user| sequences.of(user)).collect();
        let scores = scores_after(model, data, &known)?;
        let mut scores = scores.chunks_exact(items);
        for row in rows {
            let known = sequences
                .users()
                .row(row.user_id)
                .and_then(|_| scores.next());
            let score = |movie_id: u32| {
                let item = sequences
                    .catalogue()
                    .row(movie_id)
                    .map_or(0, |item| item as usize);
                known.map_or(f64::from(counts[item]), |scores| f64::from(scores[item]))
            };
            let ids = row.movie_ids.iter().enumerate();
            let scored = ids.map(|(place, &movie_id)| CandidateScore {
                user_id: row.user_id,
                movie_id,
                score: score(movie_id),
                held_out: place == 0,
            });
            write(&scored.collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

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
