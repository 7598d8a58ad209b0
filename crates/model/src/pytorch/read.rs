//! The tensors of a checkpoint under the names that this crate has for them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use mmdlrm_checkpoints::{Checkpoint, TensorInfo};
use safetensors::Dtype;

use crate::pytorch::torchrec;
use crate::weights::Stored;
use crate::{Error, Result};

/// With which names of facebookresearch/dlrm begin: MLPs, tables, and learned weights of bags.
const FACEBOOK: [&str; 4] = ["bot_l", "top_l", "emb_l", "v_W_l"];
/// Parts of names that wrappers of a model's parts put there: `bot_l.module.0.weight` is of
/// `DataParallel`.
const WRAPPERS: [&str; 2] = ["module", "_orig_mod"];
/// How many times longer than its file all tensors together may be: some share their numbers,
/// and halves become singles.
const MOST_GROWTH: u64 = 16;

/// Whose names a checkpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Facebook,
    TorchRec,
}

/// The parameters of a checkpoint, named as facebookresearch/dlrm names them.
pub(super) struct Parameters {
    pub stored: HashMap<String, Stored<'static>>,
    pub family: Family,
    /// Names of the tables, where they have some.
    pub tables: Vec<String>,
    pub holds: Holds,
    /// Names in the file.
    names: HashMap<String, String>,
}

/// What a file holds, for errors.
pub(super) struct Holds(String);

impl Holds {
    /// Says behind what does not fit what the file holds instead.
    pub fn add_to(&self, error: Error) -> Error {
        match error {
            Error::Weights(problem) => Error::Weights(format!("{problem}; {}", self.0)),
            other => other,
        }
    }
}

impl Parameters {
    /// Reads a file against its checksums.
    pub fn read(path: &Path) -> Result<Self> {
        let file = Checkpoint::open(path)?.into_model()?;
        file.check()?;
        let holds = Holds(format!("{} holds {}", path.display(), file.describe()));
        let tensors: Vec<(String, &str)> = without_common_parts(&file);
        let first = |names: &[&str]| {
            let mut roots = tensors.iter().map(|(name, _)| root(name));
            roots.any(|root| names.contains(&root))
        };
        let family = match (first(&FACEBOOK), first(&torchrec::ROOTS)) {
            (true, _) => Family::Facebook,
            (false, true) => Family::TorchRec,
            (false, false) => return Err(holds.add_to(no_dlrm(&file))),
        };
        let mut renamed = match family {
            Family::Facebook => torchrec::Renamed::unchanged(tensors),
            Family::TorchRec => torchrec::rename(tensors).map_err(|error| holds.add_to(error))?,
        };
        check_lengths(&file)?;
        let mut stored = HashMap::new();
        let mut names = HashMap::new();
        for (name, file_name) in renamed.names.drain(..) {
            let tensor = read(&file, file_name)?;
            names.insert(name.clone(), file_name.to_owned());
            if stored.insert(name.clone(), tensor).is_some() {
                return Err(Error::Weights(format!(
                    "{} has '{name}' twice, under different wrappers",
                    path.display()
                )));
            }
        }
        if family == Family::TorchRec
            && let Some(first) = stored.get_mut(torchrec::FIRST_TOP)
        {
            torchrec::reorder_pairs(first, 1 + renamed.tables.len());
        }
        Ok(Self {
            stored,
            family,
            tables: renamed.tables,
            holds,
            names,
        })
    }

    /// The name that the file has for a parameter.
    pub fn file_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.names.get(name).map_or(name, String::as_str)
    }

    /// The error of a matrix that is not there.
    pub fn no_matrix(&self, name: &str) -> Error {
        let problem = match (self.stored.get(name), self.family) {
            (Some(tensor), _) => format!(
                "'{}' is {:?}, not a matrix",
                self.file_name(name),
                tensor.shape
            ),
            (None, Family::Facebook) => format!("there is no '{name}'"),
            (None, Family::TorchRec) => {
                format!("there is no '{}'", torchrec::name_of(name))
            }
        };
        Error::Weights(problem)
    }
}

/// The first part of a name.
fn root(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// The names without parts that wrappers put there, and without first parts that all have in
/// common, with the names in the file, in its order.
fn without_common_parts(file: &Checkpoint) -> Vec<(String, &str)> {
    let names = file.tensors().map(|(name, _)| name);
    let parts = names.clone().map(|name| {
        let parts = name.split('.');
        parts.filter(|part| !WRAPPERS.contains(part)).collect()
    });
    let parts: Vec<Vec<&str>> = parts.collect();
    let is_known = |part: &&str| FACEBOOK.contains(part) || torchrec::ROOTS.contains(part);
    let mut common = 0;
    while let Some(first) = parts.first().and_then(|parts| parts.get(common))
        && !is_known(first)
        && parts
            .iter()
            .all(|parts| parts.len() > common + 1 && parts[common] == *first)
    {
        common += 1;
    }
    let parts = parts.iter().map(|parts| parts[common..].join("."));
    parts.zip(names).collect()
}

fn no_dlrm(file: &Checkpoint) -> Error {
    let (facebook, torchrec) = ("bot_l.0.weight", torchrec::name_of("bot_l.0.weight"));
    let near = [facebook, &torchrec].map(|name| file.nearest(name).into_iter());
    let near: Vec<&str> = near.into_iter().flatten().collect();
    let near = match near.is_empty() {
        true => String::new(),
        false => format!(" (there is '{}')", near.join("', '")),
    };
    Error::Weights(format!(
        "this is no DLRM: it has neither '{facebook}', as those of facebookresearch/dlrm, nor '{torchrec}', as TorchRec's{near}"
    ))
}

/// Refuses tensors that are much longer than their file, before memory is allocated for any.
fn check_lengths(file: &Checkpoint) -> Result<()> {
    let most = file.length().saturating_mul(MOST_GROWTH);
    let readable = file.tensors().filter(|(_, info)| info.problem().is_none());
    let counts = readable.map(|(_, info)| info.count());
    let bytes = counts
        .fold(0u64, u64::saturating_add)
        .saturating_mul(size_of::<f32>() as u64);
    match bytes <= most {
        true => Ok(()),
        false => Err(Error::Weights(format!(
            "the tensors of {} have {bytes} bytes, many times what the file has",
            file.path().display()
        ))),
    }
}

/// The numbers of a tensor in single precision.
fn read(file: &Checkpoint, name: &str) -> Result<Stored<'static>> {
    let numbers = file.read_f32(name)?;
    let data: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    Ok(Stored {
        dtype: Dtype::F32,
        shape: file
            .tensor(name)
            .map_or(&[][..], TensorInfo::shape)
            .to_vec(),
        data: Cow::Owned(data),
    })
}
