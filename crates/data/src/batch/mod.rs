//! Rows of ratings, and the columns that models take.

mod bags;
mod batch_bags;
mod batches;
mod by_user;
mod column;
mod modality;
mod rated;
mod rated_bags;
mod samples;
mod scattered;
mod schema;
mod shuffle;

pub use bags::Bags;
pub use batch_bags::BatchBags;
pub use batches::Batches;
pub(crate) use by_user::ByUser;
pub use column::{Column, ColumnView};
pub use modality::{Modality, ModalityParts};
pub use rated::Rated;
#[cfg(test)]
pub(crate) use rated::rated;
pub use rated_bags::{RatedBag, RatedBags};
pub use samples::Samples;
pub(crate) use scattered::{Cut, Scattered};
pub use schema::{BatchSchema, ColumnField, ColumnKind};
pub(crate) use shuffle::CHUNK;
pub use shuffle::Shuffle;

/// Some ratings, ready for a model: what a row is, and named columns of whatever else there is.
///
/// Ids are dense rows, not raw ids. What columns there are, their [`BatchSchema`] says, which
/// all batches of a producer share; a model's inputs find theirs by name.
///
/// ```
/// use mmdlrm_data::{Batch, BatchSchema, Column, ColumnField, ColumnKind, ColumnView, Rated};
///
/// let actor = ColumnField::new("actor", ColumnKind::Bags { ids: 7 });
/// let schema = BatchSchema::new(100, 20, [actor])?;
///
/// let rows = [(4, 9, 3.5), (0, 2, 5.0)];
/// let rows = rows.map(|(user, movie, stars)| Rated { user, movie, stars, timestamp: 0 });
/// let actors = Column::Bags { offsets: vec![0, 2, 3], ids: vec![6, 1, 0] };
/// let batch = Batch::of(&rows).with_columns(&schema, vec![actors]);
///
/// assert_eq!(batch.column("movie"), Some(ColumnView::Ids(&[9, 2])));
/// let Some(ColumnView::Bags { offsets, ids }) = batch.column("actor") else {
///     unreachable!("it is of bags");
/// };
/// assert_eq!((offsets, ids), (&[0, 2, 3][..], &[6, 1, 0][..]));
/// assert_eq!(batch.column("genre"), None);
/// # Ok::<(), mmdlrm_data::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Batch {
    /// User row of each sample, `[batch]`; empty where samples are of no user.
    pub users: Vec<u32>,
    /// Movie row of each sample, `[batch]`; empty where samples are of no movie.
    pub movies: Vec<u32>,
    /// When each sample was rated, seconds since 1970, `[batch]`; empty where samples are of no
    /// user.
    pub timestamps: Vec<u32>,
    /// Rating of each sample in stars, or whatever else is to be predicted, `[batch]`; empty where
    /// there is none to learn from.
    pub stars: Vec<f32>,
    /// What is said of each sample beforehand, in stars, `[batch]`, such as by biases of user
    /// and movie: a model learns what it leaves. Empty where nothing is.
    pub base: Vec<f32>,
    pub(crate) schema: BatchSchema,
    pub(crate) columns: Vec<Column>,
}

impl Batch {
    /// The name of the column of users, …
    pub const USER: &str = "user";
    /// … and of movies, which every batch has.
    pub const MOVIE: &str = "movie";

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

    /// Samples of no user and no movie, that come to these targets.
    pub fn of_targets(targets: Vec<f32>) -> Self {
        Self {
            stars: targets,
            ..Self::default()
        }
    }

    /// The same rows with these columns, one for each of the schema, in its order. What does
    /// not fit is refused where it is looked at: by a model, and as a table is made.
    pub fn with_columns(self, schema: &BatchSchema, columns: Vec<Column>) -> Self {
        Self {
            schema: schema.clone(),
            columns,
            ..self
        }
    }

    /// Names and kinds of [`Self::columns`].
    pub fn schema(&self) -> &BatchSchema {
        &self.schema
    }

    /// All columns beside users and movies, in the order of the schema.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of this name, [users](Self::USER) and [movies](Self::MOVIE) among them.
    pub fn column(&self, name: &str) -> Option<ColumnView<'_>> {
        match name {
            Self::USER => Some(ColumnView::Ids(&self.users)),
            Self::MOVIE => Some(ColumnView::Ids(&self.movies)),
            _ => Some(self.columns.get(self.schema.place(name)?)?.view()),
        }
    }

    /// The column of this name, to be written anew; none of users and movies, which are
    /// fields.
    pub fn column_mut(&mut self, name: &str) -> Option<&mut Column> {
        self.columns.get_mut(self.schema.place(name)?)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        // There need be no users, and no stars, but never neither.
        self.users.len().max(self.stars.len())
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
