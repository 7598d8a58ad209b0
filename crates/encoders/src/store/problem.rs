use super::Precision;
use crate::error::first_line;
use crate::{Kind, VectorProblem};

/// One way in which a file is not the store that is wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreProblem {
    /// There is nothing in it.
    #[error("it is empty; delete it to encode again")]
    Empty,
    /// It cannot be read as Parquet.
    #[error("it is no Parquet file, or damaged ({}); delete it to encode again", first_line(.0))]
    Parquet(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Its columns are others.
    #[error("its columns are not those of a store; name another file")]
    Columns,
    /// Its metadata do not name the encoders.
    #[error("it does not say which model made it; name another file")]
    NoEncoders,
    /// Its metadata name the encoders in another form.
    #[error(
        "what it says of the model that made it cannot be read ({0}); delete it to encode again"
    )]
    Encoders(#[source] serde_json::Error),
    /// It keeps numbers of another precision.
    #[error("it keeps {found} numbers, not {wanted}; name another file")]
    Precision {
        /// What it keeps.
        found: Precision,
        /// What was asked for.
        wanted: Precision,
    },
    /// A row's movie is no id.
    #[error("a row is of movie {0}, which is no id; delete it to encode again")]
    MovieId(i64),
    /// A row is neither of a picture nor of a text.
    #[error("a row is of kind '{0}'; delete it to encode again")]
    Kind(String),
    /// A row is of a kind without an encoder.
    #[error(
        "movie {movie_id} has {} embedding, and no encoder is named for it; delete it to encode again",
        match kind { Kind::Image => "an image", Kind::Text => "a text" }
    )]
    NoEncoderOf {
        /// Whose row.
        movie_id: u32,
        /// Of what.
        kind: Kind,
    },
    /// A vector is not like the others, or not of numbers.
    #[error(
        "the {} embedding of movie {movie_id} {problem}; delete it to encode again",
        kind.name()
    )]
    Vector {
        /// Whose.
        movie_id: u32,
        /// Of what.
        kind: Kind,
        /// What is wrong with it.
        #[source]
        problem: VectorProblem,
    },
    /// It stands where the journal should, and is none.
    #[error("it is no journal of embeddings; move it elsewhere")]
    NotAJournal,
    /// A record of the journal has the right checksum, but not the form of one.
    #[error("the record at byte {at} of the journal is of another form; delete it to encode again")]
    Record {
        /// Where it begins.
        at: u64,
    },
}
