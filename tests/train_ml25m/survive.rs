//! Runs that are killed, stopped, crowded out or robbed of their disk.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use mmdlrm::data::generate::{self, GeneratorConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::{self, kill, metrics, wait_until};
use crate::{run_in, text};

const KILLS: u64 = 10;
/// Steps from one kill to the next; the run takes 450.
const STRETCH: u64 = 30;

/// Ratings enough for a run of a second or two; the preset draws what it drops.
const TRAIN: [&str; 14] = [
    "--data",
    "data",
    "--preset",
    "best",
    "--dim",
    "8",
    "--batch-size",
    "64",
    "--validation",
    "0.1",
    "--checkpoint-steps",
    "20",
    "--keep-checkpoints",
    "3",
];

fn data(dir: &Path) {
    let config = GeneratorConfig {
        users: 200,
        movies: 300,
        ratings: 20_000,
        seed: 3,
        contents: false,
    };
    generate::write(&dir.join("data"), &config, |_| {}).unwrap();
}

fn start(dir: &Path, arguments: &[&str]) -> Child {
    support::start(dir, "train")
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn train_in(out: &str) -> Vec<&str> {
    [&TRAIN[..], &["--epochs", "2", "--out", out]].concat()
}

/// A run that is not over before somebody ends it, however fast the machine.
fn train_long_in(out: &str) -> Vec<&str> {
    [&TRAIN[..], &["--epochs", "1000", "--out", out]].concat()
}

/// The steps after which a run has checkpoints, the last at the end.
fn steps(run: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(run.join("checkpoints"));
    let names = entries.into_iter().flatten();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut steps: Vec<u64> = names
        .filter_map(|name| {
            let step = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
            Some(step.parse().unwrap())
        })
        .collect();
    steps.sort_unstable();
    steps
}

/// Starts a run and waits for its first checkpoint.
fn start_and_wait_for_a_checkpoint(dir: &Path, arguments: &[&str]) -> Child {
    let mut child = start(dir, arguments);
    let run = dir.join(arguments.last().unwrap());
    wait_until(&mut child, || !steps(&run).is_empty());
    child
}

/// Leaves a run behind that was killed after its first checkpoint.
fn kill_after_a_checkpoint(dir: &Path, out: &str) {
    kill(&mut start_and_wait_for_a_checkpoint(dir, &train_in(out)));
}

fn read(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join(name)).unwrap()
}

#[test]
fn a_run_killed_at_ten_random_moments_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    data(dir);
    let output = run_in(dir, &train_in("straight"));
    assert!(output.status.success(), "{}", text(&output.stderr));

    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut arguments, run) = (train_in("killed"), dir.join("killed"));
    for number in 0..KILLS {
        let mut child = start(dir, &arguments);
        // Waits for steps, not for a time, which machines and their loads make many or few
        // of; and then dies at any moment.
        let has_come_far = || steps(&run).last() >= Some(&(number * STRETCH));
        let has_begun = || number == 0 && run.join("config.json").exists();
        wait_until(&mut child, || has_begun() || has_come_far());
        sleep(Duration::from_millis(random.random_range(0..15)));
        kill(&mut child);
        arguments = vec!["--resume", "killed"];
    }
    let output = run_in(dir, &["--resume", "killed"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for file in ["model.safetensors", "predictions.parquet"] {
        let (killed, straight) = (dir.join("killed"), dir.join("straight"));
        assert!(read(&killed, file) == read(&straight, file), "{file}");
    }
    let figures = |run: &str| -> Vec<_> {
        let lines = metrics(&dir.join(run)).into_iter();
        lines
            .map(|line| {
                (
                    line["train_loss"].clone(),
                    line["validation_rmse"].clone(),
                    line["rmse"].clone(),
                )
            })
            .collect()
    };
    let straight = figures("straight");
    assert_eq!(figures("killed"), straight);
    let [first, second, last] = &straight[..] else {
        panic!("{straight:?}");
    };
    assert!(first.0.is_number() && second.1.is_number() && last.2.is_number());
}

#[test]
fn a_signal_ends_the_run_with_a_checkpoint_to_go_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    data(dir);
    for signal in ["INT", "TERM"] {
        let out = format!("run-{signal}");
        let child = start_and_wait_for_a_checkpoint(dir, &train_long_in(&out));
        let sent = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("--resume"), "{stderr}");
        let mut child = start(dir, &["--resume", &out]);
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut lines = stderr.lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("training goes on after step")));
        kill(&mut child);
    }
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_taken() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    data(dir);
    assert!(run_in(dir, &train_in("straight")).status.success());
    let run = dir.join("run");
    let mut child = start(dir, &train_in("run"));
    wait_until(&mut child, || steps(&run).len() >= 2);
    kill(&mut child);
    let newest = format!("step-{:012}.safetensors", steps(&run).pop().unwrap());
    let path = run.join("checkpoints").join(&newest);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&path, bytes).unwrap();
    let output = run_in(dir, &["--resume", "run"]);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains(&format!("{newest} is damaged and passed over")),
        "{stderr}"
    );
    assert!(
        read(&dir.join("run"), "model.safetensors")
            == read(&dir.join("straight"), "model.safetensors")
    );
}

#[test]
fn a_second_run_in_the_folder_is_refused_and_an_unfinished_one_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    data(dir);
    let mut first = start_and_wait_for_a_checkpoint(dir, &train_long_in("run"));
    for arguments in [train_in("run"), vec!["--resume", "run"]] {
        let stderr = text(&run_in(dir, &arguments).stderr);
        assert!(stderr.contains("another run is at work in run"), "{stderr}");
    }
    kill(&mut first);
    let stderr = text(&run_in(dir, &train_in("run")).stderr);
    assert!(
        stderr.contains("stopped before its end") && stderr.contains("--resume"),
        "{stderr}"
    );
    let stderr = text(&run_in(dir, &["--resume", "data"]).stderr);
    assert!(stderr.contains("data holds no run"), "{stderr}");
}

#[test]
fn a_full_disk_is_an_error_that_leaves_the_last_checkpoint_whole() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    data(dir);
    assert!(run_in(dir, &train_in("straight")).status.success());
    kill_after_a_checkpoint(dir, "run");
    // No file may grow to the size of a checkpoint.
    let program = support::program();
    let script = format!(
        "trap '' XFSZ; ulimit -f 16; exec '{}' train --resume run",
        program.display()
    );
    let output = Command::new("bash")
        .current_dir(dir)
        .args(["-c", &script])
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("cannot write run/checkpoints/step-"),
        "{stderr}"
    );
    let output = run_in(dir, &["--resume", "run"]);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(!stderr.contains("damaged"), "{stderr}");
    assert!(
        read(&dir.join("run"), "model.safetensors")
            == read(&dir.join("straight"), "model.safetensors")
    );
}

#[test]
fn ratings_that_are_gone_when_the_run_goes_on_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    data(dir);
    kill_after_a_checkpoint(dir, "run");
    std::fs::rename(dir.join("data/ratings.csv"), dir.join("elsewhere.csv")).unwrap();
    let stderr = text(&run_in(dir, &["--resume", "run"]).stderr);
    assert!(
        stderr.contains("data") && stderr.contains("ratings"),
        "{stderr}"
    );
    // Others in their place are not what the run had learned from.
    let others = std::fs::read_to_string(dir.join("elsewhere.csv")).unwrap();
    let fewer = &others[..others.trim_end().rfind('\n').unwrap() + 1];
    std::fs::write(dir.join("data/ratings.csv"), fewer).unwrap();
    let stderr = text(&run_in(dir, &["--resume", "run"]).stderr);
    let change = "ratings: 20,000 then, 19,999 now";
    assert!(stderr.contains(change), "{stderr}");
    std::fs::rename(dir.join("elsewhere.csv"), dir.join("data/ratings.csv")).unwrap();
    assert!(run_in(dir, &["--resume", "run"]).status.success());
}
