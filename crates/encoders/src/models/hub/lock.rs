//! One process at a time downloads a file.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the lock is tried.
const EVERY: Duration = Duration::from_millis(50);
/// How often a wait is told of.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// That of `huggingface_hub` for the same file; it ends with its process, however that ends.
pub(super) struct Lock {
    /// Closing it gives the lock back. There is none where the file system has no locks.
    _file: Option<File>,
    /// Whether another process had it.
    pub waited: bool,
    /// Whether nobody else can have it.
    pub alone: bool,
}

impl Lock {
    /// Waits for as long as another process downloads, after `before_wait`.
    pub fn take(path: &Path, before_wait: impl FnOnce()) -> std::io::Result<Self> {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        let start = Instant::now();
        let mut told = None;
        let mut before_wait = Some(before_wait);
        loop {
            let mut options = File::options();
            let file = options
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            let waited = told.is_some();
            match file.try_lock() {
                Ok(()) if is_still_at(&file, path) => {
                    return Ok(Self {
                        _file: Some(file),
                        waited,
                        alone: true,
                    });
                }
                // Another process has taken the file away with its lock.
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                    return Ok(Self {
                        _file: None,
                        waited,
                        alone: false,
                    });
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if let Some(before_wait) = before_wait.take() {
                before_wait();
            }
            if told.is_none_or(|told: Instant| told.elapsed() >= TELL_EVERY) {
                let seconds = start.elapsed().as_secs();
                let lock = path.display();
                tracing::info!(
                    "waiting for another process that downloads it, {seconds} s ({lock})"
                );
                told = Some(Instant::now());
            }
            std::thread::sleep(EVERY);
        }
    }
}

/// Whether the file that is locked is the one that others will find.
#[cfg(unix)]
fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |it: std::fs::Metadata| (it.dev(), it.ino());
    let (own, found) = (
        file.metadata().map(place),
        std::fs::metadata(path).map(place),
    );
    matches!((own, found), (Ok(own), Ok(found)) if own == found)
}

/// An open file cannot be taken away.
#[cfg(not(unix))]
fn is_still_at(_: &File, _: &Path) -> bool {
    true
}
