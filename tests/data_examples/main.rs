//! `mmdlrm data generate` and `mmdlrm data load` as a person types them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Output;

use mmdlrm::data::MovieLens;
use support::{run, text};

/// The `key=value` of a line of output.
fn values(line: &str) -> HashMap<&str, &str> {
    let pairs = line.split(' ');
    pairs.map(|pair| pair.split_once('=').unwrap()).collect()
}

fn generate(dir: &Path, out: &str, more: &[&str]) -> Output {
    let arguments = [
        "--users",
        "200",
        "--movies",
        "300",
        "--ratings",
        "9000",
        "--out",
        out,
    ];
    run(dir, "data generate", &[&arguments[..], more].concat())
}

/// Name, from `root`, and bytes of each file below `dir`.
fn files(root: &Path, dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_owned();
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn a_generated_folder_holds_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let output = generate(folder.path(), "made", &["--seed", "3"]);
    let line = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(values(line.trim())["ratings"], "9000");
    let movielens = MovieLens::open(folder.path().join("made")).unwrap();
    assert_eq!(movielens.ratings.len(), 9000);
    assert_eq!(movielens.movies.len(), 300);
    assert!(movielens.tags.unwrap().num_rows() > 300);
    let made = folder.path().join("made");
    assert!(made.join("posters.csv").exists() && made.join("summaries.csv").exists());
    assert!(std::fs::read_dir(made.join("posters")).unwrap().count() > 250);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_others() {
    let folder = tempfile::tempdir().unwrap();
    for (out, seed) in [("a", "3"), ("b", "3"), ("c", "4")] {
        assert!(
            generate(folder.path(), out, &["--seed", seed])
                .status
                .success()
        );
    }
    let [a, b, c] = ["a", "b", "c"].map(|out| {
        let mut found = BTreeMap::new();
        let root = folder.path().join(out);
        files(&root, &root, &mut found);
        found
    });
    assert!(a.len() > 250, "posters too");
    assert!(a == b, "the same seed gave other bytes");
    assert!(a != c, "another seed gave the same bytes");
    // Written down once: other bytes need another FORMAT in the code.
    let ratings = text(&a[Path::new("ratings.csv")]);
    assert!(ratings.starts_with(FIRST_RATINGS), "{}", &ratings[..160]);
}

const FIRST_RATINGS: &str = "userId,movieId,rating,timestamp\n\
    1,9,4.0,1502654551\n\
    1,22,4.0,1489255186\n\
    1,41,4.0,1495953644\n";

#[test]
fn generated_ratings_have_the_shape_of_ml_25m() {
    let folder = tempfile::tempdir().unwrap();
    let size = [
        "--users",
        "3000",
        "--movies",
        "2000",
        "--ratings",
        "300000",
        "--no-contents",
    ];
    let arguments = [&size[..], &["--out", "made"]].concat();
    assert!(
        run(folder.path(), "data generate", &arguments)
            .status
            .success()
    );
    let ratings = MovieLens::open(folder.path().join("made")).unwrap().ratings;
    let mut histogram = [0u32; 10];
    for stars in ratings.stars() {
        histogram[(stars * 2.0) as usize - 1] += 1;
    }
    // Of ml-25m, in thousandths.
    let expected = [16, 31, 16, 66, 51, 196, 127, 266, 88, 144];
    for (count, thousandths) in histogram.iter().zip(expected) {
        assert!((count / 300).abs_diff(thousandths) <= 2, "{histogram:?}");
    }
    let count = |ids: &[u32]| {
        let mut counts = HashMap::new();
        ids.iter()
            .for_each(|id| *counts.entry(*id).or_insert(0u32) += 1);
        let mut counts: Vec<u32> = counts.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    };
    // Few have most: the mean of users is twice the median, and a tenth of the
    // movies has well over half of the ratings.
    let users = count(ratings.user_ids());
    assert!(
        users[users.len() / 2] * 3 < 100 * 2,
        "{}",
        users[users.len() / 2]
    );
    let movies = count(ratings.movie_ids());
    let head: u32 = movies[..200].iter().sum();
    assert!(head > 150_000, "{head}");
}

#[test]
fn what_makes_no_sense_is_not_generated() {
    let folder = tempfile::tempdir().unwrap();
    for (more, part) in [
        (["--users", "0"], "each must be 1 or more"),
        (["--ratings", "999999"], "at most half of users × movies"),
        (["--ratings", "10"], "at least one a user"),
    ] {
        let arguments = [&["--movies", "300", "--out", "made"], &more[..]].concat();
        let output = run(folder.path(), "data generate", &arguments);
        assert!(!output.status.success());
        let error = text(&output.stderr);
        assert!(
            error.contains(part) && error.lines().count() == 1,
            "{error}"
        );
    }
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    std::fs::write(folder.path().join("mine/notes.txt"), "mine").unwrap();
    let output = generate(folder.path(), "mine", &[]);
    assert!(text(&output.stderr).contains("mine holds files that were not made up here"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_is_loaded_from_csv_from_the_cache_and_streamed() {
    let folder = tempfile::tempdir().unwrap();
    assert!(generate(folder.path(), "made", &[]).status.success());
    for (more, from) in [
        (&["--no-cache"][..], "csv"),
        (&[], "csv"),
        (&[], "cache"),
        (&["--stream"], "stream"),
        (&["--batches", "64"], "cache"),
        (&["--stream", "--batches", "64"], "stream"),
    ] {
        let output = run(folder.path(), "data load", &[&["made"], more].concat());
        assert_eq!(text(&output.stderr), "");
        let lines = text(&output.stdout);
        let first = values(lines.lines().next().unwrap());
        assert_eq!((first["rows"], first["from"]), ("9000", from));
        first["seconds"].parse::<f64>().unwrap();
        // Linux tells; others would have to be asked in ways of their own.
        let peak = first["peak_mib"];
        assert!(peak.parse::<u64>().is_ok() || (peak == "?" && !cfg!(target_os = "linux")));
        if more.contains(&"--batches") {
            let second = values(lines.lines().nth(1).unwrap());
            assert_eq!(second["batch_rows"], "7200");
        }
    }
    // Nothing is left of what was written for a while.
    let mut left: Vec<_> = std::fs::read_dir(folder.path().join("made/.mmdlrm"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["ratings.json", "ratings.parquet"]);
}

#[test]
fn what_cannot_be_loaded_is_explained_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, part) in [
        (&["nowhere"][..], "cannot read nowhere: "),
        (&["--download", "ml-99m"], "'ml-99m'"),
    ] {
        let output = run(folder.path(), "data load", arguments);
        assert_eq!(output.status.code(), Some(1));
        let error = text(&output.stderr);
        assert!(
            error.contains(part) && error.lines().count() == 1,
            "{error}"
        );
    }
    let output = run(folder.path(), "data load", &[]);
    assert_eq!(output.status.code(), Some(2));
}

/// Root may read anything, and so becomes somebody else.
#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    /// Whom all systems know, and who owns nothing.
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    assert!(
        generate(folder.path(), "made", &["--no-contents"])
            .status
            .success()
    );
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let ratings = folder.path().join("made/ratings.csv");
    set_mode(&ratings, 0o000);
    // Where everybody finds it.
    let program = folder.path().join("mmdlrm");
    std::fs::copy(support::program(), &program).unwrap();
    set_mode(&program, 0o755);
    set_mode(folder.path(), 0o755);
    let mut command = Command::new(&program);
    command
        .current_dir(folder.path())
        .args(["data", "load", "made", "--no-cache"]);
    if std::fs::File::open(&ratings).is_ok() {
        command.uid(NOBODY);
    }
    let output = command.output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for part in ["cannot read", "ratings.csv", "permission"] {
        assert!(error.to_lowercase().contains(part), "{error}");
    }
}

/// A limit on the size of files stands for a disk that is full: writing fails
/// in the middle.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_part_of_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    assert!(generate(folder.path(), "made", &[]).status.success());
    let limited = |arguments: &str| {
        let program = support::program();
        let command = format!(
            "trap '' XFSZ; ulimit -f 20; exec {} data load {arguments}",
            program.display()
        );
        std::process::Command::new("sh")
            .current_dir(folder.path())
            .args(["-c", &command])
            .output()
            .unwrap()
    };
    // The ratings are read all the same.
    let output = limited("made");
    assert!(text(&output.stdout).starts_with("rows=9000 "));
    let warning = text(&output.stderr);
    let parts = [
        "going on without a cache",
        "cannot write",
        "ratings.parquet",
    ];
    assert!(parts.iter().all(|part| warning.contains(part)), "{warning}");
    let cache = folder.path().join("made/.mmdlrm");
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 0);
    // Streamed they cannot be.
    let output = limited("made --stream");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("error: cannot write"));
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 0);
}
