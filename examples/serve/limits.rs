//! How much is taken on at once, and how long anything may take.

use std::time::Duration;

use clap::value_parser;

/// Bytes of a request's line and headers, at most.
pub const LONGEST_HEAD: usize = 64 << 10;
/// Bytes of a request's body, at most; …
pub const LARGEST: usize = 256 << 10;
/// … of a poster, …
pub const LARGEST_POSTER: usize = 10 << 20;
/// … and of a body with one.
pub const LARGEST_WITH_POSTER: usize = LARGEST_POSTER + LARGEST;
/// Bodies with posters that are taken in at once.
pub const UPLOADS: usize = 16;
/// KiB of posters that lie in memory until clients have taken them.
pub const POSTERS_KIB: usize = 64 << 10;
/// Characters of a plot, of a title that is searched for, and of any other text.
pub const LONGEST_PLOT: usize = 20_000;
pub const LONGEST_TEXT: usize = 200;
/// Answers to one question, and ratings of a visitor.
pub const MOST_ANSWERS: usize = 100;
pub const MOST_RATINGS: usize = 500;

/// Limits that whoever starts the server may choose.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Limits {
    /// Questions that are worked on at once [default: one a core]
    #[arg(long, value_name = "COUNT", default_value_t = cores(), hide_default_value = true,
        value_parser = value_parser!(u32).range(1..=256))]
    pub at_work: u32,
    /// Questions that wait for their turn; whoever asks beyond them is told to come again
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    pub waiting: u32,
    /// Connections at once
    #[arg(long, value_name = "COUNT", default_value_t = 512,
        value_parser = value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Seconds that the head of a request may take to arrive, its body, and its answer, and
    /// that a client may leave an answer unread
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub time_out: Duration,
}

impl Limits {
    /// How long all may take to end once the server is to stop.
    pub fn patience(&self) -> Duration {
        self.time_out + Duration::from_secs(1)
    }
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(u32::MAX).min(256)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("'{text}' is no number of seconds"))?;
    match seconds {
        0.001..=3600.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("it must be from 0.001 to 3600 seconds".to_owned()),
    }
}
