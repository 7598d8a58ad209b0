use std::path::{Path, PathBuf};

use crate::store::StoreProblem;
use crate::{Identity, Kind};

/// What can go wrong between a folder of weights and a store of embeddings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `MMDLRM_SIMD` asks for instructions that this processor does not have.
    #[error(transparent)]
    Instructions(#[from] mmdlrm_kernels::InstructionsError),
    /// A file could not be read.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}; check the folder, its permissions and the free space", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A model folder without a file that is needed.
    #[error("the model folder {} has no {file}; download the whole model in Hugging Face layout", dir.display())]
    MissingFile {
        /// The folder.
        dir: PathBuf,
        /// The file.
        file: String,
    },
    /// A JSON file of a model that cannot be used.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: Cause,
    },
    /// Weights that are damaged or do not fit the configuration.
    #[error(
        "the weights of {model} cannot be used: {}; check config.json against the weights, or download the model again",
        first_line(problem)
    )]
    Weights {
        /// The model.
        model: String,
        /// What is wrong.
        #[source]
        problem: Cause,
    },
    /// A tokenizer that cannot be used.
    #[error("the tokenizer {tokenizer} cannot be used: {problem}")]
    Tokenizer {
        /// Where it comes from.
        tokenizer: String,
        /// What is wrong.
        #[source]
        problem: Cause,
    },
    /// An option that the model has no use for.
    #[error("{option} is of no use to {model}; leave it out, or name a model that has one")]
    NoUse {
        /// Which, with its article.
        option: &'static str,
        /// What is loaded.
        model: &'static str,
    },
    /// A name of neither a folder nor a model of the hub.
    #[error("'{name}' is neither a folder here ({} is not there) nor a model of the hub: {problem}", folder.display())]
    NoModel {
        /// What the user wrote.
        name: String,
        /// Where a folder of that name was looked for.
        folder: PathBuf,
        /// Why the hub can have no model of that name.
        problem: String,
    },
    /// A variable of the environment that cannot be read.
    #[error("{variable}: {problem}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// A model that the hub did not hand out.
    #[error(
        "cannot get {file} of '{model}' from the hub: {problem}{}",
        folder.as_ref().map_or_else(String::new, |folder| format!("; there is no folder {} either", folder.display()))
    )]
    Hub {
        /// The model's name on the hub.
        model: String,
        /// The file.
        file: String,
        /// The folder that the name may have been meant for, where nothing is known of such a
        /// model.
        folder: Option<PathBuf>,
        /// What went wrong.
        #[source]
        problem: Cause,
    },
    /// A picture that cannot be decoded.
    #[error("{problem}")]
    Picture {
        /// What is wrong with it.
        #[source]
        problem: Cause,
    },
    /// A device that is not there.
    #[error("device '{device}' cannot be used: {}", first_line(problem))]
    Device {
        /// The device.
        device: String,
        /// Why.
        #[source]
        problem: Cause,
    },
    /// A computation that failed.
    #[error("the encoder failed: {}", first_line(.0))]
    Compute(#[source] Cause),
    /// A store that another model made.
    #[error(
        "{} holds {} embeddings of {}, not of {}; name another store",
        path.display(),
        kind.name(),
        difference(found, expected),
        difference(expected, found)
    )]
    OtherModel {
        /// The store.
        path: PathBuf,
        /// Of what.
        kind: Kind,
        /// The model that made it.
        found: Box<Identity>,
        /// The model at hand.
        expected: Box<Identity>,
    },
    /// A store that was opened for no encoder of a kind.
    #[error("{} was opened for no encoder of {}s; name it to the store's builder", path.display(), kind.name())]
    NoEncoder {
        /// The store.
        path: PathBuf,
        /// Of what there is none.
        kind: Kind,
    },
    /// A store whose vectors have another length than those of an encoder that says it
    /// is the same.
    #[error(
        "{} holds {} embeddings of {found} numbers, and '{encoder}' gives {expected} under the \
         same identity; give the encoder another hash, or name another store",
        path.display(),
        kind.name()
    )]
    OtherWidth {
        /// The store.
        path: PathBuf,
        /// Of what.
        kind: Kind,
        /// The encoder at hand.
        encoder: String,
        /// Length of the store's vectors.
        found: usize,
        /// Length of the encoder's.
        expected: usize,
    },
    /// An encoder that does not give a vector for each picture or text.
    #[error("'{encoder}' gave {found} vectors for {expected} {}s; it has to give one for each", kind.name())]
    VectorCount {
        /// The encoder.
        encoder: String,
        /// What it was to encode.
        kind: Kind,
        /// How many vectors it gave.
        found: usize,
        /// How many pictures or texts it was given.
        expected: usize,
    },
    /// A vector that is refused.
    #[error("the {} embedding of movie {movie_id} by '{encoder}' {problem}; check the encoder and its weights", kind.name())]
    Vector {
        /// Whose.
        movie_id: u32,
        /// Of what.
        kind: Kind,
        /// What made it.
        encoder: String,
        /// What is wrong with it.
        problem: VectorProblem,
    },
    /// A vector that an encoder computed and cannot be used.
    #[error("embedding {row} of the batch {problem}; are the weights damaged?")]
    Embedding {
        /// Its place in the batch, from 0.
        row: usize,
        /// What is wrong with it.
        problem: VectorProblem,
    },
    /// A prepared picture of another size than the model takes.
    #[error("picture {row} of the batch has {found} numbers; the model takes {expected}")]
    PictureSize {
        /// Its place in the batch, from 0.
        row: usize,
        /// How many numbers it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A movie that is asked for twice, so that one of its vectors would be lost.
    #[error("movie {movie_id} has two {}s to encode; give one of each movie", kind.name())]
    Twice {
        /// Which.
        movie_id: u32,
        /// Of what.
        kind: Kind,
    },
    /// A store that another process has open.
    #[error("{} is being written by another process; wait for it, or name another store", path.display())]
    StoreInUse {
        /// The store.
        path: PathBuf,
    },
    /// A file that is not a whole store of embeddings, or not the store that is wanted.
    #[error("{} cannot be used as a store of embeddings: {problem}", path.display())]
    Store {
        /// The store, or its journal.
        path: PathBuf,
        /// What is wrong.
        #[source]
        problem: StoreProblem,
    },
}

/// What is behind an error: that of a library, or a text.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What is wrong with a vector.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorProblem {
    /// It has another length than the others.
    #[error("has {found} numbers, not {expected}")]
    Width {
        /// How many it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A number of it is none, or infinite.
    #[error("has {value} in place {place}")]
    NotFinite {
        /// Where.
        place: usize,
        /// What is there.
        value: f32,
    },
    /// A number of it is too large to be kept as f16.
    #[error("has {value} in place {place}, beyond the range of f16")]
    BeyondF16 {
        /// Where.
        place: usize,
        /// What is there.
        value: f32,
    },
}

impl VectorProblem {
    /// What is wrong with a vector that should have `width` finite numbers.
    pub(crate) fn of(vector: &[f32], width: usize) -> Option<Self> {
        if vector.len() != width {
            return Some(Self::Width {
                found: vector.len(),
                expected: width,
            });
        }
        let place = vector.iter().position(|number| !number.is_finite())?;
        let value = vector[place];
        Some(Self::NotFinite { place, value })
    }
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// A model in those words in which it differs from another.
fn difference(model: &Identity, other: &Identity) -> String {
    let name = match &model.revision {
        Some(revision) => format!("'{}' at {revision}", model.model),
        None => format!("'{}'", model.model),
    };
    let parts = [
        ("", &model.pooling, &other.pooling),
        ("", &model.preprocessing, &other.preprocessing),
        ("", &model.dtype, &other.dtype),
        ("files of hash ", &model.hash, &other.hash),
    ];
    let parts = parts.into_iter().filter(|(_, own, other)| own != other);
    let parts: Vec<String> = parts.map(|(word, own, _)| format!("{word}{own}")).collect();
    format!("{name} ({})", parts.join("; "))
}

/// The first line of an error: candle's go on with a backtrace.
pub(crate) fn first_line(error: impl std::fmt::Display) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(feature = "candle")]
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Compute(error.into())
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
}
