use std::time::Duration;

/// Bytes of a request's line and headers, at most.
pub(crate) const LONGEST_HEAD: usize = 64 << 10;
/// Bytes of a request's body, at most; …
pub(crate) const LARGEST: usize = 256 << 10;
/// … of a poster, …
pub(crate) const LARGEST_POSTER: usize = 10 << 20;
/// … and of a body with one.
pub(crate) const LARGEST_WITH_POSTER: usize = LARGEST_POSTER + LARGEST;
/// Bodies with posters that are taken in at once.
pub(crate) const UPLOADS: usize = 16;
/// KiB of posters that lie in memory until clients have taken them.
pub(crate) const POSTERS_KIB: usize = 64 << 10;
/// Characters of a plot, of a title that is searched for, and of any other text.
pub(crate) const LONGEST_PLOT: usize = 20_000;
pub(crate) const LONGEST_TEXT: usize = 200;
/// Answers to one question, and ratings of a visitor.
pub(crate) const MOST_ANSWERS: usize = 100;
pub(crate) const MOST_RATINGS: usize = 500;

/// Questions that are worked on at once, at most: more threads would only wait for each
/// other.
const MOST_AT_WORK: u32 = 256;

/// How much is taken on at once, and how long anything may take.
///
/// ```
/// use std::time::Duration;
///
/// use mmdlrm_serve::Limits;
///
/// let limits = Limits::default()
///     .with_waiting(8)
///     .with_time_out(Duration::from_secs(2));
/// assert_eq!((limits.waiting(), limits.connections()), (8, 512));
/// // None at all would answer nobody.
/// assert_eq!(limits.with_at_work(0).at_work(), 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    at_work: u32,
    waiting: u32,
    connections: u32,
    time_out: Duration,
}

impl Default for Limits {
    /// One question at work a core, 64 that wait, 512 connections, 10 seconds.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            at_work: 1,
            waiting: 64,
            connections: 512,
            time_out: Duration::from_secs(10),
        }
        .with_at_work(u32::try_from(cores).unwrap_or(u32::MAX))
    }
}

impl Limits {
    /// So many questions are worked on at once: 1 to 256, and the nearest of these where
    /// it is another number.
    #[must_use]
    pub fn with_at_work(self, at_work: u32) -> Self {
        Self {
            at_work: at_work.clamp(1, MOST_AT_WORK),
            ..self
        }
    }

    /// So many questions wait for their turn; whoever asks beyond them is told to come
    /// again.
    #[must_use]
    pub fn with_waiting(self, waiting: u32) -> Self {
        Self { waiting, ..self }
    }

    /// So many connections are open at once: 1 or more. Only [`serve`](crate::serve) looks
    /// at it.
    #[must_use]
    pub fn with_connections(self, connections: u32) -> Self {
        Self {
            connections: connections.max(1),
            ..self
        }
    }

    /// The head of a request may take so long to arrive, its body too, and its answer; and
    /// so long may a client leave an answer unread: a millisecond to an hour, and the nearest
    /// of these where it is another time.
    #[must_use]
    pub fn with_time_out(self, time_out: Duration) -> Self {
        Self {
            time_out: time_out.clamp(Duration::from_millis(1), Duration::from_secs(3600)),
            ..self
        }
    }

    /// Questions that are worked on at once.
    pub fn at_work(&self) -> u32 {
        self.at_work
    }

    /// Questions that wait.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Connections at once.
    pub fn connections(&self) -> u32 {
        self.connections
    }

    /// How long anything may take.
    pub fn time_out(&self) -> Duration {
        self.time_out
    }

    /// How long all may take to end once the server is to stop.
    pub(crate) fn patience(&self) -> Duration {
        self.time_out + Duration::from_secs(1)
    }
}
