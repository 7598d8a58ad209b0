//! Without the feature `encoders`, none can be loaded.

use mmdlrm_data::{Role, Summary};

use crate::modalities::Encoders;
use crate::{Error, ExperimentConfig, Result, Source};

/// Refuses a configuration of which anything would have to be encoded, or drawn.
pub(crate) fn check(config: &ExperimentConfig) -> Result<()> {
    let looks = config.preset.uses_modalities();
    match &config.source {
        Source::Sample(sample) if sample.contents => Err(needed_by("a sample with contents")),
        Source::Folder {
            posters: Some(posters),
            ..
        } if looks => Err(needed_by(&format!("{} to encode", posters.display()))),
        Source::Folder {
            summaries: Some(summaries),
            ..
        } if looks => Err(needed_by(&format!("{} to encode", summaries.display()))),
        Source::Tables(files) if looks => {
            let mut roles = files.options.schema.roles.iter();
            let encoded = roles.find(|(_, role)| matches!(role, Role::Image | Role::Text));
            match encoded {
                None => Ok(()),
                Some((column, role)) => Err(needed_by(&format!("column '{column}', the {role}"))),
            }
        }
        _ => Ok(()),
    }
}

pub(crate) fn load(
    _: &ExperimentConfig,
    _: (bool, bool),
    _: impl FnOnce() -> Result<Vec<Summary>>,
) -> Result<Encoders> {
    Err(needed_by("what encodes posters and plots"))
}

fn needed_by(what: &str) -> Error {
    Error::NeedsFeature {
        what: what.to_owned(),
        feature: "encoders",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Experiment, Preset, Silent};
    use mmdlrm_data::generate::GeneratorConfig;

    fn of(source: Source) -> ExperimentConfig {
        ExperimentConfig {
            source,
            ..ExperimentConfig::default()
        }
    }

    fn folder(posters: bool) -> Source {
        let csv = |wanted: bool, name: &str| wanted.then(|| name.into());
        Source::Folder {
            data: "data".into(),
            posters: csv(posters, "posters.csv"),
            summaries: csv(!posters, "summaries.csv"),
        }
    }

    #[test]
    fn what_would_have_to_be_encoded_is_refused_by_the_feature_that_it_needs() {
        let sample = Source::Sample(GeneratorConfig::tiny());
        for source in [sample, folder(true), folder(false)] {
            let error = of(source).validate().unwrap_err().to_string();
            assert!(error.contains("the feature 'encoders'"), "{error}");
        }
    }

    #[test]
    fn posters_that_no_model_looks_at_need_none() {
        let config = ExperimentConfig {
            preset: Preset::Dlrm,
            ..of(folder(true))
        };
        config.validate().unwrap();
    }

    #[test]
    fn vectors_that_were_computed_elsewhere_need_none() {
        let config = ExperimentConfig {
            preset: Preset::DlrmMultimodal,
            vectors: vec!["sound=sound.parquet".parse().unwrap()],
            ..of(Source::Folder {
                data: "data".into(),
                posters: None,
                summaries: None,
            })
        };
        config.validate().unwrap();
    }

    #[test]
    fn ratings_and_genres_are_learned_without_any_feature() {
        let dir = tempfile::tempdir().unwrap();
        let sample = GeneratorConfig {
            contents: false,
            ..GeneratorConfig::tiny()
        };
        let mut config = of(Source::Sample(sample));
        config.out = dir.path().join("run");
        config.train.epochs = 1;
        let report = Experiment::new(config.clone()).unwrap().run(&mut Silent);
        assert!(report.unwrap().rmse().is_some());
        let page = config.out.join("report.html");
        assert_eq!(page.exists(), cfg!(feature = "report"));
    }
}
