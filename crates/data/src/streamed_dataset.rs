use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::batch::Purpose;
use crate::fingerprint::{Part, SplitHasher};
use crate::rated::Rated;
use crate::sampler::{Sampler, Share};
use crate::shuffle::{CHUNK, Shuffle};
use crate::{
    Batches, DataFingerprint, Error, Features, Modality, RatingsStream, Result, StreamedMovieLens,
    TestUser, TrainingData,
};

/// Rows that are sorted by their parts before they are hashed.
const HASHED_AT_A_TIME: usize = 1 << 16;
/// Bytes of a rating in a scratch file.
const RATED_BYTES: usize = 16;

/// Which ratings on disk are held out, and which validated on: all are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomSplit {
    /// Share held out.
    pub test_share: f64,
    /// Share of the others that are validated on.
    pub validation_share: Option<f64>,
    /// Seed of both draws.
    pub seed: u64,
}

impl Default for RandomSplit {
    /// 20 % held out by seed 42, none validated on.
    fn default() -> Self {
        Self {
            test_share: 0.2,
            validation_share: None,
            seed: 42,
        }
    }
}

impl RandomSplit {
    /// Which of `ratings` rows are trained on, validated on and held out: that of the
    /// [`Split`](crate::Split) of the same draw.
    ///
    /// # Errors
    /// A share that leaves a side empty.
    pub fn fingerprint(self, ratings: usize) -> Result<DataFingerprint> {
        Ok(Parts::new(ratings, self)?.fingerprint(ratings))
    }
}

/// Ratings on disk with a random split, and the [`Features`] of its training
/// rows.
///
/// Gives the same batches as a [`Dataset`](crate::Dataset) of the same ratings
/// with [`Split::random`](crate::Split::random) and, where rows are validated on,
/// [`Split::with_validation`](crate::Split::with_validation), and holds none of them: each
/// epoch sends the training rows to a scratch file in random buckets, 16 bytes
/// a rating, and reads these back one by one. Memory is that of the users, the
/// movies and at most 200 MiB, whatever the number of ratings and of threads.
pub struct StreamedDataset {
    features: Arc<Features>,
    ratings: Arc<RatingsStream>,
    parts: Parts,
    scratch: PathBuf,
}

impl StreamedDataset {
    /// Draws what is held out and fits the statistics on the training rows. Scratch
    /// files, which have no name, are made in the folder `scratch`.
    ///
    /// # Errors
    /// A share that leaves a side empty, or ratings that can no longer be read.
    pub fn new(
        movielens: StreamedMovieLens,
        split: RandomSplit,
        modalities: Vec<Modality>,
        scratch: &Path,
    ) -> Result<Self> {
        let StreamedMovieLens {
            movies, ratings, ..
        } = movielens;
        let parts = Parts::new(ratings.len(), split)?;
        let users = ratings.users().clone();
        let features = Features::fit(users, &movies, modalities, |take| {
            for_each_of(&ratings, parts.clone(), Part::Train, |rated| {
                take(rated);
                Ok(())
            })
        })?;
        Ok(Self {
            features: Arc::new(features),
            ratings: Arc::new(ratings),
            parts,
            scratch: scratch.to_owned(),
        })
    }

    fn held_batches(&self, size: usize, part: Part) -> Batches {
        let (ratings, parts) = (Arc::clone(&self.ratings), self.parts.clone());
        let rows = match part {
            Part::Train => self.training_rows(),
            Part::Validation => self.validation_rows(),
            Part::Test => self.test_rows(),
        };
        Batches::new(&self.features, Purpose::Held, rows, move |take| {
            let mut cut = Cut::new(size);
            let mut give = |rated| take(rated).then_some(()).ok_or(Stop::Dropped);
            let fed = for_each_of(&ratings, parts, part, |rated| cut.push(rated, &mut give));
            match fed.and_then(|()| cut.finish(give)) {
                Err(Stop::Failed(error)) => Err(error),
                Err(Stop::Dropped) | Ok(()) => Ok(()),
            }
        })
    }
}

impl TrainingData for StreamedDataset {
    fn features(&self) -> &Features {
        &self.features
    }

    fn training_rows(&self) -> usize {
        self.ratings.len() - self.validation_rows() - self.test_rows()
    }

    fn validation_rows(&self) -> usize {
        self.parts.validation.as_ref().map_or(0, Sampler::wanted)
    }

    fn test_rows(&self) -> usize {
        self.parts.test.wanted()
    }

    fn fingerprint(&self) -> DataFingerprint {
        let ratings: DataFingerprint = [self.ratings.part().clone()].into_iter().collect();
        let split = self.parts.clone().fingerprint(self.ratings.len());
        ratings.with(self.features.fingerprint()).with(split)
    }

    fn training_batches_from(&self, size: usize, seed: u64, first: usize) -> Batches {
        let rows = self.training_rows();
        let shuffle = Shuffle::new(rows, seed);
        let passed = first.saturating_mul(size.max(1)).min(rows);
        let (ratings, parts) = (Arc::clone(&self.ratings), self.parts.clone());
        let scratch = self.scratch.clone();
        let purpose = Purpose::Train { seed, first };
        Batches::new(&self.features, purpose, rows - passed, move |take| {
            let mut scattered = Scattered::new(shuffle, &scratch)?;
            let mut cut = Cut::new(CHUNK);
            for_each_of(&ratings, parts, Part::Train, |rated| {
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
        })
    }

    fn validation_batches(&self, size: usize) -> Batches {
        self.held_batches(size, Part::Validation)
    }

    fn test_batches(&self, size: usize) -> Batches {
        self.held_batches(size, Part::Test)
    }

    fn for_each_test_user<E: From<Error>>(
        &self,
        mut take: impl FnMut(TestUser) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut parts = self.parts.clone();
        let mut current = OneUser::default();
        self.ratings.for_each::<E>(|rated| {
            for rated in rated {
                if rated.user != current.user {
                    current.hand_out(&mut take)?;
                    if rated.user < current.user {
                        return Err(E::from(Error::Setting {
                            name: "order of the ratings",
                            value: "not that of the users".to_owned(),
                            rule: "users' ratings on disk must stand together to be ranked; \
                                   sort the file by user, or load it whole",
                        }));
                    }
                    current.user = rated.user;
                }
                match parts.next() {
                    Part::Test => current.held_out.push((rated.movie, rated.stars)),
                    Part::Validation => current.validated.push(rated.movie),
                    Part::Train => {
                        current.trained.push(rated.movie);
                        current.trained_stars.push(rated.stars);
                    }
                }
            }
            Ok(())
        })?;
        current.hand_out(&mut take)
    }
}

/// The ratings of a user, while they pass by.
#[derive(Default)]
struct OneUser {
    user: u32,
    trained: Vec<u32>,
    trained_stars: Vec<f32>,
    validated: Vec<u32>,
    held_out: Vec<(u32, f32)>,
}

impl OneUser {
    /// Hands out the user, if any ratings are held out, and forgets it.
    fn hand_out<E>(&mut self, take: impl FnOnce(TestUser) -> Result<(), E>) -> Result<(), E> {
        if !self.held_out.is_empty() {
            take(TestUser {
                user: self.user,
                trained: &self.trained,
                trained_stars: &self.trained_stars,
                validated: &self.validated,
                held_out: &self.held_out,
            })?;
        }
        self.trained.clear();
        self.trained_stars.clear();
        self.validated.clear();
        self.held_out.clear();
        Ok(())
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

/// Says of one row after the other which part it belongs to.
#[derive(Clone)]
struct Parts {
    test: Sampler,
    validation: Option<Sampler>,
}

impl Parts {
    fn new(ratings: usize, split: RandomSplit) -> Result<Self> {
        let test = Share::of_test(split.test_share).sampler(ratings, split.seed)?;
        let others = ratings - test.wanted();
        let validation = split.validation_share.map(|share| {
            // Of the rows that are not held out, one after the other.
            Share::of_validation(share).sampler(others, split.seed)
        });
        Ok(Self {
            test,
            validation: validation.transpose()?,
        })
    }

    fn fingerprint(mut self, ratings: usize) -> DataFingerprint {
        let mut split = SplitHasher::new();
        let mut rows = [Vec::new(), Vec::new(), Vec::new()];
        for start in (0..ratings).step_by(HASHED_AT_A_TIME) {
            rows.iter_mut().for_each(Vec::clear);
            for row in start..ratings.min(start + HASHED_AT_A_TIME) {
                rows[self.next() as usize].push(row as u64);
            }
            for part in [Part::Train, Part::Validation, Part::Test] {
                split.add(part, rows[part as usize].iter().copied());
            }
        }
        split.finish()
    }

    fn next(&mut self) -> Part {
        if self.test.next() {
            Part::Test
        } else if self.validation.as_mut().is_some_and(Sampler::next) {
            Part::Validation
        } else {
            Part::Train
        }
    }
}

/// Hands out the rows of a part in the order of the file.
fn for_each_of<E: From<Error>>(
    ratings: &RatingsStream,
    mut parts: Parts,
    part: Part,
    mut take: impl FnMut(&[Rated]) -> Result<(), E>,
) -> Result<(), E> {
    let mut chosen = Vec::new();
    ratings.for_each(|rated| {
        chosen.clear();
        chosen.extend(rated.iter().filter(|_| parts.next() == part));
        take(&chosen)
    })
}

/// Cuts a stream of rows into pieces of one length.
struct Cut {
    length: usize,
    rows: Vec<Rated>,
}

impl Cut {
    fn new(length: usize) -> Self {
        Self {
            length: length.max(1),
            rows: Vec::new(),
        }
    }

    fn push<E>(
        &mut self,
        mut rows: &[Rated],
        mut take: impl FnMut(Vec<Rated>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !rows.is_empty() {
            let room = self.length - self.rows.len();
            let (front, rest) = rows.split_at(room.min(rows.len()));
            self.rows.extend_from_slice(front);
            rows = rest;
            if self.rows.len() == self.length {
                take(std::mem::take(&mut self.rows))?;
            }
        }
        Ok(())
    }

    /// The last piece, which may be shorter.
    fn finish<E>(self, mut take: impl FnMut(Vec<Rated>) -> Result<(), E>) -> Result<(), E> {
        if self.rows.is_empty() {
            return Ok(());
        }
        take(self.rows)
    }
}

/// Training rows in a scratch file, each chunk ordered by bucket.
struct Scattered {
    shuffle: Shuffle,
    file: BufWriter<File>,
    /// For each chunk where its buckets start in the file, in rows, and its
    /// end.
    starts: Vec<Vec<u64>>,
    rows: u64,
    path: PathBuf,
}

impl Scattered {
    fn new(shuffle: Shuffle, dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(Error::write(dir))?;
        // It has no name: it is gone when it is closed, however that happens.
        let file = tempfile::tempfile_in(dir).map_err(Error::write(dir))?;
        Ok(Self {
            shuffle,
            file: BufWriter::with_capacity(1 << 20, file),
            starts: Vec::new(),
            rows: 0,
            path: dir.to_owned(),
        })
    }

    fn send(&mut self, chunk: &[Rated]) -> Result<()> {
        let sent = self.shuffle.send(self.starts.len(), chunk);
        for rated in sent.rows() {
            self.file
                .write_all(&to_bytes(rated))
                .map_err(Error::write(&self.path))?;
        }
        let buckets = 0..self.shuffle.buckets();
        let starts = buckets.map(|bucket| self.rows + sent.range(bucket).start as u64);
        let end = self.rows + chunk.len() as u64;
        self.starts.push(starts.chain([end]).collect());
        self.rows = end;
        Ok(())
    }

    /// Reads the buckets back, shuffles each, and hands out batches of `size`.
    fn hand_out(self, size: usize, take: &mut dyn FnMut(Vec<Rated>) -> bool) -> Result<()> {
        let read_error = |error| Error::read(&self.path)(error);
        let mut file = self
            .file
            .into_inner()
            .map_err(|error| Error::write(&self.path)(error.into_error()))?;
        let mut cut = Cut::new(size);
        let mut give = |rated| take(rated).then_some(()).ok_or(());
        let mut bytes = Vec::new();
        for bucket in 0..self.shuffle.buckets() {
            let mut rows = Vec::new();
            for starts in &self.starts {
                let (start, end) = (starts[bucket], starts[bucket + 1]);
                bytes.resize((end - start) as usize * RATED_BYTES, 0);
                file.seek(SeekFrom::Start(start * RATED_BYTES as u64))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(read_error)?;
                rows.extend(bytes.as_chunks().0.iter().map(from_bytes));
            }
            self.shuffle.finish(bucket, &mut rows);
            if cut.push(&rows, &mut give).is_err() {
                return Ok(());
            }
        }
        // Whether the last one is wanted makes no difference.
        let _ = cut.finish(give);
        Ok(())
    }
}

fn to_bytes(rated: &Rated) -> [u8; RATED_BYTES] {
    let mut bytes = [0; RATED_BYTES];
    let fields = [
        rated.user.to_le_bytes(),
        rated.movie.to_le_bytes(),
        rated.stars.to_le_bytes(),
        rated.timestamp.to_le_bytes(),
    ];
    bytes.as_chunks_mut().0.copy_from_slice(&fields);
    bytes
}

fn from_bytes(bytes: &[u8; RATED_BYTES]) -> Rated {
    let mut fields = [[0; 4]; 4];
    fields.copy_from_slice(bytes.as_chunks().0);
    Rated {
        user: u32::from_le_bytes(fields[0]),
        movie: u32::from_le_bytes(fields[1]),
        stars: f32::from_le_bytes(fields[2]),
        timestamp: u32::from_le_bytes(fields[3]),
    }
}

#[cfg(test)]
mod tests;
