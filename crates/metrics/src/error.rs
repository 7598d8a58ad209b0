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
    /// A number that would make a figure NaN or infinite.
    #[error("{what} number {position} is {value}; {rule}")]
    Unusable {
        /// What it is: `"prediction"`, `"relevance"`, `"weight"`.
        what: &'static str,
        /// How many came before it, in the slice or in the accumulator.
        position: u64,
        /// The value.
        value: f64,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// Numbers that are finite one by one, and not when they are multiplied or added up.
    #[error("{what} is more than an f64 holds; scale the numbers down")]
    Overflow {
        /// Which sum.
        what: &'static str,
    },
    /// A calibration without bins.
    #[error("the number of bins is 0; a calibration error needs 1 or more")]
    NoBins,
    /// Calibrations of other bins cannot be merged.
    #[error("a calibration in {own} bins cannot take in one in {other}")]
    OtherBins {
        /// Bins of the one.
        own: usize,
        /// Bins of the other.
        other: usize,
    },
    /// Means over other users, which have no difference user by user.
    #[error(
        "one mean is over {own} users and the other over {other}; both must be over the same ones, in the same order"
    )]
    OtherUsers {
        /// Users of the one.
        own: u64,
        /// Users of the other.
        other: u64,
    },
    /// A probability or an outcome outside 0 to 1.
    #[error("{value} is no probability; it must lie between 0 and 1")]
    NotAProbability {
        /// The value.
        value: f64,
    },
    /// Vectors of a list that differ in length.
    #[error("a list has vectors of {first} and of {other} numbers; they must be of one length")]
    VectorLengths {
        /// Length of the first.
        first: usize,
        /// Length of another.
        other: usize,
    },
    /// A cut-off of zero.
    #[error("the cut-off k is 0; nDCG@k needs k of 1 or more")]
    ZeroCutOff,
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// `value`, if it is finite.
    pub(crate) fn unless_finite(what: &'static str, position: u64, value: f64) -> Result<f64> {
        if value.is_finite() {
            return Ok(value);
        }
        Err(Self::Unusable {
            what,
            position,
            value,
            rule: "it must be a finite number",
        })
    }

    /// `sum`, if it is finite; what it is of is.
    pub(crate) fn unless_too_large(what: &'static str, sum: f64) -> Result<f64> {
        if sum.is_finite() {
            return Ok(sum);
        }
        Err(Self::Overflow { what })
    }
}
