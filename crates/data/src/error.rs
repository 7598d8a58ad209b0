use std::path::{Path, PathBuf};

/// What can go wrong between a folder of files and a batch.
///
/// Every message is one line that says what, where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}; check the folder, its permissions and the free space", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Something of another's stands where a folder is to be written.
    #[error("{} {problem}; move it away, or name another folder", path.display())]
    Occupied {
        /// What stands there.
        path: PathBuf,
        /// Why it is left alone.
        problem: &'static str,
    },
    /// What holds no release, or not a whole one, or several.
    #[error("cannot read {} as a MovieLens release: {problem}", path.display())]
    NoRelease {
        /// The folder, archive or other file.
        path: PathBuf,
        /// What it looks like, and what to do.
        problem: String,
    },
    /// A file without a header or without a row.
    #[error("{} is empty: expected the header {expected:?} and at least one row", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The columns that were looked for.
        expected: String,
    },
    /// A header without a column that is needed.
    #[error("{}: no column '{column}' in the header {found:?}; expected {expected:?}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column that is missing.
        column: String,
        /// The header as it stands.
        found: String,
        /// The columns that were looked for.
        expected: String,
    },
    /// A header that names a column twice.
    #[error("{}: the header names column '{column}' twice; keep one of them", path.display())]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A header with two columns that may be one that is needed.
    #[error("{}: the header has '{first}' and '{second}', which may both be the column '{column}'; call that one so", path.display())]
    AmbiguousColumn {
        /// The file.
        path: PathBuf,
        /// The column that is looked for.
        column: String,
        /// A column that may be it.
        first: String,
        /// And another.
        second: String,
    },
    /// A row that cannot be used.
    #[error("{}{}: {problem}", path.display(), place(*.line, .column))]
    Row {
        /// The file.
        path: PathBuf,
        /// One-based line on which the row starts; 0 where it is not known.
        line: u64,
        /// The column at fault; empty where it is the row as a whole.
        column: String,
        /// What is wrong and what to do, the offending text included.
        problem: String,
    },
    /// A file that asks for more than it holds, or than a table can.
    #[error("{}: {problem}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What there is too much of, and what to do.
        problem: String,
    },
    /// A compressed file that ends early or is not what its name says.
    #[error("{}, after line {line}: {source}; the file is damaged or cut short, fetch or compress it anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The last line that could be read.
        line: u64,
        /// What the decompressor said.
        source: std::io::Error,
    },
    /// A download that did not come to an end.
    #[error("cannot fetch {url}: {problem}{}", gave_up(*.attempts))]
    Download {
        /// The address.
        url: String,
        /// Attempts in a row that brought nothing new; 0 where another is of no use.
        attempts: u32,
        /// What went wrong, at the last of them.
        #[source]
        problem: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An archive that is damaged or not one of a release.
    #[error("{}{}: {problem}", path.display(), of_member(member))]
    Archive {
        /// The archive.
        path: PathBuf,
        /// The file in it; empty where it is the archive as a whole.
        member: String,
        /// What is wrong.
        #[source]
        problem: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file that somebody wrote while it was read.
    #[error("{} changed while it was read; read it again when nobody writes it", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A cache of ratings that is not, or no longer, what was written.
    #[error("cannot use the cache {}: {source}; start again, and it is made anew", path.display())]
    Cache {
        /// The Parquet file.
        path: PathBuf,
        /// What is wrong with it: an error of the system's, of Parquet's, or a text.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file that was left for later and is not, or no longer, what was written.
    #[error("cannot use {}: {source}; put a copy of it in its place, or go on with the run (--resume), which writes it anew", path.display())]
    Kept {
        /// The file.
        path: PathBuf,
        /// What is wrong with it: an error of the system's, of a format's, or a text.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Rows that are missing, or too many, where all of a part should have come.
    #[error(
        "{seen} {rows} came where there are {expected}; the ratings were changed while they were read, or a reader of them has a fault"
    )]
    Rows {
        /// What they are.
        rows: &'static str,
        /// How many came.
        seen: usize,
        /// How many there are.
        expected: usize,
    },
    /// A table that Arrow could not build.
    #[error("{}: {source}", path.display())]
    Arrow {
        /// The file.
        path: PathBuf,
        /// What Arrow said.
        source: arrow_schema::ArrowError,
    },
    /// A column of a table that was handed over, or is to be, that cannot be used.
    #[error("table of {table}, column '{column}'{}: {problem}", row.map_or(String::new(), |row| format!(", row {row}")))]
    Column {
        /// What the table is of.
        table: &'static str,
        /// The column at fault.
        column: String,
        /// The row, counted from 0; `None` where it is all of the column.
        row: Option<usize>,
        /// What is wrong and what to do, the offending value included.
        problem: String,
    },
    /// A file that is no Parquet, or none that is read here.
    #[error("cannot read {} as Parquet: {source}; write it anew, compressed by zstd or Snappy", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it: an error of Parquet's, or a text.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file whose table cannot be used.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with the table.
        source: Box<Self>,
    },
    /// Columns of which no table can be made.
    #[error("no table of {table} can be made: {source}")]
    Table {
        /// What the table is of.
        table: &'static str,
        /// What Arrow said.
        source: arrow_schema::ArrowError,
    },
    /// A movie's vector that cannot be used.
    #[error("vector '{modality}' of {}: {problem}", movie_id.map_or("the new movie".to_owned(), |id| format!("movie {id}")))]
    Vector {
        /// Name of the modality.
        modality: String,
        /// Raw id of the movie; `None` of a new one.
        movie_id: Option<u32>,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A number among the settings that makes no sense.
    #[error("{setting} is {value}, but {rule}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// From whatever computes rows or batches outside this crate.
    #[error(transparent)]
    External(Box<dyn std::error::Error + Send + Sync>),
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where in a file something is.
fn place(line: u64, column: &str) -> String {
    let mut place = String::new();
    if line > 0 {
        place += &format!(", line {line}");
    }
    if !column.is_empty() {
        place += &format!(", column '{column}'");
    }
    place
}

/// Which file of an archive, where it is one.
fn of_member(member: &str) -> String {
    match member {
        "" => String::new(),
        member => format!(", member '{member}'"),
    }
}

/// What is said of a download that was tried so often.
fn gave_up(attempts: u32) -> String {
    match attempts {
        0 => String::new(),
        _ => format!("; gave up after {attempts} attempts, what came is kept for the next time"),
    }
}

impl Error {
    /// For `map_err` on anything that reads `path`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    /// For `map_err` on anything that writes `path`.
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    /// For `map_err` on anything that reads the cache at `path`.
    pub(crate) fn cache<E>(path: &Path) -> impl FnOnce(E) -> Self + '_
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Cache {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    /// For `map_err` on anything that reads what was left at `path`.
    pub fn kept<E>(path: &Path) -> impl FnOnce(E) -> Self + '_
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Kept {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    /// For `map_err` on anything that reads `path` as Parquet.
    pub(crate) fn parquet<E>(path: &Path) -> impl Fn(E) -> Self + '_
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        |source| Self::Parquet {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    /// For `map_err` on anything that looks at the table in `path`.
    pub(crate) fn in_file(path: &Path) -> impl Fn(Self) -> Self + '_ {
        |source| Self::InFile {
            path: path.to_owned(),
            source: Box::new(source),
        }
    }

    /// The same of a file that was read in the folder `from`, and that lies in the folder `to`.
    pub(crate) fn moved(mut self, from: &Path, to: &Path) -> Self {
        match &mut self {
            Self::Read { path, .. }
            | Self::NoRelease { path, .. }
            | Self::Empty { path, .. }
            | Self::MissingColumn { path, .. }
            | Self::DuplicateColumn { path, .. }
            | Self::Row { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Damaged { path, .. }
            | Self::Changed { path }
            | Self::Arrow { path, .. }
            | Self::InFile { path, .. } => {
                if let Ok(rest) = path.strip_prefix(from) {
                    *path = to.join(rest);
                }
            }
            _ => {}
        }
        self
    }

    /// That all rows of a part came: for every loop over [`Batches`](crate::Batches)
    /// whose figures are of all of them.
    ///
    /// # Errors
    /// [`Error::Rows`] where `seen` is not what was `expected`.
    pub fn unless_all(rows: &'static str, seen: usize, expected: usize) -> Result<()> {
        match seen == expected {
            true => Ok(()),
            false => Err(Self::Rows {
                rows,
                seen,
                expected,
            }),
        }
    }

    /// A setting and the rule it breaks.
    pub fn setting(setting: &'static str, value: impl ToString, rule: &'static str) -> Self {
        Self::Setting {
            setting,
            value: value.to_string(),
            rule,
        }
    }

    /// For `map_err` where Arrow builds a table that is of no file.
    pub(crate) fn table(
        table: &'static str,
    ) -> impl FnOnce(arrow_schema::ArrowError) -> Self + use<> {
        move |source| Self::Table { table, source }
    }

    /// For `map_err` where Arrow builds the table of `path`.
    pub(crate) fn arrow(path: &Path) -> impl FnOnce(arrow_schema::ArrowError) -> Self + '_ {
        move |source| Self::Arrow {
            path: path.to_owned(),
            source,
        }
    }
}
