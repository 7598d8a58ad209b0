use super::{BatchSchema, Batches, Modality};
use crate::{DataFingerprint, SplitPart};

/// Samples to learn from, to choose by and to test on, of whatever they are: of clicks, there are
/// no users and no items.
///
/// Anybody may implement it. A model learns from any such data whose columns it takes, and is
/// measured by them.
pub trait Samples: Sync {
    /// What the batches hold.
    fn schema(&self) -> &BatchSchema;

    /// What their columns of vectors refer to; may be empty.
    fn modalities(&self) -> &[Modality];

    /// Number of rows of a part; of all parts but the one to learn from there need be none.
    fn rows(&self, part: SplitPart) -> usize;

    /// Batches of `size` training rows (the last may be smaller), in an order drawn by `seed`,
    /// without the `first` first, [`Batch::stars`](super::Batch::stars) being what each row comes
    /// to. The same seed gives the same batches on any number of threads.
    fn training_batches_from(&self, size: usize, seed: u64, first: usize) -> Batches;

    /// Batches of `size` rows of a part, in the order in which they are written.
    fn batches(&self, part: SplitPart, size: usize) -> Batches;

    /// Of which data, and which of them are in which part: a model that was trained on these goes
    /// on with no others.
    fn fingerprint(&self) -> DataFingerprint;
}
