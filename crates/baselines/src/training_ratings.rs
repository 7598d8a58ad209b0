//! The training ratings by user and by movie, with their biases.

use std::borrow::Cow;
use std::sync::Arc;

use mmdlrm_data::{Rated, RatedBags};
use mmdlrm_features::{Biases, Known, TrainingData};
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
        if let Some(context) = features.context()
            && context.config().timestamps == timestamps
        {
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

/// The users' side alone.
///
/// # Errors
/// Ratings on disk that can no longer be read.
pub(crate) fn histories(known: &Known, timestamps: bool) -> Result<Arc<RatedBags>> {
    if let Some(context) = known.features().context()
        && context.config().timestamps == timestamps
    {
        return Ok(Arc::clone(context.histories()));
    }
    let bags = known.histories().trained()?;
    if timestamps {
        return Ok(Arc::new(bags));
    }
    let rows = (0..bags.len() as u32).flat_map(|user| {
        let rated = bags.row(user).stars_by_id();
        rated.map(move |(movie, stars)| Rated {
            user,
            movie,
            stars,
            timestamp: 0,
        })
    });
    Ok(Arc::new(RatedBags::of_users(bags.len(), rows)))
}

/// All training ratings, their times 0 where these are not to be looked at.
fn rows(data: &dyn TrainingData, timestamps: bool) -> Result<Vec<Rated>> {
    let mut rows = Vec::with_capacity(data.training_rows());
    data.for_each_user(|user| {
        let bag = user.trained;
        let times = bag.timestamps.iter();
        let of_user = bag
            .stars_by_id()
            .zip(times)
            .map(|((movie, stars), &time)| Rated {
                user: user.user,
                movie,
                stars,
                timestamp: if timestamps { time } else { 0 },
            });
        rows.extend(of_user);
        Ok::<_, mmdlrm_data::Error>(())
    })?;
    Ok(rows)
}
