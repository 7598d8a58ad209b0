//! Buffers that a thread keeps from task to task.

use std::sync::{Mutex, PoisonError};

/// A value for each thread of the pool.
#[derive(Debug, Default)]
pub(crate) struct PerThread<T>(Vec<Mutex<T>>);

impl<T: Default> PerThread<T> {
    /// Values for the pool that is current.
    pub fn new() -> Self {
        let mut values = Self(Vec::new());
        values.fit();
        values
    }

    /// As many values as the current pool has threads.
    pub fn fit(&mut self) {
        self.0
            .resize_with(rayon::current_num_threads(), Mutex::default);
    }

    /// Lends the thread's value to `work`, which must not wait for other tasks.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // A thread outside of the pool works alone.
        let number = rayon::current_thread_index().unwrap_or(0);
        // What a task that panicked left is overwritten like anything else.
        let mut value = self.0[number % self.0.len()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work(&mut value)
    }
}
