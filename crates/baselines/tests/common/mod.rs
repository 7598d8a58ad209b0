//! Files of models, changed as nobody who means well changes them.

use serde_json::Value;

/// Where the metadata of a file have the settings.
const KEY: &str = "mmdlrm_settings";

/// A model's file with other settings, and the same tensors.
pub fn with_settings(file: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk::<8>().unwrap();
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    let kept = &mut header["__metadata__"][KEY];
    let mut settings: Value = serde_json::from_str(kept.as_str().unwrap()).unwrap();
    change(&mut settings);
    *kept = settings.to_string().into();
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = (header.len() as u64).to_le_bytes();
    [&length, &*header, tensors].concat()
}
