use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use super::ratings_parquet::{RatingsBatch, RatingsReader};
use super::{RatingsBatches, RatingsCache};
use crate::fingerprint::{DataPart, RatingsHasher};
use crate::movielens::{Origin, PassingPairs, RatingColumns};
use crate::{
    Duplicates, Error, IdMap, IdNames, LeftOut, OpenOptions, Rated, Result, Target, UnknownMovies,
};

/// Threads that read row groups, of 16 MiB each, ahead of whoever takes them; more would
/// wait. It is odd since every second group may be small: where a block of text ended.
const READERS: usize = 3;

/// Ratings that are read from a Parquet file whenever they are needed, some row
/// groups at a time; memory grows neither with their number nor with the threads.
pub struct RatingsStream {
    reader: Arc<RatingsReader>,
    users: IdMap,
    movies: IdMap,
    target: Target,
    has_times: bool,
    rows: usize,
    left_out: LeftOut,
    part: DataPart,
    /// The same of what is learned.
    learned: DataPart,
    are_by_user: bool,
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
            Duplicates::KeepFirst | Duplicates::KeepLatest | Duplicates::KeepEarliest
        ) {
            return Err(Error::setting(
                "duplicates",
                options.duplicates.name(),
                "of ratings that are streamed (--stream) they can only be refused or all kept: \
                 --duplicates keep-all",
            ));
        }
        let (reader, has_times) = RatingsCache::new(cache_dir).open(origin.path, origin.dialect)?;
        let mut stream = Self::of(reader, movies.clone(), Target::STARS).with_times(has_times);
        let mut pairs = PassingPairs::default();
        let seen = stream.survey(|columns| match options.duplicates {
            Duplicates::Refuse => pairs.check(columns, origin),
            _ => Ok(()),
        })?;
        if let (Some(first), UnknownMovies::Refuse) = (seen.first_unknown, options.unknown_movies) {
            let unknown = &seen.unknown_movies;
            return Err(origin.unknown_movie(first, seen.unknown, unknown.len()));
        }
        stream.left_out.of_unknown_movies = seen.unknown;
        stream.left_out.unknown_movies = seen.unknown_movies.into_iter().collect();
        Ok(stream)
    }

    /// Of a file that is nobody else's: numbers of users of these names and of `movies`, others of
    /// which are left out; and the movies that are rated.
    pub(crate) fn of_scratch(
        reader: RatingsReader,
        (users, movies): (Option<Arc<IdNames>>, IdMap),
        left_out: LeftOut,
        target: Target,
    ) -> Result<(Self, IdMap)> {
        let mut stream = Self::of(reader, movies, target);
        let known = stream.movies.clone();
        let mut rated = HashSet::new();
        stream.survey(|columns| {
            let movies = columns.movies.iter().copied();
            rated.extend(movies.filter(|&movie| known.row(movie).is_some()));
            Ok(())
        })?;
        stream.left_out = left_out;
        stream.users = stream.users.with_names(users);
        Ok((stream, IdMap::from_ids(rated)))
    }

    fn of(reader: RatingsReader, movies: IdMap, target: Target) -> Self {
        let none = || RatingsHasher::new().finish();
        Self {
            reader: Arc::new(reader),
            users: IdMap::default(),
            movies,
            target,
            has_times: true,
            rows: 0,
            left_out: LeftOut::default(),
            part: none(),
            learned: none(),
            are_by_user: true,
        }
    }

    /// The same, with times or without.
    pub(crate) fn with_times(self, has_times: bool) -> Self {
        Self { has_times, ..self }
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

    /// What they say.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Whether it is known when they were given. Without that, nothing can be split in time.
    pub fn has_times(&self) -> bool {
        self.has_times
    }

    /// What they are, those left out not among them.
    pub fn part(&self) -> &DataPart {
        &self.part
    }

    /// What is learned of them: the same, with the targets [as stars](Target::to_stars).
    pub fn learned(&self) -> &DataPart {
        &self.learned
    }

    /// Whether all of a user stand together, and users in the order of their ids.
    pub(crate) fn are_by_user(&self) -> bool {
        self.are_by_user
    }

    /// The Parquet file, as it was named when it was opened. It is held open: where
    /// another takes its name, the ratings stay these.
    pub fn path(&self) -> &Path {
        self.reader.path()
    }

    /// Hands out all ratings in the order of the file, some at a time.
    ///
    /// # Errors
    /// A file that was changed or can no longer be read, or whatever `take` returns.
    pub fn for_each<E: From<Error>>(
        &self,
        mut take: impl FnMut(&[Rated]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rows = 0;
        self.for_each_group(
            |group| self.rated(group),
            |rated: Vec<Rated>| {
                rows += rated.len();
                take(&rated)
            },
        )?;
        Ok(Error::unless_all("ratings", rows, self.rows)?)
    }

    /// All ratings in the order of the file, as Arrow's record batches with the columns of
    /// [`Ratings`](crate::Ratings). It holds the file itself, so that it may outlive the
    /// stream; any number of them may read at once.
    pub fn record_batches(&self) -> RatingsBatches {
        let drops = self.left_out.of_unknown_movies > 0;
        let known = drops.then(|| self.movies.clone());
        RatingsBatches::new(Arc::clone(&self.reader), known, self.rows)
    }

    /// Ratings of known movies of a row group.
    fn rated(&self, group: usize) -> Result<Vec<Rated>> {
        let mut rated = Vec::new();
        for batch in self.reader.batches(group)? {
            let batch = batch?;
            let columns = RatingsBatch::of(&batch);
            rated.extend((0..batch.num_rows()).filter_map(|row| {
                Some(Rated {
                    user: self.users.row(columns.users[row])?,
                    movie: self.movies.row(columns.movies[row])?,
                    stars: self.target.to_stars(columns.stars[row]),
                    timestamp: columns.timestamps[row],
                })
            }));
        }
        Ok(rated)
    }

    /// Hands out what `read` makes of each row group, in order. [`READERS`] threads read
    /// ahead, each of which holds one until it is wanted. A panic of `read` is one of the
    /// caller's thread.
    fn for_each_group<T: Send, E: From<Error>>(
        &self,
        read: impl Fn(usize) -> Result<T> + Sync,
        mut take: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let groups = self.reader.lengths().len();
        let read = &read;
        std::thread::scope(|scope| {
            let (mut made, mut readers) = (Vec::new(), Vec::new());
            for first in 0..READERS {
                let (send, receive) = sync_channel(0);
                made.push(receive);
                readers.push(scope.spawn(move || {
                    for group in (first..groups).step_by(READERS) {
                        let made = read(group);
                        let failed = made.is_err();
                        // A closed channel means that nobody wants more.
                        if send.send(made).is_err() || failed {
                            break;
                        }
                    }
                }));
            }
            let mut taken = Ok(());
            for group in 0..groups {
                // A channel that is closed before its last group is one of a panic.
                let Ok(made) = made[group % READERS].recv() else {
                    break;
                };
                taken = made.map_err(E::from).and_then(&mut take);
                if taken.is_err() {
                    break;
                }
            }
            // Whoever waits to hand something out stops waiting.
            drop(made);
            for reader in readers {
                if let Err(panic) = reader.join() {
                    std::panic::resume_unwind(panic);
                }
            }
            taken
        })
    }

    /// Goes over all rows, which `check` may refuse, for what is known of them before they are used.
    fn survey(&mut self, mut check: impl FnMut(&RatingColumns) -> Result<()>) -> Result<Seen> {
        let mut users = IdMap::default();
        let mut seen = Seen::default();
        let (mut row, mut last) = (0, 0);
        let mut part = RatingsHasher::new();
        // Most are learned as they are.
        let mut learned = self.target.is_stretched().then(RatingsHasher::new);
        let mut are_by_user = true;
        let read = |group| self.reader.columns(group);
        self.for_each_group(read, |columns: RatingColumns| {
            check(&columns)?;
            let is_known = |movie: u32| self.movies.row(movie).is_some();
            let kept = || columns.rows().filter(|it| is_known(it.1));
            part.add(kept());
            if let Some(learned) = &mut learned {
                let stars = |rating| self.target.to_stars(rating);
                let rows = kept();
                learned.add(
                    rows.map(|(user, movie, rating, time)| (user, movie, stars(rating), time)),
                );
            }
            for &movie in &columns.movies {
                if !is_known(movie) {
                    seen.first_unknown.get_or_insert(row);
                    seen.unknown += 1;
                    seen.unknown_movies.insert(movie);
                }
                row += 1;
            }
            for (user, ..) in kept() {
                are_by_user &= last <= user;
                last = user;
            }
            // Who rated no movie that is known does not count, as in memory.
            users = IdMap::from_ids(users.ids().iter().copied().chain(kept().map(|it| it.0)));
            Ok::<_, Error>(())
        })?;
        self.users = users;
        self.rows = row - seen.unknown;
        self.part = part.finish();
        self.learned = learned.map_or_else(|| self.part.clone(), RatingsHasher::finish);
        self.are_by_user = are_by_user;
        Ok(seen)
    }
}

/// What is seen of all rows.
#[derive(Default)]
struct Seen {
    first_unknown: Option<usize>,
    unknown: usize,
    unknown_movies: BTreeSet<u32>,
}

impl fmt::Debug for RatingsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RatingsStream")
            .field("path", &self.path())
            .field("ratings", &self.rows)
            .field("users", &self.users.len())
            .field("movies", &self.movies.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::cache::digest::Hashed;
    use crate::cache::ratings_parquet::RatingsWriter;

    /// A rating a row group.
    fn stream(groups: u32) -> RatingsStream {
        let path = Path::new("ratings.parquet");
        let file = tempfile::tempfile().unwrap();
        let out = Hashed::new(file.try_clone().unwrap());
        let mut writer = RatingsWriter::new(out, path).unwrap();
        for user in 0..groups {
            let columns = RatingColumns {
                users: vec![user],
                movies: vec![7],
                stars: vec![3.5],
                timestamps: vec![user],
            };
            writer.write_all(&columns).unwrap();
        }
        let (rows, hashed) = writer.close().unwrap();
        let digest = hashed.finish().1;
        let reader = RatingsReader::open(file, path, (rows, &digest)).unwrap();
        let mut stream = RatingsStream::of(reader, IdMap::from_ids([7]), Target::STARS);
        stream.survey(|_| Ok(())).unwrap();
        stream
    }

    /// A row group in memory.
    struct Held<'a>(&'a AtomicUsize);

    impl Drop for Held<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn row_groups_in_memory_do_not_grow_with_threads() {
        let stream = stream(200);
        let (held, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let read = |group| {
            most.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            Ok((group, Held(&held)))
        };
        let threads = rayon::ThreadPoolBuilder::new().num_threads(64).build();
        let mut next = 0;
        threads.unwrap().install(|| {
            let take = |(group, _held): (usize, Held)| {
                assert_eq!(group, next);
                next += 1;
                // Whoever reads ahead has the time to.
                std::thread::sleep(std::time::Duration::from_micros(200));
                Ok::<_, Error>(())
            };
            stream.for_each_group(read, take).unwrap();
        });
        assert_eq!((next, held.into_inner()), (200, 0));
        let most = most.into_inner();
        assert!(most <= READERS + 1, "{most} row groups at once");
    }

    #[test]
    fn a_panic_while_row_groups_are_read_is_not_the_end_of_the_data() {
        let stream = stream(20);
        let read = |group: usize| {
            assert!(group != 13, "out of paper");
            Ok(())
        };
        let all = || stream.for_each_group(read, |()| Ok::<_, Error>(()));
        let panic = catch_unwind(AssertUnwindSafe(all)).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"out of paper"));
    }

    #[test]
    fn ratings_that_no_longer_come_are_an_error() {
        let mut stream = stream(3);
        stream.for_each(|_| Ok::<_, Error>(())).unwrap();
        stream.users = IdMap::from_ids([0, 2]);
        let error = stream.for_each(|_| Ok::<_, Error>(())).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with("2 ratings came where there are 3;"),
            "{message}"
        );
    }
}
