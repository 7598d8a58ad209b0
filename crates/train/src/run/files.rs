//! Files that are whole or absent.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The place beside `path` where its new content is written first.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

/// Lets `fill` write a file beside its place, and renames it there once it is on
/// the disk: whenever the machine stops, `path` is as it was or as it should be.
///
/// `fill` gets the handle that is flushed afterwards: Windows flushes by none that
/// cannot write, and an error of the disk is told to the handle that wrote.
pub(crate) fn write_whole(path: &Path, fill: impl FnOnce(&File) -> Result<()>) -> Result<()> {
    let beside = beside(path);
    let written = write_and_flush(&beside, path, fill).and_then(|()| {
        std::fs::rename(&beside, path)
            .and_then(|()| sync_parent(path))
            .map_err(write_error(path))
    });
    if written.is_err() {
        // On a full disk, what is there of it is in the way.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// Closes the file before it returns: Windows need not rename an open one.
fn write_and_flush(
    beside: &Path,
    path: &Path,
    fill: impl FnOnce(&File) -> Result<()>,
) -> Result<()> {
    let file = File::create(beside).map_err(write_error(path))?;
    fill(&file)?;
    file.sync_all().map_err(write_error(path))
}

/// A rename is on the disk when its folder is. Elsewhere folders cannot be flushed.
#[cfg(unix)]
fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) if parent != Path::new("") => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
fn sync_parent(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

pub(crate) fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}
