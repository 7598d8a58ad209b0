/// What can be wrong with a configuration, an input or a file of weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that makes no sense.
    #[error("model setting {setting} is {value}, but {rule}")]
    Config {
        /// Path of the setting, `tables[0].rows`.
        setting: String,
        /// Its value.
        value: String,
        /// The rule it breaks.
        rule: String,
    },
    /// A part of a batch whose length does not fit the rest.
    #[error("{what} has {found} values where the batch and the configuration need {expected}")]
    Length {
        /// The part.
        what: String,
        /// Its length.
        found: usize,
        /// The length it should have.
        expected: usize,
    },
    /// An id or row number outside its table.
    #[error("{table}: row {value} at position {position}, but the table has {rows} rows")]
    OutOfRange {
        /// The table or modality.
        table: String,
        /// The row asked for.
        value: u32,
        /// Where in the list of ids it stands.
        position: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// Bag offsets that do not start at 0, fall, or do not end at the number
    /// of ids.
    #[error(
        "table {table}: the bag offsets must rise from 0 to the number of ids, but break that at position {position}"
    )]
    Offsets {
        /// The table.
        table: String,
        /// Where the rule is broken.
        position: usize,
    },
    /// A loss that is not defined for the output.
    #[error(
        "binary cross-entropy needs a sigmoid output with targets from 0 to 1; the output is {output}"
    )]
    Loss {
        /// The configured output.
        output: String,
    },
    /// A file of weights that is damaged.
    #[error("the weights are not a whole safetensors file: {0}; save or copy the model again")]
    SafeTensors(#[from] safetensors::SafeTensorError),
    /// A file of weights that is of something else.
    #[error("the weights do not fit: {0}")]
    Weights(String),
    /// A configuration that cannot be written or read as JSON.
    #[error("the model's configuration is not readable: {0}")]
    Json(#[from] serde_json::Error),
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
