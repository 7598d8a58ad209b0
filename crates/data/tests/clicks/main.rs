//! Click logs, from files to batches.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bad_input;
mod batches;
mod formats;

use std::path::{Path, PathBuf};

use mmdlrm_data::clicks::{Categories, ClickLog, ClickLogConfig};

/// A row of text, without its end.
fn row(label: u8, numbers: [Option<i32>; 13], categories: [Option<u32>; 26]) -> String {
    let mut fields = vec![label.to_string()];
    fields.extend(numbers.map(|it| it.map_or(String::new(), |it| it.to_string())));
    fields.extend(categories.map(|it| it.map_or(String::new(), |it| format!("{it:08x}"))));
    fields.join("\t")
}

/// The same numbers and categories in all columns.
fn plain(label: u8, number: i32, category: u32) -> String {
    row(label, [Some(number); 13], [Some(category); 26])
}

/// 70 rows of seven days, of ten values.
fn rows() -> Vec<String> {
    (0..70)
        .map(|at| plain((at % 3 == 0).into(), at as i32, 100 + at % 10))
        .collect()
}

fn write(folder: &Path, name: &str, rows: &[String]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, rows.join("\n") + "\n").unwrap();
    path
}

/// Seven days in a file.
fn config(path: &Path) -> ClickLogConfig {
    ClickLogConfig {
        files: vec![path.to_owned()],
        days: Some(7),
        categories: Categories::Counted { least: 1 },
        stream: false,
    }
}

fn open(path: &Path) -> ClickLog {
    ClickLog::open(&config(path)).unwrap()
}
