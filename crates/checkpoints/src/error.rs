use std::path::{Path, PathBuf};

/// A checkpoint that cannot be read, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct Error {
    path: PathBuf,
    #[source]
    problem: Box<Problem>,
}

impl Error {
    pub(crate) fn new(path: &Path, problem: Problem) -> Self {
        Self {
            path: path.to_owned(),
            problem: Box::new(problem),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it; its words do not name the file.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// What is wrong with it, without the file.
    pub fn into_problem(self) -> Problem {
        *self.problem
    }
}

/// One way in which a file is no checkpoint, or not the one asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The system does not give the file.
    #[error("the file cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The file is of another format.
    #[error("this is {0}, not a checkpoint of PyTorch")]
    OtherFile(String),
    /// The file is a checkpoint, of a kind that is not read.
    #[error("this is {0}")]
    OtherKind(String),
    /// The archive is not whole.
    #[error("the archive is damaged: {0}; copy or download it again")]
    Archive(#[source] zip::result::ZipError),
    /// What the file says of itself cannot be.
    #[error("the file is damaged: {0}; copy or download it again")]
    Damaged(String),
    /// The file asks for more than is reasonable.
    #[error("{what}; at most {most} are read")]
    TooLarge {
        /// What there is too much of.
        what: String,
        /// How much there may be.
        most: u64,
    },
    /// Nothing in the file is a tensor.
    #[error("there is no tensor in it: it holds {0}")]
    NoTensors(String),
    /// Several parts of the file could be the model.
    #[error(
        "there are several models in it: {}; save the state_dict of one alone",
        counted(.0)
    )]
    SeveralModels(
        /// The keys, and how many tensors each holds.
        Vec<(String, usize)>,
    ),
    /// A tensor that is not there.
    #[error(
        "there is no tensor '{}'{}: it holds {holds}",
        on_a_line(name),
        near(nearest)
    )]
    NoSuchTensor {
        /// The name asked for.
        name: String,
        /// Names that look like it, the nearest first.
        nearest: Vec<String>,
        /// What the file holds instead.
        holds: String,
    },
    /// A tensor that is there, but cannot be read.
    #[error("'{}' is {what}", on_a_line(name))]
    Tensor {
        /// Its name.
        name: String,
        /// What is the matter with it, and what to do.
        what: String,
    },
    /// A file that is not the one that was opened.
    #[error("the file changed while it was read")]
    Changed,
    /// A tensor that the memory has no room for.
    #[error(
        "there is no memory for '{}', which has {bytes} bytes",
        on_a_line(name)
    )]
    Memory {
        /// Its name.
        name: String,
        /// Its size.
        bytes: u64,
    },
}

fn near(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(" (there is '{}')", on_a_line(&names.join("', '"))),
    }
}

/// Characters of a name that an error repeats.
const LONGEST_NAME: usize = 200;

/// A name out of a file as an error repeats it.
pub(crate) fn on_a_line(name: &str) -> String {
    let characters = name.chars().take(LONGEST_NAME);
    characters
        .map(|it| if it.is_control() { '\u{fffd}' } else { it })
        .collect()
}

/// Keys with their numbers of tensors, in words.
pub(crate) fn counted(keys: &[(String, usize)]) -> String {
    let words = keys.iter().map(|(key, tensors)| {
        let key = on_a_line(key);
        match tensors {
            0 => format!("'{key}'"),
            1 => format!("'{key}' (1 tensor)"),
            _ => format!("'{key}' ({tensors} tensors)"),
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
