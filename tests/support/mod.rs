//! What several integration tests need.

use std::io::Write;
use std::path::PathBuf;

/// The folder of real data and golden values: `MMDLRM_SHARED`, or `shared`
/// beside the workspace. Says so and returns `None` where there is none.
pub fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("MMDLRM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    // Straight to standard error: the test harness hides what macros print.
    let _ = writeln!(std::io::stderr(), "skipped: no shared folder");
    None
}
