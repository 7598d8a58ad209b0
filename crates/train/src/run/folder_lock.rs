//! One process at a time is at work in a folder.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use super::files::write_error;
use crate::{Error, Result};

const LOCK: &str = ".lock";

/// Keeps others out of a folder as long as it lives, and not beyond the process, however that ends.
///
/// ```
/// use mmdlrm_train::FolderLock;
///
/// # let folder = tempfile::tempdir()?;
/// let lock = FolderLock::take(folder.path())?;
/// assert!(FolderLock::take(folder.path()).is_err());
/// drop(lock);
/// assert!(FolderLock::take(folder.path()).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FolderLock(File);

impl FolderLock {
    /// Locks a folder that exists.
    ///
    /// # Errors
    /// [`Error::Busy`] where somebody else has; a folder that cannot be written to.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK);
        // Windows locks no file that was opened only to be appended to.
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(write_error(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Busy {
                path: folder.to_owned(),
            }),
            // A file system without locks: nobody can know.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                Ok(Self(file))
            }
            Err(TryLockError::Error(error)) => Err(write_error(&path)(error)),
        }
    }

    /// Whether somebody was ever at work there.
    pub(crate) fn is_at(folder: &Path) -> bool {
        folder.join(LOCK).exists()
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // By name: a child that is being started has the handle too, and closing ours would leave
        // the lock to it. Whoever cannot unlock closes the file at least.
        let _ = self.0.unlock();
    }
}
