//! TorchRec's DLRM under the names of facebookresearch/dlrm.
//!
//! ```text
//! sparse_arch.embedding_bag_collection.embedding_bags.NAME.weight   emb_l.k.weight
//! dense_arch.model._mlp.k._linear.weight                            bot_l.2k.weight
//! over_arch.model.0._mlp.k._linear.weight                           top_l.2k.weight
//! over_arch.model.1.weight                                          top_l.2n.weight
//! ```
//!
//! `k` counts tables in the file's order, which is that of their vectors, and `n` is the number
//! of layers before the last. Both have the bottom's vector first, then the dot products of
//! all pairs: TorchRec's along the upper triangle (`v₀·v₁, v₀·v₂, …, v₁·v₂, …`), ours along
//! the lower (`v₁·v₀, v₂·v₀, v₂·v₁, …`), so that the first layer's columns are put in
//! our order.

use crate::interaction::pair;
use crate::weights::Stored;
use crate::{Error, Result};

/// With which its names begin.
pub(super) const ROOTS: [&str; 4] = ["sparse_arch", "dense_arch", "inter_arch", "over_arch"];
/// The layer that reads the pairs.
pub(super) const FIRST_TOP: &str = "top_l.0.weight";

const TABLES: &str = "sparse_arch.embedding_bag_collection.embedding_bags.";
const BOTTOM: &str = "dense_arch.model._mlp.";
const TOP: &str = "over_arch.model.0._mlp.";
const LAST: &str = "over_arch.model.1.";
/// Which pairs there are: no parameter.
const PAIRS: &str = "inter_arch.triu_indices";
const F32_BYTES: usize = size_of::<f32>();

/// Our names with those in the file, and the tables' names.
pub(super) struct Renamed<'a> {
    pub names: Vec<(String, &'a str)>,
    pub tables: Vec<String>,
}

impl<'a> Renamed<'a> {
    pub fn unchanged(names: Vec<(String, &'a str)>) -> Self {
        Self {
            names,
            tables: Vec::new(),
        }
    }
}

/// Gives parameters our names; others keep theirs.
pub(super) fn rename(names: Vec<(String, &str)>) -> Result<Renamed<'_>> {
    if let Some((name, _)) = names.iter().find(|(name, _)| is_of_interaction(name)) {
        return Err(Error::Weights(format!(
            "'{name}' is of an interaction that learns, as TorchRec's DLRM_DCN and DLRM_Projection have; read is DLRM, whose interaction is the dot product"
        )));
    }
    let layers = names.iter().filter_map(|(name, _)| layer(name, TOP));
    let last = layers.map(|(layer, _)| layer + 1).max().unwrap_or(0);
    let mut renamed = Renamed::unchanged(Vec::new());
    for (name, file_name) in names {
        if name == PAIRS {
            continue;
        }
        let table = name
            .strip_prefix(TABLES)
            .and_then(|rest| rest.strip_suffix(".weight"));
        let ours = if let Some(table) = table {
            renamed.tables.push(table.to_owned());
            format!("emb_l.{}.weight", renamed.tables.len() - 1)
        } else if let Some((layer, kind)) = layer(&name, BOTTOM) {
            format!("bot_l.{}.{kind}", 2 * layer)
        } else if let Some((layer, kind)) = layer(&name, TOP) {
            format!("top_l.{}.{kind}", 2 * layer)
        } else if let Some(kind) = name.strip_prefix(LAST) {
            format!("top_l.{}.{kind}", 2 * last)
        } else {
            name
        };
        renamed.names.push((ours, file_name));
    }
    Ok(renamed)
}

fn is_of_interaction(name: &str) -> bool {
    name.starts_with("inter_arch.") && name != PAIRS
}

/// Number of a layer, and what of it a name stands for.
fn layer<'a>(name: &'a str, prefix: &str) -> Option<(usize, &'a str)> {
    let (number, kind) = name.strip_prefix(prefix)?.split_once("._linear.")?;
    // As far as layers are counted: the number of a name could be any.
    let number = number.parse::<u16>().ok()?;
    Some((usize::from(number), kind))
}

/// TorchRec's name of the first layer of an MLP.
pub(super) fn name_of(ours: &str) -> String {
    let (prefix, rest) = match ours.strip_prefix("bot_l.0.") {
        Some(rest) => (BOTTOM, rest),
        None => (TOP, ours.strip_prefix("top_l.0.").unwrap_or(ours)),
    };
    format!("{prefix}0._linear.{rest}")
}

/// Puts the columns of the first top layer in our order, where it reads the pairs of so many
/// vectors; a matrix of another width is left to the check of shapes.
pub(super) fn reorder_pairs(matrix: &mut Stored, vectors: usize) {
    let pairs = vectors * (vectors - 1) / 2;
    let &[_, columns] = matrix.shape.as_slice() else {
        return;
    };
    let Some(first) = columns.checked_sub(pairs) else {
        return;
    };
    let theirs = (0..vectors).flat_map(|i| (i + 1..vectors).map(move |j| (i, j)));
    // Where each of their columns stands with us.
    let places: Vec<usize> = theirs.filter_map(|(i, j)| pair(i, j, false)).collect();
    let data = matrix.data.to_mut();
    let mut row = Vec::new();
    for numbers in data.chunks_exact_mut(columns.max(1) * F32_BYTES) {
        row.clear();
        row.extend_from_slice(&numbers[first * F32_BYTES..]);
        for (number, place) in row.chunks_exact(F32_BYTES).zip(&places) {
            let at = (first + place) * F32_BYTES;
            numbers[at..at + F32_BYTES].copy_from_slice(number);
        }
    }
}
