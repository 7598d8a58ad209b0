//! Click logs as Criteo publishes them, and as facebookresearch/dlrm learns from.
//!
//! A row is whether somebody clicked, 13 whole numbers, I1 to I13, and 26 categories, C1 to C26,
//! each a hexadecimal number of 32 bits; any of them but the label may be missing. There are no
//! users and no items. A [`ClickLog`] is of text with tabs between its fields, compressed or
//! not, or of Parquet, in memory or on disk, and its days follow each other. [`Samples`]
//! is what a model learns from.
//!
//! [`Samples`]: crate::Samples
//!
//! ```
//! use mmdlrm_data::clicks::{Categories, ClickLog, ClickLogConfig};
//! use mmdlrm_data::{Samples, SplitPart};
//!
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("train.txt");
//! let row = |label: u32, category: u32| {
//!     format!("{label}{}{}\n", "\t5".repeat(13), format!("\t{category:08x}").repeat(26))
//! };
//! let rows: String = (0..70).map(|row_number| row(row_number % 2, row_number % 3)).collect();
//! std::fs::write(&path, rows)?;
//!
//! let log = ClickLog::open(&ClickLogConfig {
//!     files: vec![path],
//!     days: Some(7),
//!     categories: Categories::Counted { least: 2 },
//!     ..ClickLogConfig::default()
//! })?;
//! assert_eq!((log.rows(SplitPart::Train), log.rows(SplitPart::Test)), (60, 5));
//! // Three values, one row for those that are missing, one for those not seen before.
//! assert_eq!(log.encoder().table_rows(), [5; 26]);
//! let batch = log.training_batches_from(32, 1, 0).next().transpose()?;
//! assert_eq!(batch.map(|batch| batch.len()), Some(32));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod categories;
mod days;
mod file;
mod log;
mod parquet;
#[cfg(feature = "generate")]
mod planted;
mod rows;
mod scan;
mod text;

pub use categories::{Categories, ClickEncoder};
pub use log::{ClickLog, ClickLogConfig};
#[cfg(feature = "generate")]
pub use planted::PlantedClicks;
pub use rows::{ClickRow, ClickRows};
pub use scan::ClickSummary;

use crate::Error;

/// Numbers of a row, I1 to I13.
pub const NUMBERS: usize = 13;
/// Categories of a row, C1 to C26.
pub const CATEGORIES: usize = 26;

/// Fields of a row.
const COLUMNS: usize = 1 + NUMBERS + CATEGORIES;
/// The name of the first.
const LABEL: &str = "label";

/// The name of a field.
fn column_name(at: usize) -> String {
    match at {
        0 => LABEL.to_owned(),
        1..=NUMBERS => number_name(at - 1),
        _ => category_name(at - 1 - NUMBERS),
    }
}

/// What is wrong with a field, and in which row, counted from 0, if it is one.
fn column_error(at: usize, row: Option<usize>, problem: impl Into<String>) -> Error {
    Error::Column {
        table: "clicks",
        column: column_name(at),
        row,
        problem: problem.into(),
    }
}

/// The name of a number, counted from 0.
fn number_name(at: usize) -> String {
    format!("I{}", at + 1)
}

/// The name of a category, counted from 0.
fn category_name(at: usize) -> String {
    format!("C{}", at + 1)
}
