//! What each user rated, in a file of which the rows of one user are read at a time.
//!
//! A safetensors file of five tensors: `movies` (`U32`, dense rows), `timestamps` (`U32`) and
//! `stars` (`F32`), `[ratings]`; `offsets` (`U64`), `[3·users + 1]`: the ratings of user `u`
//! in part `p` (0 training, 1 validation, 2 held out) are those from `offsets[3u + p]` to
//! `offsets[3u + p + 1]`, the oldest first; and `hashes` (`U64`), `[users]`, XXH3 of what each
//! user rated, which is compared whenever it is read.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mmdlrm_data::{Error, Rated, RatedBag, RatedBags, Result, read_exact_at, write_all_at};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use xxhash_rust::xxh3::Xxh3;

use super::problem;
use super::tensors::{Number, Source, put};
use crate::{TrainingData, UserRows};

/// Parts of a split.
const PARTS: usize = 3;
/// Columns of a rating, each of four bytes, in the order of the file.
const COLUMNS: [(&str, Dtype); 3] = [
    ("movies", Dtype::U32),
    ("timestamps", Dtype::U32),
    ("stars", Dtype::F32),
];
const OFFSETS: &str = "offsets";
const HASHES: &str = "hashes";
/// Bytes of a column that are written at a time.
const AT_A_TIME: usize = 1 << 20;
const RUN_KEY: &str = "mmdlrm_run";
/// The header's length stands before it, in so many bytes.
const LENGTH_BYTES: usize = 8;
/// A header that is longer is none of ours.
const LONGEST_HEADER: u64 = 1 << 16;

/// What each user rated, in each part of a split.
///
/// Of a file, the bounds of each user's ratings are in memory, 32 bytes a user, and the
/// ratings are read when somebody asks for them: any number of threads may.
pub struct Histories {
    ratings: Ratings,
    /// `[PARTS · users + 1]`.
    offsets: Vec<usize>,
}

enum Ratings {
    Memory(RatedBags),
    File {
        file: File,
        path: PathBuf,
        /// Where each of the columns begins.
        columns: [u64; COLUMNS.len()],
        /// Of what each user rated.
        hashes: Vec<u64>,
        /// How many there are; a rating of another is none.
        movies: usize,
    },
}

/// What one user rated.
#[derive(Debug, Clone, PartialEq)]
pub struct UserRatings {
    user: u32,
    /// A bag for each part.
    parts: RatedBags,
}

impl UserRatings {
    /// The ratings, by part.
    pub fn rows(&self) -> UserRows<'_> {
        UserRows {
            user: self.user,
            trained: self.parts.row(0),
            validated: self.parts.row(1),
            held_out: self.parts.row(2),
        }
    }

    /// Movie and stars of all of them, held out or not, the oldest first.
    pub fn all(&self) -> Vec<(u32, f32)> {
        let parts = parts(&self.rows()).into_iter();
        let mut all: Vec<Rated> = parts.flat_map(|part| part.rows_of(self.user)).collect();
        all.sort_by_key(|rated| (rated.timestamp, rated.movie));
        all.iter().map(|rated| (rated.movie, rated.stars)).collect()
    }
}

impl Histories {
    /// All of `data`'s, in memory.
    ///
    /// # Errors
    /// As [`TrainingData::users`].
    pub fn of(data: &dyn TrainingData) -> Result<Self> {
        let (mut ids, mut stars, mut timestamps) = (Vec::new(), Vec::new(), Vec::new());
        let offsets = go_through(data, |rows| {
            for part in parts(&rows) {
                ids.extend_from_slice(part.ids);
                stars.extend_from_slice(part.stars);
                timestamps.extend_from_slice(part.timestamps);
            }
            Ok(())
        })?;
        Ok(Self {
            ratings: Ratings::Memory(RatedBags::from_columns(
                offsets.clone(),
                ids,
                stars,
                timestamps,
            )?),
            offsets,
        })
    }

    /// Writes all of `data`'s into an empty file, as those of `run`. Memory is that of the
    /// users.
    ///
    /// # Errors
    /// As [`TrainingData::users`]; users that do not come in the order of their rows; a file
    /// that cannot be written, which `path` names.
    pub fn write(data: &dyn TrainingData, run: &str, file: &File, path: &Path) -> Result<()> {
        let write_error = |source| Error::Write {
            path: path.to_owned(),
            source,
        };
        let users = data.features().users().len();
        let ratings = data.training_rows() + data.validation_rows() + data.test_rows();
        let (header, starts) = header(run, users, ratings).map_err(Error::External)?;
        write_all_at(file, &header, 0).map_err(write_error)?;
        let column = |number: usize| Column::new(file, starts[number]);
        let [mut movies, mut timestamps, mut stars] = [column(0), column(1), column(2)];
        let mut hashes = vec![hash(&[0; PARTS + 1], &[], &[], &[]); users];
        let offsets = go_through(data, |rows| {
            let parts = parts(&rows);
            let mut bounds = [0; PARTS + 1];
            let mut of_user: [Vec<u8>; 3] = Default::default();
            for (number, part) in parts.iter().enumerate() {
                bounds[number + 1] = bounds[number] + part.len();
                put(&mut of_user[0], part.ids);
                put(&mut of_user[1], part.timestamps);
                put(&mut of_user[2], part.stars);
            }
            let [ids, times, given] = &of_user;
            hashes[rows.user as usize] = hash(&bounds, ids, times, given);
            movies.write(ids).map_err(write_error)?;
            timestamps.write(times).map_err(write_error)?;
            stars.write(given).map_err(write_error)
        })?;
        for column in [movies, timestamps, stars] {
            column.finish().map_err(write_error)?;
        }
        let offsets: Vec<u64> = offsets.iter().map(|&offset| offset as u64).collect();
        let mut bytes = Vec::new();
        put(&mut bytes, &offsets);
        put(&mut bytes, &hashes);
        write_all_at(file, &bytes, header.len() as u64).map_err(write_error)
    }

    /// Those that were written for `run`, about a catalogue of so many movies.
    ///
    /// # Errors
    /// A file that cannot be read, that is another one, or of another run.
    pub fn open(path: &Path, run: &str, movies: usize) -> Result<Self> {
        // What is no file may never end.
        let open = || -> Result<_, Source> {
            match std::fs::metadata(path)?.is_file() {
                true => Ok(File::open(path)?),
                false => Err(problem("it is no file")),
            }
        };
        let file = open().map_err(Error::kept(path))?;
        let head = read_head(&file, run).map_err(|error| cut_short(error, path))?;
        Ok(Self {
            ratings: Ratings::File {
                file,
                path: path.to_owned(),
                columns: head.columns,
                hashes: head.hashes,
                movies,
            },
            offsets: head.offsets,
        })
    }

    /// Number of users.
    pub fn users(&self) -> usize {
        self.offsets.len() / PARTS
    }

    /// Number of ratings, in all parts.
    pub fn ratings(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// How many ratings of a user are in the training set.
    pub(crate) fn trained_of(&self, user: usize) -> usize {
        let first = user * PARTS;
        self.offsets[first + 1] - self.offsets[first]
    }

    /// What the user of a dense row rated; nothing where there is no such row.
    ///
    /// # Errors
    /// A file that can no longer be read, or that is damaged.
    pub fn user(&self, user: u32) -> Result<UserRatings> {
        let first = user as usize * PARTS;
        let Some(offsets) = self.offsets.get(first..first + PARTS + 1) else {
            let parts = RatedBags::from_columns(vec![0; PARTS + 1], vec![], vec![], vec![])?;
            return Ok(UserRatings { user, parts });
        };
        let parts = self.read(user as usize, offsets)?;
        Ok(UserRatings { user, parts })
    }

    /// What each user rated in the training set, by dense row; 12 bytes a rating.
    ///
    /// # Errors
    /// As [`Self::user`].
    pub fn trained(&self) -> Result<RatedBags> {
        let rows = self.trained_rows()?;
        Ok(RatedBags::of_users(self.users(), rows.iter().copied()))
    }

    /// The ratings of the training set, by user.
    pub(crate) fn trained_rows(&self) -> Result<Vec<Rated>> {
        let all = self.read(0, &self.offsets)?;
        let users = 0..self.users() as u32;
        let rows = users.flat_map(|user| all.row(user * PARTS as u32).rows_of(user));
        Ok(rows.collect())
    }

    /// Bags from each of some offsets to the next, those of the users from `first` on.
    fn read(&self, first: usize, offsets: &[usize]) -> Result<RatedBags> {
        let start = offsets.first().copied().unwrap_or(0);
        let end = offsets.last().copied().unwrap_or(0);
        let own: Vec<usize> = offsets.iter().map(|offset| offset - start).collect();
        match &self.ratings {
            Ratings::Memory(bags) => {
                let all = bags.columns(start..end);
                let (ids, stars) = (all.ids.to_vec(), all.stars.to_vec());
                RatedBags::from_columns(own, ids, stars, all.timestamps.to_vec())
            }
            Ratings::File {
                file,
                path,
                columns,
                hashes,
                movies,
            } => {
                let read = || -> Result<_, Source> {
                    let column = |number: usize| {
                        let mut bytes = vec![0; 4 * (end - start)];
                        read_exact_at(file, &mut bytes, columns[number] + 4 * start as u64)?;
                        Ok::<_, std::io::Error>(bytes)
                    };
                    let (ids, times, stars) = (column(0)?, column(1)?, column(2)?);
                    check_hashes(&hashes[first..], &own, [&ids, &times, &stars])?;
                    let ids = u32::read(&ids);
                    if ids.iter().any(|&id| id as usize >= *movies) {
                        return Err(problem("it has a rating of a movie that there is not"));
                    }
                    let (times, stars) = (u32::read(&times), f32::read(&stars));
                    Ok(RatedBags::from_columns(own, ids, stars, times)?)
                };
                read().map_err(|error| cut_short(error, path))
            }
        }
    }
}

impl fmt::Debug for Histories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histories")
            .field("users", &self.users())
            .field("ratings", &self.ratings())
            .finish_non_exhaustive()
    }
}

/// The parts of a user's rows, in the order of the file.
fn parts<'a>(rows: &UserRows<'a>) -> [RatedBag<'a>; PARTS] {
    [rows.trained, rows.validated, rows.held_out]
}

/// Hands out the rows of each user; returns the offsets of all parts of all users.
fn go_through(
    data: &dyn TrainingData,
    mut take: impl FnMut(UserRows) -> Result<()>,
) -> Result<Vec<usize>> {
    let users = data.features().users().len();
    let mut offsets = Vec::with_capacity(PARTS * users + 1);
    let mut end = 0;
    offsets.push(end);
    data.for_each_user(|rows| {
        let user = rows.user as usize;
        if user >= users || PARTS * user + 1 < offsets.len() {
            let rule = "they come in the order of their rows, each once";
            return Err(Error::setting("user of the training data", user, rule));
        }
        // Those who were passed over have rated nothing.
        offsets.resize(PARTS * user + 1, end);
        for part in parts(&rows) {
            end += part.len();
            offsets.push(end);
        }
        take(rows)
    })?;
    offsets.resize(PARTS * users + 1, end);
    let expected = data.training_rows() + data.validation_rows() + data.test_rows();
    Error::unless_all("ratings of users", end, expected)?;
    Ok(offsets)
}

/// Numbers of a column on their way to their place, some at a time.
struct Column<'a> {
    file: &'a File,
    place: u64,
    waiting: Vec<u8>,
}

impl<'a> Column<'a> {
    fn new(file: &'a File, place: u64) -> Self {
        Self {
            file,
            place,
            waiting: Vec::new(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        match self.waiting.len() < AT_A_TIME {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        write_all_at(self.file, &self.waiting, self.place)?;
        self.place += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    fn finish(mut self) -> std::io::Result<()> {
        self.flush()
    }
}

/// Of what one user rated: the bounds of the parts, and each of the columns.
fn hash(bounds: &[usize], ids: &[u8], timestamps: &[u8], stars: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    for bound in bounds {
        hasher.update(&(*bound as u64).to_le_bytes());
    }
    [ids, timestamps, stars]
        .iter()
        .for_each(|bytes| hasher.update(bytes));
    hasher.digest()
}

/// Refuses what some users rated where it does not have the hash that it was written with.
fn check_hashes(hashes: &[u64], offsets: &[usize], columns: [&[u8]; 3]) -> Result<(), Source> {
    for (user, expected) in hashes.iter().take(offsets.len() / PARTS).enumerate() {
        let offsets = &offsets[user * PARTS..][..PARTS + 1];
        let bounds: [usize; PARTS + 1] = std::array::from_fn(|part| offsets[part] - offsets[0]);
        let of_user = 4 * offsets[0]..4 * offsets[PARTS];
        let [ids, timestamps, stars] = columns.map(|bytes| &bytes[of_user.clone()]);
        if hash(&bounds, ids, timestamps, stars) != *expected {
            return Err(problem(
                "it does not have the hash that it was written with",
            ));
        }
    }
    Ok(())
}

/// A file that ends where something should stand is cut short.
fn cut_short(error: Source, path: &Path) -> Error {
    let ended = error.downcast_ref::<std::io::Error>();
    match ended.is_some_and(|error| error.kind() == ErrorKind::UnexpectedEof) {
        true => Error::kept(path)("it is cut short"),
        false => Error::kept(path)(error),
    }
}

/// What stands before the tensors, the length included, and where each of the columns begins.
fn header(
    run: &str,
    users: usize,
    ratings: usize,
) -> Result<(Vec<u8>, [u64; COLUMNS.len()]), Source> {
    let mut end = 0;
    let mut tensor = |name: &str, dtype: Dtype, length: usize| {
        let start = end;
        end += dtype.bitsize() / 8 * length;
        let info = TensorInfo {
            dtype,
            shape: vec![length],
            data_offsets: (start, end),
        };
        (name.to_owned(), info)
    };
    let mut tensors = vec![
        tensor(OFFSETS, Dtype::U64, PARTS * users + 1),
        tensor(HASHES, Dtype::U64, users),
    ];
    tensors.extend(COLUMNS.map(|(name, dtype)| tensor(name, dtype, ratings)));
    let starts: [usize; COLUMNS.len()] = std::array::from_fn(|it| tensors[2 + it].1.data_offsets.0);
    let about = HashMap::from([(RUN_KEY.to_owned(), run.to_owned())]);
    let mut json = serde_json::to_vec(&Metadata::new(Some(about), tensors)?)?;
    json.resize(json.len().next_multiple_of(LENGTH_BYTES), b' ');
    let length = (json.len() as u64).to_le_bytes();
    let header = [length.as_slice(), &json].concat();
    let starts = starts.map(|start| (header.len() + start) as u64);
    Ok((header, starts))
}

/// What stands before the ratings.
struct Head {
    /// Where each of the columns begins.
    columns: [u64; COLUMNS.len()],
    offsets: Vec<usize>,
    hashes: Vec<u64>,
}

fn read_head(file: &File, run: &str) -> Result<Head, Source> {
    let mut length = [0; LENGTH_BYTES];
    read_exact_at(file, &mut length, 0)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER {
        return Err(problem("it does not begin as it should"));
    }
    let mut json = vec![0; length as usize];
    read_exact_at(file, &mut json, LENGTH_BYTES as u64)?;
    let metadata: Metadata = serde_json::from_slice(&json)?;
    let about = metadata.metadata().as_ref();
    if about
        .and_then(|about| about.get(RUN_KEY))
        .map(String::as_str)
        != Some(run)
    {
        return Err(problem("it was written for another run"));
    }
    let lengths = |name: &str| {
        let info = metadata.info(name);
        let info = info.ok_or_else(|| problem(format!("it has no {name}")))?;
        Ok::<_, Source>(info.shape.iter().product::<usize>())
    };
    // Nothing else is written, and so nothing else is read.
    let (users, ratings) = (lengths(HASHES)?, lengths(COLUMNS[0].0)?);
    let size = |bytes: usize, count: usize| (bytes as u64).checked_mul(count as u64);
    let expected = size(8 * (PARTS + 1), users).zip(size(12, ratings));
    let expected = expected.and_then(|(a, b)| a.checked_add(b)?.checked_add(16 + length));
    let found = file.metadata()?.len();
    if expected != Some(found) {
        return Err(problem(format!(
            "it has {found} bytes, which are not those of {ratings} ratings of {users} users"
        )));
    }
    let (written, columns) = header(run, users, ratings)?;
    if written[LENGTH_BYTES..] != json {
        return Err(problem("it does not begin as it should"));
    }
    let mut bytes = vec![0; 8 * ((PARTS + 1) * users + 1)];
    read_exact_at(file, &mut bytes, written.len() as u64)?;
    let mut offsets = u64::read(&bytes);
    let hashes = offsets.split_off(PARTS * users + 1);
    let bounds = (offsets.first().copied(), offsets.last().copied());
    if !offsets.is_sorted() || bounds != (Some(0), Some(ratings as u64)) {
        return Err(problem("its offsets do not go through its ratings"));
    }
    Ok(Head {
        columns,
        offsets: offsets.into_iter().map(|it| it as usize).collect(),
        hashes,
    })
}
