//! The program of this package does what it says.

use std::process::Command;

#[test]
fn the_program_trains_on_the_sample_and_asks_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_downstream"))
        .arg(folder.path().join("run"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("| RMSE (stars"), "{text}");
    // Ten titles behind the report.
    assert!(text.lines().count() > 20, "{text}");
}
