//! What is seen of a download.

use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on a terminal, else a line at the start and one at the end.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    what: String,
    start: Instant,
}

impl Progress {
    /// `bars` is whether one may be drawn.
    pub fn new(what: String, size: Option<u64>, bars: bool) -> Self {
        let bar = (bars && std::io::stderr().is_terminal()).then(|| bar(&what, size));
        if bar.is_none() {
            let size = size.map_or_else(String::new, |size| format!(", {}", HumanBytes(size)));
            tracing::info!("downloading {what}{size}");
        }
        Self {
            bar,
            what,
            start: Instant::now(),
        }
    }

    /// So many bytes are there.
    pub fn at(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }

    pub fn finish(self, bytes: u64) {
        if self.bar.is_none() {
            let (what, seconds) = (&self.what, self.start.elapsed().as_secs_f64());
            tracing::info!("downloaded {what}, {} in {seconds:.1} s", HumanBytes(bytes));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &str, size: Option<u64>) -> ProgressBar {
    let bar = match size {
        Some(size) => ProgressBar::new(size),
        None => ProgressBar::no_length(),
    };
    let template = match size {
        Some(_) => {
            "{msg} {bar:30} {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} left"
        }
        None => "{msg} {binary_bytes}, {binary_bytes_per_sec}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar
}
