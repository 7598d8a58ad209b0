use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;

use crate::links::read_links;
use crate::tags::read_tags;
use crate::{Movies, Ratings, Result};

/// A MovieLens folder, read into Arrow: `ratings.csv` and `movies.csv`, and
/// `links.csv` and `tags.csv` where they are present (ml-latest-small,
/// ml-latest, ml-20m, ml-25m, ml-32m).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MovieLens {
    /// The folder.
    pub dir: PathBuf,
    /// `ratings.csv`.
    pub ratings: Ratings,
    /// `movies.csv`: the catalogue.
    pub movies: Movies,
    /// `links.csv`: `movieId` (`UInt32`), `imdbId`, `tmdbId` (`Utf8`).
    pub links: Option<RecordBatch>,
    /// `tags.csv`: `userId`, `movieId` (`UInt32`), `tag` (`Utf8`), `timestamp`
    /// (`Int64`).
    pub tags: Option<RecordBatch>,
}

impl MovieLens {
    /// Reads the folder `dir`.
    ///
    /// # Errors
    /// A missing file or column, or the first row that cannot be used, by
    /// line and column.
    ///
    /// ```no_run
    /// let movielens = mmdlrm_data::MovieLens::open("ml-latest-small")?;
    /// assert_eq!(movielens.ratings.len(), 100_836);
    /// assert_eq!(movielens.movies.title(0), "Toy Story");
    /// # Ok::<(), mmdlrm_data::Error>(())
    /// ```
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let movies = Movies::read(&dir.join("movies.csv"))?;
        let ratings = Ratings::read(&dir.join("ratings.csv"), &movies)?;
        let links = read_if_present(&dir.join("links.csv"), read_links)?;
        let tags = read_if_present(&dir.join("tags.csv"), read_tags)?;
        tracing::info!(
            ratings = ratings.len(),
            movies = movies.len(),
            dir = %dir.display(),
            "read MovieLens"
        );
        Ok(Self {
            dir: dir.to_owned(),
            ratings,
            movies,
            links,
            tags,
        })
    }
}

fn read_if_present<T>(path: &Path, read: impl FnOnce(&Path) -> Result<T>) -> Result<Option<T>> {
    path.exists().then(|| read(path)).transpose()
}
