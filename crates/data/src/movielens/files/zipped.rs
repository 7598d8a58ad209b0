//! A release in the zip archive that it comes in.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use tempfile::TempDir;

use super::listing::is_clutter;
use super::names::{Choice, Table, Tables, unpacker};
use super::{missing_in, refused, several, told};
use crate::archive::{Archive, MOST_BYTES};
use crate::text::most_unpacked;
use crate::{Error, Result};

/// The folder of the release in the archive at `path`, and its files there.
pub(super) fn find(path: &Path) -> Result<(String, Tables)> {
    let file = File::open(path).map_err(Error::read(path))?;
    let archive = Archive::open(&file, path, 0)?;
    let folders = folders(archive.names());
    let (mut whole, mut part): (Vec<(&String, Tables)>, _) = (Vec::new(), None);
    for (folder, files) in &folders {
        match Tables::among(files).map_err(|problem| refused(path, problem))? {
            Choice::Whole(tables) => whole.push((folder, tables)),
            Choice::Part(of) => part = part.or(Some((of, files))),
            Choice::Nothing => {}
        }
    }
    // Those that lie highest.
    let depth = |folder: &str| folder.matches('/').count() + usize::from(!folder.is_empty());
    let highest = whole.iter().map(|(folder, _)| depth(folder)).min();
    whole.retain(|(folder, _)| Some(depth(folder)) == highest);
    match (whole.pop(), part) {
        (Some((folder, tables)), _) if whole.is_empty() => Ok((folder.clone(), tables)),
        (Some((last, _)), _) => {
            let folders = whole.iter().map(|(folder, _)| *folder).chain([last]);
            let unpack = "; unpack it, and name the folder of one";
            let problem = several(folders.map(|it| format!("'{it}'"))) + unpack;
            Err(refused(path, problem))
        }
        (None, Some((part, files))) => Err(refused(path, missing_in(&part, files))),
        (None, None) => Err(refused(path, nothing(&folders))),
    }
}

/// The files of each folder.
fn folders(names: Vec<String>) -> BTreeMap<String, Vec<String>> {
    let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names {
        // As some programs of Windows write them.
        let name = name.replace('\\', "/");
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", &name));
        if file.is_empty() || name.split('/').any(is_clutter) {
            continue;
        }
        let files = folders.entry(folder.to_owned()).or_default();
        files.push(file.to_owned());
    }
    folders
}

fn nothing(folders: &BTreeMap<String, Vec<String>>) -> String {
    let mut files = folders.values().flatten();
    if files.clone().next().is_none() {
        return "the archive is empty, or all in it is hidden".to_owned();
    }
    let inner = files.find(|file| unpacker(file).is_some_and(|(_, name)| !name.contains(".csv")));
    let archives = inner.map_or(String::new(), |inner| {
        format!("; unpack it, and look into {inner}")
    });
    format!(
        "the archive holds neither ratings.csv and movies.csv, nor ratings.dat and movies.dat, nor \
         u.data and u.item; in it are {}{archives}",
        told(folders.values().flatten())
    )
}

/// Unpacks the `wanted` files of a folder to one that goes when it is dropped.
pub(super) fn unpack(
    path: &Path,
    folder: &str,
    tables: &Tables,
    wanted: impl Fn(Table) -> bool,
) -> Result<TempDir> {
    let file = File::open(path).map_err(Error::read(path))?;
    let length = file.metadata().map_err(Error::read(path))?.len();
    let mut archive = Archive::open(&file, path, most_unpacked(length).min(MOST_BYTES))?;
    let names = archive.names();
    let into = std::env::temp_dir();
    let place = tempfile::Builder::new().prefix("mmdlrm-").tempdir_in(&into);
    let place = place.map_err(Error::write(&into))?;
    for (_, file) in tables.found().iter().filter(|(table, _)| wanted(*table)) {
        let whole = match folder {
            "" => file.clone(),
            _ => format!("{folder}/{file}"),
        };
        let mut numbers = 0..names.len();
        let number = numbers.find(|&number| names[number].replace('\\', "/") == whole);
        let changed = || Error::Changed {
            path: path.to_owned(),
        };
        // The name is one of those that tables have.
        archive.unpack(
            number.ok_or_else(changed)?,
            &whole,
            &place.path().join(file),
        )?;
    }
    Ok(place)
}
