//! The hub's cache, as `huggingface_hub` lays it out:
//!
//! ```text
//! models--OWNER--NAME/blobs/ETAG                     the files' bytes
//! models--OWNER--NAME/blobs/ETAG.incomplete          of a download that goes on
//! models--OWNER--NAME/refs/REVISION                  the commit of a branch or tag
//! models--OWNER--NAME/snapshots/COMMIT/FILE          links to the bytes
//! models--OWNER--NAME/.no_exist/COMMIT/FILE          that the model has no such file
//! .locks/models--OWNER--NAME/ETAG.lock               held by who downloads
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use super::error::HubError;
use super::name::check_revision;

/// Bytes of the longest file that names a commit.
const LONGEST_REF: u64 = 256;

/// The folder of one model.
pub(super) struct ModelCache {
    /// `models--OWNER--NAME`.
    pub folder: PathBuf,
    locks: PathBuf,
    snapshots: CacheRepo,
}

impl ModelCache {
    /// `id` is a name that the hub can have.
    pub fn new(cache: &Path, id: &str) -> Self {
        let repo = Repo::new(id.to_owned(), RepoType::Model);
        let folder_name = repo.folder_name();
        Self {
            folder: cache.join(&folder_name),
            locks: cache.join(".locks").join(folder_name),
            snapshots: Cache::new(cache.to_owned()).repo(repo),
        }
    }

    /// The commit that a revision is known to be, where something of it is here.
    pub fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) && self.has_of(revision) {
            return Some(revision.to_owned());
        }
        let file = self.reference(revision);
        let is_short = file.metadata().is_ok_and(|it| it.len() <= LONGEST_REF);
        let commit = is_short.then(|| std::fs::read_to_string(file).ok())??;
        let commit = commit.trim();
        (is_name(commit) && self.has_of(commit)).then(|| commit.to_owned())
    }

    fn has_of(&self, commit: &str) -> bool {
        let absent = self.folder.join(".no_exist").join(commit);
        self.snapshots.pointer_path(commit).is_dir() || absent.is_dir()
    }

    /// Where a file of a commit lies, or would.
    pub fn place(&self, commit: &str, file: &str) -> PathBuf {
        self.snapshots.pointer_path(commit).join(file)
    }

    /// Whether the hub has said that the commit has no such file.
    pub fn lacks(&self, commit: &str, file: &str) -> bool {
        self.marker(commit, file).is_file()
    }

    /// Keeps that the commit has no such file. A cache that cannot be written asks again.
    pub fn keep_absence(&self, revision: &str, commit: &str, file: &str) {
        let marker = self.marker(commit, file);
        if let Err(error) = put(&marker, b"").and_then(|()| self.keep_revision(revision, commit)) {
            tracing::warn!("that the model has no {file} cannot be kept: {error}");
        }
    }

    fn marker(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(file)
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.folder.join("refs").join(revision)
    }

    /// Keeps which commit a branch or tag is.
    pub fn keep_revision(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit || check_revision(revision).is_err() {
            return Ok(());
        }
        let file = self.reference(revision);
        let known = std::fs::read_to_string(&file).ok();
        match known.as_deref() == Some(commit) {
            true => Ok(()),
            false => put(&file, commit.as_bytes()),
        }
    }

    pub fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// A download that is not yet whole. Where nothing keeps others out each process has its own.
    pub fn incomplete(&self, etag: &str, alone: bool) -> PathBuf {
        let own = match alone {
            true => String::new(),
            false => format!(".{}", std::process::id()),
        };
        self.folder
            .join("blobs")
            .join(format!("{etag}{own}.incomplete"))
    }

    pub fn lock(&self, etag: &str) -> PathBuf {
        self.locks.join(format!("{etag}.lock"))
    }

    /// Puts a blob where its commit has it: a link, or a copy where there are no links.
    pub fn link(
        &self,
        etag: &str,
        commit: &str,
        file: &str,
        links: bool,
    ) -> Result<PathBuf, HubError> {
        let place = self.place(commit, file);
        if place.is_file() {
            return Ok(place);
        }
        let folder = place.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(folder).map_err(HubError::write(folder))?;
        // Up from `snapshots/COMMIT/FILE`.
        let up = "../".repeat(2 + file.split('/').count() - 1);
        let target = PathBuf::from(format!("{up}blobs/{etag}"));
        // Beside it and renamed, so that nobody finds half of it; one that leads nowhere is replaced.
        let beside = beside(&place);
        if !(links && symlink(&target, &beside).is_ok()) {
            std::fs::copy(self.blob(etag), &beside).map_err(HubError::write(&beside))?;
        }
        std::fs::rename(&beside, &place).map_err(HubError::write(&place))?;
        Ok(place)
    }
}

/// Whether a revision is a commit already.
pub(super) fn is_commit(revision: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    revision.len() == 40 && revision.bytes().all(hex)
}

/// Whether what a server calls a commit or a file's bytes can name a file here.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.len() <= 128 && !text.starts_with('.') && text.bytes().all(allowed)
}

/// Whether `file` stays within a model.
pub(super) fn is_within(file: &str) -> bool {
    let forbidden = |it: char| it.is_control() || it == '\\' || it == ':';
    file.len() <= 1024
        && !file.contains(forbidden)
        && file.split('/').all(|part| !["", ".", ".."].contains(&part))
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    let _ = std::fs::remove_file(link);
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    let _ = std::fs::remove_file(link);
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// How many names this process has made up.
static BESIDE: AtomicU64 = AtomicU64::new(0);

/// A name beside `path` that no other process or thread writes.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let number = BESIDE.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{number}", std::process::id()));
    path.with_file_name(name)
}

/// Writes a small file, so that nobody finds half of it.
fn put(path: &Path, bytes: &[u8]) -> Result<(), HubError> {
    let beside = beside(path);
    let write = || {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::File::create(&beside)?.write_all(bytes)?;
        std::fs::rename(&beside, path)
    };
    write().map_err(HubError::write(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_of_a_model_lies_outside_it() {
        for file in ["config.json", "1_Pooling/config.json", "a b.json", "..a"] {
            assert!(is_within(file), "{file}");
        }
        for file in [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            r"a\b",
            "C:a",
            "a\0",
        ] {
            assert!(!is_within(file), "{file}");
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "../a",
            "a\\b",
            "a b",
            &"a".repeat(129),
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
