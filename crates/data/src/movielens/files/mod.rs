//! Finds the files of a release, whatever shape it is handed over in.

mod listing;
mod looks;
mod names;
#[cfg(feature = "archives")]
mod zipped;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use self::listing::Listing;
pub(super) use self::names::Table;
use self::names::{Choice, Part, Tables, in_place_of};
use crate::tables::did_you_mean;
use crate::text::shorten;
use crate::{Error, Format, Result};

/// Folders below the one that is named in which a release is looked for.
const DEEPEST: usize = 3;
/// Folders that are looked into at most.
const MOST_FOLDERS: usize = 1000;
/// Names that a message gives at most.
const MOST_NAMED: usize = 6;

/// Where a release lies: its folder, or the zip archive that it comes in.
///
/// ```
/// use mmdlrm_data::ReleaseFiles;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let release = folder.join("ml-latest-small");
/// std::fs::create_dir(&release)?;
/// std::fs::write(release.join("Ratings.csv"), "userId,movieId,rating,timestamp\n1,1,4,0\n")?;
/// std::fs::write(release.join("Movies.csv"), "movieId,title,genres\n1,Heat (1995),Crime\n")?;
/// // The release is the only one in the folder.
/// let files = ReleaseFiles::find(folder)?;
/// assert_eq!(files.place(), release);
/// assert_eq!(files.needed()[0], release.join("Ratings.csv"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReleaseFiles {
    /// A folder, or an archive.
    place: PathBuf,
    /// The folder in the archive, which is empty where the files lie in none.
    in_archive: Option<String>,
    tables: Tables,
}

impl ReleaseFiles {
    /// Looks for the release at `path`: in this folder or, where it holds none, in the folders
    /// within it, of which just one may hold one; or in a zip archive. [`Format`] says which files
    /// a release has, of which ratings and movies are needed. Their names may be in any case, and
    /// those of Kaggle's copy of ML-20M (`rating.csv`).
    ///
    /// # Errors
    /// What holds no release, for what it looks like; a release without its ratings or its movies;
    /// several releases; a folder or an archive that cannot be read.
    pub fn find(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let metadata = std::fs::metadata(path).map_err(|error| absent(path, error))?;
        if !metadata.is_dir() {
            return match looks::is_zip(path, &metadata) {
                true => Self::in_zip(path),
                false => Err(refused(path, looks::of_file(path, &metadata))),
            };
        }
        let listing = Listing::read(path)?;
        let part = match Tables::among(&listing.files) {
            Err(problem) => return Err(refused(path, problem)),
            Ok(Choice::Whole(tables)) => return Ok(Self::in_folder(path.to_owned(), tables)),
            Ok(Choice::Part(part)) => Some(part),
            Ok(Choice::Nothing) => None,
        };
        let mut within = within(path, &listing)?;
        let problem = match (part, within.len()) {
            (None, 1) => return Ok(within.remove(0)),
            (None, 0) => looks::of_folder(path, &listing),
            (None, _) => several(within.iter().map(|it| it.place.display().to_string())),
            (Some(part), 0) => missing(path, &listing, &part),
            (Some(part), _) => {
                let places = within.iter().map(|it| it.place.display().to_string());
                let places = named(places, MOST_NAMED);
                let (present, missing) = (&part.present, part.missing);
                format!(
                    "it has {present} and no {missing}, and there is a whole release in {places}: name that folder"
                )
            }
        };
        Err(refused(path, problem))
    }

    fn in_folder(place: PathBuf, tables: Tables) -> Self {
        Self {
            place,
            in_archive: None,
            tables,
        }
    }

    #[cfg(feature = "archives")]
    fn in_zip(path: &Path) -> Result<Self> {
        let (folder, tables) = zipped::find(path)?;
        Ok(Self {
            place: path.to_owned(),
            in_archive: Some(folder),
            tables,
        })
    }

    #[cfg(not(feature = "archives"))]
    fn in_zip(path: &Path) -> Result<Self> {
        let problem = "it is a zip archive, which this program was built without a reader of (the \
                       feature archives): unpack it, and name the folder";
        Err(refused(path, problem))
    }

    /// The folder that the files are in, or the archive.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// How the files are written.
    pub fn format(&self) -> Format {
        self.tables.format
    }

    /// The files that no release is without, of ratings and of movies; or the archive that has them.
    pub fn needed(&self) -> Vec<PathBuf> {
        if self.in_archive.is_some() {
            return vec![self.place.clone()];
        }
        let names = [Table::Ratings, Table::Movies].map(|table| self.tables.name(table));
        let names = names.into_iter().flatten();
        names.map(|name| self.place.join(name)).collect()
    }

    /// Makes the files ready to be read; of an archive, those that are `wanted` are unpacked. Says
    /// which files are passed over.
    pub(super) fn open(&self, wanted: impl Fn(Table) -> bool) -> Result<OpenFiles> {
        for (read, other) in &self.tables.passed_over {
            tracing::warn!(
                "{} has both {read} and {other}: {read} is read",
                self.place.display()
            );
        }
        #[cfg(feature = "archives")]
        if let Some(folder) = &self.in_archive {
            let unpacked = zipped::unpack(&self.place, folder, &self.tables, wanted)?;
            return Ok(OpenFiles {
                folder: unpacked.path().to_owned(),
                tables: self.tables.clone(),
                unpacked: Some((unpacked, self.place.join(folder))),
            });
        }
        let _ = wanted;
        Ok(OpenFiles {
            folder: self.place.clone(),
            tables: self.tables.clone(),
            unpacked: None,
        })
    }
}

/// The files of a release on disk, for as long as this is held.
pub(super) struct OpenFiles {
    folder: PathBuf,
    tables: Tables,
    /// What was unpacked, which goes with this, and what it is called in messages.
    unpacked: Option<(tempfile::TempDir, PathBuf)>,
}

impl OpenFiles {
    /// How they are written.
    pub(super) fn format(&self) -> Format {
        self.tables.format
    }

    /// The file of a table, where there is one.
    pub(super) fn get(&self, table: Table) -> Option<PathBuf> {
        self.tables.name(table).map(|name| self.folder.join(name))
    }

    /// The file of ratings or of movies, without which there is no release.
    pub(super) fn needed(&self, table: Table) -> PathBuf {
        let usual = table.names(self.format())[0];
        self.get(table).unwrap_or_else(|| self.folder.join(usual))
    }

    /// What `read` gives; its errors are of files where they were unpacked from.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        read(self).map_err(|error| match &self.unpacked {
            Some((folder, archive)) => error.moved(folder.path(), archive),
            None => error,
        })
    }
}

/// Whole releases in the folders within `folder`, of those that lie highest.
fn within(folder: &Path, listing: &Listing) -> Result<Vec<ReleaseFiles>> {
    let below = |folder: &Path, listing: &Listing| -> Vec<PathBuf> {
        let folders = listing.folders.iter();
        folders.map(|name| folder.join(name)).collect()
    };
    let mut level = below(folder, listing);
    let mut looked_into = 0;
    for _ in 0..DEEPEST {
        let (mut found, mut next) = (Vec::new(), Vec::new());
        for folder in level {
            looked_into += 1;
            if looked_into > MOST_FOLDERS {
                return Ok(found);
            }
            // One that may not be read is nobody's release.
            let Ok(listing) = Listing::read(&folder) else {
                continue;
            };
            match Tables::among(&listing.files) {
                Ok(Choice::Whole(tables)) => found.push(ReleaseFiles::in_folder(folder, tables)),
                Err(problem) => return Err(refused(&folder, problem)),
                Ok(_) => next.extend(below(&folder, &listing)),
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
        level = next;
    }
    Ok(Vec::new())
}

/// That nothing is read at `path`, and what is called nearly so beside it.
fn absent(path: &Path, error: std::io::Error) -> Error {
    let parent = path.parent().filter(|it| *it != Path::new(""));
    let beside = Listing::read(parent.unwrap_or(Path::new("."))).unwrap_or_default();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let names = beside.folders.iter().chain(&beside.files);
    let instead = did_you_mean(&name, names.map(String::as_str));
    match error.kind() == ErrorKind::NotFound && !instead.is_empty() {
        true => refused(path, format!("it is not there{instead}")),
        false => Error::read(path)(error),
    }
}

/// That `path` is not read.
fn refused(path: &Path, problem: impl Into<String>) -> Error {
    Error::NoRelease {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

fn several(places: impl Iterator<Item = String>) -> String {
    format!(
        "it holds several releases: name one of {}",
        named(places, MOST_NAMED)
    )
}

/// What is said of a folder that has ratings alone, or movies alone.
fn missing(folder: &Path, listing: &Listing, part: &Part) -> String {
    if let Some(known) = looks::known_set(listing) {
        return known.to_owned();
    }
    let mut problem = missing_in(part, &listing.files);
    let is_missing = |name: &String| name.eq_ignore_ascii_case(part.missing);
    if listing.folders.iter().any(is_missing) {
        problem += "; what is called so is a directory";
    }
    if part.has_ratings && part.present.to_lowercase().contains(".csv") {
        let ratings = folder.join(&part.present);
        let ratings = ratings.display();
        problem += &format!("; a table of ratings alone is read by --interactions {ratings}");
    }
    problem
}

/// The same by the names of the files alone.
fn missing_in(part: &Part, files: &[String]) -> String {
    let (present, missing) = (&part.present, part.missing);
    let instead = in_place_of(missing, files);
    match instead.is_empty() {
        true => format!("it has {present} and no {missing}: put it there, or check the path"),
        false => format!("it has {present} and no {missing}{instead}"),
    }
}

/// The first of some names, and how many more there are.
fn named(names: impl Iterator<Item = String>, most: usize) -> String {
    let names: Vec<String> = names.collect();
    let mut told = names[..names.len().min(most)].join(", ");
    if names.len() > most {
        told += &format!(" and {} more", names.len() - most);
    }
    told
}

/// Names of files as a message gives them.
fn told<'a>(names: impl Iterator<Item = &'a String>) -> String {
    named(names.map(|name| shorten(name)), MOST_NAMED)
}
