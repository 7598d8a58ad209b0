use std::ops::ControlFlow;
use std::sync::Arc;

use mmdlrm_data::{Batches, DataFingerprint, Error, RatedBag, RatedBags, Result};

use crate::Features;

/// What a user rated, in each part of a split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UserRows<'a> {
    /// Dense row of the user.
    pub user: u32,
    /// Movies, stars and times of the training set, the oldest first.
    pub trained: RatedBag<'a>,
    /// The same of the validation set.
    pub validated: RatedBag<'a>,
    /// The same of what is held out; there need be nothing.
    pub held_out: RatedBag<'a>,
}

impl UserRows<'_> {
    /// Dense rows of the movies that a recommendation to the user passes over: those of the
    /// training and validation sets.
    pub fn known(&self) -> Vec<u32> {
        [self.trained.ids, self.validated.ids].concat()
    }
}

/// Ratings to train and test a model on, wherever they lie.
///
/// The same ratings, split and seed give the same batches, in memory
/// ([`Dataset`](crate::Dataset)) and on disk
/// ([`StreamedDataset`](crate::StreamedDataset)).
pub trait TrainingData {
    /// What is known of users and movies.
    fn features(&self) -> &Features;

    /// Number of training rows.
    fn training_rows(&self) -> usize;

    /// Rows of the batches of an epoch: the training rows and, where some are, those that are drawn
    /// beside them ([`NegativeSampling`](crate::NegativeSampling)).
    fn rows_of_epoch(&self) -> usize {
        self.training_rows()
    }

    /// Number of validation rows.
    fn validation_rows(&self) -> usize;

    /// Number of held-out rows.
    fn test_rows(&self) -> usize;

    /// Which ratings, which of them are in which part, and the features: a model that
    /// was trained on these fits no others. Hashed at each call.
    fn fingerprint(&self) -> DataFingerprint;

    /// Batches of `size` of the [rows of an epoch](Self::rows_of_epoch) (the last may be smaller),
    /// in an order drawn by `seed`, every order being equally likely. They are built ahead
    /// on threads of their own.
    fn training_batches(&self, size: usize, seed: u64) -> Batches {
        self.training_batches_from(size, seed, 0)
    }

    /// The same batches without the `first` first, which are not built.
    fn training_batches_from(&self, size: usize, seed: u64, first: usize) -> Batches;

    /// Batches of `size` validation rows, in the order of the file.
    fn validation_batches(&self, size: usize) -> Batches;

    /// Batches of `size` held-out rows, in the order of the file.
    fn test_batches(&self, size: usize) -> Batches;

    /// Hands out each user who rated anything, in the order of their rows, until `take`
    /// breaks off.
    ///
    /// # Errors
    /// Ratings on disk that can no longer be read, or that are not grouped by user.
    fn users(&self, take: &mut dyn FnMut(UserRows) -> ControlFlow<()>) -> Result<()>;
}

impl dyn TrainingData + '_ {
    /// Hands out each user who rated anything, in the order of their rows, until `take`
    /// fails.
    ///
    /// # Errors
    /// As [`TrainingData::users`], and what `take` returns.
    pub fn for_each_user<E: From<Error>>(
        &self,
        mut take: impl FnMut(UserRows) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = Ok(());
        self.users(&mut |user| {
            failed = take(user);
            match failed {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })?;
        failed
    }

    /// What each user rated in the training set: the histories of the features' context, where
    /// that looks at times, else collected, 12 bytes a rating.
    ///
    /// # Errors
    /// As [`TrainingData::users`].
    pub fn training_histories(&self) -> Result<Arc<RatedBags>> {
        let context = self.features().context();
        if let Some(context) = context.filter(|context| context.config().timestamps) {
            return Ok(Arc::clone(context.histories()));
        }
        let mut columns = (vec![0], Vec::new(), Vec::new(), Vec::new());
        let (offsets, ids, stars, timestamps) = &mut columns;
        let users = self.features().users().len();
        self.for_each_user(|user| {
            let RatedBag {
                ids: own,
                stars: own_stars,
                timestamps: own_times,
            } = user.trained;
            offsets.resize(user.user as usize + 1, ids.len());
            ids.extend(own);
            stars.extend(own_stars);
            timestamps.extend(own_times);
            Ok::<_, Error>(())
        })?;
        offsets.resize(users + 1, ids.len());
        let (offsets, ids, stars, timestamps) = columns;
        Ok(Arc::new(RatedBags::from_columns(
            offsets, ids, stars, timestamps,
        )?))
    }
}
