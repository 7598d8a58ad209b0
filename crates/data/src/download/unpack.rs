//! A release's archive into a folder, trusting nothing in it.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use zip::ZipArchive;
use zip::read::ZipFile;

use crate::{Error, Result};

/// The largest release takes 1.2 GB.
const MOST_BYTES: u64 = 8 << 30;
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

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn unpack_into(archive: &File, path: &Path, folder: &Path) -> Result<()> {
    let bad = |member: &str, problem: Cause| Error::Archive {
        path: path.to_owned(),
        member: member
            .chars()
            .take(100)
            .flat_map(char::escape_debug)
            .collect(),
        problem,
    };
    let mut zip =
        ZipArchive::new(BufReader::new(archive)).map_err(|error| bad("", error.into()))?;
    if zip.len() > MOST_FILES {
        return Err(bad("", "there are more than 1000 files in it".into()));
    }
    std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
    let mut room = MOST_BYTES;
    for number in 0..zip.len() {
        let mut member = zip
            .by_index(number)
            .map_err(|error| bad("", error.into()))?;
        let name = String::from_utf8_lossy(member.name_raw()).into_owned();
        if member.is_dir() {
            continue;
        }
        let inside = place(&member, &name).map_err(|problem| bad(&name, problem.into()))?;
        let target = folder.join(inside);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(Error::write(parent))?;
        }
        let mut file = File::create_new(&target).map_err(Error::write(&target))?;
        // The size that the archive tells may be a lie.
        let mut limited = (&mut member).take(room + 1);
        let written = copy(&mut limited, &mut file, &target).map_err(|error| match error {
            CopyError::Read(problem) => bad(&name, problem.into()),
            CopyError::Write(error) => error,
        })?;
        if written > room {
            return Err(bad(
                &name,
                "it and those before it unpack to more than 8 GiB".into(),
            ));
        }
        if written == 0 {
            return Err(bad(&name, "it is empty".into()));
        }
        room -= written;
        file.sync_all().map_err(Error::write(&target))?;
    }
    Ok(())
}

enum CopyError {
    Read(std::io::Error),
    Write(Error),
}

fn copy(from: &mut impl Read, to: &mut File, path: &Path) -> Result<u64, CopyError> {
    use std::io::Write;
    let mut buffer = vec![0; 256 << 10];
    let mut written = 0;
    loop {
        let read = from.read(&mut buffer).map_err(CopyError::Read)?;
        if read == 0 {
            return Ok(written);
        }
        to.write_all(&buffer[..read])
            .map_err(|error| CopyError::Write(Error::write(path)(error)))?;
        written += read as u64;
    }
}

/// Where a member goes, below the archive's one folder.
fn place<R: Read>(member: &ZipFile<R>, name: &str) -> Result<PathBuf, &'static str> {
    if member.is_symlink() {
        return Err("it is a link; releases have none");
    }
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
