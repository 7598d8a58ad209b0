use std::path::PathBuf;

/// What can go wrong in a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From an experiment, or from asking a saved one.
    #[error(transparent)]
    Mmdlrm(#[from] mmdlrm::Error),
    /// What came of a command, which nobody can read.
    #[error("cannot print: {0}")]
    Print(#[source] std::io::Error),
    /// A file or folder that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A folder that holds an ablation where another is to go.
    #[error("{} holds an ablation; name another folder (--out), or say that it may be replaced (--overwrite)", path.display())]
    HoldsAblation {
        /// The folder.
        path: PathBuf,
    },
    /// A split that leaves nothing to measure on.
    #[error("the {split} split holds out no rating to measure on")]
    NothingHeldOut {
        /// Its name.
        split: &'static str,
    },
    /// A picture that cannot be drawn.
    #[error("{0}")]
    Plot(String),
    /// A run whose figures are not there yet.
    #[error("{} has no final figures: it is not over, or another program wrote it", path.display())]
    NotOver {
        /// The run's folder.
        path: PathBuf,
    },
    /// A run on other data than those that are asked about.
    #[error("{} is a run on other data than those that are named; name the run that is meant (--run), or move it away", run.display())]
    OtherData {
        /// The run's folder.
        run: PathBuf,
    },
    /// Runs that have no figure in common.
    #[error("{} cannot be compared with {}: {why}", path.display(), first.display())]
    Incomparable {
        /// The folder of the one.
        path: PathBuf,
        /// Of the other.
        first: PathBuf,
        /// In which way they differ.
        why: String,
    },
    /// Predictions that cannot be read.
    #[error("cannot use {}: {why}", path.display())]
    Predictions {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! of_crates {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Mmdlrm(error.into())
            }
        }
    )*};
}

of_crates!(
    mmdlrm::data::Error,
    mmdlrm::encoders::Error,
    mmdlrm::metrics::Error,
    mmdlrm::model::Error,
    mmdlrm::train::Error
);
