/// What can go wrong in an experiment: an error of one of its crates, or a
/// setting that does not fit the others.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From reading data.
    #[error(transparent)]
    Data(#[from] mmdlrm_data::Error),
    /// From encoding posters and plots.
    #[error(transparent)]
    Encoders(#[from] mmdlrm_encoders::Error),
    /// From the model.
    #[error(transparent)]
    Model(#[from] mmdlrm_model::Error),
    /// From training, measuring or writing.
    #[error(transparent)]
    Train(#[from] mmdlrm_train::Error),
    /// A raw user id that the data lack.
    #[error("there is no user {0}")]
    UnknownUser(u32),
    /// A raw movie id that the data lack.
    #[error("there is no movie {0}")]
    UnknownMovie(u32),
    /// `report.html` could not be made.
    #[error("cannot make report.html: {0}")]
    Page(String),
    /// Something that cannot be written as JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A setting that makes no sense.
    #[error("{setting} is {value}, but {rule}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// The rule it breaks.
        rule: &'static str,
    },
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
