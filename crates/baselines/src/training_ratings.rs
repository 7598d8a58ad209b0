//! The training ratings by user and by movie, with their biases.

use std::borrow::Cow;
use std::sync::Arc;

use mmdlrm_data::{Rated, RatedBags};
use mmdlrm_features::{Biases, Context, Features, Known, TrainingData};
use mmdlrm_train::Result;

/// What each user rated and who rated each movie, by dense row, and what biases of user and
/// movie say of it.
pub(crate) struct TrainingRatings<'a> {
    pub histories: Arc<RatedBags>,
    pub audiences: Arc<RatedBags>,
    pub biases: Cow<'a, Biases>,
}

impl<'a> TrainingRatings<'a> {
    /// Those of the features' context, where it looks at times as it is asked; else collected
    /// and fitted: 40 bytes a rating meanwhile, and 24 then.
    ///
    /// # Errors
    /// Ratings on disk that can no longer be read.
    pub fn of(data: &'a dyn TrainingData, timestamps: bool) -> Result<Self> {
        let features = data.features();
        if let Some(context) = context(features, timestamps) {
            return Ok(Self {
                histories: Arc::clone(context.histories()),
                audiences: Arc::clone(context.audiences()),
                biases: Cow::Borrowed(context.biases()),
            });
        }
        let rows = rows(data, timestamps)?;
        let (users, movies) = (features.users().len(), features.movies().len());
        let histories = RatedBags::of_users(users, rows.iter().copied());
        let audiences = RatedBags::of_movies(movies, rows.iter().copied());
        Ok(Self {
            biases: Cow::Owned(Biases::fit(&histories, &audiences)),
            histories: Arc::new(histories),
            audiences: Arc::new(audiences),
        })
    }
}

/// The users' side alone, of what is kept.
///
/// # Errors
/// Ratings on disk that can no longer be read.
pub(crate) fn histories(known: &Known, timestamps: bool) -> Result<Arc<RatedBags>> {
    if let Some(context) = context(known.features(), timestamps) {
        return Ok(Arc::clone(context.histories()));
    }
    let bags = known.histories().trained()?;
    if timestamps {
        return Ok(Arc::new(bags));
    }
    let rows = (0..bags.len() as u32).flat_map(|user| bags.row(user).rows_of(user));
    let rows = rows.map(|rated| seen(rated, timestamps));
    Ok(Arc::new(RatedBags::of_users(bags.len(), rows)))
}

/// The features' context, where it looks at times as it is asked.
fn context(features: &Features, timestamps: bool) -> Option<&Context> {
    let context = features.context();
    context.filter(|context| context.config().timestamps == timestamps)
}

/// A rating, its time 0 where times are not to be looked at.
fn seen(rated: Rated, timestamps: bool) -> Rated {
    match timestamps {
        true => rated,
        false => Rated {
            timestamp: 0,
            ..rated
        },
    }
}

/// All training ratings, as far as they are looked at.
fn rows(data: &dyn TrainingData, timestamps: bool) -> Result<Vec<Rated>> {
    let mut rows = Vec::with_capacity(data.training_rows());
    data.for_each_user(|user| {
        let own = user.trained.rows_of(user.user);
        rows.extend(own.map(|rated| seen(rated, timestamps)));
        Ok::<_, mmdlrm_data::Error>(())
    })?;
    Ok(rows)
}
