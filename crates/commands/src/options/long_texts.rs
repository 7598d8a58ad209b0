//! What becomes of texts that are too long.

use clap::{Args, ValueEnum};

/// For `#[command(flatten)]`.
#[derive(Debug, Args)]
pub struct LongTexts {
    /// What becomes of plots with more tokens than the encoder takes
    #[arg(long, value_enum, default_value = "truncate")]
    long_texts: Choice,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Choice {
    /// Cut them
    Truncate,
    /// The mean of windows of whole sentences
    Chunk,
}

impl LongTexts {
    pub fn choice(&self) -> mmdlrm::encoders::LongTexts {
        match self.long_texts {
            Choice::Truncate => mmdlrm::encoders::LongTexts::Truncate,
            Choice::Chunk => mmdlrm::encoders::LongTexts::Chunk,
        }
    }
}
