//! How much memory and time a model may take.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::memory;

/// How long a model learns before its pace is known.
const PACE_AFTER: Duration = Duration::from_secs(5);
const MIB: f64 = (1u64 << 20) as f64;

/// What all models of a comparison have together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// When there is no time left.
    deadline: Option<Instant>,
    /// Bytes that a model may take.
    pub memory: Option<u64>,
}

impl Limits {
    /// From now on; as much memory as is free if `memory` says nothing.
    pub fn new(budget: Option<Duration>, memory: Option<u64>) -> Self {
        Self {
            // Further away than a clock goes is never.
            deadline: budget.and_then(|budget| Instant::now().checked_add(budget)),
            memory: memory.or_else(memory::available),
        }
    }

    /// Whether no other model is to begin.
    pub fn are_reached(&self) -> bool {
        self.deadline.is_some_and(|it| Instant::now() >= it)
    }

    /// Looks after a model that goes over `rows` rows at least, 0 where that is not known.
    pub fn watch(&self, rows: usize) -> Watch {
        Watch {
            begun: Instant::now(),
            deadline: self.deadline,
            rows,
            done: Cell::new(0),
            first: Cell::new(None),
            stop: AtomicBool::new(false),
            why: RefCell::new(None),
        }
    }
}

/// Stops a model that will not be done in time as soon as its pace says so.
#[derive(Debug)]
pub(super) struct Watch {
    begun: Instant,
    deadline: Option<Instant>,
    rows: usize,
    done: Cell<usize>,
    /// When the first step was over, and how many rows it had: what goes before it is done once.
    first: Cell<Option<(Instant, usize)>>,
    stop: AtomicBool,
    why: RefCell<Option<String>>,
}

impl Watch {
    /// What becomes true when it is to stop.
    pub fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// Why the model was stopped, if it was.
    pub fn why(&self) -> Option<String> {
        self.why.borrow().clone()
    }

    /// A step of so many rows is over.
    pub fn step(&self, rows: usize) {
        self.step_at(rows, Instant::now());
    }

    fn step_at(&self, rows: usize, now: Instant) {
        self.done.set(self.done.get() + rows);
        if self.first.get().is_none() {
            self.first.set(Some((now, rows)));
        }
        let (Some(deadline), false) = (self.deadline, self.stop.load(Ordering::Relaxed)) else {
            return;
        };
        let why = if now >= deadline {
            Some("was not done when the budget was over".to_owned())
        } else {
            self.too_slow(deadline, now)
        };
        if why.is_some() {
            self.stop.store(true, Ordering::Relaxed);
            self.why.replace(why);
        }
    }

    fn too_slow(&self, deadline: Instant, now: Instant) -> Option<String> {
        let (first, of_first) = self.first.get()?;
        let (since, done) = (now - first, self.done.get() - of_first);
        if since < PACE_AFTER || done == 0 {
            return None;
        }
        let rest = self.rows.saturating_sub(of_first) as f64 / done as f64;
        let seconds = (first - self.begun).as_secs_f64() + since.as_secs_f64() * rest;
        let left = (deadline - self.begun).as_secs_f64();
        (seconds > left).then(|| {
            format!(
                "would take {} or more at its pace, and {} of the budget are left",
                in_words(seconds),
                in_words(left)
            )
        })
    }
}

/// Seconds as one would say them.
fn in_words(seconds: f64) -> String {
    let (amount, unit) = match seconds {
        ..120.0 => (seconds, "s"),
        ..7200.0 => (seconds / 60.0, "min"),
        ..172_800.0 => (seconds / 3600.0, "h"),
        _ => (seconds / 86_400.0, "days"),
    };
    format!("{amount:.0} {unit}")
}

/// Bytes likewise.
pub(super) fn in_bytes(bytes: u64) -> String {
    let mib = bytes as f64 / MIB;
    match mib < 1024.0 {
        true => format!("{:.0} MiB", mib.ceil()),
        false => format!("{:.1} GiB", mib / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn after(watch: &Watch, seconds: u64) -> Instant {
        watch.begun + Duration::from_secs(seconds)
    }

    #[test]
    fn what_will_not_be_done_in_time_is_stopped_once_its_pace_is_known() {
        let watch = Limits::new(Some(HOUR), Some(0)).watch(1001);
        watch.step_at(1, after(&watch, 60));
        watch.step_at(1, after(&watch, 64));
        assert_eq!(watch.why(), None);
        watch.step_at(1, after(&watch, 68));
        let why = watch.why().unwrap();
        // A minute before the first step, and 1000 of 4 s.
        assert!(why.starts_with("would take 68 min or more"), "{why}");
        assert!(why.ends_with("60 min of the budget are left"), "{why}");
        assert!(watch.stop().load(Ordering::Relaxed));
    }

    #[test]
    fn what_begins_slowly_is_not_taken_for_slow() {
        let watch = Limits::new(Some(HOUR), Some(0)).watch(10_000);
        watch.step_at(1, after(&watch, 600));
        watch.step_at(100, after(&watch, 610));
        assert_eq!(watch.why(), None);
        watch.step_at(1, after(&watch, 3601));
        assert!(watch.why().unwrap().contains("when the budget was over"));
    }

    #[test]
    fn without_a_budget_nothing_is_stopped() {
        let watch = Limits::new(None, Some(0)).watch(usize::MAX);
        watch.step_at(1, after(&watch, 1));
        watch.step_at(1, after(&watch, 1 << 20));
        assert_eq!(watch.why(), None);
        assert_eq!(in_words(100.0), "100 s");
        assert_eq!(in_words(5400.0), "90 min");
        assert_eq!(in_words(9000.0), "2 h");
        assert_eq!(in_words(1e6), "12 days");
        assert_eq!(in_bytes(1), "1 MiB");
        assert_eq!(in_bytes(3 << 29), "1.5 GiB");
    }
}
