//! Models beside the DLRM go the way of any other: trained, kept, measured and asked.

use std::collections::BTreeSet;

use mmdlrm::baselines::GaussianProcessConfig;
use mmdlrm::data::generate::GeneratorConfig;
use mmdlrm::{Experiment, ExperimentConfig, Preset, Query, Recommender, Silent, Source};

#[test]
fn a_process_is_learned_by_an_experiment_and_asked_as_any_other_model() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let config = ExperimentConfig {
        source: Source::Sample(GeneratorConfig {
            contents: false,
            ..GeneratorConfig::tiny()
        }),
        preset: Preset::Dlrm,
        out: run.clone(),
        ..ExperimentConfig::default()
    };
    let experiment = Experiment::new(config).unwrap();
    let fit = GaussianProcessConfig::default();
    let report = experiment.fit(&fit, &mut Silent).unwrap();
    assert!(report.rmse().unwrap() < 1.0, "{:?}", report.rmse());
    let out = folder.path().join("evaluation");
    let evaluated = Experiment::evaluate(&run, None, out, &mut Silent).unwrap();
    assert_eq!(evaluated.rmse(), report.rmse());
    let recommender = Recommender::load(&run, &mut Silent).unwrap();
    assert_eq!(recommender.model(), "gaussian-process");
    let user = recommender.user_ids()[0];
    let found = recommender.recommend(user, &Query::default()).unwrap();
    let reasons = found.iter().flat_map(|movie| &movie.reasons);
    let parts: BTreeSet<&str> = reasons.map(|reason| reason.part.as_str()).collect();
    assert_eq!(parts, BTreeSet::from(["bias", "process"]));
}
