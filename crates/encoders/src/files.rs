//! Files that are whole or absent.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// A file beside `path`: `.NAME.ending`.
pub(crate) fn hidden_beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

/// Lets `fill` write a file beside its place, and renames it there once it is on the
/// disk: whenever the machine stops, `path` is as it was or as it should be. No other
/// process may do so at the same time.
pub(crate) fn write_whole(
    path: &Path,
    fill: impl FnOnce(&File) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let beside = hidden_beside(path, "partial");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&beside)
        .and_then(|file| {
            fill(&file)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, path))
        .and_then(|()| sync_folder_of(path));
    if written.is_err() {
        // On a full disk, what is there of it is in the way.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// A file that was made or renamed is on the disk when its folder is.
#[cfg(unix)]
pub(crate) fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) if folder != Path::new("") => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
pub(crate) fn sync_folder_of(_path: &Path) -> std::io::Result<()> {
    Ok(())
}
