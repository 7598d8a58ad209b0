//! The seam that evaluation, reports, recommendations and the server go through.

use std::any::Any;
use std::fmt;
use std::sync::atomic::AtomicBool;

use mmdlrm_data::{Batch, HIGHEST_RATING, LOWEST_RATING, Rated};
use mmdlrm_features::NewMovie;
use mmdlrm_model::top_k;

use crate::answers::check_numbers;
use crate::{Error, Result};

/// A model that puts items in order for a user.
///
/// Items and users are dense rows of the features that the model was trained on. What a
/// model cannot do (say why, know a newcomer, predict stars) it leaves out: whoever asks is
/// told so.
///
/// ```
/// use std::sync::atomic::AtomicBool;
///
/// use mmdlrm_data::Rated;
/// use mmdlrm_train::{Ranker, Result, Visitor, Who};
///
/// /// The items that most users rated.
/// struct Popularity {
///     counts: Vec<f32>,
/// }
///
/// impl Ranker for Popularity {
///     fn parameters(&self) -> usize {
///         self.counts.len()
///     }
///
///     fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
///         *scores = self.counts.repeat(who.len());
///         Ok(())
///     }
///
///     fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
///         Ok(Visitor::new(ratings.to_vec(), ()))
///     }
/// }
///
/// let model = Popularity { counts: vec![5.0, 9.0] };
/// let mut scores = Vec::new();
/// model.score(Who::Users(&[3, 4]), &mut scores)?;
/// assert_eq!(scores, [5.0, 9.0, 5.0, 9.0]);
/// assert!(model.rater().is_none());
/// # Ok::<(), mmdlrm_train::Error>(())
/// ```
pub trait Ranker: Send + Sync {
    /// How many numbers it learned.
    fn parameters(&self) -> usize;

    /// Writes the scores of all items, `[who, items]`: higher is better, comparable within
    /// a user. `scores` is resized to fit.
    ///
    /// # Errors
    /// Users that there are not, a visitor whom another kind of model met, scores that are
    /// no numbers.
    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()>;

    /// The items that one user or visitor would like best, the best first, with scores that are
    /// comparable within the answer. A model that puts only some of the items well in order
    /// chooses these among the ones that are wanted.
    ///
    /// # Errors
    /// As [`Self::score`].
    fn best(&self, who: Who, wanted: &Wanted) -> Result<Vec<(u32, f32)>> {
        let mut scores = Vec::new();
        self.score(who, &mut scores)?;
        check_numbers("scores", &scores, wanted.items)?;
        Ok(top_k(&scores, wanted.count, wanted.passed_over))
    }

    /// Gets to know somebody new by a few ratings, whose [`Rated::user`] is not read.
    ///
    /// # Errors
    /// [`Error::CalledOff`] when `stop` becomes true.
    fn meet(&self, ratings: &[Rated], stop: Option<&AtomicBool>) -> Result<Visitor>;

    /// The same model, where it predicts what users give to items.
    fn rater(&self) -> Option<&dyn Rater> {
        None
    }

    /// What carries the score of each of `items` for one user or visitor, in no order; `None`
    /// where the model cannot tell.
    ///
    /// # Errors
    /// As [`Self::score`].
    fn explain(&self, who: Who, items: &[u32]) -> Result<Option<Vec<Vec<Share>>>> {
        let _ = (who, items);
        Ok(None)
    }

    /// What each of the ratings of one user or visitor adds to the score of each of `items`: at
    /// most `count` an item, what adds most first, nothing that adds nothing or takes away;
    /// `None` where the model cannot tell.
    ///
    /// # Errors
    /// As [`Self::score`].
    fn because(&self, who: Who, items: &[u32], count: usize) -> Result<Option<Vec<Vec<Cause>>>> {
        let _ = (who, items, count);
        Ok(None)
    }

    /// A vector of each item, `[items, width]`, by whose directions items are alike, zeros of
    /// one that the model knows nothing of; `None` where it has none.
    ///
    /// # Errors
    /// A model that does not fit its features.
    fn item_vectors(&self) -> Result<Option<Vec<f32>>> {
        Ok(None)
    }

    /// What users would give to a movie that nobody has rated; `None` where the model
    /// cannot tell.
    ///
    /// # Errors
    /// A movie that does not fit the others.
    fn newcomer(&self, movie: &NewMovie) -> Result<Option<RateNewcomer<'_>>> {
        let _ = movie;
        Ok(None)
    }
}

/// A [`Ranker`] that predicts what users give to items, in the unit of the ratings. Where it
/// ranks by them, its scores are the same predictions, and go on where a scale ends: of two films
/// beyond five stars one is still better.
pub trait Rater: Ranker {
    /// Writes the prediction of each row of a batch of known users; `stars` is resized to
    /// fit.
    ///
    /// # Errors
    /// A batch of other data; predictions that are no numbers.
    fn rate(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()>;

    /// Writes what users, or a visitor, would give to each of `items`, `[who, items]`.
    ///
    /// # Errors
    /// As [`Ranker::score`].
    fn rate_items(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()>;

    /// As [`Self::rate`], going on where a scale ends, as scores do: several models are
    /// blended before what they say is kept within bounds. The same predictions where the
    /// model knows no bounds.
    ///
    /// # Errors
    /// As [`Self::rate`].
    fn rate_unbounded(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.rate(batch, stars)
    }

    /// As [`Self::rate_items`], going on where a scale ends.
    ///
    /// # Errors
    /// As [`Ranker::score`].
    fn rate_items_unbounded(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        self.rate_items(who, items, stars)
    }
}

/// Keeps predictions from the fewest stars to the most, which are those of any scale of ratings
/// ([`Target::to_stars`](mmdlrm_data::Target::to_stars)): what makes
/// [`Rater::rate`] of [`Rater::rate_unbounded`].
pub fn keep_within_bounds(stars: &mut [f32]) {
    for stars in stars {
        *stars = stars.clamp(LOWEST_RATING, HIGHEST_RATING);
    }
}

/// Writes what each of some users would give to a movie that nobody has rated.
pub type RateNewcomer<'a> = Box<dyn Fn(&[u32], &mut Vec<f32>) -> Result<()> + Send + Sync + 'a>;

/// Who is asked about.
#[derive(Debug, Clone, Copy)]
pub enum Who<'a> {
    /// Users of the training data, by dense row.
    Users(&'a [u32]),
    /// Somebody new.
    Visitor(&'a Visitor),
}

impl Who<'_> {
    /// How many they are.
    pub fn len(&self) -> usize {
        match self {
            Self::Users(users) => users.len(),
            Self::Visitor(_) => 1,
        }
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which items [`Ranker::best`] is to choose from, and how many.
///
/// ```
/// use mmdlrm_train::Wanted;
///
/// // Five of a hundred, but not the first two.
/// let wanted = Wanted { items: 100, passed_over: &[0, 1], count: 5 };
/// assert!(wanted.count <= wanted.items - wanted.passed_over.len());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// How many items there are.
    pub items: usize,
    /// Dense rows of those that are not wanted, in any order.
    pub passed_over: &'a [u32],
    /// How many of the others, at most.
    pub count: usize,
}

/// Somebody whom a model was not trained on, as [`Ranker::meet`] knows them.
pub struct Visitor {
    ratings: Vec<Rated>,
    state: Box<dyn Any + Send + Sync>,
}

impl Visitor {
    /// With what the model found out: any value of its own.
    pub fn new(ratings: Vec<Rated>, state: impl Any + Send + Sync) -> Self {
        Self {
            ratings,
            state: Box::new(state),
        }
    }

    /// What the visitor rated.
    pub fn ratings(&self) -> &[Rated] {
        &self.ratings
    }

    /// What the model found out.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where it is no `T`: another kind of model did.
    pub fn state<T: Any>(&self) -> Result<&T> {
        let state = self.state.downcast_ref();
        state.ok_or_else(|| Error::Mismatch("another model met the visitor".to_owned()))
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Visitor")
            .field("ratings", &self.ratings)
            .finish_non_exhaustive()
    }
}

impl Share {
    /// The part of a model that biases of user and item are.
    pub const BIAS: &str = "bias";
    /// Stands between two parts that meet.
    pub const MEETS: &str = " × ";
}

/// What one part of a model adds to a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The part: `user × movie`, say.
    pub part: String,
    /// How much more it makes than for an average item, for the same user, in the unit of
    /// the scores.
    pub amount: f32,
}

/// What one rating of a user or visitor adds to the score of an item.
///
/// ```
/// use mmdlrm_train::Cause;
///
/// let causes = [(4, 0.25), (7, -0.5), (2, 0.5), (9, 0.0)];
/// let causes = causes.map(|(item, amount)| Cause { item, amount });
/// let strongest = Cause::strongest(causes.to_vec(), 5);
/// assert_eq!(strongest.iter().map(|it| it.item).collect::<Vec<_>>(), [2, 4]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cause {
    /// The item that was rated, by dense row.
    pub item: u32,
    /// How much it adds, in the unit of the scores.
    pub amount: f32,
}

impl Cause {
    /// The `count` that add most, in the order in which [`Ranker::because`] has them: those of
    /// one amount by item.
    pub fn strongest(mut causes: Vec<Self>, count: usize) -> Vec<Self> {
        let order = |a: &Self, b: &Self| b.amount.total_cmp(&a.amount).then(a.item.cmp(&b.item));
        causes.retain(|cause| cause.amount > 0.0);
        if causes.len() > count {
            causes.select_nth_unstable_by(count, order);
            causes.truncate(count);
        }
        causes.sort_unstable_by(order);
        causes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_of_another_model_is_refused() {
        let visitor = Visitor::new(Vec::new(), "parrot");
        assert_eq!(*visitor.state::<&str>().unwrap(), "parrot");
        let error = visitor.state::<u32>().unwrap_err().to_string();
        assert!(error.contains("another model met the visitor"), "{error}");
    }
}
