use std::path::PathBuf;

/// What can go wrong while a model is trained, measured or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From reading data.
    #[error(transparent)]
    Data(#[from] mmdlrm_data::Error),
    /// The model refused an input or its configuration.
    #[error(transparent)]
    Model(#[from] mmdlrm_model::Error),
    /// A metric refused its input.
    #[error(transparent)]
    Metric(#[from] mmdlrm_metrics::Error),
    /// A training setting that makes no sense.
    #[error("training setting {setting} is {value}, but {rule}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// A model that asks for what the data does not have.
    #[error("the model and the data do not fit: {0}")]
    Mismatch(String),
    /// A loss that is no longer a number, or a step after which it would not be.
    #[error(
        "the loss became {loss} at step {step} (epoch {epoch}), when {parameter} had reached {value:e}; lower the learning rate or clip gradients"
    )]
    Diverged {
        /// The loss.
        loss: f64,
        /// The step, from 1 over the whole run.
        step: u64,
        /// The epoch, from 1.
        epoch: usize,
        /// The parameter furthest from 0.
        parameter: String,
        /// Its value.
        value: f32,
    },
    /// A model that has diverged: what it says is no number.
    #[error(
        "the model predicts {prediction}, its parameter {parameter} being {value:e}: its training diverged; train it again with a lower learning rate or clip gradients"
    )]
    Unsound {
        /// The prediction.
        prediction: f32,
        /// The parameter furthest from 0.
        parameter: String,
        /// Its value.
        value: f32,
    },
    /// A device that failed.
    #[cfg(feature = "candle")]
    #[error("the device failed: {0}")]
    Device(Box<candle_core::Error>),
    /// A run that was asked to stop, and can be resumed.
    #[error("stopped after step {step}; go on with the run (--resume) when you like")]
    Stopped {
        /// Steps taken.
        step: u64,
    },
    /// A question that was called off before its answer was complete.
    #[error("stopped: nobody waits for the answer any more")]
    CalledOff,
    /// A checkpoint that cannot be used.
    #[error("cannot use the checkpoint {}: {reason}; remove the run's folder to begin anew", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A checkpoint of another run.
    #[error("the checkpoint {} is of another run: {}; go on with what it was made with, or begin a run in another folder", path.display(), differences.join("; "))]
    OtherCheckpoint {
        /// The file.
        path: PathBuf,
        /// In what the runs differ: settings, and what was learned from.
        differences: Vec<String>,
    },
    /// A model of another run.
    #[error("{} is not the model of the run in its folder: it was copied from another, or belongs to a run that was replaced; put the run's own back, or train again", path.display())]
    OtherModel {
        /// The file.
        path: PathBuf,
    },
    /// A model's file that is not whole.
    #[error("{} is damaged: {source}; put a copy in its place, or train again", path.display())]
    DamagedModel {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: safetensors::SafeTensorError,
    },
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
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
    /// A `config.json` that is not one of a run.
    #[error("{} is not the configuration of a run: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
    /// A folder that another run is at work in.
    #[error("another run is at work in {}; wait for it, or name another folder", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that holds a run.
    #[error("{} holds a run; name another folder (--out), or say that this one may be replaced (--overwrite)", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that holds a run that is not over.
    #[error("{} holds a run that stopped before its end; go on with it (--resume), or say that it may be replaced (--overwrite)", path.display())]
    Unfinished {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that holds no run.
    #[error("{} holds no run: it has no config.json", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that holds something else than a run.
    #[error("{} holds a {file} but no run; name another folder, so that nothing there is lost", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// The file that a run would replace.
        file: &'static str,
    },
    /// Predictions that could not be written as Parquet.
    #[error("cannot write {}: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the Parquet writer said.
        source: parquet::errors::ParquetError,
    },
    /// Bytes of no safetensors file, or tensors that make none.
    #[error("the model makes or has no safetensors file: {0}")]
    SafeTensors(#[from] safetensors::SafeTensorError),
    /// From a model, or a way to learn one, of somebody else's.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
    /// Something that cannot be written as JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

#[cfg(feature = "candle")]
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Device(Box::new(error))
    }
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
