//! Tables of anybody's become interactions.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod awkward;
mod bad_input;
mod reading;
mod scale;
mod streamed;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmdlrm_data::arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use mmdlrm_data::{InteractionFiles, InteractionOptions, Interactions, Result};

fn texts(texts: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

fn numbers(numbers: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(numbers.to_vec()))
}

fn table(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter(columns.iter().cloned()).unwrap()
}

/// Five clicks, two of them the same.
fn clicks() -> RecordBatch {
    table(&[
        ("user_id", texts(&["ann", "ben", "ann", "cat", "ann"])),
        ("item_id", texts(&["mug", "mug", "pen", "cup", "mug"])),
        ("time", numbers(&[100, 200, 300, 400, 500])),
    ])
}

fn read(interactions: &RecordBatch, items: Option<&RecordBatch>) -> Result<Interactions> {
    let options = InteractionOptions::default();
    Interactions::new(std::slice::from_ref(interactions), None, items, &options)
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn files(interactions: PathBuf, items: Option<PathBuf>) -> InteractionFiles {
    InteractionFiles {
        interactions,
        items,
        ..InteractionFiles::default()
    }
}

/// User, item, target and time of each, by name.
fn rows(interactions: &Interactions) -> Vec<(String, String, f32, u32)> {
    let ratings = &interactions.ratings;
    let items = interactions.items.index();
    let users = interactions.users.names().unwrap();
    let row = |row: usize| {
        let item = items.row(ratings.movie_ids()[row]).unwrap();
        (
            users.name(ratings.user_ids()[row]).unwrap().into_owned(),
            items.name(item).unwrap().into_owned(),
            ratings.stars()[row],
            ratings.timestamps()[row],
        )
    };
    (0..ratings.len()).map(row).collect()
}
