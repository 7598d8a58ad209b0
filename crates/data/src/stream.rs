use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use rayon::prelude::*;

use crate::cache::RatingsCache;
use crate::policy::{Origin, PassingPairs};
use crate::rated::Rated;
use crate::ratings::RatingColumns;
use crate::ratings_parquet::RatingsReader;
use crate::{Duplicates, Error, IdMap, LeftOut, OpenOptions, Result, UnknownMovies};

/// Ratings that are read from a Parquet file whenever they are needed, some row
/// groups at a time; memory does not grow with their number.
pub struct RatingsStream {
    reader: RatingsReader,
    path: PathBuf,
    users: IdMap,
    movies: IdMap,
    rows: usize,
    left_out: LeftOut,
}

impl RatingsStream {
    /// Makes the cache where it is not there, and goes over it once for the
    /// users and the policies.
    pub(crate) fn open(
        cache_dir: &Path,
        origin: &Origin,
        movies: &IdMap,
        options: &OpenOptions,
    ) -> Result<Self> {
        if matches!(
            options.duplicates,
            Duplicates::KeepFirst | Duplicates::KeepLatest
        ) {
            return Err(Error::setting(
                "duplicates",
                format!("{:?}", options.duplicates),
                "ratings that are streamed can only be refused or all kept",
            ));
        }
        let cache = RatingsCache::new(cache_dir);
        cache.ensure(origin.path, origin.dialect)?;
        let path = cache.path();
        let reader = RatingsReader::open(&path).ok_or_else(|| damaged(&path))?;
        let mut stream = Self {
            reader,
            path,
            users: IdMap::default(),
            movies: movies.clone(),
            rows: 0,
            left_out: LeftOut::default(),
        };
        stream.survey(origin, options)?;
        Ok(stream)
    }

    /// Number of ratings, those left out not counted.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no rating.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Everybody who rated anything.
    pub fn users(&self) -> &IdMap {
        &self.users
    }

    /// The catalogue.
    pub fn movies(&self) -> &IdMap {
        &self.movies
    }

    /// Ratings that were found amiss and left out.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// The Parquet file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands out all ratings in the order of the file, some at a time.
    ///
    /// # Errors
    /// A file that can no longer be read, or whatever `take` returns.
    pub fn for_each<E: From<Error>>(
        &self,
        mut take: impl FnMut(&[Rated]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.for_each_group(|columns| self.rated(columns), |rated| take(&rated))
    }

    fn rated(&self, columns: &RatingColumns) -> Vec<Rated> {
        (0..columns.users.len())
            .filter_map(|row| {
                Some(Rated {
                    user: self.users.row(columns.users[row])?,
                    movie: self.movies.row(columns.movies[row])?,
                    stars: columns.stars[row],
                    timestamp: columns.timestamps[row],
                })
            })
            .collect()
    }

    /// Hands out what `prepare` makes of each row group, in order. The next ones,
    /// as many as there are threads, are read meanwhile.
    fn for_each_group<T: Send, E: From<Error>>(
        &self,
        prepare: impl Fn(&RatingColumns) -> T + Sync,
        mut take: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let read = |group: usize| {
            let length = self.reader.lengths()[group];
            let mut columns = RatingColumns::zeroed(length);
            self.reader.read(group, columns.parts([length]).pop()?)?;
            Some(prepare(&columns))
        };
        let (send, receive) = sync_channel(0);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let groups: Vec<usize> = (0..self.reader.lengths().len()).collect();
                for groups in groups.chunks(rayon::current_num_threads()) {
                    let prepared: Option<Vec<T>> =
                        groups.par_iter().map(|&group| read(group)).collect();
                    let damaged = prepared.is_none();
                    // A closed channel means that `take` failed.
                    if send.send(prepared).is_err() || damaged {
                        break;
                    }
                }
            });
            for prepared in receive {
                for prepared in prepared.ok_or_else(|| damaged(&self.path))? {
                    take(prepared)?;
                }
            }
            Ok(())
        })
    }

    fn survey(&mut self, origin: &Origin, options: &OpenOptions) -> Result<()> {
        let mut pairs = PassingPairs::default();
        let (mut users, mut unknown_movies) = (IdMap::default(), BTreeSet::new());
        let (mut row, mut first_unknown, mut unknown) = (0, None, 0);
        self.for_each_group(RatingColumns::clone, |columns| {
            if options.duplicates == Duplicates::Refuse {
                pairs.check(&columns, origin)?;
            }
            let ids = columns.users.iter().copied();
            users = IdMap::from_ids(users.ids().iter().copied().chain(ids));
            for &movie in &columns.movies {
                if self.movies.row(movie).is_none() {
                    first_unknown.get_or_insert(row);
                    unknown += 1;
                    unknown_movies.insert(movie);
                }
                row += 1;
            }
            Ok(())
        })?;
        if let (Some(first), UnknownMovies::Refuse) = (first_unknown, options.unknown_movies) {
            return Err(origin.unknown_movie(first, unknown, unknown_movies.len()));
        }
        self.users = users;
        self.rows = row - unknown;
        self.left_out.of_unknown_movies = unknown;
        self.left_out.unknown_movies = unknown_movies.into_iter().collect();
        Ok(())
    }
}

fn damaged(path: &Path) -> Error {
    let source = std::io::Error::other("it is damaged, or was changed while it was read");
    Error::read(path)(source)
}
