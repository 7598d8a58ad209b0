use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::parts::Parts;
use super::{DiskSplit, SplitPart};
use crate::batch::{ByUser, CHUNK, Cut, Scattered};
use crate::{DataFingerprint, Error, Rated, RatingsStream, Result, Shuffle};

/// Ratings on disk with a split, and the rows of their batches.
///
/// The rows are those of a [`Split`](crate::Split) of the same draw, in the same orders, and
/// none of them is held: each shuffle sends them to a scratch file in random buckets,
/// 16 bytes a rating, and reads these back one by one. Memory is at most 200 MiB beside that
/// of users and movies, whatever the number of ratings and of threads.
///
/// ```
/// use mmdlrm_data::{OpenOptions, RandomSplit, SplitPart, StreamedSplit, generate};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = OpenOptions::default().open_streamed(&folder)?;
/// let split = StreamedSplit::new(movielens.ratings, RandomSplit::default(), &folder)?;
/// assert_eq!((split.rows(SplitPart::Train), split.rows(SplitPart::Test)), (240, 60));
/// let mut lengths = Vec::new();
/// split.shuffled(SplitPart::Train, 100, 7, 0, &mut |rows| {
///     lengths.push(rows.len());
///     true
/// })?;
/// assert_eq!(lengths, [100, 100, 40]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct StreamedSplit {
    ratings: Arc<RatingsStream>,
    parts: Parts,
    scratch: PathBuf,
}

impl fmt::Debug for StreamedSplit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedSplit")
            .field("ratings", &self.ratings)
            .field("scratch", &self.scratch)
            .finish_non_exhaustive()
    }
}

impl StreamedSplit {
    /// Draws what is held out of `ratings`. Scratch files, which have no name, are made in
    /// the folder `scratch`.
    ///
    /// # Errors
    /// A share that leaves a side empty.
    pub fn new(
        ratings: RatingsStream,
        split: impl Into<DiskSplit>,
        scratch: &Path,
    ) -> Result<Self> {
        let parts = Parts::new(&ratings, split.into())?;
        Ok(Self {
            ratings: Arc::new(ratings),
            parts,
            scratch: scratch.to_owned(),
        })
    }

    /// The ratings that are split.
    pub fn ratings(&self) -> &RatingsStream {
        &self.ratings
    }

    /// Number of rows of a part.
    pub fn rows(&self, part: SplitPart) -> usize {
        let (validation, test) = self.parts.rows();
        match part {
            SplitPart::Train => self.ratings.len() - validation - test,
            SplitPart::Validation => validation,
            SplitPart::Test => test,
        }
    }

    /// Which rows are trained on, validated on and held out.
    ///
    /// # Errors
    /// As [`RatingsStream::for_each`].
    pub fn fingerprint(&self) -> Result<DataFingerprint> {
        self.parts.clone().fingerprint(&self.ratings)
    }

    /// Hands out all rows in the order of the file, each with its part.
    ///
    /// # Errors
    /// As [`RatingsStream::for_each`].
    pub fn for_each<E: From<Error>>(
        &self,
        mut take: impl FnMut(SplitPart, &Rated) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut parts = self.parts.clone();
        self.ratings.for_each(|rated| {
            rated
                .iter()
                .try_for_each(|rated| take(parts.next(rated), rated))
        })
    }

    /// Hands out all rows of one user after the other, in the order of the file, each with its
    /// part. Where users do not stand together in the file, rows pass through a scratch file.
    ///
    /// # Errors
    /// As [`RatingsStream::for_each`]; a scratch file that cannot be written or read.
    pub fn for_each_user<E: From<Error>>(
        &self,
        mut take: impl FnMut(&[(SplitPart, Rated)]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut of_user: Vec<(SplitPart, Rated)> = Vec::new();
        if self.ratings.are_by_user() {
            self.for_each(|part, rated| {
                if of_user
                    .last()
                    .is_some_and(|(_, last)| last.user != rated.user)
                {
                    take(&of_user)?;
                    of_user.clear();
                }
                of_user.push((part, *rated));
                Ok::<_, E>(())
            })?;
            return match of_user.is_empty() {
                true => Ok(()),
                false => take(&of_user),
            };
        }
        let mut rows_of_users = vec![0; self.ratings.users().len()];
        self.ratings.for_each(|rated| {
            let users = rated.iter().map(|it| it.user as usize);
            users.for_each(|user| rows_of_users[user] += 1);
            Ok::<_, Error>(())
        })?;
        let mut by_user = ByUser::new(&rows_of_users, &self.scratch)?;
        self.for_each(|part, rated| by_user.send(*rated, part as u64))?;
        const PARTS: [SplitPart; 3] = [SplitPart::Train, SplitPart::Validation, SplitPart::Test];
        by_user.hand_out(|rows| {
            of_user.clear();
            let rows = rows.iter();
            of_user.extend(rows.map(|&(rated, part)| (PARTS[part as usize], rated)));
            take(&of_user)
        })
    }

    /// Hands out the rows of a part in the order of the file, some at a time.
    ///
    /// # Errors
    /// As [`RatingsStream::for_each`].
    pub fn for_each_of<E: From<Error>>(
        &self,
        part: SplitPart,
        mut take: impl FnMut(&[Rated]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut parts = self.parts.clone();
        let mut chosen = Vec::new();
        self.ratings.for_each(|rated| {
            chosen.clear();
            chosen.extend(rated.iter().filter(|rated| parts.next(rated) == part));
            take(&chosen)
        })
    }

    /// Hands out the rows of a part in the order of the file, `size` at a time (the last
    /// may be fewer), until `take` returns `false`: what feeds [`Batches`](crate::Batches).
    ///
    /// # Errors
    /// As [`RatingsStream::for_each`].
    pub fn in_order(
        &self,
        part: SplitPart,
        size: usize,
        take: &mut dyn FnMut(Vec<Rated>) -> bool,
    ) -> Result<()> {
        let mut cut = Cut::new(size);
        let mut give = |rated| take(rated).then_some(()).ok_or(Stop::Dropped);
        let fed = self.for_each_of(part, |rated| cut.push(rated, &mut give));
        match fed.and_then(|()| cut.finish(give)) {
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Dropped) | Ok(()) => Ok(()),
        }
    }

    /// The same in the order of a [`Shuffle`] by `seed`, without the `first` first times.
    ///
    /// # Errors
    /// As [`RatingsStream::for_each`]; a scratch file that cannot be written or read.
    pub fn shuffled(
        &self,
        part: SplitPart,
        size: usize,
        seed: u64,
        first: usize,
        take: &mut dyn FnMut(Vec<Rated>) -> bool,
    ) -> Result<()> {
        let shuffle = Shuffle::new(self.rows(part), seed);
        let mut scattered = Scattered::new(shuffle, &self.scratch)?;
        let mut cut = Cut::new(CHUNK);
        self.for_each_of(part, |rated| {
            cut.push(rated, |chunk| scattered.send(&chunk))
        })?;
        cut.finish(|chunk| scattered.send(&chunk))?;
        let mut to_pass = first;
        scattered.hand_out(size, &mut |rows| {
            if to_pass > 0 {
                to_pass -= 1;
                return true;
            }
            take(rows)
        })
    }
}

/// Why rows are no longer handed out.
enum Stop {
    /// Nobody wants more.
    Dropped,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
