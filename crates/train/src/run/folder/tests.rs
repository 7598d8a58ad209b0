use mmdlrm_model::{Dlrm, DlrmConfig};
use serde_json::json;

use super::*;

/// A folder with a run in it that has come to `metrics`.
fn holding(metrics: &[serde_json::Value]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path()).unwrap();
    run.write_config(&1).unwrap();
    for line in metrics {
        run.append_metrics(line).unwrap();
    }
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

#[test]
fn a_run_is_replaced_only_when_that_is_asked_for_and_not_before_the_new_one_begins() {
    let folder = holding(&[json!({"epoch": 1}), json!({"final": true})]);
    let path = folder.path();
    std::fs::write(path.join("notes.txt"), "mine").unwrap();
    std::fs::create_dir(path.join(CHECKPOINTS)).unwrap();
    let before = names(path);
    let error = RunFolder::create(path).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert!(error.to_string().contains("--overwrite"), "{error}");
    let replacement = RunFolder::replace(path).unwrap();
    drop(replacement);
    assert_eq!(names(path), before);
    RunFolder::replace(path).unwrap().begin().unwrap();
    assert!(!path.join(CONFIG).exists() && !path.join(CHECKPOINTS).exists());
    assert_eq!(std::fs::read(path.join(METRICS)).unwrap(), b"");
    assert!(path.join("notes.txt").exists());
}

#[test]
fn a_run_that_has_learned_nothing_yet_gives_way() {
    let folder = holding(&[]);
    RunFolder::create(folder.path()).unwrap();
    std::fs::write(folder.path().join(MODEL), "of an epoch").unwrap();
    let error = RunFolder::create(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
}

#[test]
fn a_model_is_read_for_the_run_that_it_was_written_for() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path()).unwrap();
    let model = Dlrm::new(DlrmConfig::default(), 1).unwrap();
    let bytes = model.to_safetensors().unwrap();
    run.write_model(&bytes, "one").unwrap();
    let read = RunFolder::model_of(folder.path(), "one").unwrap();
    Dlrm::from_safetensors(&read).unwrap();
    let error = RunFolder::model_of(folder.path(), "two").unwrap_err();
    assert!(matches!(error, Error::OtherModel { .. }), "{error}");
    // As it was before models said whose they are.
    std::fs::write(folder.path().join(MODEL), bytes).unwrap();
    assert!(RunFolder::model_of(folder.path(), "one").is_err());
    assert!(run.write_model(b"something else", "one").is_err());
}

#[test]
fn a_folder_is_of_one_run_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path()).unwrap();
    run.write_config(&1).unwrap();
    for second in [RunFolder::create(run.path()), RunFolder::open(run.path())] {
        assert!(matches!(second, Err(Error::Busy { .. })));
    }
    drop(run);
    let run = RunFolder::open(folder.path()).unwrap();
    assert_eq!(run.read_config::<u32>().unwrap(), 1);
}

#[test]
fn a_run_that_stopped_before_its_end_is_told_apart() {
    let folder = holding(&[json!({"epoch": 1})]);
    std::fs::create_dir(folder.path().join(CHECKPOINTS)).unwrap();
    let error = RunFolder::create(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Unfinished { .. }), "{error}");
    RunFolder::replace(folder.path()).unwrap().begin().unwrap();
    assert!(!folder.path().join(CHECKPOINTS).exists());
}

#[test]
fn checkpoints_of_something_else_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join(CHECKPOINTS).join("epoch=3.ckpt");
    std::fs::create_dir(folder.path().join(CHECKPOINTS)).unwrap();
    std::fs::write(&weights, "of PyTorch").unwrap();
    for refused in [
        RunFolder::create(folder.path()).unwrap_err(),
        RunFolder::replace(folder.path()).unwrap_err(),
    ] {
        assert!(matches!(refused, Error::Taken { .. }), "{refused}");
    }
    // Nor do they go with those of a run.
    std::fs::write(folder.path().join(METRICS), "").unwrap();
    let ours = folder
        .path()
        .join(CHECKPOINTS)
        .join("step-000000000001.safetensors");
    std::fs::write(&ours, "of a run").unwrap();
    RunFolder::replace(folder.path()).unwrap().begin().unwrap();
    assert!(weights.exists() && !ours.exists());
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join(CONFIG);
    std::fs::write(&config, "of a model").unwrap();
    for refused in [
        RunFolder::create(folder.path()).unwrap_err(),
        RunFolder::replace(folder.path()).unwrap_err(),
    ] {
        assert!(matches!(refused, Error::Taken { .. }), "{refused}");
    }
    assert_eq!(std::fs::read(&config).unwrap(), b"of a model");
}
