//! What carries a score, in words.

use mmdlrm_baselines::GaussianProcess;
use mmdlrm_model::Part;
use mmdlrm_train::{Ranker, Share, Who};

use super::Reason;
use crate::Result;

/// The strongest reasons for each of `movies`, `count` of them at most.
pub(super) fn reasons(
    model: &dyn Ranker,
    who: Who,
    movies: &[u32],
    count: usize,
) -> Result<Vec<Vec<Reason>>> {
    let none = || vec![Vec::new(); movies.len()];
    if count == 0 || movies.is_empty() {
        return Ok(none());
    }
    let Some(shares) = model.explain(who, movies)? else {
        return Ok(none());
    };
    mmdlrm_data::Error::unless_all("explanations", shares.len(), movies.len())?;
    let reasons = shares.into_iter().map(|shares| {
        let mut shares: Vec<Share> = shares.into_iter().filter(|it| it.amount > 0.0).collect();
        shares.sort_by(|a, b| b.amount.total_cmp(&a.amount));
        shares.truncate(count);
        shares.into_iter().map(reason).collect()
    });
    Ok(reasons.collect())
}

fn reason(share: Share) -> Reason {
    let words = match share.part.as_str() {
        Share::BIAS => "it is liked by most who rated it".to_owned(),
        GaussianProcess::PART => "you liked movies like it, at that time".to_owned(),
        part => words(part),
    };
    Reason {
        words,
        part: share.part,
        stars: share.amount,
    }
}

/// What a side of a pair is called, and whether it is the user's.
fn side(name: &str) -> (&str, bool) {
    match name {
        "user" => ("your taste", true),
        "history" | "rated_history" => ("what you rated", true),
        "movie" => ("the movie", false),
        "genre" => ("its genres", false),
        "image" => ("its poster", false),
        "text" => ("its plot", false),
        "genome" => ("its tags", false),
        "audience" | "rated_audience" => ("who rated it", false),
        Part::FEATURES => ("how and when it is rated", false),
        other => (other, false),
    }
}

fn suits(what: &str) -> &'static str {
    match what {
        "its genres" | "its tags" => "suit",
        _ => "suits",
    }
}

/// Of a part, or of two that meet: `user × movie`.
fn words(part: &str) -> String {
    let Some((first, second)) = part.split_once(Share::MEETS) else {
        return side(part).0.to_owned();
    };
    let ((first, first_is_yours), (second, second_is_yours)) = (side(first), side(second));
    match (first_is_yours, second_is_yours) {
        (true, false) => format!("{second} {} {first}", suits(second)),
        (false, true) => format!("{first} {} {second}", suits(first)),
        (true, true) => format!("{first} alone"),
        (false, false) if first == second => format!("{first} ({part})"),
        (false, false) => format!("{first}, with {second}"),
    }
}
