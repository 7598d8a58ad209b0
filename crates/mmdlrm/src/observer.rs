use mmdlrm_train::EpochMetrics;

/// A part of an experiment that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// A saved model, and what it knows of the data.
    ReadModel,
    /// Ratings, movies, and the lists of posters and plots.
    ReadData,
    /// Weights of the encoders.
    LoadEncoders,
    /// Posters through the encoder.
    EncodePosters,
    /// Plots through the encoder.
    EncodeSummaries,
    /// Passes over the training rows.
    Train,
    /// The whole catalogue ranked for each test user.
    Rank,
}

/// Is told how an experiment goes; every method may be left as it is.
pub trait Observer {
    /// A stage begins that consists of `total` things; of 0 where they are not counted.
    fn begin(&mut self, stage: Stage, total: u64) {
        let _ = (stage, total);
    }

    /// So many more of them are done.
    fn advance(&mut self, done: u64) {
        let _ = done;
    }

    /// The stage is over.
    fn end(&mut self) {}

    /// An epoch is over.
    fn epoch(&mut self, metrics: &EpochMetrics) {
        let _ = metrics;
    }

    /// Something that a person should know.
    fn note(&mut self, note: &str) {
        let _ = note;
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}
