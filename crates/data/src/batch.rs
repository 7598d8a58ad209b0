use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::rated::Rated;
use crate::{BatchBags, Error, Features, Modality, Result};

/// Threads that turn ratings into batches.
const BUILDERS: usize = 2;
/// Batches that wait ready for each of them.
const PREFETCHED: usize = 2;

/// Columns of some ratings, ready for a model.
///
/// Ids are dense rows, not raw ids. Bags are compressed sparse rows: sample
/// `s` has `genre_ids[genre_offsets[s]..genre_offsets[s + 1]]`.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Batch {
    /// User row of each sample, `[batch]`.
    pub users: Vec<u32>,
    /// Movie row of each sample, `[batch]`.
    pub movies: Vec<u32>,
    /// When each sample was rated, seconds since 1970, `[batch]`.
    pub timestamps: Vec<u32>,
    /// Start of each sample's genres, `[batch + 1]`.
    pub genre_offsets: Vec<u32>,
    /// Genres of the samples' movies.
    pub genre_ids: Vec<u32>,
    /// Standardised dense features, `[batch, features]`, of the names of
    /// [`Features::dense_names`].
    pub dense: Vec<f32>,
    /// For each modality the row of each sample's vector, `[batch]`, or
    /// [`Modality::MISSING`].
    pub modality_rows: Vec<Vec<u32>>,
    /// Rating of each sample in stars, `[batch]`; empty where there is none to
    /// learn from.
    pub stars: Vec<f32>,
    /// What the biases of user and movie say of each sample, in stars, `[batch]`;
    /// empty without a [context](crate::ContextConfig), as what follows.
    pub base: Vec<f32>,
    /// What a Gaussian process over the user's ratings expects of each sample, in
    /// stars, `[batch]`; empty in training batches.
    pub process: Vec<f32>,
    /// What the samples' users rated.
    pub histories: BatchBags,
    /// Who rated the samples' movies.
    pub audiences: BatchBags,
}

impl Batch {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Whether each sample's movie lacks the modality numbered `modality`,
    /// `[batch]`; `None` where there is no such modality.
    pub fn missing(&self, modality: usize) -> Option<Vec<bool>> {
        let rows = self.modality_rows.get(modality)?.iter();
        Some(rows.map(|&row| row == Modality::MISSING).collect())
    }
}

/// Whether the rows of batches are in the training set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// What is drawn for a batch is decided by the seed and the batch's number, of
    /// which `first` is the first.
    Train { seed: u64, first: usize },
    /// To validate or test on.
    Held,
}

/// Batches in a fixed order, built ahead on threads of their own.
///
/// Hands out all rows that there are and then ends; dropped early, it stops the
/// threads. Where rows come from a file, an item may be an error, and is then the
/// last; so it is where rows are missing.
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

impl Batches {
    /// `feed` hands out the rows, `rows` in all, of one batch after another until it is
    /// returned `false`, which says that nobody wants more.
    pub(crate) fn new(
        features: &Arc<Features>,
        purpose: Purpose,
        rows: usize,
        feed: impl FnOnce(&mut dyn FnMut(Vec<Rated>) -> bool) -> Result<()> + Send + 'static,
    ) -> Self {
        let (mut work, mut ready, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for builder in 0..BUILDERS {
            let (send_work, take_work) = sync_channel(PREFETCHED);
            let (send, receive) = sync_channel(PREFETCHED);
            let features = Arc::clone(features);
            let build = move || build(&features, purpose, builder, &take_work, &send);
            threads.push(std::thread::spawn(build));
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

fn build(
    features: &Features,
    purpose: Purpose,
    builder: usize,
    work: &Receiver<Result<Vec<Rated>>>,
    ready: &SyncSender<Result<Batch>>,
) {
    for (number, rows) in work.iter().enumerate() {
        let number = builder + number * BUILDERS;
        let batch = rows.map(|rows| match purpose {
            Purpose::Train { seed, first } => {
                // Seeds of neighbouring epochs may be neighbours too.
                let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                features.training_batch(&rows, seed ^ (first + number) as u64)
            }
            Purpose::Held => features.test_batch(&rows),
        });
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
    use crate::generate::{self, GeneratorConfig};
    use crate::rated::rated;
    use crate::{Dataset, MovieLens, Split};

    const SIZE: usize = 10;

    fn features() -> Arc<Features> {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("sample");
        generate::write(&dir, &GeneratorConfig::tiny(), |_| {}).unwrap();
        let movielens = MovieLens::open(&dir).unwrap();
        let split = Split::random(movielens.ratings.len(), 0.2, 42).unwrap();
        let data = Dataset::new(&movielens, split, Vec::new()).unwrap();
        Arc::new(crate::TrainingData::features(&data).clone())
    }

    /// Batches of `rows` rows in all; `feed` gets the number of each before it is
    /// handed out, and says which user has rated them, or that there are no more.
    fn batches(rows: usize, feed: impl Fn(usize) -> Option<u32> + Send + 'static) -> Batches {
        Batches::new(&features(), Purpose::Held, rows, move |take| {
            let mut users = (0..).map_while(feed);
            while users
                .next()
                .is_some_and(|user| take(vec![rated(user, 0, 3.0, 9); SIZE]))
            {}
            Ok(())
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
