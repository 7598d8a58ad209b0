//! Who is worked for, who waits, and who is turned away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::limits::Limits;
use crate::measured::Measured;

/// Takes on questions: so many are worked on at once, so many wait, and whoever comes
/// beyond is turned away at once. Work keeps its place until it has ended, whether somebody
/// still waits for the answer or not, and is called off when nobody does.
pub struct Desk {
    /// Of those that are worked on.
    places: Arc<Semaphore>,
    /// Of those and the waiting.
    tickets: Arc<Semaphore>,
    at_work: usize,
    all: usize,
    time_out: Duration,
    measured: Arc<Measured>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Too many wait already.
    Busy,
    /// It took too long.
    Late,
    /// The work panicked.
    Broken,
}

impl Desk {
    pub fn new(limits: Limits, measured: Arc<Measured>) -> Self {
        let (at_work, waiting) = (limits.at_work() as usize, limits.waiting() as usize);
        Self {
            places: Arc::new(Semaphore::new(at_work)),
            tickets: Arc::new(Semaphore::new(at_work + waiting)),
            at_work,
            all: at_work + waiting,
            time_out: limits.time_out(),
            measured,
        }
    }

    /// Works on a question where it holds nobody else up. What it is given becomes true when
    /// it is called off: because time is up, or because whoever waits goes away, which drops
    /// this future.
    pub async fn work<T: Send + 'static>(
        &self,
        question: impl FnOnce(Arc<AtomicBool>) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let ticket = Arc::clone(&self.tickets);
        let ticket = ticket.try_acquire_owned().map_err(|_| Refused::Busy)?;
        let places = Arc::clone(&self.places);
        let mut waiting = Waiting::new(&self.measured);
        let stop = Arc::clone(&waiting.stop);
        let answer = timeout(self.time_out, async {
            let place = places.acquire_owned().await.map_err(|_| Refused::Busy)?;
            let work = spawn_blocking(move || {
                let _held = (ticket, place);
                question(stop)
            });
            work.await.map_err(|_| Refused::Broken)
        });
        let answer = answer.await.map_err(|_| Refused::Late)?;
        waiting.is_over = true;
        answer
    }

    /// Says how many are worked on, and how many wait.
    pub fn measure(&self) {
        let (at_work, all) = self.taken();
        self.measured
            .questions(at_work, all.saturating_sub(at_work));
    }

    /// Questions that are worked on, and those with the waiting.
    pub fn taken(&self) -> (usize, usize) {
        let at_work = self.at_work - self.places.available_permits();
        (at_work, self.all - self.tickets.available_permits())
    }
}

/// Somebody who waits for an answer, and calls the work off by going away.
struct Waiting<'a> {
    stop: Arc<AtomicBool>,
    is_over: bool,
    measured: &'a Measured,
}

impl<'a> Waiting<'a> {
    fn new(measured: &'a Measured) -> Self {
        Self {
            stop: Arc::default(),
            is_over: false,
            measured,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.stop.store(true, Ordering::Relaxed);
            self.measured.called_off();
        }
    }
}

#[cfg(test)]
mod tests;
