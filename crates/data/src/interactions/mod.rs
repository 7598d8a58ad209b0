//! Interactions of anybody's users with anybody's items.
//!
//! [`InteractionFiles`] name a table of interactions, and tables of users and items beside it, in
//! Parquet or CSV; [`Interactions::new`] takes the same as record batches. A [`Schema`] says which
//! column is what where types and usual names do not. What comes of it, [`Interactions`], is what
//! a [`MovieLens`] folder comes to as well: ratings, with the [`Target`] that they have, a table of
//! items, and what is known of users.

mod describe;
mod events;
mod interner;
mod joined;
mod names;
mod place;
mod roles;
mod rows_on_disk;
mod schema;
mod side;
mod source;
mod streamed;
mod table;
mod target;
mod times;
mod traits;
mod users;
mod values;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::cache::Stamp;
use crate::movielens::part_of;
use crate::{
    Duplicates, IdMap, LeftOut, Modality, MovieLens, Movies, Poster, Ratings, RatingsStream,
    Result, StreamedMovieLens, Summary, UnknownMovies,
};

pub use describe::{ColumnDescription, TableDescription, describe};
pub use names::IdNames;
pub(crate) use names::{id_in, interned};
pub use schema::{Role, Schema, Side};
pub(crate) use schema::{is_usual, is_usual_item};
use source::Source;
pub use target::Target;
pub use traits::{Category, Measure, Traits};
pub(crate) use traits::{column_of_names, further_columns, names_of};
pub use users::Users;

/// Who did what with which item, and what is known of both.
///
/// ```
/// use std::sync::Arc;
///
/// use mmdlrm_data::arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
/// use mmdlrm_data::{InteractionOptions, Interactions, Target};
///
/// let texts = |texts: &[&str]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
/// let numbers = |numbers: &[i64]| Arc::new(Int64Array::from(numbers.to_vec())) as ArrayRef;
/// let clicks = RecordBatch::try_from_iter([
///     ("user_id", texts(&["ann", "ben", "ann"])),
///     ("item_id", texts(&["mug", "mug", "pen"])),
///     ("time", numbers(&[1_790_000_000_000, 1_790_000_060_000, 1_790_000_120_000])),
/// ])?;
/// let products = RecordBatch::try_from_iter([
///     ("item_id", texts(&["pen", "mug", "cup"])),
///     ("colour", texts(&["blue", "red", "red"])),
///     ("cents", numbers(&[150, 900, 700])),
/// ])?;
/// let options = InteractionOptions::default();
/// let interactions = Interactions::new(&[clicks], None, Some(&products), &options)?;
/// assert_eq!(interactions.ratings.target(), Target::Implicit);
/// assert_eq!(interactions.ratings.timestamps()[1], 1_790_000_060);
/// // Items are numbered in the order of their names.
/// let items = interactions.items.index();
/// assert_eq!((items.find("mug"), items.name(0).as_deref()), (Some(1), Some("cup")));
/// let traits = interactions.items.traits()?;
/// assert_eq!(traits.categories[0].values, ["blue", "red"]);
/// assert_eq!(traits.measures[0].values, [700.0, 900.0, 150.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Interactions {
    /// Who, what, what it came to, and when, in the order of the table. Users and items are the
    /// numbers of their names.
    pub ratings: Ratings,
    /// The items: those of their table, or all that somebody interacted with.
    pub items: Movies,
    /// What is known of the users.
    pub users: Users,
    /// What is known of each of the ratings beside: columns of interactions that have a role.
    pub pairs: Arc<Traits>,
    /// Vectors of the items, one for each column of them.
    pub vectors: Arc<Vec<Modality>>,
    /// Pictures of the items.
    pub images: Arc<Vec<Poster>>,
    /// Texts about the items.
    pub texts: Arc<Vec<Summary>>,
    /// Tags that users gave items, as a [release](MovieLens::tags) has them.
    pub tags: Option<RecordBatch>,
    /// What was found amiss and left out.
    pub left_out: LeftOut,
    /// Whether there are times.
    pub has_times: bool,
    /// The column of the targets, where it is one of a table's.
    pub target_column: Option<String>,
    /// Who and what has no counterpart in another table.
    pub unmatched: Unmatched,
}

/// How many of a table another knows nothing of. None of it is an error: there are newcomers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unmatched {
    /// Items that nobody interacted with.
    pub items: usize,
    /// Users of the table of users who interacted with nothing; they are left out.
    pub idle_users: usize,
    /// Users whom the table of users lacks.
    pub unknown_users: usize,
}

/// How tables are read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InteractionOptions {
    /// Which column is what.
    pub schema: Schema,
    /// The least and the most that a target may be; `None` of those that there are.
    pub scale: Option<(f32, f32)>,
    /// What to do with interactions with items that the table of items lacks.
    pub unknown_items: UnknownMovies,
    /// What to do where a user interacted with an item more than once; `None` is as
    /// [`Self::duplicates_of`] says.
    pub duplicates: Option<Duplicates>,
}

impl InteractionOptions {
    /// What is done where a user interacted with an item more than once: what is named, or else of
    /// ratings of a scale they are refused, of labels the latest stays, which is what it came to in
    /// the end, and of interactions without a target the earliest. What somebody did again is
    /// nothing new, and a row of the training set must not be missing since they did it after the
    /// test's moment.
    pub fn duplicates_of(&self, target: Target) -> Duplicates {
        let usual = match target {
            Target::Rating { .. } => Duplicates::Refuse,
            Target::Label => Duplicates::KeepLatest,
            Target::Implicit => Duplicates::KeepEarliest,
        };
        self.duplicates.unwrap_or(usual)
    }
}

/// Files of interactions, users and items.
///
/// Parquet by the name `.parquet` or by its first and last bytes, uncompressed or compressed by Snappy or zstd; text with a header
/// otherwise, commas between fields or, where it is called `.tsv`, tabs, which may be compressed by
/// gzip.
///
/// ```no_run
/// use mmdlrm_data::{InteractionFiles, InteractionOptions, Schema};
///
/// let files = InteractionFiles {
///     interactions: "clicks.parquet".into(),
///     items: Some("products.csv".into()),
///     options: InteractionOptions {
///         schema: Schema { item: Some("sku".to_owned()), ..Schema::default() },
///         ..InteractionOptions::default()
///     },
///     ..InteractionFiles::default()
/// };
/// println!("{} clicks", files.open()?.ratings.len());
/// # Ok::<(), mmdlrm_data::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InteractionFiles {
    /// Who did what, and when.
    pub interactions: PathBuf,
    /// What is known of users.
    pub users: Option<PathBuf>,
    /// The items, and what is known of them.
    pub items: Option<PathBuf>,
    /// How they are read.
    pub options: InteractionOptions,
}

impl InteractionFiles {
    /// Reads them.
    ///
    /// # Errors
    /// The first thing that cannot be used: a file, a column, or a value by its row or line.
    pub fn open(&self) -> Result<Interactions> {
        self.unchanged(|interactions, users, items| {
            table::read(interactions, users, items, &self.options)
        })
    }

    /// Reads all but the interactions, which stay on disk: in a file without a name in the folder
    /// `scratch`, in the same order, gone when it is closed. Memory is that of the users and items,
    /// a bit a row, and 200 MiB at most, whatever the number of rows.
    ///
    /// ```
    /// use mmdlrm_data::generate::PlantedShop;
    /// use mmdlrm_data::InteractionFiles;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// PlantedShop::default().write(folder)?;
    /// let files = InteractionFiles {
    ///     interactions: folder.join("purchases.parquet"),
    ///     items: Some(folder.join("products.parquet")),
    ///     ..InteractionFiles::default()
    /// };
    /// let streamed = files.open_streamed(&folder.join("scratch"))?;
    /// assert_eq!(streamed.ratings.len(), files.open()?.ratings.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::open`]; columns of single interactions that have a role; a scratch file that
    /// cannot be written.
    pub fn open_streamed(&self, scratch: &Path) -> Result<StreamedInteractions> {
        self.unchanged(|interactions, users, items| {
            streamed::open(interactions, users, items, &self.options, scratch)
        })
    }

    /// What `read` makes of interactions, users and items, if nobody writes one of the files
    /// meanwhile: they are read column by column.
    fn unchanged<T>(
        &self,
        read: impl FnOnce(&Source, Option<&Source>, Option<&Source>) -> Result<T>,
    ) -> Result<T> {
        let beside = self.users.iter().chain(&self.items);
        let stamps = [&self.interactions].into_iter().chain(beside);
        let stamps = stamps.map(|path| Ok((path, Stamp::before(path)?)));
        let stamps = stamps.collect::<Result<Vec<_>>>()?;
        let (interactions, users, items) = self.sources()?;
        let read = read(&interactions, users.as_ref(), items.as_ref());
        // It may well be why something cannot be used.
        stamps
            .iter()
            .try_for_each(|(path, stamp)| stamp.check(path))?;
        read
    }

    /// Interactions, users and items.
    fn sources(&self) -> Result<(Source<'_>, Option<Source<'_>>, Option<Source<'_>>)> {
        let open = |side: Side, path: &Path| Source::open(side.table(), path);
        let beside = |side, path: &Option<PathBuf>| path.as_deref().map(|it| open(side, it));
        Ok((
            open(Side::Pair, &self.interactions)?,
            beside(Side::User, &self.users).transpose()?,
            beside(Side::Item, &self.items).transpose()?,
        ))
    }
}

/// Interactions whose rows stay on disk, and all else of them.
#[derive(Debug)]
#[non_exhaustive]
pub struct StreamedInteractions {
    /// Who, what, what it came to, and when.
    pub ratings: RatingsStream,
    /// The items, as in [`Interactions::items`].
    pub items: Movies,
    /// What is known of the users.
    pub users: Users,
    /// Vectors of the items, one for each column of them.
    pub vectors: Arc<Vec<Modality>>,
    /// Pictures of the items.
    pub images: Arc<Vec<Poster>>,
    /// Texts about the items.
    pub texts: Arc<Vec<Summary>>,
    /// Whether there are times.
    pub has_times: bool,
    /// The column of the targets, where it is one of a table's.
    pub target_column: Option<String>,
    /// Who and what has no counterpart in another table.
    pub unmatched: Unmatched,
}

/// Of a release the ratings and the movies.
impl From<StreamedMovieLens> for StreamedInteractions {
    fn from(movielens: StreamedMovieLens) -> Self {
        Self {
            has_times: movielens.ratings.has_times(),
            ratings: movielens.ratings,
            items: movielens.movies,
            users: Users::default(),
            vectors: Arc::default(),
            images: Arc::default(),
            texts: Arc::default(),
            target_column: None,
            unmatched: Unmatched::default(),
        }
    }
}

impl Interactions {
    /// Of record batches: those of one table of interactions, and tables of users and items.
    ///
    /// # Errors
    /// As [`InteractionFiles::open`].
    pub fn new(
        interactions: &[RecordBatch],
        users: Option<&RecordBatch>,
        items: Option<&RecordBatch>,
        options: &InteractionOptions,
    ) -> Result<Self> {
        let interactions = Source::of_batches(Side::Pair.table(), interactions)?;
        let users = users.map(std::slice::from_ref);
        let users = users.map(|users| Source::of_batches(Side::User.table(), users));
        let items = items.map(std::slice::from_ref);
        let items = items.map(|items| Source::of_batches(Side::Item.table(), items));
        let (users, items) = (users.transpose()?, items.transpose()?);
        table::read(&interactions, users.as_ref(), items.as_ref(), options)
    }

    /// What the data call a user of the ratings.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use mmdlrm_data::arrow_array::{ArrayRef, RecordBatch, StringArray};
    /// # use mmdlrm_data::{InteractionOptions, Interactions};
    /// # let texts = |texts: &[&str]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
    /// # let clicks = RecordBatch::try_from_iter([
    /// #     ("user_id", texts(&["ben", "ann"])),
    /// #     ("item_id", texts(&["mug", "mug"])),
    /// # ])?;
    /// let interactions = Interactions::new(&[clicks], None, None, &InteractionOptions::default())?;
    /// let first = interactions.ratings.user_ids()[0];
    /// assert_eq!((first, &*interactions.name_of_user(first)), (1, "ben"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name_of_user(&self, user_id: u32) -> String {
        name_in(self.users.names(), user_id)
    }

    /// What the data call an item of the ratings.
    pub fn name_of_item(&self, item_id: u32) -> String {
        name_in(self.items.names(), item_id)
    }

    /// Of users and `items` alone: what is left of the interactions, and what is known of these.
    ///
    /// # Errors
    /// No interaction is left.
    pub fn part(&self, users: &IdMap, items: &IdMap) -> Result<Self> {
        let (ratings, table) = part_of(&self.ratings, &self.items, users, items)?;
        let ids = self.ratings.user_ids().iter().zip(self.ratings.movie_ids());
        let rows = (0..)
            .zip(ids)
            .filter(|(_, (user, item))| users.row(**user).is_none() || items.row(**item).is_none());
        let left_out: Vec<u32> = rows.map(|(row, _)| row).collect();
        Ok(Self {
            ratings,
            pairs: Arc::new(self.pairs.without(&left_out)),
            items: table,
            ..self.clone()
        })
    }
}

/// The name that a number has, if it has another than its digits.
fn name_in(names: Option<&Arc<IdNames>>, number: u32) -> String {
    let name = names.and_then(|names| names.name(number));
    name.map_or_else(|| number.to_string(), Cow::into_owned)
}

/// Of a release the ratings and the movies: nothing is copied.
impl From<&MovieLens> for Interactions {
    fn from(movielens: &MovieLens) -> Self {
        Self {
            ratings: movielens.ratings.clone(),
            items: movielens.movies.clone(),
            users: Users::default(),
            pairs: Arc::default(),
            vectors: Arc::default(),
            images: Arc::default(),
            texts: Arc::default(),
            tags: movielens.tags.clone(),
            left_out: movielens.left_out.clone(),
            has_times: movielens.ratings.has_times(),
            target_column: None,
            unmatched: Unmatched::default(),
        }
    }
}

/// As from a borrowed one.
impl From<MovieLens> for Interactions {
    fn from(movielens: MovieLens) -> Self {
        Self::from(&movielens)
    }
}

/// A copy, of which the tables are shared.
impl From<&Self> for Interactions {
    fn from(interactions: &Self) -> Self {
        interactions.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn a_table_that_somebody_writes_while_it_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clicks.csv");
        std::fs::write(&path, "user,item\nu,a\n").unwrap();
        let files = InteractionFiles {
            interactions: path.clone(),
            ..InteractionFiles::default()
        };
        files.unchanged(|_, _, _| Ok(())).unwrap();
        let read = files.unchanged(|_, _, _| {
            std::fs::write(&path, "user,item\nu,a\nv,b\n").unwrap();
            Err::<(), _>(Error::setting("what", "was seen", "is no use"))
        });
        assert!(matches!(read, Err(Error::Changed { .. })), "{read:?}");
    }
}
