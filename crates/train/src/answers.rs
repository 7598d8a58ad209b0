//! What models answer, looked at: one of anybody's may be wrong.

use crate::ranker::{Cause, Ranker, Share, Wanted, Who};
use crate::{Error, Result};

/// What a model predicts that one user or visitor would give to each of `items`; `None` of a model
/// that predicts no stars.
///
/// # Errors
/// As [`Rater::rate_items`](crate::Rater::rate_items); [`Error::Mismatch`] of what is no number.
pub fn stars_of(
    model: &(impl Ranker + ?Sized),
    who: Who,
    items: &[u32],
) -> Result<Option<Vec<f32>>> {
    let Some(rater) = model.rater() else {
        return Ok(None);
    };
    let mut stars = Vec::new();
    rater.rate_items(who, items, &mut stars)?;
    check_numbers("predictions", &stars, who.len() * items.len())?;
    Ok(Some(stars))
}

/// What [`Ranker::best`] says, looked at.
///
/// # Errors
/// What the model says; [`Error::Mismatch`] of more items than are wanted, of one that there is
/// not, that is passed over or chosen twice, of a score that is no number, and of one above that of
/// an item before it.
pub fn best_of(
    model: &(impl Ranker + ?Sized),
    who: Who,
    wanted: &Wanted,
) -> Result<Vec<(u32, f32)>> {
    let best = model.best(who, wanted)?;
    if best.len() > wanted.count {
        let (found, count) = (best.len(), wanted.count);
        return Err(Error::Mismatch(format!(
            "the model chose {found} items where {count} were asked for"
        )));
    }
    let mut chosen: Vec<u32> = best.iter().map(|&(item, _)| item).collect();
    check_rows("item", chosen.iter().copied(), wanted.items)?;
    chosen.sort_unstable();
    let refused = |item, what| {
        Err(Error::Mismatch(format!(
            "the model chose item {item} {what}"
        )))
    };
    if let Some(twice) = chosen.windows(2).find(|pair| pair[0] == pair[1]) {
        return refused(twice[0], "twice");
    }
    let is_chosen = |item: &&u32| chosen.binary_search(item).is_ok();
    if let Some(item) = wanted.passed_over.iter().find(is_chosen) {
        return refused(*item, "which is passed over");
    }
    let scores: Vec<f32> = best.iter().map(|&(_, score)| score).collect();
    check_numbers("scores", &scores, best.len())?;
    check_order("chose", &scores)?;
    Ok(best)
}

/// What [`Ranker::explain`] says, looked at.
///
/// # Errors
/// What the model says; [`Error::Mismatch`] of shares of more or fewer items than were asked for,
/// and of an amount that is no number.
pub fn shares_of(
    model: &(impl Ranker + ?Sized),
    who: Who,
    items: &[u32],
) -> Result<Option<Vec<Vec<Share>>>> {
    let shares = model.explain(who, items)?;
    if let Some(shares) = &shares {
        check_count("lists of shares", shares.len(), items.len())?;
        let amounts: Vec<f32> = shares.iter().flatten().map(|it| it.amount).collect();
        check_numbers("shares", &amounts, amounts.len())?;
    }
    Ok(shares)
}

/// What [`Ranker::because`] says, looked at.
///
/// # Errors
/// What the model says; [`Error::Mismatch`] of causes of more or fewer items than were asked for,
/// of more of one than `count`, of an amount that is not above 0, and of one above that before it.
pub fn causes_of(
    model: &(impl Ranker + ?Sized),
    who: Who,
    items: &[u32],
    count: usize,
) -> Result<Option<Vec<Vec<Cause>>>> {
    let causes = model.because(who, items, count)?;
    for causes in causes.iter().flatten() {
        if causes.len() > count {
            return Err(wrong_count("causes", causes.len(), count));
        }
        let amounts: Vec<f32> = causes.iter().map(|it| it.amount).collect();
        check_numbers("causes", &amounts, amounts.len())?;
        check_order("named as causes", &amounts)?;
        if let Some(Cause { item, amount }) = causes.iter().find(|it| it.amount <= 0.0) {
            return Err(Error::Mismatch(format!(
                "what item {item} adds to a score is {amount}, which is no cause"
            )));
        }
    }
    if let Some(causes) = &causes {
        check_count("lists of causes", causes.len(), items.len())?;
    }
    Ok(causes)
}

/// Refuses numbers that are not in their order, the highest first.
fn check_order(did: &str, found: &[f32]) -> Result<()> {
    match found.windows(2).find(|pair| pair[0] < pair[1]) {
        None => Ok(()),
        Some(pair) => Err(Error::Mismatch(format!(
            "the model {did} what has {} before what has {}",
            pair[0], pair[1]
        ))),
    }
}

fn check_count(what: &str, found: usize, expected: usize) -> Result<()> {
    match found == expected {
        true => Ok(()),
        false => Err(wrong_count(what, found, expected)),
    }
}

fn wrong_count(what: &str, found: usize, expected: usize) -> Error {
    Error::Mismatch(format!(
        "the model wrote {found} {what} where {expected} were asked for"
    ))
}

/// Scores of all of `items` items, counted and looked at.
///
/// # Errors
/// What the model says; [`Error::Mismatch`] where it wrote another number of scores, or what
/// is no number.
pub fn score_all(
    model: &(impl Ranker + ?Sized),
    who: Who,
    items: usize,
    scores: &mut Vec<f32>,
) -> Result<()> {
    model.score(who, scores)?;
    check_numbers("scores", scores, who.len() * items)
}

/// Refuses another number of numbers than there should be, and what is none.
///
/// # Errors
/// [`Error::Mismatch`], which says what they are.
pub fn check_numbers(what: &str, found: &[f32], expected: usize) -> Result<()> {
    check_count(what, found.len(), expected)?;
    match found.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(place) => Err(Error::Mismatch(format!(
            "number {place} of the {what} that the model wrote is {}",
            found[place]
        ))),
    }
}

/// Refuses dense rows that there are not, of users or movies.
///
/// # Errors
/// [`Error::Mismatch`], which names the first of them.
pub fn check_rows(what: &str, rows: impl IntoIterator<Item = u32>, count: usize) -> Result<()> {
    match rows.into_iter().find(|&row| row as usize >= count) {
        None => Ok(()),
        Some(row) => Err(Error::Mismatch(format!(
            "there is no {what} in row {row}: there are {count}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use mmdlrm_data::Rated;

    use super::*;
    use crate::ranker::Visitor;

    /// Says the same whatever it is asked.
    struct Parrot(Vec<f32>);

    impl Ranker for Parrot {
        fn parameters(&self) -> usize {
            0
        }

        fn score(&self, _who: Who, scores: &mut Vec<f32>) -> Result<()> {
            scores.clone_from(&self.0);
            Ok(())
        }

        fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
            Ok(Visitor::new(ratings.to_vec(), "parrot"))
        }
    }

    #[test]
    fn scores_that_are_too_few_too_many_or_no_numbers_are_refused() {
        let scores = |says: &[f32]| {
            let mut scores = Vec::new();
            score_all(&Parrot(says.to_vec()), Who::Users(&[7]), 2, &mut scores)
        };
        scores(&[1.0, 2.0]).unwrap();
        for (says, why) in [
            (&[1.0][..], "wrote 1 scores where 2 were asked for"),
            (&[1.0; 3], "wrote 3 scores where 2 were asked for"),
            (
                &[1.0, f32::NAN],
                "number 1 of the scores that the model wrote is NaN",
            ),
        ] {
            let error = scores(says).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    /// Has one answer to whoever asks for the best.
    struct Stubborn(Vec<(u32, f32)>);

    impl Ranker for Stubborn {
        fn parameters(&self) -> usize {
            0
        }

        fn score(&self, _who: Who, _scores: &mut Vec<f32>) -> Result<()> {
            unreachable!("it is asked for the best")
        }

        fn best(&self, _who: Who, _wanted: &Wanted) -> Result<Vec<(u32, f32)>> {
            Ok(self.0.clone())
        }

        fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
            Ok(Visitor::new(ratings.to_vec(), ()))
        }
    }

    #[test]
    fn the_best_are_the_highest_scores_of_what_is_wanted() {
        let wanted = Wanted {
            items: 4,
            passed_over: &[2],
            count: 2,
        };
        let parrot = Parrot(vec![1.0, 4.0, 9.0, 3.0]);
        let best = best_of(&parrot, Who::Users(&[7]), &wanted).unwrap();
        assert_eq!(best, [(1, 4.0), (3, 3.0)]);
        let refused = |model: &dyn Ranker, why: &str| {
            let error = best_of(model, Who::Users(&[7]), &wanted).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        };
        refused(&Parrot(vec![1.0; 3]), "wrote 3 scores where 4 were");
        refused(&Parrot(vec![f32::NAN; 4]), "number 0 of the scores");
        refused(&Stubborn(vec![(0, 1.0); 3]), "chose 3 items where 2 were");
        refused(&Stubborn(vec![(4, 1.0)]), "no item in row 4");
        refused(&Stubborn(vec![(1, 1.0); 2]), "chose item 1 twice");
        let rising = vec![(0, 1.0), (1, 2.0)];
        refused(&Stubborn(rising), "chose what has 1 before what has 2");
        refused(&Stubborn(vec![(2, 1.0)]), "item 2 which is passed over");
        refused(
            &Stubborn(vec![(0, f32::INFINITY)]),
            "number 0 of the scores",
        );
    }

    /// Has one answer to whoever asks why.
    struct Sure(Vec<Vec<f32>>);

    impl Ranker for Sure {
        fn parameters(&self) -> usize {
            0
        }

        fn score(&self, _who: Who, _scores: &mut Vec<f32>) -> Result<()> {
            unreachable!("it is asked why")
        }

        fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
            Ok(Visitor::new(ratings.to_vec(), ()))
        }

        fn explain(&self, _who: Who, _items: &[u32]) -> Result<Option<Vec<Vec<Share>>>> {
            let share = |&amount: &f32| Share {
                part: Share::BIAS.to_owned(),
                amount,
            };
            let of_items = self.0.iter();
            Ok(Some(
                of_items.map(|it| it.iter().map(share).collect()).collect(),
            ))
        }

        fn because(
            &self,
            _who: Who,
            _items: &[u32],
            _count: usize,
        ) -> Result<Option<Vec<Vec<Cause>>>> {
            let cause = |&amount: &f32| Cause { item: 3, amount };
            let of_items = self.0.iter();
            Ok(Some(
                of_items.map(|it| it.iter().map(cause).collect()).collect(),
            ))
        }
    }

    #[test]
    fn reasons_that_are_too_few_too_many_or_no_numbers_are_refused() {
        let who = || Who::Users(&[7]);
        let asked = |says: &[&[f32]]| {
            let model = Sure(says.iter().map(|of_item| of_item.to_vec()).collect());
            let shares = shares_of(&model, who(), &[0, 1]).map(drop);
            (shares, causes_of(&model, who(), &[0, 1], 2).map(drop))
        };
        let said = |result: Result<()>| result.err().map_or(String::new(), |it| it.to_string());
        for (says, of_shares, of_causes) in [
            (&[&[0.5][..], &[]][..], "", ""),
            (
                &[&[0.5]],
                "1 lists of shares where 2",
                "1 lists of causes where 2",
            ),
            (
                &[&[f32::NAN], &[]],
                "number 0 of the shares",
                "number 0 of the causes",
            ),
            (&[&[], &[-0.5]], "", "item 3 adds to a score is -0.5"),
            (
                &[&[], &[0.1, 0.2]],
                "",
                "as causes what has 0.1 before what has 0.2",
            ),
            (&[&[0.1, 0.1, 0.1], &[]], "", "wrote 3 causes where 2"),
        ] {
            let (shares, causes) = asked(says);
            for (found, expected) in [(said(shares), of_shares), (said(causes), of_causes)] {
                assert_eq!(found.is_empty(), expected.is_empty(), "{found}");
                assert!(found.contains(expected), "{found}");
            }
        }
    }
}
