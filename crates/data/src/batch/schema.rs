use std::collections::HashSet;
use std::sync::Arc;

use super::Batch;
use crate::{Error, Result};

/// What all [`Batch`]es of one producer hold: how many users and movies there are, and the
/// name and kind of each other column, in the order of [`Batch::columns`].
///
/// A model's inputs are matched to it by name before there is a batch. Batches share it: a
/// clone copies no name.
///
/// ```
/// use mmdlrm_data::{BatchSchema, ColumnField, ColumnKind};
///
/// let schema = BatchSchema::new(100, 20, [
///     ColumnField::new("actor", ColumnKind::Bags { ids: 7 }),
///     ColumnField::new("weather", ColumnKind::dense(["rain", "wind"])),
///     ColumnField::new("image", ColumnKind::Vectors { width: 512 }),
/// ])?;
/// assert_eq!(schema.place("weather"), Some(1));
/// assert_eq!(schema.columns()[0].kind.ids(), Some(7));
///
/// let twice = ["actor"; 2].map(|name| ColumnField::new(name, ColumnKind::Ids { ids: 7 }));
/// let error = BatchSchema::new(100, 20, twice).unwrap_err();
/// assert!(error.to_string().contains("another one has that name"));
/// # Ok::<(), mmdlrm_data::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchSchema {
    users: usize,
    movies: usize,
    columns: Arc<[ColumnField]>,
}

/// Name and kind of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColumnField {
    /// By which models and tables know it.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

/// What a [`Column`](super::Column) holds, and what a model that takes it must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnKind {
    /// One id a sample.
    Ids {
        /// Every id is below it.
        ids: usize,
    },
    /// A bag of ids a sample.
    Bags {
        /// Every id is below it.
        ids: usize,
    },
    /// Bags that samples share.
    Shared {
        /// Every id is below it.
        ids: usize,
    },
    /// Dense features.
    Dense {
        /// The name of each.
        names: Vec<String>,
    },
    /// A vector a sample, or none.
    Vectors {
        /// How long each is.
        width: usize,
    },
}

/// What a row has beside its columns.
const OF_ROWS: [&str; 7] = [
    Batch::USER,
    Batch::MOVIE,
    "timestamp",
    "stars",
    "base",
    // In a table with raw ids.
    "userId",
    "movieId",
];

impl BatchSchema {
    /// Of batches whose users are below `users` and movies below `movies`.
    ///
    /// # Errors
    /// A column without a name or with that of another one, where `user`, `movie`, `timestamp`,
    /// `stars` and `base` are those of the rows, `userId` and `movieId` their raw ids, and vectors
    /// are called `imageRow` in a table too; dense features or vectors without a number; a
    /// dense feature with a comma in its name, which parts them in a table.
    pub fn new(
        users: usize,
        movies: usize,
        columns: impl IntoIterator<Item = ColumnField>,
    ) -> Result<Self> {
        let columns: Arc<[ColumnField]> = columns.into_iter().collect();
        let mut names: HashSet<&str> = OF_ROWS.into();
        let in_tables: Vec<String> = columns.iter().map(ColumnField::name_in_table).collect();
        for (column, in_table) in columns.iter().zip(&in_tables) {
            let name = column.name.as_str();
            let bad = |rule| Err(Error::setting("name of a column", name, rule));
            if name.is_empty() {
                return bad("a column needs one");
            }
            let is_new = names.insert(name) && (in_table == name || names.insert(in_table));
            if !is_new {
                return bad("another one has that name; give each its own");
            }
            let width = match &column.kind {
                ColumnKind::Dense { names } => names.len(),
                &ColumnKind::Vectors { width } => width,
                ColumnKind::Ids { .. } | ColumnKind::Bags { .. } | ColumnKind::Shared { .. } => 1,
            };
            if width == 0 {
                return bad("it has to have one number a sample or more");
            }
            if let ColumnKind::Dense { names } = &column.kind
                && let Some(name) = names.iter().find(|name| name.contains(','))
            {
                let rule = "a comma parts the names of features; leave it out";
                return Err(Error::setting("name of a dense feature", name, rule));
            }
        }
        Ok(Self {
            users,
            movies,
            columns,
        })
    }

    /// Every user is below it.
    pub fn users(&self) -> usize {
        self.users
    }

    /// Every movie is below it.
    pub fn movies(&self) -> usize {
        self.movies
    }

    /// All columns beside users and movies.
    pub fn columns(&self) -> &[ColumnField] {
        &self.columns
    }

    /// Where the column of this name stands in [`Self::columns`].
    pub fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

impl ColumnField {
    /// A column of this name and kind.
    pub fn new(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self {
            name: name.into(),
            kind,
        }
    }

    /// Its name in a table of Arrow, where rows of vectors stand beside vectors.
    pub(crate) fn name_in_table(&self) -> String {
        match self.kind {
            ColumnKind::Vectors { .. } => format!("{}Row", self.name),
            _ => self.name.clone(),
        }
    }
}

impl ColumnKind {
    /// Dense features of these names.
    pub fn dense<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::Dense {
            names: names.into_iter().map(Into::into).collect(),
        }
    }

    /// Of ids and bags, what every id is below.
    pub fn ids(&self) -> Option<usize> {
        match *self {
            Self::Ids { ids } | Self::Bags { ids } | Self::Shared { ids } => Some(ids),
            Self::Dense { .. } | Self::Vectors { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_cannot_be_told_from_another_is_refused() {
        let refused = |columns: &[(&str, ColumnKind)], why: &str| {
            let columns = columns.iter().cloned();
            let columns = columns.map(|(name, kind)| ColumnField::new(name, kind));
            let error = BatchSchema::new(1, 1, columns).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        let bags = ColumnKind::Bags { ids: 3 };
        for name in OF_ROWS {
            refused(&[(name, bags.clone())], "another one has that name");
        }
        refused(&[("", bags.clone())], "needs one");
        let vectors = ColumnKind::Vectors { width: 2 };
        let of_a_table = [("imageRow", bags), ("image", vectors)];
        refused(&of_a_table, "name of a column is image, but another one");
        let none = ColumnKind::Vectors { width: 0 };
        refused(&[("image", none)], "one number a sample or more");
        let none = ColumnKind::dense::<String>([]);
        refused(&[("dense", none)], "one number a sample or more");
        let comma = ColumnKind::dense(["rain,snow", "wind"]);
        refused(&[("dense", comma)], "a comma parts the names");
    }
}
