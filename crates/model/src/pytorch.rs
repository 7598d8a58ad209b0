//! Checkpoints of facebookresearch/dlrm.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::panic::catch_unwind;
use std::path::Path;

use candle_core::pickle::{Object, PthTensors, Stack, TensorInfo};
use candle_core::{DType, Tensor};
use safetensors::Dtype;
use zip::ZipArchive;

use crate::config::BottomConfig;
use crate::weights::Stored;
use crate::{
    Dlrm, DlrmConfig, Error, Interaction, Output, OutputActivation, Result, Side, TableConfig,
};

/// Under which facebookresearch/dlrm keeps the parameters.
const STATE_DICT: &str = "state_dict";

impl Dlrm {
    /// A model as the checkpoint describes it: `dlrm_s_pytorch.py
    /// --save-model`, or a plain state dict, with `dot` or `cat` interaction and
    /// a sigmoid at the end. Tables may be of mixed dimensions.
    ///
    /// What a checkpoint does not say has to be known: for quotient-remainder
    /// tables, make the model and call [`Self::load_pytorch`]. All tables are
    /// put on the item's side.
    ///
    /// # Errors
    /// A file that cannot be read, or is no such checkpoint.
    pub fn from_pytorch(path: impl AsRef<Path>) -> Result<Self> {
        let stored = read(path.as_ref())?;
        Self::of_stored(describe(&stored)?, stored)
    }

    /// Loads the parameters of a checkpoint of facebookresearch/dlrm into a model
    /// of the same shape.
    ///
    /// # Errors
    /// A file that cannot be read; a tensor that is missing, left over, or of
    /// another shape: all differences are listed, and nothing is loaded.
    pub fn load_pytorch(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.load_stored(read(path.as_ref())?, Vec::new())
    }
}

fn read(path: &Path) -> Result<HashMap<String, Stored<'static>>> {
    let error = |source| Error::PyTorch {
        path: path.to_owned(),
        source: Box::new(source),
    };
    // candle indexes what a pickle holds without looking.
    let open = || {
        let (key, names) = tensor_names(path)?;
        Ok((names, PthTensors::new(path, key)?))
    };
    let (names, file) = catch_unwind(open)
        .unwrap_or_else(|_| {
            Err(candle_core::Error::Msg(
                "its pickle is malformed".to_owned(),
            ))
        })
        .map_err(error)?;
    let infos = file.tensor_infos();
    // Those it passes over.
    if let Some(name) = names.iter().find(|name| !infos.contains_key(*name)) {
        return Err(Error::Weights(format!(
            "'{name}' in {} is of a kind that cannot be read; save it as a dense tensor of floats",
            path.display()
        )));
    }
    let length = std::fs::metadata(path).map_err(|source| error(source.into()))?;
    check_lengths(infos.values(), length.len())?;
    let stored = infos.keys().filter_map(|name| {
        let tensor = file.get(name).transpose()?;
        let stored = tensor.and_then(|tensor| stored(&tensor));
        Some(stored.map(|stored| (name.clone(), stored)).map_err(error))
    });
    stored.collect()
}

/// The names of what the pickle says are tensors, and the key that they stand under, if any,
/// after the whole archive was read against its checksums.
fn tensor_names(path: &Path) -> candle_core::Result<(Option<&'static str>, Vec<String>)> {
    let mut archive = ZipArchive::new(BufReader::new(File::open(path)?))?;
    let mut pickle = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index)?;
        let is_pickle = member.name()?.ends_with("data.pkl");
        if is_pickle && !pickle.is_empty() {
            let problem = "it has several pickles".to_owned();
            return Err(candle_core::Error::Msg(problem));
        }
        match is_pickle {
            true => member.read_to_end(&mut pickle).map(|_| ())?,
            false => std::io::copy(&mut member, &mut std::io::sink()).map(|_| ())?,
        }
    }
    let mut stack = Stack::empty();
    stack.read_loop(&mut pickle.as_slice())?;
    let Object::Dict(all) = stack.finalize()? else {
        return Ok((None, Vec::new()));
    };
    let names = |entries: &[(Object, Object)]| -> Vec<String> {
        let tensors = entries.iter().filter_map(|entry| match entry {
            (Object::Unicode(name), value) if is_tensor(value) => Some(name.clone()),
            _ => None,
        });
        tensors.collect()
    };
    let is_state = |(key, _): &&(Object, Object)| *key == Object::Unicode(STATE_DICT.to_owned());
    let of_state = match all.iter().find(is_state) {
        Some((_, Object::Dict(state))) => names(state),
        _ => Vec::new(),
    };
    Ok(match of_state.is_empty() {
        true => (None, names(&all)),
        false => (Some(STATE_DICT), of_state),
    })
}

/// Tensors of every kind are made by functions of `torch` called `_rebuild_…`.
fn is_tensor(value: &Object) -> bool {
    match value {
        Object::Build { callable, .. } => is_tensor(callable),
        Object::Reduce { callable, .. } => match &**callable {
            Object::Class {
                module_name,
                class_name,
            } => module_name.starts_with("torch") && class_name.starts_with("_rebuild"),
            _ => false,
        },
        _ => false,
    }
}

/// The numbers of a tensor in single precision.
fn stored(tensor: &Tensor) -> candle_core::Result<Stored<'static>> {
    let values = tensor.to_dtype(DType::F32)?.flatten_all()?;
    let values = values.to_vec1::<f32>()?;
    let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    Ok(Stored {
        dtype: Dtype::F32,
        shape: tensor.dims().to_vec(),
        data: Cow::Owned(data),
    })
}

/// Refuses tensors that together are longer than their file, which PyTorch does not
/// compress, before memory is allocated for any.
fn check_lengths<'a>(tensors: impl Iterator<Item = &'a TensorInfo>, length: u64) -> Result<()> {
    let mut left = u128::from(length);
    for tensor in tensors {
        let dims = tensor.layout.dims().iter();
        let numbers = dims.fold(1u128, |product, &dim| product.saturating_mul(dim as u128));
        let bytes = numbers.saturating_mul(tensor.dtype.size_in_bytes() as u128);
        left = left.checked_sub(bytes).ok_or_else(|| {
            Error::Weights(format!(
                "'{}' is {:?}, which is more than the file holds",
                tensor.name,
                tensor.layout.dims()
            ))
        })?;
    }
    Ok(())
}

/// The configuration that has parameters of these names and shapes.
fn describe(stored: &HashMap<String, Stored>) -> Result<DlrmConfig> {
    let missing = |name: &str| Error::Weights(format!("'{name}' is missing or no matrix"));
    let matrix = |name: &str| match stored.get(name).map(|tensor| tensor.shape.as_slice()) {
        Some(&[rows, columns]) => Some((rows, columns)),
        _ => None,
    };
    let mlp = |prefix: &str| {
        let layers = (0..).map_while(|layer| matrix(&format!("{prefix}.{}.weight", 2 * layer)));
        layers.collect::<Vec<_>>()
    };
    let (bottom, mut top) = (mlp("bot_l"), mlp("top_l"));
    let (&(_, features), &(dim, _)) = bottom
        .first()
        .zip(bottom.last())
        .ok_or_else(|| missing("bot_l.0.weight"))?;
    let (_, interacted) = *top.first().ok_or_else(|| missing("top_l.0.weight"))?;
    top.pop();
    let tables: Vec<TableConfig> = (0..)
        .map_while(|number| {
            let name = number.to_string();
            let of = |rows| TableConfig::new(&name, rows, Side::Item);
            if let Some((rows, _)) = matrix(&format!("emb_l.{number}.weight")) {
                return Some(of(rows));
            }
            let (rows, own) = matrix(&format!("emb_l.{number}.embs.weight"))?;
            let dim = Some(own);
            Some(TableConfig { dim, ..of(rows) })
        })
        .collect();
    let vectors = 1 + tables.len();
    let interaction = [
        Interaction::Dot { itself: false },
        Interaction::Dot { itself: true },
        Interaction::Cat,
    ]
    .into_iter()
    .find(|interaction| interaction.width(vectors, dim, vectors * dim) == interacted)
    .ok_or_else(|| {
        Error::Weights(format!(
            "'top_l.0.weight' takes {interacted} numbers, which neither dot nor cat interaction of {vectors} vectors of {dim} gives"
        ))
    })?;
    let widths = |layers: Vec<(usize, usize)>| layers.into_iter().map(|(width, _)| width);
    Ok(DlrmConfig {
        dim,
        bottoms: vec![BottomConfig::new(
            Side::Pair,
            0..features,
            widths(bottom).collect::<Vec<_>>(),
        )],
        tables,
        interaction,
        top: widths(top).collect(),
        output: Output {
            activation: OutputActivation::Sigmoid,
            ..Output::default()
        },
        ..DlrmConfig::default()
    })
}
