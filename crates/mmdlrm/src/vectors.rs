//! Vectors that were computed elsewhere.

use std::path::PathBuf;
use std::str::FromStr;

use mmdlrm_baselines::GaussianProcess;
use mmdlrm_data::{BatchSchema, ColumnField, ColumnKind, IdMap, Modality};
use mmdlrm_encoders::Kind;
use mmdlrm_features::Features;
use mmdlrm_model::Part;
use mmdlrm_train::{RATED_AUDIENCE_TABLE, RATED_HISTORY_TABLE, Share};
use serde::{Deserialize, Serialize};

use crate::{Error, Observer, Result};

/// What models and their reasons call other things than vectors of one's own.
const TAKEN: [&str; 13] = [
    Kind::Image.name(),
    Kind::Text.name(),
    "genome",
    "credits",
    Features::GENRE,
    Features::DENSE,
    Features::HISTORY,
    Features::AUDIENCE,
    RATED_HISTORY_TABLE,
    RATED_AUDIENCE_TABLE,
    Part::FEATURES,
    Share::BIAS,
    GaussianProcess::PART,
];

/// A Parquet file of vectors that were computed elsewhere, one a movie, which are one more
/// modality: [`Modality::from_parquet`] says what is in it.
///
/// ```
/// use mmdlrm::VectorsFile;
///
/// let vectors: VectorsFile = "sound=vectors/sound.parquet".parse()?;
/// assert_eq!(vectors.name, "sound");
/// assert_eq!(vectors.file.to_str(), Some("vectors/sound.parquet"));
/// # Ok::<(), mmdlrm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorsFile {
    /// Name of the modality: letters, digits, `_` and `-`, and no name of anything else that
    /// a model looks at, as `image` or `genre`.
    pub name: String,
    /// The file.
    pub file: PathBuf,
}

impl FromStr for VectorsFile {
    type Err = Error;

    /// Of `NAME=FILE`.
    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('=').filter(|(_, file)| !file.is_empty());
        let (name, file) = parts.ok_or_else(|| Error::Setting {
            setting: "vectors",
            value: format!("'{text}'"),
            rule: "it must be a name and a file, NAME=FILE",
        })?;
        check_letters(name)?;
        Ok(Self {
            name: name.to_owned(),
            file: file.into(),
        })
    }
}

impl VectorsFile {
    /// Checks the names of all files of a run.
    ///
    /// # Errors
    /// The first that is none, or that something else has.
    pub fn check_names(files: &[Self]) -> Result<()> {
        files
            .iter()
            .try_for_each(|file| check_letters(&file.name))?;
        // Batches have no two columns of one name, in a table neither.
        let taken = TAKEN.map(|name| ColumnField::new(name, ColumnKind::Ids { ids: 1 }));
        let vectors = files.iter().map(|file| {
            let vectors = ColumnKind::Vectors { width: 1 };
            ColumnField::new(&file.name, vectors)
        });
        match BatchSchema::new(1, 1, taken.into_iter().chain(vectors)) {
            Ok(_) => Ok(()),
            Err(mmdlrm_data::Error::Setting { value, .. }) => Err(Error::Setting {
                setting: "name of vectors",
                value: format!("'{value}'"),
                rule: "something else that a model looks at has that name; give each its own",
            }),
            Err(other) => Err(other.into()),
        }
    }

    /// Reads all files, for the catalogue `movies`.
    ///
    /// # Errors
    /// As [`Self::check_names`] and [`Modality::from_parquet`].
    pub fn read_all(files: &[Self], movies: &IdMap) -> Result<Vec<Modality>> {
        Self::check_names(files)?;
        let read = files
            .iter()
            .map(|it| Modality::from_parquet(&it.name, movies, &it.file));
        Ok(read.collect::<mmdlrm_data::Result<_>>()?)
    }
}

fn check_letters(name: &str) -> Result<()> {
    let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    match !name.is_empty() && name.bytes().all(is_of_a_name) {
        true => Ok(()),
        false => Err(Error::Setting {
            setting: "name of vectors",
            value: format!("'{name}'"),
            rule: "it must be of letters and digits from ASCII, _ and -, at least one",
        }),
    }
}

/// Tells of vectors of movies that the release lacks.
pub(crate) fn note_left_out(what: &str, modality: &Modality, observer: &mut dyn Observer) {
    let left_out = modality.left_out();
    if left_out > 0 {
        observer.note(&format!(
            "{left_out} movies of {what} are not in the table of movies and are left out"
        ));
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::Batch;
    use serde_json::Value;

    use super::*;
    use crate::ExperimentConfig;

    fn refusal(names: &[&str]) -> String {
        let file = |name: &&str| VectorsFile {
            name: (*name).to_owned(),
            file: "v.parquet".into(),
        };
        let files: Vec<VectorsFile> = names.iter().map(file).collect();
        match VectorsFile::check_names(&files) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn names_that_cannot_be_told_from_others_are_refused() {
        assert_eq!(refusal(&["sound", "Cast_2-b"]), "");
        for name in TAKEN.iter().chain(&[Batch::USER, Batch::MOVIE, "stars"]) {
            let error = refusal(&[name]);
            assert!(
                error.contains(&format!("vectors is '{name}', but something else")),
                "{error}"
            );
        }
        for names in [&["sound", "sound"][..], &["sound", "soundRow"]] {
            assert!(
                refusal(names).contains("has that name; give each its own"),
                "{names:?}"
            );
        }
        for name in ["", "a b", "ton=", "Ton/Film", "größe"] {
            let error = refusal(&[name]);
            assert!(
                error.contains(&format!("vectors is '{name}', but it must be")),
                "{error}"
            );
        }
    }

    #[test]
    fn settings_come_back_from_a_file_those_of_earlier_versions_too() {
        let config = ExperimentConfig {
            vectors: vec!["sound=sound.parquet".parse().unwrap()],
            ..ExperimentConfig::default()
        };
        let mut json = serde_json::to_value(&config).unwrap();
        let read = |json: &Value| serde_json::from_value::<ExperimentConfig>(json.clone());
        assert_eq!(read(&json).unwrap(), config);
        json["vectors"][0]["width"] = 4.into();
        assert!(read(&json).unwrap_err().to_string().contains("`width`"));
        json.as_object_mut().unwrap().remove("vectors");
        assert_eq!(read(&json).unwrap(), ExperimentConfig::default());
    }

    #[test]
    fn what_is_no_name_and_file_is_refused() {
        for text in ["sound.parquet", "sound=", ""] {
            let error = text.parse::<VectorsFile>().unwrap_err().to_string();
            assert!(
                error.contains(&format!("'{text}', but it must be a name")),
                "{error}"
            );
        }
        // A path may have what parts it from its name.
        let file = "a=b=c.parquet".parse::<VectorsFile>().unwrap();
        assert_eq!(
            (&*file.name, file.file.to_str()),
            ("a", Some("b=c.parquet"))
        );
    }
}
