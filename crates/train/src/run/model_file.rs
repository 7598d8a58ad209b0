//! The model of a run: a safetensors file that says whose it is.

use serde_json::{Map, Value};

/// Where a safetensors header keeps what is no tensor, and our key there.
const METADATA: &str = "__metadata__";
pub(super) const RUN_KEY: &str = "mmdlrm_run";
/// The header's length stands before it, in so many bytes; it ends at a multiple of them.
const LENGTH_BYTES: usize = 8;

/// A safetensors file, cut behind its header.
struct Parts<'a> {
    header: Map<String, Value>,
    tensors: &'a [u8],
}

fn parts(file: &[u8]) -> Option<Parts<'_>> {
    let (length, rest) = file.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (header, tensors) = rest.split_at_checked(length)?;
    let header = serde_json::from_slice(header).ok()?;
    Some(Parts { header, tensors })
}

/// The header of the file with the name of its run in it, and the tensors. `None` of what is
/// no safetensors file.
pub(crate) fn named<'a>(file: &'a [u8], run: &str) -> Option<(Vec<u8>, &'a [u8])> {
    with(file, &[(RUN_KEY, run)])
}

/// The same with more in its metadata, keys in order so that the same tensors have the same
/// bytes.
pub(super) fn with<'a>(file: &'a [u8], entries: &[(&str, &str)]) -> Option<(Vec<u8>, &'a [u8])> {
    let Parts {
        mut header,
        tensors,
    } = parts(file)?;
    let metadata = header.entry(METADATA).or_insert_with(|| Map::new().into());
    let metadata = metadata.as_object_mut()?;
    for &(key, value) in entries {
        metadata.insert(key.to_owned(), value.into());
    }
    let mut json = serde_json::to_vec(&header).ok()?;
    json.resize(json.len().next_multiple_of(LENGTH_BYTES), b' ');
    let length = (json.len() as u64).to_le_bytes();
    Some(([length.as_slice(), &json].concat(), tensors))
}

/// What stands under a key of the metadata.
pub(super) fn entry(file: &[u8], key: &str) -> Option<String> {
    let header = parts(file)?.header;
    Some(header.get(METADATA)?.get(key)?.as_str()?.to_owned())
}

/// Whether the file was written for `run`. What is no safetensors file passes: whoever reads
/// the model says what is wrong with it.
pub(crate) fn is_of(file: &[u8], run: &str) -> bool {
    let named = |header: &Map<String, Value>| {
        let found = header.get(METADATA)?.get(RUN_KEY)?.as_str()?;
        Some(found == run)
    };
    parts(file).is_none_or(|parts| named(&parts.header).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use mmdlrm_model::{Dlrm, DlrmConfig};

    use super::*;

    #[test]
    fn a_model_says_whose_it_is_and_is_otherwise_the_same() {
        let model = Dlrm::new(DlrmConfig::default(), 1).unwrap();
        let plain = model.to_safetensors().unwrap();
        assert!(!is_of(&plain, "a"));
        let write = || {
            let (head, tensors) = named(&plain, "a \"run\"").unwrap();
            [&head, tensors].concat()
        };
        let named = write();
        assert_eq!(named, write());
        assert!(is_of(&named, "a \"run\"") && !is_of(&named, "a"));
        let loaded = Dlrm::from_safetensors(&named).unwrap();
        assert_eq!(loaded.parameters(), model.parameters());
        assert_eq!(loaded.config(), model.config());
        for length in [0, 7, 8, 20] {
            assert!(is_of(&named[..length], "a"));
            assert!(Dlrm::from_safetensors(&named[..length]).is_err());
        }
    }
}
