//! What carries a score, in words.

use std::collections::{HashMap, HashSet};

use mmdlrm_baselines::GaussianProcess;
use mmdlrm_model::Part;
use mmdlrm_train::{Cause, Error, Ranker, Share, Who};

use super::{Catalogue, Reason};
use crate::Result;

/// Movies that one reason names, at most, …
const MOST_TITLES: usize = 2;
/// … of so many that add most to the score.
const MOST_CAUSES: usize = 8;
/// Stars from which on a movie is liked.
const LIKED: f32 = 4.0;
/// The part of a model that what a user rated is.
const HISTORY: &str = "history";

/// The strongest reasons for each of `movies`, `count` of them at most: what the user rated, where
/// the model can tell what that adds; else parts of the model.
pub(super) fn reasons(
    model: &dyn Ranker,
    who: Who,
    movies: &[u32],
    rated: &Rated,
    count: usize,
) -> Result<Vec<Vec<Reason>>> {
    let none = || vec![Vec::new(); movies.len()];
    if count == 0 || movies.is_empty() {
        return Ok(none());
    }
    if let Some(causes) = model.because(who, movies, MOST_CAUSES)? {
        mmdlrm_data::Error::unless_all("reasons", causes.len(), movies.len())?;
        let mut named = HashSet::new();
        let reasons = causes.iter().map(|causes| {
            let reason = rated.reason(causes, &mut named)?;
            Ok(Vec::from_iter(reason))
        });
        return reasons.collect();
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

/// What a user rated, to speak of it.
pub(super) struct Rated<'a> {
    catalogue: &'a Catalogue,
    stars: HashMap<u32, f32>,
}

impl<'a> Rated<'a> {
    /// Dense rows and stars of the movies that the user rated.
    pub fn new(catalogue: &'a Catalogue, rated: &[(u32, f32)]) -> Self {
        Self {
            catalogue,
            stars: rated.iter().copied().collect(),
        }
    }

    /// Of the movies that add most, those that the user liked where there are any, and of these
    /// those that no reason has `named` yet: nobody wants to be told the same again. `None` where
    /// nothing that the user rated adds to the score.
    fn reason(&self, causes: &[Cause], named: &mut HashSet<u32>) -> Result<Option<Reason>> {
        let is_liked = |cause: &&Cause| self.stars.get(&cause.item).is_some_and(|&it| it >= LIKED);
        let liked: Vec<&Cause> = causes.iter().filter(is_liked).collect();
        let (verb, mut causes) = match liked.is_empty() {
            true => ("rated", causes.iter().collect()),
            false => ("liked", liked),
        };
        // Stable: of those that are alike in it the stronger stays first.
        causes.sort_by_key(|cause| named.contains(&cause.item));
        causes.truncate(MOST_TITLES);
        named.extend(causes.iter().map(|cause| cause.item));
        let titles = causes.iter().map(|cause| {
            let movie = self.catalogue.movies().get(cause.item as usize);
            movie.map(|movie| movie.title.as_str()).ok_or_else(|| {
                let row = cause.item;
                Error::Mismatch(format!(
                    "the model's reason is movie {row}, which there is not"
                ))
            })
        });
        let titles: Vec<&str> = titles.collect::<mmdlrm_train::Result<_>>()?;
        let Some((last, before)) = titles.split_last() else {
            return Ok(None);
        };
        let titles = match before.is_empty() {
            true => (*last).to_owned(),
            false => format!("{} and {last}", before.join(", ")),
        };
        Ok(Some(Reason {
            part: HISTORY.to_owned(),
            words: format!("because you {verb} {titles}"),
            stars: None,
        }))
    }
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
        stars: Some(share.amount),
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
