//! Rows of ratings, and the columns that models take.

mod bags;
mod batch_bags;
mod batches;
mod modality;
mod rated;
mod rated_bags;
mod scattered;
mod shuffle;

pub use bags::Bags;
pub use batch_bags::BatchBags;
pub use batches::Batches;
pub use modality::{Modality, ModalityParts};
pub use rated::Rated;
#[cfg(test)]
pub(crate) use rated::rated;
pub use rated_bags::{RatedBag, RatedBags};
pub(crate) use scattered::{Cut, Scattered};
pub(crate) use shuffle::CHUNK;
pub use shuffle::Shuffle;

/// Columns of some ratings, ready for a model.
///
/// Ids are dense rows, not raw ids. Bags are compressed sparse rows: sample
/// `s` has `genre_ids[genre_offsets[s]..genre_offsets[s + 1]]`.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Batch {
    /// User row of each sample, `[batch]`.
    pub users: Vec<u32>,
    /// Movie row of each sample, `[batch]`.
    pub movies: Vec<u32>,
    /// When each sample was rated, seconds since 1970, `[batch]`.
    pub timestamps: Vec<u32>,
    /// Start of each sample's genres, `[batch + 1]`.
    pub genre_offsets: Vec<u32>,
    /// Genres of the samples' movies.
    pub genre_ids: Vec<u32>,
    /// Standardized dense features, `[batch, features]`.
    pub dense: Vec<f32>,
    /// For each modality the row of each sample's vector, `[batch]`, or
    /// [`Modality::MISSING`].
    pub modality_rows: Vec<Vec<u32>>,
    /// Rating of each sample in stars, `[batch]`; empty where there is none to
    /// learn from.
    pub stars: Vec<f32>,
    /// What the biases of user and movie say of each sample, in stars, `[batch]`;
    /// empty where the batch has no context of other ratings, as what follows.
    pub base: Vec<f32>,
    /// What the samples' users rated.
    pub histories: BatchBags,
    /// Who rated the samples' movies.
    pub audiences: BatchBags,
}

impl Batch {
    /// What rows have by themselves: users, movies, times and stars.
    pub fn of(rows: &[Rated]) -> Self {
        Self {
            users: rows.iter().map(|rated| rated.user).collect(),
            movies: rows.iter().map(|rated| rated.movie).collect(),
            timestamps: rows.iter().map(|rated| rated.timestamp).collect(),
            stars: rows.iter().map(|rated| rated.stars).collect(),
            ..Self::default()
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Whether each sample's movie lacks the modality numbered `modality`,
    /// `[batch]`; `None` where there is no such modality.
    pub fn missing(&self, modality: usize) -> Option<Vec<bool>> {
        let rows = self.modality_rows.get(modality)?.iter();
        Some(rows.map(|&row| row == Modality::MISSING).collect())
    }
}
