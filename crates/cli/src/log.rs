//! What the server says while it starts.

use std::time::Instant;

use mmdlrm::{Observer, Stage};

/// Says on standard error what is being done, and how long after the start.
pub struct Log(Instant);

impl Log {
    pub fn new() -> Self {
        Self(Instant::now())
    }

    pub fn say(&self, what: &str) {
        eprintln!("[{:6.1} s] {what}", self.0.elapsed().as_secs_f64());
    }
}

impl Observer for Log {
    fn begin(&mut self, stage: Stage, _total: u64) {
        match stage {
            Stage::ReadModel => self.say("reading the model"),
            _ => self.say("working"),
        }
    }

    fn note(&mut self, note: &str) {
        self.say(note);
    }
}
