//! A release's archive into a folder, trusting nothing in it.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::archive::{Archive, MOST_BYTES, bad};
use crate::{Error, Result};

/// The largest release has 20 or so.
const MOST_FILES: usize = 1000;

/// Lies beside what is being unpacked, and says that it may be removed.
const MARK: &str = "unpacking.txt";
const MARK_TEXT: &str = "A download is unpacked here. What is left of it may be removed.\n";
/// Where the files go meanwhile.
const FILES: &str = "files";

/// Unpacks the archive beside `folder` and renames it there. A release is one
/// folder; its files go right into `folder`.
pub(super) fn unpack(archive: &File, path: &Path, folder: &Path) -> Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.with_file_name(format!(".{name}.unpacked"));
    make_place(&beside)?;
    let files = beside.join(FILES);
    let unpacked = unpack_into(archive, path, &files)
        .and_then(|()| std::fs::rename(&files, folder).map_err(Error::write(folder)));
    // The first error is the one worth telling.
    let _ = std::fs::remove_dir_all(&beside);
    unpacked
}

/// Makes the folder to unpack in. One that an earlier process left, which was killed,
/// goes by its mark (the archive's lock says that nobody else is at it).
fn make_place(beside: &Path) -> Result<()> {
    let mark = beside.join(MARK);
    if std::fs::read_to_string(&mark).is_ok_and(|text| text == MARK_TEXT) {
        std::fs::remove_dir_all(beside).map_err(Error::write(beside))?;
    }
    match std::fs::create_dir(beside) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // It may have been killed before there was a mark.
            if std::fs::remove_dir(beside).is_err() {
                return Err(Error::Occupied {
                    path: beside.to_owned(),
                    problem: "is in the way of unpacking and holds something else",
                });
            }
            std::fs::create_dir(beside).map_err(Error::write(beside))?;
        }
        Err(error) => return Err(Error::write(beside)(error)),
    }
    std::fs::write(&mark, MARK_TEXT).map_err(Error::write(&mark))
}

fn unpack_into(file: &File, path: &Path, folder: &Path) -> Result<()> {
    let mut archive = Archive::open(file, path, MOST_BYTES)?;
    if archive.len() > MOST_FILES {
        return Err(bad(path, "", "there are more than 1000 files in it"));
    }
    std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
    for (number, name) in archive.names().into_iter().enumerate() {
        if name.ends_with('/') {
            continue;
        }
        let inside = place(&name).map_err(|problem| bad(path, &name, problem))?;
        let target = folder.join(inside);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(Error::write(parent))?;
        }
        let file = archive.unpack(number, &name, &target)?;
        file.sync_all().map_err(Error::write(&target))?;
    }
    Ok(())
}

/// Where a member goes, below the archive's one folder.
fn place(name: &str) -> Result<PathBuf, &'static str> {
    let mut parts = Path::new(name).components();
    let plain = |part: Component| matches!(part, Component::Normal(_));
    if !parts.clone().all(plain) || name.contains(['\\', ':', '\0']) {
        return Err("its name may lead out of the folder");
    }
    parts.next();
    let rest = parts.as_path();
    if rest == Path::new("") {
        return Err("it does not lie in a folder, as the files of a release do");
    }
    Ok(rest.to_owned())
}
