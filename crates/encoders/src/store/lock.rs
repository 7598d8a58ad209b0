//! One process at a time has a store open.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use crate::files::hidden_beside;
use crate::{Error, Result};

/// A lock that goes with it. It is given up by name: a child that is being started has the
/// handle too, and closing ours would leave the lock to it.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Whoever cannot unlock closes the file at least.
        let _ = self.0.unlock();
    }
}

/// Locks the store at `path` as long as what is returned lives.
///
/// The lock is on a file beside the store that stays: a lock on the store itself would
/// be on the file that the next rename replaces. `None` where whoever asks has no right to write
/// there: they can read, and [`refused`] says why they cannot write.
pub(super) fn lock(path: &Path) -> Result<Option<Lock>> {
    let lock = hidden_beside(path, "lock");
    let options = &mut File::options();
    // Windows locks no file that was opened only to be appended to.
    let options = options.write(true).create(true).truncate(false);
    let file = match options.open(&lock) {
        Ok(file) => file,
        Err(error) if is_read_only(&error) => return Ok(None),
        Err(error) => return Err(Error::write(&lock)(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Err(Error::StoreInUse {
            path: path.to_owned(),
        }),
        // A file system without locks: nobody can know.
        Err(TryLockError::Error(error)) => {
            let path = path.display();
            tracing::warn!(%path, "no locks here, run one process at a time: {error}");
            Ok(Some(Lock(file)))
        }
    }
}

/// Why a store without a lock is not written.
pub(super) fn refused(path: &Path) -> Error {
    let source = std::io::Error::from(ErrorKind::PermissionDenied);
    Error::write(path)(source)
}

fn is_read_only(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}
