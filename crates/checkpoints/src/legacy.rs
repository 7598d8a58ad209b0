//! The format before PyTorch 1.6, which `_use_new_zipfile_serialization=False` still writes.
//!
//! ```text
//! pickles  = the magic number, the version 1001, { little_endian: bool, … },
//!            what was saved, [storage key, …]
//! storages = for each key: numbers: u64, and the numbers
//! ```

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::Problem;
use crate::archive::big_endian;
use crate::error::on_a_line;
use crate::machine::Source;
use crate::pickle::{Pickle, Value};
use crate::tensor::storages;

const VERSION: i64 = 1001;
/// Bytes that say how many numbers a storage has.
const COUNT_BYTES: u64 = 8;

/// What was saved, and where its storages lie.
pub(crate) struct Legacy {
    pub pickle: Pickle,
    pub storages: HashMap<String, Range<u64>>,
}

impl Legacy {
    pub fn read(file: &mut File, length: u64) -> Result<Self, Problem> {
        let mut source = Source::new(BufReader::new(&*file), length);
        let first = Pickle::read(&mut source)?;
        if first.root != Value::Magic {
            return Err(crate::tree::no_checkpoint(&first));
        }
        let version = Pickle::read(&mut source)?.root;
        if version != Value::Int(VERSION) {
            return Err(Problem::Damaged(format!(
                "its version is {version:?}, not {VERSION}"
            )));
        }
        let system = Pickle::read(&mut source)?;
        if system.get(system.root, "little_endian") == Some(Value::Bool(false)) {
            return Err(big_endian());
        }
        let pickle = Pickle::read(&mut source)?;
        let keys = Pickle::read(&mut source)?;
        let start = length - source.left();
        let storages = locate(file, &pickle, &keys, start..length)?;
        Ok(Self { pickle, storages })
    }
}

/// Where each storage lies, one after another from `rest.start` on.
fn locate(
    mut file: &File,
    pickle: &Pickle,
    keys: &Pickle,
    mut rest: Range<u64>,
) -> Result<HashMap<String, Range<u64>>, Problem> {
    let sizes: HashMap<&str, usize> = storages(pickle).collect();
    let mut ranges = HashMap::new();
    for &key in keys.elements(keys.root).unwrap_or_default() {
        let key = keys.str(key).unwrap_or_default();
        let Some(&size) = sizes.get(key).filter(|&&size| size > 0) else {
            return Err(Problem::Damaged(format!(
                "nothing says how long the numbers of storage '{}' are",
                on_a_line(key)
            )));
        };
        let cut_off = || Problem::Damaged("it ends within its numbers".to_owned());
        let start = rest.start + COUNT_BYTES;
        if start > rest.end {
            return Err(cut_off());
        }
        file.seek(SeekFrom::Start(rest.start))?;
        let mut count = [0; COUNT_BYTES as usize];
        file.read_exact(&mut count)?;
        let bytes = u64::from_le_bytes(count).checked_mul(size as u64);
        let end = bytes.and_then(|bytes| start.checked_add(bytes));
        let end = end.filter(|&end| end <= rest.end).ok_or_else(cut_off)?;
        ranges.insert(key.to_owned(), start..end);
        rest.start = end;
    }
    Ok(ranges)
}
