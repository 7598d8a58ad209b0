//! The format since PyTorch 1.6: a zip archive whose members are stored as they are.
//!
//! ```text
//! NAME/data.pkl   the pickle
//! NAME/data/KEY   the numbers of a storage
//! NAME/byteorder  "little" or "big", of newer versions
//! NAME/code/…     programs, where the archive is one of TorchScript
//! ```

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

use zip::{CompressionMethod, ZipArchive};

use crate::Problem;
use crate::error::on_a_line;
use crate::machine::Source;
use crate::pickle::Pickle;

const PICKLE: &str = "data.pkl";
/// Members that are named where an archive is no checkpoint.
const MEMBERS_NAMED: usize = 5;

/// Members of an archive, by name, and its pickle.
pub(crate) struct Archive {
    pub pickle: Pickle,
    /// Whether programs stand beside it.
    pub has_code: bool,
    /// What stands before the members' names.
    folder: String,
    members: HashMap<String, Member>,
}

struct Member {
    range: Range<u64>,
    is_stored: bool,
}

impl Archive {
    pub fn read(file: &mut File, length: u64) -> Result<Self, Problem> {
        let mut archive = ZipArchive::new(BufReader::new(&*file)).map_err(Problem::Archive)?;
        let mut members = HashMap::new();
        for index in 0..archive.len() {
            let member = archive.by_index_raw(index).map_err(Problem::Archive)?;
            let name = member.name().map_err(Problem::Archive)?.into_owned();
            let start = member.data_start().unwrap_or(length);
            let end = start.checked_add(member.compressed_size());
            let Some(end) = end.filter(|&end| end <= length) else {
                return Err(Problem::Damaged(format!(
                    "'{}' reaches beyond its end",
                    on_a_line(&name)
                )));
            };
            let is_stored = member.compression() == CompressionMethod::Stored
                && !member.encrypted()
                && member.size() == member.compressed_size();
            let range = start..end;
            members.insert(name, Member { range, is_stored });
        }
        let folder = folder(&members)?;
        if let Some(order) = range(&members, &format!("{folder}byteorder"))? {
            let mut text = String::new();
            let _ = reader(file, order)?.take(16).read_to_string(&mut text)?;
            if text == "big" {
                return Err(big_endian());
            }
        }
        let pickle = range(&members, &format!("{folder}{PICKLE}"))?;
        let pickle = pickle.ok_or_else(|| none(&members))?;
        let length = pickle.end - pickle.start;
        let pickle = Pickle::read(&mut Source::new(reader(file, pickle)?, length))?;
        let code = format!("{folder}code/");
        Ok(Self {
            has_code: members.keys().any(|name| name.starts_with(&code)),
            pickle,
            folder,
            members,
        })
    }

    /// Where a storage lies.
    pub fn storage(&self, key: &str) -> Result<Option<Range<u64>>, Problem> {
        range(&self.members, &format!("{}data/{key}", self.folder))
    }
}

/// Reads all members that are stored as they are against their checksums.
pub(crate) fn check(file: &File) -> Result<(), Problem> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(Problem::Archive)?;
    for index in 0..archive.len() {
        let stored = archive.by_index_raw(index).map_err(Problem::Archive)?;
        if stored.compression() != CompressionMethod::Stored {
            // A program of TorchScript's, which is never read.
            continue;
        }
        drop(stored);
        let mut member = archive.by_index(index).map_err(Problem::Archive)?;
        let copied = std::io::copy(&mut member, &mut std::io::sink());
        copied.map_err(|source| Problem::Archive(source.into()))?;
    }
    Ok(())
}

pub(crate) fn big_endian() -> Problem {
    Problem::OtherKind(
        "a checkpoint of a big-endian machine; load it with PyTorch and save it on another"
            .to_owned(),
    )
}

fn reader(file: &File, range: Range<u64>) -> Result<BufReader<std::io::Take<&File>>, Problem> {
    let mut file = file;
    file.seek(SeekFrom::Start(range.start))?;
    Ok(BufReader::new(file.take(range.end - range.start)))
}

/// Where a member lies that is read, if it is there.
fn range(members: &HashMap<String, Member>, name: &str) -> Result<Option<Range<u64>>, Problem> {
    match members.get(name) {
        Some(member) if member.is_stored => Ok(Some(member.range.clone())),
        Some(_) => Err(Problem::OtherKind(format!(
            "an archive that was compressed after PyTorch wrote it ('{}'); unpack it and pack it again without compression (zip -0 -r)",
            on_a_line(name)
        ))),
        None => Ok(None),
    }
}

/// Where the pickle stands.
fn folder(members: &HashMap<String, Member>) -> Result<String, Problem> {
    let mut folders = members.keys().filter_map(|name| {
        let folder = name.strip_suffix(PICKLE)?;
        (folder.is_empty() || folder.ends_with('/')).then_some(folder)
    });
    match (folders.next(), folders.next()) {
        (Some(folder), None) => Ok(folder.to_owned()),
        (None, _) => Err(none(members)),
        _ => Err(Problem::OtherFile(
            "a zip archive with several pickles".to_owned(),
        )),
    }
}

fn none(members: &HashMap<String, Member>) -> Problem {
    let mut names: Vec<&str> = members.keys().map(String::as_str).collect();
    names.sort_unstable();
    if names.iter().any(|name| {
        name.ends_with("/serialized_exported_program.json") || name.contains("/models/")
    }) {
        return Problem::OtherKind(
            "a program of torch.export; save the state_dict of its model instead".to_owned(),
        );
    }
    let named = names
        .iter()
        .take(MEMBERS_NAMED)
        .map(|name| format!("'{:.60}'", on_a_line(name)));
    let named: Vec<String> = named.collect();
    Problem::OtherFile(match named.is_empty() {
        true => "an empty zip archive".to_owned(),
        false => format!(
            "a zip archive without {PICKLE} (it has {} members: {}, …)",
            names.len(),
            named.join(", ")
        ),
    })
}
