//! Options that several commands have.

pub mod asked;
pub mod download;
pub mod idle;
pub mod long_texts;
pub mod models;
pub mod policies;
pub mod ranking;
pub mod rates;
pub mod run;
pub mod source;
pub mod splits;
pub mod tables;

pub use asked::AskedRun;
pub use download::Download;
pub use idle::Idle;
pub use long_texts::LongTexts;
pub use models::Models;
pub use policies::Policies;
pub use ranking::RankingOptions;
pub use rates::{Optimizer, Rates};
pub use run::RunOptions;
pub use source::SourceOptions;
pub use splits::SplitName;
pub use tables::{Negatives, Tables};
