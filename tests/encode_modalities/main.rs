//! `mmdlrm encode` as a person types it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod bad_models;
mod pictures;
mod runs;

use std::path::{Path, PathBuf};
use std::process::Output;

use image::{ImageFormat, RgbImage};
use support::text;

/// A folder with a tiny CLIP and three posters and plots.
struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let folder = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        support::tiny_clip(&folder.path("clip"));
        for movie in 1..=3u32 {
            let shade = |x: u32, y: u32| image::Rgb([(x * movie) as u8, (y * 3) as u8, 90]);
            RgbImage::from_fn(60, 90, shade)
                .save(folder.path(&format!("{movie}.jpg")))
                .unwrap();
        }
        folder.posters(&["1,1.jpg", "2,2.jpg", "3,3.jpg"]);
        folder.summaries(&["1,robot", "2,witch robot", "3,a robot and a witch"]);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn posters(&self, rows: &[&str]) {
        self.write(
            "posters.csv",
            format!("movieId,poster_path\n{}\n", rows.join("\n")),
        );
    }

    fn summaries(&self, rows: &[&str]) {
        self.write(
            "summaries.csv",
            format!("movieId,summary\n{}\n", rows.join("\n")),
        );
    }

    /// Runs it on posters and summaries, with `more` arguments in
    /// addition to or in place of the usual ones.
    fn run(&self, more: &[&str]) -> Output {
        let usual = [
            ("--posters", "posters.csv"),
            ("--summaries", "summaries.csv"),
            ("--clip", "clip"),
            ("--out", "store.parquet"),
        ];
        let kept = usual.iter().filter(|(name, _)| !more.contains(name));
        let mut arguments: Vec<&str> = kept.flat_map(|&(name, value)| [name, value]).collect();
        arguments.extend(more);
        support::run(self.dir.path(), "encode", &arguments)
    }
}

/// The value after `name=` in the last line of a run that went well.
fn value(output: &Output, name: &str) -> f64 {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let line = text(&output.stdout);
    let line = line.lines().last().unwrap();
    let field = line
        .split(' ')
        .find_map(|field| field.strip_prefix(&format!("{name}=")));
    field
        .unwrap_or_else(|| panic!("no {name} in {line}"))
        .parse()
        .unwrap()
}

/// Asserts that a run failed with one line that has all `parts`.
fn assert_refused(output: &Output, parts: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for part in parts {
        assert!(error.contains(part), "no '{part}' in: {error}");
    }
    assert!(!error.contains("panicked"), "{error}");
}

fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let shade = |x: u32, y: u32| image::Rgb([x as u8, y as u8, (x + y) as u8]);
    RgbImage::from_fn(width, height, shade)
        .write_to(&mut bytes, format)
        .unwrap();
    bytes.into_inner()
}

fn exists(path: &Path) -> bool {
    path.try_exists().unwrap()
}
