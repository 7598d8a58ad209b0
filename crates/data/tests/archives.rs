//! Releases in the zip archives that they come in.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use mmdlrm_data::{MovieLens, OpenOptions, ReleaseFiles};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const FILES: [(&str, &str); 4] = [
    (
        "ratings.csv",
        "userId,movieId,rating,timestamp\n1,1,4.0,100\n1,2,3.5,200\n7,2,0.5,300\n",
    ),
    (
        "movies.csv",
        "movieId,title,genres\n1,Heat (1995),Crime\n2,Big (1988),Comedy\n",
    ),
    ("tags.csv", "userId,movieId,tag,timestamp\n1,2,fun,300\n"),
    ("links.csv", "movieId,imdbId,tmdbId\n1,0112346,9087\n"),
];

fn zip<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in members {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// An archive called `ml.zip` of the release in a folder of such a name, and other files.
fn archive(folder: &str, others: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let files = FILES.map(|(name, text)| (format!("{folder}{name}"), text));
    let files = files.iter().map(|(name, text)| (name.as_str(), *text));
    written(&zip(files.chain(others.iter().copied())))
}

fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path().join("ml.zip");
    std::fs::write(&path, bytes).unwrap();
    (outer, path)
}

/// The release as a folder.
fn unpacked() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[track_caller]
fn refused(path: &Path, parts: &[&str]) {
    let open = OpenOptions::default();
    for error in [open.open(path).err(), open.open_streamed(path).err()] {
        let message = error.unwrap().to_string();
        for part in parts {
            assert!(message.contains(part), "no '{part}' in: {message}");
        }
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn an_archive_is_read_as_the_folder_that_it_holds() {
    let folder = unpacked();
    let expected = MovieLens::open(folder.path()).unwrap();
    let clutter = [
        ("__MACOSX/ml/._ratings.csv", "x"),
        ("README.txt", "terms"),
        ("posters/1.jpg", "x"),
    ];
    for inner in ["", "ml-latest-small/", "a/b/ml/", "ml\\"] {
        let (outer, path) = archive(inner, &clutter);
        let found = MovieLens::open(&path).unwrap();
        assert_eq!(found.ratings.table(), expected.ratings.table());
        assert_eq!(found.movies.table(), expected.movies.table());
        assert_eq!(
            (&found.tags, &found.links),
            (&expected.tags, &expected.links)
        );
        assert_eq!(found.fingerprint(), expected.fingerprint());
        assert_eq!(found.dir.as_deref(), Some(&*path));
        assert_eq!(ReleaseFiles::find(&path).unwrap().needed(), [path]);
        // Nothing is left beside it.
        assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 1);
    }
}

#[test]
fn ratings_of_an_archive_are_kept_beside_it_and_known_again() {
    let (outer, path) = archive("ml/", &[]);
    let expected = MovieLens::open(&path).unwrap();
    let cache = OpenOptions::cache_in(&path);
    assert_eq!(cache, outer.path().join(".ml.zip.mmdlrm"));
    let options = OpenOptions {
        cache: Some(cache),
        ..OpenOptions::default()
    };
    for from_cache in [false, true] {
        let found = options.open(&path).unwrap();
        assert_eq!(found.from_cache, from_cache);
        assert_eq!(found.ratings.table(), expected.ratings.table());
    }
    let streamed = options.open_streamed(&path).unwrap();
    assert_eq!(streamed.fingerprint(), expected.fingerprint());
    // Another archive of that name has other ratings.
    let ratings = FILES[0].1.replace("0.5", "1.5");
    let files = FILES.map(|(name, text)| {
        (
            name,
            if name == "ratings.csv" {
                &*ratings
            } else {
                text
            },
        )
    });
    std::fs::write(&path, zip(files)).unwrap();
    let found = options.open(&path).unwrap();
    assert!(!found.from_cache);
    assert_eq!(found.ratings.stars(), [4.0, 3.5, 1.5]);
    let under = OpenOptions::cache_under(Path::new("c"), &path).unwrap();
    assert!(
        under.to_string_lossy().starts_with("c/ml.zip-"),
        "{under:?}"
    );
}

#[test]
fn errors_of_rows_name_the_archive() {
    let mut files = FILES.map(|(name, text)| (format!("ml/{name}"), text.to_owned()));
    files[0].1 += "x,1,4.0,1\n";
    let (_outer, path) = written(&zip(files.iter().map(|(name, text)| (&**name, &**text))));
    let place = format!("{}/ml/ratings.csv, line 5, column 'userId'", path.display());
    refused(&path, &[&place]);
}

#[test]
fn what_an_archive_holds_instead_is_named() {
    for (files, parts) in [
        (vec![], vec!["archive is empty"]),
        (
            vec![("a.txt", "x"), ("b/c.pdf", "x")],
            vec!["neither ratings.csv and movies.csv", "a.txt, c.pdf"],
        ),
        (vec![("ml-25m.zip", "x")], vec!["look into ml-25m.zip"]),
        (
            vec![("ml/ratings.csv", "x")],
            vec!["ratings.csv and no movies.csv"],
        ),
        (
            vec![
                ("a/u.data", "x"),
                ("a/u.item", "x"),
                ("b/u.data", "x"),
                ("b/u.item", "x"),
            ],
            vec!["several releases", "'a', 'b'", "unpack it"],
        ),
        (
            vec![("../ratings.csv", "x"), ("../movies.csv", "x")],
            vec!["archive is empty, or all in it is hidden"],
        ),
    ] {
        let (_outer, path) = written(&zip(files));
        refused(&path, &parts);
    }
    // As a server's apology is saved.
    let (_outer, path) = written(b"<html>not found</html>");
    refused(&path, &["ml.zip", "zip"]);
}

#[test]
fn archives_that_are_damaged_or_unpack_to_far_more_are_refused() {
    let whole = zip(FILES);
    let (_outer, path) = written(&whole[..whole.len() / 2]);
    refused(&path, &["ml.zip", "zip"]);
    let mut link = ZipWriter::new(Cursor::new(Vec::new()));
    link.add_symlink("ratings.csv", "/etc/passwd", SimpleFileOptions::default())
        .unwrap();
    link.start_file("movies.csv", SimpleFileOptions::default())
        .unwrap();
    link.write_all(FILES[1].1.as_bytes()).unwrap();
    let (_outer, path) = written(&link.finish().unwrap().into_inner());
    refused(&path, &["ratings.csv", "link"]);
    let bomb = "1,1,4.0,100\n".repeat(25 << 20);
    let (_outer, path) = written(&zip([("ratings.csv", &*bomb), FILES[1]]));
    refused(&path, &["ratings.csv", "unpack to more than 256 MiB"]);
}

#[test]
fn an_archive_of_any_bytes_is_read_or_refused_in_one_line() {
    let whole = zip(FILES);
    // A multiplicative generator: the same bytes each time.
    let mut state = 42u64;
    let mut draw = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    for _ in 0..500 {
        let mut bytes = whole.clone();
        for _ in 0..=draw(4) {
            let place = draw(bytes.len());
            bytes[place] = draw(256) as u8;
        }
        let (_outer, path) = written(&bytes);
        if let Err(error) = MovieLens::open(&path) {
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
    }
}

/// The real release, whose figures are those of `pandas.read_csv`.
#[test]
fn the_real_release_is_the_same_in_any_shape() {
    let shared = std::env::var_os("MMDLRM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let release = shared.join("data/ml-latest-small");
    if !release.is_dir() {
        eprintln!("skipped: no {}", release.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let names = FILES.map(|(name, _)| name);
    let copied = |to: &str, name_of: &dyn Fn(&str) -> String| {
        let to = folder.path().join(to);
        std::fs::create_dir_all(&to).unwrap();
        for name in names {
            std::fs::copy(release.join(name), to.join(name_of(name))).unwrap();
        }
        to
    };
    copied("outer/data/ml-latest-small", &str::to_owned);
    let texts = names.map(|name| std::fs::read_to_string(release.join(name)).unwrap());
    let zipped = folder.path().join("ml-latest-small.zip");
    std::fs::write(
        &zipped,
        zip(names.into_iter().zip(texts.iter().map(String::as_str))),
    )
    .unwrap();
    let expected = MovieLens::open(&release).unwrap();
    for shape in [
        copied("kaggle", &|name| name.replace("s.csv", ".csv")),
        copied("loud", &str::to_uppercase),
        folder.path().join("outer"),
        zipped,
    ] {
        let found = MovieLens::open(&shape).unwrap();
        assert_eq!(found.ratings.table(), expected.ratings.table());
        assert_eq!(found.movies.table(), expected.movies.table());
        assert_eq!(
            (&found.tags, &found.links),
            (&expected.tags, &expected.links)
        );
        assert_eq!(found.fingerprint(), expected.fingerprint(), "{shape:?}");
        let sum: f64 = found.ratings.stars().iter().map(|&it| f64::from(it)).sum();
        assert_eq!((found.ratings.len(), sum), (100_836, 353_083.0));
        assert_eq!(
            (found.movies.len(), found.tags.unwrap().num_rows()),
            (9742, 3683)
        );
    }
}
