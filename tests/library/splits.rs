//! What is held out, from the configuration to the figures.

use std::fs;
use std::path::Path;

use mmdlrm::data::generate::GeneratorConfig;
use mmdlrm::{Experiment, ExperimentConfig, Preset, Report, Silent, Source, SplitConfig};

fn config(out: &Path) -> ExperimentConfig {
    let mut config = ExperimentConfig {
        source: Source::Sample(GeneratorConfig::tiny()),
        split: SplitConfig::Random {
            test_share: 0.2,
            seed: 5,
        },
        validation: Some(0.1),
        preset: Preset::Dlrm,
        dim: 8,
        seed: 7,
        out: out.to_owned(),
        ..ExperimentConfig::default()
    };
    config.train.epochs = 3;
    config
}

fn run(config: ExperimentConfig) -> Report {
    Experiment::new(config).unwrap().run(&mut Silent).unwrap()
}

#[test]
fn ratings_on_disk_are_validated_on_by_the_seed_of_the_split_as_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str, stream: bool, seed: u64| {
        let out = folder.path().join(name);
        run(ExperimentConfig {
            stream,
            seed,
            ..config(&out)
        });
        let epochs = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
        let epoch: serde_json::Value =
            serde_json::from_str(epochs.lines().next().unwrap()).unwrap();
        let error = epoch["validation_rmse"].as_f64().unwrap();
        (fs::read(out.join("model.safetensors")).unwrap(), error)
    };
    assert!(of("memory", false, 7) == of("disk", true, 7));
}

#[test]
fn evaluating_a_run_says_what_the_run_said_with_validation_rows_too() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut config = config(&out);
    config.validation = Some(0.4);
    let report = run(config);
    let evaluated = folder.path().join("evaluated");
    let again = Experiment::evaluate(&out, None, evaluated, &mut Silent).unwrap();
    assert_eq!(again.errors, report.errors);
    assert_eq!(again.ndcg_at_10(), report.ndcg_at_10());
}
