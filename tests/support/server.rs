//! A server of `mmdlrm serve`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use super::start;

/// A server that dies with the test.
pub struct Server {
    pub process: Child,
    pub address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Serves the run in `runs/sample` of a folder, on a free port.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// The same with further arguments, of which `--run` names another run.
    pub fn start_with(folder: &Path, arguments: &[&str]) -> Self {
        let run: &[&str] = match arguments.contains(&"--run") {
            true => &[],
            false => &["--run", "runs/sample"],
        };
        let mut process = start(folder, "serve")
            .args(["--listen", "127.0.0.1:0"])
            .args(run)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://");
        assert!(address.is_some(), "it did not start: {line}");
        Self {
            address: address.unwrap().to_owned(),
            process,
        }
    }
}
