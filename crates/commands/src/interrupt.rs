//! Ctrl-C and SIGTERM: while somebody looks, they ask the run to stop; at any other
//! time, and at the second signal, they end the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a shell reports of a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Becomes true at a signal. `is_watched` says whether that makes a difference.
pub fn listen(is_watched: Arc<AtomicBool>) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let at_signal = Arc::clone(&stop);
    let set = ctrlc::set_handler(move || {
        let is_second = at_signal.swap(true, Ordering::Relaxed);
        if is_second || !is_watched.load(Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("stopping after a checkpoint; once more to stop at once");
    });
    if let Err(error) = set {
        eprintln!("note: a signal will end the run without a checkpoint: {error}");
    }
    stop
}
