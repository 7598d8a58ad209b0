//! The program `mmdlrm`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where it is: cargo builds it for the tests of its own package, and tells them.
pub fn program() -> PathBuf {
    let path = option_env!("CARGO_BIN_EXE_mmdlrm");
    PathBuf::from(path.unwrap_or_else(|| panic!("the program is for tests of mmdlrm-cli")))
}

/// Runs a command of it, `train` or `data load`, in the folder `dir`.
pub fn run(dir: &Path, command: &str, arguments: &[&str]) -> Output {
    start(dir, command).args(arguments).output().unwrap()
}

/// The same, to be started in a way of one's own.
pub fn start(dir: &Path, command: &str) -> Command {
    let mut program = Command::new(program());
    program.current_dir(dir).args(command.split(' '));
    program
}
