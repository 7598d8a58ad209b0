/// What can be wrong with a configuration, an input or a file of weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `MMDLRM_SIMD` asks for instructions that this processor does not have.
    #[error(transparent)]
    Instructions(#[from] mmdlrm_kernels::InstructionsError),
    /// A setting that makes no sense.
    #[error("model setting {setting} is {value}, but {rule}")]
    Setting {
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
    /// A position that a sample leaves out of a shared bag of another.
    #[error(
        "table {table}: sample {sample} leaves out position {position}, but its bag has {} to {}", span.start, span.end
    )]
    LeftOut {
        /// The table.
        table: String,
        /// The sample.
        sample: usize,
        /// The position among the ids.
        position: usize,
        /// Positions of the sample's bag.
        span: std::ops::Range<usize>,
    },
    /// Shared bags of a table that cannot have them.
    #[error("table {table} has learned weights, which shared bags cannot have")]
    SharedWeights {
        /// The table.
        table: String,
    },
    /// A number of the input that is infinite or NaN.
    #[error("{what}: column {column} of sample {sample} is {value}; every number must be finite")]
    NotFinite {
        /// The part.
        what: String,
        /// The value.
        value: f32,
        /// The sample, or the position where there is one column.
        sample: usize,
        /// The column.
        column: usize,
    },
    /// Weights for bags whose mean is taken.
    #[error("table {table}: bags with weights need the pooling sum, not mean")]
    WeightedMean {
        /// The table.
        table: String,
    },
    /// A batch that cannot be cut into pairs.
    #[error(
        "BPR compares samples 2k and 2k + 1, but the batch has {samples} samples; give it an even number"
    )]
    OddBatch {
        /// Samples of the batch.
        samples: usize,
    },
    /// A part of a step whose gradients cannot be a share of the step's.
    #[error("a part from sample {first} on of a step of {samples}: {problem}")]
    StepPart {
        /// Number of the part's first sample.
        first: usize,
        /// Samples of the step.
        samples: usize,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// A model whose scores do not factor into users and items.
    #[error(
        "items cannot be ranked for many users at once, since {} describe pairs; give them the side user or item, or predict pair by pair",
        inputs.join(", ")
    )]
    PairInputs {
        /// The inputs of pairs.
        inputs: Vec<String>,
    },
    /// A loss that is not defined for the output.
    #[error(
        "binary cross-entropy needs a sigmoid output with targets from 0 to 1; the output is {output}"
    )]
    Loss {
        /// The configured output.
        output: String,
    },
    /// A target that is no probability.
    #[error(
        "binary cross-entropy needs targets from {low} to {high}, but that of sample {sample} is {value}"
    )]
    Target {
        /// The target.
        value: f32,
        /// The sample.
        sample: usize,
        /// The prediction that stands for a probability of 0.
        low: f32,
        /// The prediction that stands for a probability of 1.
        high: f32,
    },
    /// A file of weights that is damaged.
    #[error("the weights are not a whole safetensors file: {0}; save or copy the model again")]
    SafeTensors(#[from] safetensors::SafeTensorError),
    /// A [store](crate::TableStore) of a table's rows that failed.
    #[error("table {table}: the store of its rows failed: {source}")]
    Store {
        /// Name of the stored table.
        table: String,
        /// What went wrong.
        source: crate::StoreError,
    },
    /// A file of weights that is of something else.
    #[error("the weights do not fit: {0}")]
    Weights(String),
    /// A PyTorch checkpoint that cannot be read.
    #[cfg(feature = "pytorch")]
    #[error("cannot read the PyTorch checkpoint {0}")]
    PyTorch(#[from] mmdlrm_checkpoints::Error),
    /// A device that failed.
    #[cfg(feature = "candle")]
    #[error("the device failed: {0}")]
    Device(Box<candle_core::Error>),
    /// A configuration that cannot be written or read as JSON.
    #[error("the model's configuration is not readable: {0}")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// Of the stored table called `table`.
    pub(crate) fn store(table: &str, source: crate::StoreError) -> Self {
        Self::Store {
            table: table.to_owned(),
            source,
        }
    }
}

#[cfg(feature = "candle")]
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Device(Box::new(error))
    }
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
