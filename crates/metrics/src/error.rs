/// What can be wrong with the input of a metric.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two parallel slices differ in length.
    #[error("relevance has {relevance} values but scores has {scores}; they must be parallel")]
    LengthMismatch {
        /// Length of the relevance slice.
        relevance: usize,
        /// Length of the score slice.
        scores: usize,
    },
    /// A score or relevance is NaN, so no ranking is defined.
    #[error("{what} number {position} is NaN; a ranking needs comparable numbers")]
    NotANumber {
        /// `"score"` or `"relevance"`.
        what: &'static str,
        /// Position in the slice.
        position: usize,
    },
    /// A cut-off of zero.
    #[error("the cut-off k is 0; nDCG@k needs k of 1 or more")]
    ZeroCutOff,
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
