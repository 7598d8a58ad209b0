//! What carries a score, in words.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use mmdlrm_baselines::GaussianProcess;
use mmdlrm_model::Part;
use mmdlrm_train::{Cause, Error, Ranker, Share, Who, causes_of, shares_of};

use super::{Catalogue, Movie, Reason};
use crate::{Result, Words};

/// Movies that add most to a score, of which reasons name one or two.
const MOST_CAUSES: usize = 16;
/// What a movie that adds much adds at least, beside the one that adds most.
const STRONG: f32 = 0.5;
/// Stars below which a part is no reason.
const LEAST_STARS: f32 = 0.005;
/// The part of a model that what a user rated is.
const HISTORY: &str = "history";

/// What is known of movies before they are explained, by dense row.
#[derive(Default)]
pub(super) struct Found {
    /// What adds to the score of each, as [`causes`] has it, of a model that can tell.
    pub causes: Option<HashMap<u32, Vec<Cause>>>,
    /// The movie on whose shelf each is.
    pub because: HashMap<u32, u32>,
}

/// What of what a user rated adds most to the score of each of `movies`; `None` of a model that
/// cannot tell.
pub(super) fn causes(
    model: &dyn Ranker,
    who: Who,
    movies: &[u32],
) -> Result<Option<Vec<Vec<Cause>>>> {
    Ok(causes_of(model, who, movies, MOST_CAUSES)?)
}

/// The strongest reasons for each of `movies`, `count` of them at most: what the user rated, where
/// the model can tell what that adds; else parts of the model.
pub(super) fn reasons(
    model: &dyn Ranker,
    who: Who,
    movies: &[u32],
    rated: &Rated,
    found: &Found,
    count: usize,
) -> Result<Vec<Vec<Reason>>> {
    let none = || vec![Vec::new(); movies.len()];
    if count == 0 || movies.is_empty() {
        return Ok(none());
    }
    let of_movie = |causes: &HashMap<u32, Vec<Cause>>, movie| causes.get(movie).cloned();
    let causes = match &found.causes {
        Some(known) => {
            let causes = movies.iter().map(|movie| of_movie(known, movie));
            Some(causes.map(Option::unwrap_or_default).collect())
        }
        None => causes(model, who, movies)?,
    };
    if let Some(causes) = causes {
        let mut said = Said::default();
        let reasons = movies.iter().zip(&causes).map(|(movie, causes)| {
            let first = found.because.get(movie).copied();
            let reason = rated.reason(*movie, causes, first, &mut said)?;
            Ok(Vec::from_iter(reason))
        });
        return reasons.collect();
    }
    let Some(shares) = shares_of(model, who, movies)? else {
        return Ok(none());
    };
    let words = rated.words;
    Ok(shares
        .into_iter()
        .map(|it| in_words(it, count, words))
        .collect())
}

/// What a user rated, to speak of it.
pub(super) struct Rated<'a> {
    catalogue: &'a Catalogue,
    words: &'a Words,
    stars: HashMap<u32, f32>,
}

impl<'a> Rated<'a> {
    /// Dense rows and stars of the movies that the user rated.
    pub fn new(catalogue: &'a Catalogue, words: &'a Words, rated: &[(u32, f32)]) -> Self {
        Self {
            catalogue,
            words,
            stars: rated.iter().copied().collect(),
        }
    }

    /// Of the movies that add most to the score of `movie`, those that the user liked where there
    /// are any, and of the strong ones among these those that no reason has named yet: nobody wants
    /// to be told the same again. The one on whose shelf it is comes `first`. `None` where nothing
    /// that the user rated adds to the score, or all has been said.
    fn reason(
        &self,
        movie: u32,
        causes: &[Cause],
        first: Option<u32>,
        said: &mut Said,
    ) -> Result<Option<Reason>> {
        let limit = self.words.target.liked();
        let is_liked = |cause: &&Cause| self.stars.get(&cause.item).is_some_and(|&it| it >= limit);
        let others = causes.iter().filter(|cause| cause.item != movie);
        let liked: Vec<&Cause> = others.clone().filter(is_liked).collect();
        let (verb, mut causes) = match liked.is_empty() {
            true => (self.words.rated.as_str(), others.collect()),
            // Where there is no scale, what was chosen is not said to be liked.
            false if self.words.target.is_probability() => (self.words.rated.as_str(), liked),
            false => ("liked", liked),
        };
        let strong = causes.first().map_or(0.0, |cause| STRONG * cause.amount);
        // Stable: of those that are alike in it the stronger stays first.
        causes.sort_by_key(|cause| {
            let is_named = said.named.contains(&cause.item);
            (Some(cause.item) != first, cause.amount < strong, is_named)
        });
        for causes in together(&causes) {
            let mut items: Vec<u32> = causes.iter().map(|cause| cause.item).collect();
            items.sort_unstable();
            said.named.extend(&items);
            if said.together.insert(items) {
                return Ok(Some(Reason {
                    part: HISTORY.to_owned(),
                    words: format!("because you {verb} {}", self.titles(&causes)?),
                    stars: None,
                }));
            }
        }
        Ok(None)
    }

    /// `Fargo and The Big Lebowski`.
    fn titles(&self, causes: &[&Cause]) -> Result<String> {
        let titles = causes.iter().map(|cause| {
            let movie = self.catalogue.movies().get(cause.item as usize);
            movie.map(Movie::name).ok_or_else(|| {
                let row = cause.item;
                Error::Mismatch(format!(
                    "the model's reason is movie {row}, which there is not"
                ))
            })
        });
        let titles: Vec<String> = titles.collect::<mmdlrm_train::Result<_>>()?;
        Ok(titles.join(" and "))
    }
}

/// What reasons of one answer have said, by dense rows of movies.
#[derive(Default)]
struct Said {
    named: HashSet<u32>,
    /// Which were named in one reason, ascending.
    together: HashSet<Vec<u32>>,
}

/// Each two of some causes, the first first, and then each alone.
fn together<'a>(causes: &[&'a Cause]) -> Vec<Vec<&'a Cause>> {
    let pair = |second: usize| move |first: usize| vec![causes[first], causes[second]];
    let pairs = (1..causes.len()).flat_map(|second| (0..second).map(pair(second)));
    pairs
        .chain(causes.iter().map(|&cause| vec![cause]))
        .collect()
}

/// What parts of a model add, the most first, and those that people call the same as one.
fn in_words(shares: Vec<Share>, count: usize, of_data: &Words) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = Vec::new();
    for share in shares {
        let words = words(&share.part, of_data);
        match reasons.iter_mut().find(|reason| reason.words == words) {
            Some(same) => same.stars = same.stars.map(|stars| stars + share.amount),
            None => reasons.push(Reason {
                part: share.part,
                words,
                stars: Some(share.amount),
            }),
        }
    }
    reasons.retain(|reason| reason.stars >= Some(LEAST_STARS));
    reasons.sort_by(|a, b| b.stars.partial_cmp(&a.stars).unwrap_or(Ordering::Equal));
    reasons.truncate(count);
    reasons
}

/// A side of a pair, as people speak of it.
enum SideOf {
    /// What there is of you, and what others do who are like you in it.
    You(String, String),
    /// What there is of the movie, and how many that is.
    Movie(String, &'static str),
    Audience,
    /// How and when it is rated.
    Ratings,
}

fn side(name: &str, Words { rated, .. }: &Words) -> SideOf {
    let you = |what: &str, alike: &str| SideOf::You(what.to_owned(), alike.to_owned());
    let movie = |what: &str, suits| SideOf::Movie(what.to_owned(), suits);
    match name {
        "user" => you("your taste", "share your taste"),
        "history" | "rated_history" => you(
            &format!("what you {rated}"),
            &format!("{rated} what you did"),
        ),
        "movie" => movie("it", "suits"),
        "genre" => movie("its genres", "suit"),
        "image" => movie("its poster", "suits"),
        "text" => movie("its plot", "suits"),
        "genome" => movie("its tags", "suit"),
        "audience" | "rated_audience" => SideOf::Audience,
        Part::FEATURES => SideOf::Ratings,
        // Columns of tables.
        _ => match (name.strip_prefix("item_"), name.strip_prefix("user_")) {
            (Some(column), _) => movie(&format!("its {column}"), "suits"),
            (_, Some(column)) => you(&format!("your {column}"), &format!("share your {column}")),
            _ => movie(&format!("its {name}"), "suits"),
        },
    }
}

/// Of a part, or of two that meet: `user × movie`.
fn words(part: &str, of_data: &Words) -> String {
    use SideOf::{Audience, Movie, Ratings, You};
    let Words { items, rated, .. } = of_data;
    match part {
        Share::BIAS => return format!("it is liked by most who {rated} it"),
        GaussianProcess::PART => return format!("you liked {items} like it lately"),
        _ => {}
    }
    let is = match of_data.target.is_probability() {
        true => "chosen",
        false => "rated",
    };
    let (first, second) = part.split_once(Share::MEETS).unwrap_or((part, part));
    match (side(first, of_data), side(second, of_data)) {
        (You(you, _), Movie(it, suits)) | (Movie(it, suits), You(you, _)) => {
            format!("{it} {suits} {you}")
        }
        (You(_, alike), Audience) | (Audience, You(_, alike)) => {
            format!("those who {rated} it {alike}")
        }
        (You(you, _), Ratings) | (Ratings, You(you, _)) => {
            format!("how it is {is} these days suits {you}")
        }
        (You(you, _), You(..)) => format!("{you} goes with most {items}"),
        (Movie(one, _), Movie(other, _)) if one != other => {
            format!("most people like {one} and {other}")
        }
        (Movie(it, _), _) | (_, Movie(it, _)) => format!("most people like {it}"),
        (Audience, Audience) => format!("those who {rated} it like most {items}"),
        (Ratings | Audience, Ratings | Audience) => format!("it is {is} well these days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_people_call_the_same_are_one_reason() {
        let share = |part: &str, amount: f32| Share {
            part: part.to_owned(),
            amount,
        };
        let shares = vec![
            share("movie × text", 0.25),
            share("history × genre", 0.5),
            share("bias", -0.5),
            share("rated_history × genre", 0.25),
            share("features", 0.001),
        ];
        let said: Vec<(String, Option<f32>)> = in_words(shares, 3, &Words::default())
            .into_iter()
            .map(|reason| (reason.words, reason.stars))
            .collect();
        let expected = [
            ("its genres suit what you rated".to_owned(), Some(0.75)),
            ("most people like it and its plot".to_owned(), Some(0.25)),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn no_two_reasons_name_the_same_movies() {
        let causes = [3, 7, 9].map(|item| Cause { item, amount: 1.0 });
        let causes: Vec<&Cause> = causes.iter().collect();
        let items: Vec<Vec<u32>> = together(&causes)
            .iter()
            .map(|causes| causes.iter().map(|cause| cause.item).collect())
            .collect();
        assert_eq!(
            items,
            [
                vec![3, 7],
                vec![3, 9],
                vec![7, 9],
                vec![3],
                vec![7],
                vec![9]
            ]
        );
        assert_eq!(together(&[]).len(), 0);
    }
}
