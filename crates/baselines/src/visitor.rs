//! What somebody new rated.

use mmdlrm_data::{Rated, RatedBags};
use mmdlrm_train::{Error, Result, check_rows};

/// A visitor's ratings as the history of the only user, in the order of the movies: times are not
/// looked at.
///
/// # Errors
/// Movies that there are not, stars that are no numbers.
pub(crate) fn history(ratings: &[Rated], movies: usize) -> Result<RatedBags> {
    check_rows("movie", ratings.iter().map(|rated| rated.movie), movies)?;
    check_stars(ratings.iter().map(|rated| rated.stars))?;
    let own = ratings.iter().map(|rated| Rated {
        user: 0,
        timestamp: 0,
        ..*rated
    });
    Ok(RatedBags::of_users(1, own))
}

/// Refuses stars that are no numbers.
pub(crate) fn check_stars(stars: impl IntoIterator<Item = f32>) -> Result<()> {
    match stars.into_iter().find(|stars| !stars.is_finite()) {
        None => Ok(()),
        Some(stars) => Err(Error::Mismatch(format!("a rating of {stars} stars"))),
    }
}
