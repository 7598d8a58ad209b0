//! What each user rated, in a file of which the rows of one user are read at a time.
//!
//! A safetensors file of four tensors: `movies` (`U32`, dense rows), `timestamps` (`U32`) and
//! `stars` (`F32`), `[ratings]`, and `offsets` (`U64`), `[3·users + 1]`: the ratings of user `u`
//! in part `p` (0 training, 1 validation, 2 held out) are those from `offsets[3u + p]` to
//! `offsets[3u + p + 1]`, the oldest first.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use mmdlrm_data::{Error, Rated, RatedBags, Result, read_exact_at};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::problem;
use super::tensors::{Number, Source};
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
const RUN_KEY: &str = "mmdlrm_run";
/// The header's length stands before it, in so many bytes.
const LENGTH_BYTES: usize = 8;
/// A header that is longer is none of ours.
const LONGEST_HEADER: u64 = 1 << 16;

/// What each user rated, in each part of a split.
///
/// Of a file, the bounds of each user's ratings are in memory, 24 bytes a user, and the
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
        let rows = self.rows();
        let parts = [rows.trained, rows.validated, rows.held_out];
        let parts = parts.iter().flat_map(|part| {
            let rated = part.timestamps.iter().zip(part.stars_by_id());
            rated.map(|(&timestamp, (movie, stars))| (timestamp, movie, stars))
        });
        let mut all: Vec<(u32, u32, f32)> = parts.collect();
        all.sort_by_key(|&(timestamp, movie, _)| (timestamp, movie));
        all.into_iter()
            .map(|(_, movie, stars)| (movie, stars))
            .collect()
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

    /// Writes all of `data`'s into a file beside `path`, which is renamed then; it says that
    /// they are those of `run`. Memory is that of the users.
    ///
    /// # Errors
    /// As [`TrainingData::users`]; a file that cannot be written.
    pub fn write(data: &dyn TrainingData, run: &str, path: &Path) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!(".{name}.partial"));
        let written = write_to(data, run, &beside);
        let renamed = written.and_then(|()| {
            std::fs::rename(&beside, path).map_err(|source| Error::Write {
                path: path.to_owned(),
                source,
            })
        });
        if renamed.is_err() {
            // What is there of it is in the way of the next.
            let _ = std::fs::remove_file(&beside);
        }
        renamed
    }

    /// Those that were written for `run`, about a catalogue of so many movies.
    ///
    /// # Errors
    /// A file that cannot be read, that is another one, or of another run.
    pub fn open(path: &Path, run: &str, movies: usize) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let (columns, offsets) = read_header(&file, run).map_err(Error::kept(path))?;
        Ok(Self {
            ratings: Ratings::File {
                file,
                path: path.to_owned(),
                columns,
                movies,
            },
            offsets,
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
        let parts = self.read(offsets)?;
        Ok(UserRatings { user, parts })
    }

    /// What each user rated in the training set, by dense row; 12 bytes a rating.
    ///
    /// # Errors
    /// As [`Self::user`].
    pub fn trained(&self) -> Result<RatedBags> {
        let rows = self.trained_rows()?;
        Ok(RatedBags::of_users(self.users(), rows.into_iter()))
    }

    /// The ratings of the training set, by user.
    pub(crate) fn trained_rows(&self) -> Result<Vec<Rated>> {
        let all = self.read(&self.offsets)?;
        let users = 0..self.users() as u32;
        let rows = users.flat_map(|user| {
            let bag = all.row(user * PARTS as u32);
            let rated = bag.timestamps.iter().zip(bag.stars_by_id());
            rated.map(move |(&timestamp, (movie, stars))| Rated {
                user,
                movie,
                stars,
                timestamp,
            })
        });
        Ok(rows.collect())
    }

    /// Bags from each of some offsets to the next.
    fn read(&self, offsets: &[usize]) -> Result<RatedBags> {
        let start = offsets.first().copied().unwrap_or(0);
        let end = offsets.last().copied().unwrap_or(0);
        let own = offsets.iter().map(|offset| offset - start).collect();
        match &self.ratings {
            Ratings::Memory(bags) => {
                let all = bags.columns(start..end);
                RatedBags::from_columns(
                    own,
                    all.ids.to_vec(),
                    all.stars.to_vec(),
                    all.timestamps.to_vec(),
                )
            }
            Ratings::File {
                file,
                path,
                columns: [ids, timestamps, stars],
                movies,
            } => {
                let read = || {
                    let ids: Vec<u32> = column(file, *ids, start..end)?;
                    let stars: Vec<f32> = column(file, *stars, start..end)?;
                    if ids.iter().any(|&id| id as usize >= *movies) {
                        return Err(problem("it has a rating of a movie that there is not"));
                    }
                    if !stars.iter().all(|stars| stars.is_finite()) {
                        return Err(problem("it has a rating that is no number"));
                    }
                    let timestamps = column(file, *timestamps, start..end)?;
                    Ok(RatedBags::from_columns(own, ids, stars, timestamps)?)
                };
                read().map_err(Error::kept::<Source>(path))
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
fn parts<'a>(rows: &UserRows<'a>) -> [mmdlrm_data::RatedBag<'a>; PARTS] {
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
        // Those who were passed over have rated nothing.
        offsets.resize(PARTS * rows.user as usize + 1, end);
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

fn write_to(data: &dyn TrainingData, run: &str, path: &Path) -> Result<()> {
    let write_error = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    let ratings = data.training_rows() + data.validation_rows() + data.test_rows();
    let offsets = PARTS * data.features().users().len() + 1;
    let header = header(run, ratings, offsets).map_err(Error::External)?;
    let mut file = File::create(path).map_err(write_error)?;
    file.write_all(&header).map_err(write_error)?;
    let start = header.len() as u64;
    let of_column = |number: usize| {
        let mut file = File::options().write(true).open(path)?;
        file.seek(SeekFrom::Start(
            start + size_of::<u64>() as u64 * offsets as u64 + 4 * (number * ratings) as u64,
        ))?;
        Ok(BufWriter::new(file))
    };
    let columns = [of_column(0), of_column(1), of_column(2)];
    let [movies, timestamps, stars] = columns;
    let (mut movies, mut timestamps, mut stars) = (
        movies.map_err(write_error)?,
        timestamps.map_err(write_error)?,
        stars.map_err(write_error)?,
    );
    let offsets = go_through(data, |rows| {
        for part in parts(&rows) {
            write_numbers(&mut movies, part.ids).map_err(write_error)?;
            write_numbers(&mut timestamps, part.timestamps).map_err(write_error)?;
            write_numbers(&mut stars, part.stars).map_err(write_error)?;
        }
        Ok(())
    })?;
    let offsets: Vec<u64> = offsets.iter().map(|&offset| offset as u64).collect();
    write_numbers(&mut file, &offsets).map_err(write_error)?;
    for column in [movies, timestamps, stars] {
        let file = column.into_inner().map_err(|error| error.into_error());
        file.and_then(|file| file.sync_all()).map_err(write_error)?;
    }
    file.sync_all().map_err(write_error)
}

fn write_numbers<T: Number>(out: &mut impl Write, numbers: &[T]) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(size_of_val(numbers));
    numbers.iter().for_each(|number| number.write(&mut bytes));
    out.write_all(&bytes)
}

/// What stands before the tensors, the length included.
fn header(run: &str, ratings: usize, offsets: usize) -> Result<Vec<u8>, Source> {
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
    let mut tensors = vec![tensor(OFFSETS, Dtype::U64, offsets)];
    tensors.extend(COLUMNS.map(|(name, dtype)| tensor(name, dtype, ratings)));
    let about = HashMap::from([(RUN_KEY.to_owned(), run.to_owned())]);
    let mut json = serde_json::to_vec(&Metadata::new(Some(about), tensors)?)?;
    json.resize(json.len().next_multiple_of(LENGTH_BYTES), b' ');
    let length = (json.len() as u64).to_le_bytes();
    Ok([length.as_slice(), &json].concat())
}

/// Where each of the columns begins, and the offsets.
fn read_header(file: &File, run: &str) -> Result<([u64; COLUMNS.len()], Vec<usize>), Source> {
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
    let start = LENGTH_BYTES as u64 + length;
    let find = |name: &str, dtype: Dtype| {
        let info = metadata.info(name).filter(|info| info.dtype == dtype);
        let info = info.ok_or_else(|| problem(format!("it has no {name} of {dtype:?}")))?;
        let length = info.shape.iter().product::<usize>();
        Ok::<_, Source>((start + info.data_offsets.0 as u64, length))
    };
    let ratings = find(COLUMNS[0].0, COLUMNS[0].1)?.1;
    let mut columns = [0; COLUMNS.len()];
    let mut end = 0;
    for (place, (name, dtype)) in columns.iter_mut().zip(COLUMNS) {
        let (begin, length) = find(name, dtype)?;
        if length != ratings {
            return Err(problem(format!(
                "it has {length} {name} of {ratings} ratings"
            )));
        }
        *place = begin;
        end = end.max(begin + 4 * length as u64);
    }
    let (begin, length) = find(OFFSETS, Dtype::U64)?;
    end = end.max(begin + 8 * length as u64);
    if file.metadata()?.len() < end {
        return Err(problem("it is cut short"));
    }
    let offsets: Vec<u64> = column(file, begin, 0..length)?;
    let bounds = (offsets.first().copied(), offsets.last().copied());
    let is_sound = length % PARTS == 1 && offsets.is_sorted();
    if !is_sound || bounds != (Some(0), Some(ratings as u64)) {
        return Err(problem("its offsets do not go through its ratings"));
    }
    Ok((columns, offsets.into_iter().map(|it| it as usize).collect()))
}

/// Some numbers of a column that begins at `start`.
fn column<T: Number>(file: &File, start: u64, rows: Range<usize>) -> std::io::Result<Vec<T>> {
    let mut bytes = vec![0; size_of::<T>() * rows.len()];
    read_exact_at(
        file,
        &mut bytes,
        start + (size_of::<T>() * rows.start) as u64,
    )?;
    Ok(T::read(&bytes))
}
