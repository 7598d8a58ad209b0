use mmdlrm_data::{Batches, DataFingerprint, Error};

use crate::Features;

/// What a user rated, in each part of a split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UserRows<'a> {
    /// Dense row of the user.
    pub user: u32,
    /// Dense rows of the movies that the user rated in the training set.
    pub trained: &'a [u32],
    /// The stars of each of them.
    pub trained_stars: &'a [f32],
    /// The same of the validation set.
    pub validated: &'a [u32],
    /// Dense row and stars of each held-out rating; there need be none.
    pub held_out: &'a [(u32, f32)],
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

    /// Number of validation rows.
    fn validation_rows(&self) -> usize;

    /// Number of held-out rows.
    fn test_rows(&self) -> usize;

    /// Which ratings, which of them are in which part, and the features: a model that
    /// was trained on these fits no others. Hashed at each call.
    fn fingerprint(&self) -> DataFingerprint;

    /// Batches of `size` training rows (the last may be smaller), in an order
    /// drawn by `seed`, every order being equally likely. They are built ahead
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
    /// fails.
    ///
    /// # Errors
    /// What `take` returns; ratings on disk that can no longer be read, or that
    /// are not grouped by user.
    fn for_each_user<E: From<Error>>(
        &self,
        take: impl FnMut(UserRows) -> Result<(), E>,
    ) -> Result<(), E>;
}
