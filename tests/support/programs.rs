//! The programs of the examples, as they are now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// Features that the tests may have been built with, and the examples are to have too.
const FEATURES: [(&str, bool); 5] = [
    ("cuda", cfg!(feature = "cuda")),
    ("cudnn", cfg!(feature = "cudnn")),
    ("metal", cfg!(feature = "metal")),
    ("accelerate", cfg!(feature = "accelerate")),
    ("mkl", cfg!(feature = "mkl")),
];

/// How the names begin of what cargo sets for a test and does not ask for itself.
const OF_THE_TEST: [&str; 5] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
];

/// The program of an example. `cargo test` builds it beside the tests, but `cargo test
/// --test NAME` leaves it as it was: so cargo is asked for it, once a test program.
/// (Cargo holds no lock while tests run.)
pub fn program(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    // A build that failed fails again, in the next test's own words.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(name) {
        return path.clone();
    }
    let path = build(name);
    built.insert(name.to_owned(), path.clone());
    path
}

/// Builds an example as the running test was built: where, and by which profile.
fn build(name: &str) -> PathBuf {
    // target folder / [triple /] profile / deps / test
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap();
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let above = folder.parent().unwrap();
    let triple = above.file_name().unwrap().to_str().unwrap();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or(env!("CARGO").into()));
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .args(["build", "--quiet", "--locked"])
        .args(["--example", name, "--profile", profile]);
    // Below a folder of its own where cargo was told a target.
    let mut target_folder = above;
    if triple.starts_with(&format!("{}-", std::env::consts::ARCH)) {
        command.args(["--target", triple]);
        target_folder = above.parent().unwrap();
    }
    command.arg("--target-dir").arg(target_folder);
    for (feature, _) in FEATURES.iter().filter(|(_, is_on)| *is_on) {
        command.arg("--features").arg(format!("mmdlrm/{feature}"));
    }
    // What cargo tells a test of its own package would be news to the build scripts of
    // others, and have them built again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OF_THE_TEST.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    let status = command.status();
    let status = status.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    folder.join("examples").join(file)
}

/// Runs an example in the folder `dir`.
pub fn run(dir: &Path, name: &str, arguments: &[&str]) -> Output {
    Command::new(program(name))
        .current_dir(dir)
        .args(arguments)
        .output()
        .unwrap()
}
