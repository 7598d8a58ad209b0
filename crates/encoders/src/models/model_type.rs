//! Which model a `config.json` is of.

use serde::Deserialize;

use crate::Result;
use crate::models::json::{parse, unusable};
use crate::models::source::SmallFile;

/// Models of pictures and texts, …
pub(crate) const OF_BOTH: [&str; 2] = ["clip", "siglip"];
/// … of pictures alone, …
pub(crate) const OF_PICTURES: [&str; 3] = ["dinov2", "dinov2_with_registers", "resnet"];
/// … and of texts alone.
pub(crate) const OF_TEXTS: [&str; 6] = [
    "bert",
    "camembert",
    "distilbert",
    "mpnet",
    "roberta",
    "xlm-roberta",
];

/// What every `config.json` has.
#[derive(Deserialize)]
struct AnyConfig {
    model_type: Option<String>,
}

/// The `model_type` of a configuration, looked at before anything else: what the rest means
/// depends on it. `usual` where the file has none, as old ones have not.
///
/// # Errors
/// A model that is not among `supported`, with what is loaded and by whom.
pub(crate) fn model_type(file: &SmallFile, usual: &str, supported: &[&str]) -> Result<String> {
    let config: AnyConfig = parse(file)?;
    let found = config.model_type.unwrap_or_else(|| usual.to_owned());
    if supported.contains(&found.as_str()) {
        return Ok(found);
    }
    Err(unusable(file, problem(&found, supported)))
}

/// Whether a configuration says what it is of.
pub(crate) fn has_model_type(file: &SmallFile) -> Result<bool> {
    Ok(parse::<AnyConfig>(file)?.model_type.is_some())
}

fn problem(found: &str, supported: &[&str]) -> String {
    let wanted = supported.join(", ");
    let is_in = |models: &[&str]| models.contains(&found);
    let other = if is_in(&OF_BOTH) {
        "a model of pictures and texts: --clip MODEL"
    } else if is_in(&OF_PICTURES) {
        "a model of pictures: --image MODEL"
    } else if is_in(&OF_TEXTS) {
        "a model of texts: --text MODEL"
    } else {
        return format!(
            "model_type is '{found}', which is not supported; supported are {} for pictures and \
             texts, {} for pictures, {} for texts",
            OF_BOTH.join(", "),
            OF_PICTURES.join(", "),
            OF_TEXTS.join(", ")
        );
    };
    format!("model_type is '{found}', not one of {wanted}; it is {other}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_are_not_supported_are_named_with_those_that_are() {
        let read = |json: &str| {
            let file = SmallFile {
                path: "config.json".into(),
                bytes: json.into(),
            };
            model_type(&file, "bert", &OF_TEXTS)
        };
        assert_eq!(read(r#"{"model_type": "mpnet"}"#).unwrap(), "mpnet");
        assert_eq!(read("{}").unwrap(), "bert");
        for (json, part) in [
            (r#"{"model_type": "chinese_clip"}"#, "xlm-roberta for texts"),
            (r#"{"model_type": "clip"}"#, "--clip MODEL"),
            (r#"{"model_type": "dinov2"}"#, "--image MODEL"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
