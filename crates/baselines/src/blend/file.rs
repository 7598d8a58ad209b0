//! Several models in one file.

use std::collections::{BTreeMap, HashMap};

use mmdlrm_features::Known;
use mmdlrm_train::{Error, Persist, Result};
use safetensors::tensor::{SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

/// Key of the file's metadata under which the parts stand, as JSON.
const BLEND_KEY: &str = "mmdlrm_blend";
/// Stands between the name of a part and that of its tensor.
const SEPARATOR: char = '.';

/// The files of a [`Blend`](crate::Blend)'s parts, each with a name and a weight, as one
/// safetensors file: tensor `weight` of the part `a` is called `a.weight`, and what each part
/// says in its own metadata, its settings, stands in the metadata of the whole. A part comes
/// out as it went in, to be read by [`Persist::load`] of its own kind.
///
/// It is what a blend of known parts is kept by; [`Blend`](crate::Blend) itself does not know
/// who reads its parts.
///
/// ```
/// use mmdlrm_baselines::BlendFile;
/// use mmdlrm_train::{Kept, Persist, Tensors};
///
/// let part = |value| {
///     let mut tensors = Tensors::default();
///     tensors.put("weight", vec![value]);
///     tensors.to_safetensors(&"settings")
/// };
/// let file = BlendFile::default().with("a", 0.7, part(1.0)?)?.with("b", 0.3, part(2.0)?)?;
/// let read = BlendFile::read(&file.to_safetensors()?)?;
/// let (weight, b) = read.part("b")?;
/// let (settings, kept) = Kept::from_safetensors::<String>(b)?;
/// assert_eq!((weight, settings.as_str()), (0.3, "settings"));
/// assert_eq!(kept.get("weight")?, [2.0]);
/// # Ok::<(), mmdlrm_train::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BlendFile {
    parts: BTreeMap<String, (f64, Vec<u8>)>,
}

/// What the metadata say of a part.
#[derive(Serialize, Deserialize)]
struct About {
    weight: f64,
    /// The part's own metadata.
    metadata: BTreeMap<String, String>,
}

impl BlendFile {
    /// And a part: its safetensors file, as [`Persist::to_safetensors`] makes it.
    ///
    /// # Errors
    /// A second part of that name, or a name with a dot in it.
    pub fn with(mut self, name: &str, weight: f64, file: Vec<u8>) -> Result<Self> {
        let is_free = !name.contains(SEPARATOR) && !self.parts.contains_key(name);
        if !is_free {
            return Err(Error::Setting {
                setting: "name of a part",
                value: name.to_owned(),
                rule: "each part needs a name of its own, without a dot",
            });
        }
        self.parts.insert(name.to_owned(), (weight, file));
        Ok(self)
    }

    /// Weight and file of a part.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where there is none of that name.
    pub fn part(&self, name: &str) -> Result<(f64, &[u8])> {
        match self.parts.get(name) {
            Some((weight, file)) => Ok((*weight, file)),
            None => Err(Error::Mismatch(format!(
                "the blend's file has no part {name}, but {}",
                self.names().collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// Names of the parts, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.keys().map(String::as_str)
    }

    /// The inverse of [`Persist::to_safetensors`], without any data.
    ///
    /// # Errors
    /// Bytes of no safetensors file, or of one that is no blend's.
    pub fn read(file: &[u8]) -> Result<Self> {
        let (_, metadata) = SafeTensors::read_metadata(file)?;
        let entries = metadata.metadata().as_ref();
        let about = entries.and_then(|entries| entries.get(BLEND_KEY));
        let about = about.ok_or_else(|| {
            Error::Mismatch(format!(
                "the model's file is no blend's: it has no {BLEND_KEY} in its metadata"
            ))
        })?;
        let about: BTreeMap<String, About> = serde_json::from_str(about)?;
        let tensors = SafeTensors::deserialize(file)?;
        let mut parts = BTreeMap::new();
        for (name, About { weight, metadata }) in about {
            let of_part = tensors.iter().filter_map(|(tensor, view)| {
                let own = tensor.strip_prefix(&name)?.strip_prefix(SEPARATOR)?;
                Some((own, view))
            });
            let metadata: HashMap<String, String> = metadata.into_iter().collect();
            let file = safetensors::serialize(of_part, Some(metadata))?;
            parts.insert(name, (weight, file));
        }
        Ok(Self { parts })
    }
}

impl Persist for BlendFile {
    fn kind() -> &'static str {
        "blend"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut about = BTreeMap::new();
        let mut views: Vec<(String, TensorView)> = Vec::new();
        for (name, (weight, file)) in &self.parts {
            let (_, metadata) = SafeTensors::read_metadata(file)?;
            let metadata = metadata.metadata().clone().unwrap_or_default();
            let of_part = About {
                weight: *weight,
                metadata: metadata.into_iter().collect(),
            };
            about.insert(name, of_part);
            let tensors = SafeTensors::deserialize(file)?.tensors().into_iter();
            views
                .extend(tensors.map(|(tensor, view)| (format!("{name}{SEPARATOR}{tensor}"), view)));
        }
        // One key: those of a safetensors file are in no order.
        let metadata = HashMap::from([(BLEND_KEY.to_owned(), serde_json::to_string(&about)?)]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    fn load(file: &[u8], _known: &Known) -> Result<Self> {
        Self::read(file)
    }
}
