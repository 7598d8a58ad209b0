//! Names of tensors: what wrappers put before them, which look alike, and what they come to
//! in words.

use crate::checkpoint::Format;
use crate::error::on_a_line;
use crate::tensor::TensorInfo;

/// Tensors that a description names.
const TENSORS_NAMED: usize = 4;
/// Names that are given in place of one that is not there.
const NEAREST: usize = 3;

/// Takes off what stands before all names, as long as one of `prefixes` does.
pub(crate) fn take_off(tensors: &mut [(String, TensorInfo)], prefixes: &[&str]) {
    let mut cut = 0;
    let has_all = |cut: usize, prefix: &str| {
        let mut names = tensors.iter().filter_map(|(name, _)| name.get(cut..));
        names.all(|name| name.len() > prefix.len() && name.starts_with(prefix))
    };
    while let Some(prefix) = prefixes.iter().find(|prefix| has_all(cut, prefix))
        && !tensors.is_empty()
    {
        cut += prefix.len();
    }
    for (name, _) in tensors {
        name.drain(..cut);
    }
}

/// The names that share the most of their end with `name`: the same parameter elsewhere.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let last_parts = |other: &str| {
        let both = name.rsplit('.').zip(other.rsplit('.'));
        both.take_while(|(a, b)| a == b).count()
    };
    let mut near: Vec<(usize, &str)> = names.map(|other| (last_parts(other), other)).collect();
    // Names that end in `weight` are many.
    near.retain(|&(parts, _)| parts > 1);
    near.sort_by_key(|&(parts, _)| std::cmp::Reverse(parts));
    near.truncate(NEAREST);
    near.into_iter().map(|(_, name)| name).collect()
}

/// What a file holds.
pub(crate) fn describe(format: Format, root: &str, tensors: &[(String, TensorInfo)]) -> String {
    let format = match format {
        Format::Zip => "",
        Format::Legacy => ", of the format before PyTorch 1.6,",
        Format::TorchScript => ", of TorchScript,",
    };
    let named = tensors.iter().take(TENSORS_NAMED).map(|(name, info)| {
        let name = on_a_line(name);
        match info.place {
            Ok(_) => format!("'{name}' {} {:?}", info.dtype, info.shape),
            Err(_) => format!("'{name}'"),
        }
    });
    let named: Vec<String> = named.collect();
    let (count, more) = match tensors.len() {
        1 => ("1 tensor".to_owned(), ""),
        count if count > TENSORS_NAMED => (format!("{count} tensors"), ", …"),
        count => (format!("{count} tensors"), ""),
    };
    format!("{root}{format} with {count}: {}{more}", named.join(", "))
}
