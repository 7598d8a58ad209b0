use mmdlrm_data::{Candidates, UserCandidates};
use mmdlrm_features::Features;

use crate::{Error, Ranker, Result, Who, score_all};

/// Users whose scores are computed at a time.
const USERS_AT_A_TIME: usize = 32;

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

/// Scores every candidate of every user by any model; `take` gets the scores of one user after
/// the other, in the order of the candidates, the movie that was held out first.
///
/// # Errors
/// [`Error::Mismatch`] of users or movies that `features` lack; scores that are no numbers;
/// what the model or `take` say.
pub fn score_candidates(
    model: &dyn Ranker,
    features: &Features,
    candidates: &Candidates,
    mut take: impl FnMut(&[CandidateScore]) -> Result<()>,
) -> Result<()> {
    let movies = features.movies().len();
    let row_of_user = |row: &UserCandidates| {
        let found = features.users().row(row.user_id);
        found.ok_or_else(|| unknown("user", row.user_id))
    };
    let row_of_movie = |id: u32| {
        let found = features.movies().row(id);
        found.ok_or_else(|| unknown("movie", id))
    };
    let mut scores = Vec::new();
    for rows in candidates.rows().chunks(USERS_AT_A_TIME) {
        let users = rows.iter().map(row_of_user);
        let users = users.collect::<Result<Vec<u32>>>()?;
        score_all(model, Who::Users(&users), movies, &mut scores)?;
        for (row, scores) in rows.iter().zip(scores.chunks_exact(movies)) {
            let ids = row.movie_ids.iter().enumerate();
            let scored = ids.map(|(place, &movie_id)| {
                Ok(CandidateScore {
                    user_id: row.user_id,
                    movie_id,
                    score: f64::from(scores[row_of_movie(movie_id)? as usize]),
                    held_out: place == 0,
                })
            });
            take(&scored.collect::<Result<Vec<_>>>()?)?;
        }
    }
    Ok(())
}

fn unknown(what: &str, id: u32) -> Error {
    Error::Mismatch(format!(
        "the candidates have a {what} that the model does not know: {id}"
    ))
}
