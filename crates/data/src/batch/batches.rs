use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::Batch;
use crate::{Error, Result};

/// Threads that turn ratings into batches.
const BUILDERS: usize = 2;
/// Batches that wait ready for each of them.
const PREFETCHED: usize = 2;

/// Batches in a fixed order, built ahead on threads of their own.
///
/// Hands out all rows that there are and then ends; dropped early, it stops the
/// threads. Where rows come from a file, an item may be an error, and is then the
/// last; so it is where rows are missing.
///
/// ```
/// use mmdlrm_data::{Batch, Batches, Rated};
///
/// let of_user = |user| Rated {
///     user,
///     ..Rated::default()
/// };
/// let batches = Batches::new(
///     30,
///     move |take| {
///         // Three users rated ten movies each; who takes the batches may want no more.
///         let _ = (0..3).all(|user| take(vec![of_user(user); 10]));
///         Ok(())
///     },
///     |_number, rows| Batch::of(&rows),
/// );
/// let lengths: Vec<usize> = batches.map(|batch| Ok(batch?.len())).collect::<Result<_, _>>()?;
/// assert_eq!(lengths, [10, 10, 10]);
/// # Ok::<(), mmdlrm_data::Error>(())
/// ```
///
/// # Panics
/// [`Iterator::next`] goes on with a panic of one of the threads: it never looks like
/// the end of the data.
pub struct Batches {
    /// Builder `b` has batches `b`, `b + BUILDERS`, …. Empty when all is over.
    ready: Vec<Receiver<Result<Batch>>>,
    threads: Vec<JoinHandle<()>>,
    next: usize,
    /// Rows that have come, and that are to come in all.
    seen: usize,
    rows: usize,
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches")
            .field("next", &self.next)
            .field("seen", &self.seen)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Batches {
    /// `feed` hands out the rows, `rows` in all, of one batch after another, as whatever `R` names
    /// them, until it is returned `false`, which says that nobody wants more. `build` turns the rows of a
    /// batch, with the batch's number from 0, into the batch.
    ///
    /// A batch has a sample for each of its rows: they are counted. Two threads build, each
    /// every second batch, so what `build` draws for a batch has to go by the number.
    pub fn new<R: Send + 'static>(
        rows: usize,
        feed: impl FnOnce(&mut dyn FnMut(R) -> bool) -> Result<()> + Send + 'static,
        build: impl Fn(usize, R) -> Batch + Send + Sync + 'static,
    ) -> Self {
        let build = Arc::new(build);
        let (mut work, mut ready, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for builder in 0..BUILDERS {
            let (send_work, take_work) = sync_channel(PREFETCHED);
            let (send, receive) = sync_channel(PREFETCHED);
            let build = Arc::clone(&build);
            let run = move || build_all(&*build, builder, &take_work, &send);
            threads.push(std::thread::spawn(run));
            work.push(send_work);
            ready.push(receive);
        }
        threads.push(std::thread::spawn(move || {
            let mut next = 0;
            let fed = feed(&mut |rows| {
                next += 1;
                // A closed channel means that the batches were dropped, or that their
                // builder panicked.
                work[(next - 1) % BUILDERS].send(Ok(rows)).is_ok()
            });
            if let Err(error) = fed {
                let _ = work[next % BUILDERS].send(Err(error));
            }
        }));
        Self {
            ready,
            threads,
            next: 0,
            seen: 0,
            rows,
        }
    }

    /// A channel was closed: by the end of the rows, which must all have come, or by a
    /// panic.
    fn finish(&mut self) -> Option<Result<Batch>> {
        // Whoever waits to hand something out stops waiting.
        self.ready.clear();
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        let all = Error::unless_all("rows of batches", self.seen, self.rows);
        all.err().map(Err)
    }
}

fn build_all<R>(
    build: impl Fn(usize, R) -> Batch,
    builder: usize,
    work: &Receiver<Result<R>>,
    ready: &SyncSender<Result<Batch>>,
) {
    for (number, rows) in work.iter().enumerate() {
        let number = builder + number * BUILDERS;
        let batch = rows.map(|rows| build(number, rows));
        if ready.send(batch).is_err() {
            break;
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let ready = self.ready.get(self.next % BUILDERS)?;
        let Ok(batch) = ready.recv() else {
            return self.finish();
        };
        self.next += 1;
        match &batch {
            Ok(batch) => self.seen += batch.len(),
            // The last item.
            Err(_) => self.ready.clear(),
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::batch::{Rated, rated};

    const SIZE: usize = 10;

    /// Batches of `rows` rows in all; `feed` gets the number of each before it is
    /// handed out, and says which user has rated them, or that there are no more.
    fn batches(rows: usize, feed: impl Fn(usize) -> Option<u32> + Send + 'static) -> Batches {
        let feed = move |take: &mut dyn FnMut(Vec<Rated>) -> bool| {
            let mut users = (0..).map_while(feed);
            while users
                .next()
                .is_some_and(|user| take(vec![rated(user, 0, 3.0, 9); SIZE]))
            {}
            Ok(())
        };
        let known_users = [3.0];
        Batches::new(rows, feed, move |_, rows| {
            let base = rows.iter().map(|rated| known_users[rated.user as usize]);
            let base = base.collect();
            Batch {
                base,
                ..Batch::of(&rows)
            }
        })
    }

    fn message(batches: Batches) -> String {
        let panic = catch_unwind(AssertUnwindSafe(|| batches.count())).unwrap_err();
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap()
    }

    #[test]
    fn a_panic_of_whoever_feeds_batches_is_not_the_end_of_the_data() {
        for fed in 0..7 {
            let feed = move |batch| {
                assert!(batch < fed, "out of paper");
                Some(0)
            };
            // Even where as many rows came as there are.
            assert_eq!(message(batches(fed * SIZE, feed)), "out of paper");
        }
    }

    #[test]
    fn a_panic_of_whoever_builds_batches_is_not_the_end_of_the_data() {
        for bad in 0..7 {
            // There is no such user.
            let feed = move |batch| Some(if batch == bad { u32::MAX } else { 0 });
            let message = message(batches(usize::MAX, feed));
            assert!(message.contains("out of bounds"), "{message}");
        }
    }

    #[test]
    fn batches_with_rows_missing_or_too_many_end_with_an_error() {
        for (rows, is_right) in [(49, false), (50, true), (51, false)] {
            let mut batches = batches(rows, |batch| (batch < 5).then_some(0));
            assert!(batches.by_ref().take(5).all(|batch| batch.is_ok()));
            match batches.next() {
                Some(Err(error)) if !is_right => {
                    let text = format!("50 rows of batches came where there are {rows};");
                    assert!(error.to_string().starts_with(&text), "{error}");
                }
                other => assert!(is_right && other.is_none()),
            }
            assert!(batches.next().is_none());
        }
    }
}
