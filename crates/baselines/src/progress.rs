//! What a session is told of a fit that takes long.

use std::sync::atomic::Ordering;

use mmdlrm_train::{Error, Result, Session};

/// Tells of the rows of a step, counted from 1.
///
/// # Errors
/// [`Error::Stopped`] of a run that is to stop.
pub(crate) fn step_is_over(session: &mut Session, step: u64, rows: usize) -> Result<()> {
    (session.on_step)(rows);
    let stop = session.stop;
    match stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
        true => Err(Error::Stopped { step }),
        false => Ok(()),
    }
}
