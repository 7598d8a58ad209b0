use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::rated::Rated;
use crate::{BatchBags, Features, Modality, Result};

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
/// Ends when the rows do; dropped early, it stops the threads. Where rows come
/// from a file, an item may be an error, and is then the last.
pub struct Batches {
    /// Builder `b` has batches `b`, `b + BUILDERS`, ….
    ready: Vec<Receiver<Result<Batch>>>,
    next: usize,
}

impl Batches {
    /// `feed` hands out the rows of one batch after another until it is
    /// returned `false`, which says that nobody wants more.
    pub(crate) fn new(
        features: &Arc<Features>,
        purpose: Purpose,
        feed: impl FnOnce(&mut dyn FnMut(Vec<Rated>) -> bool) -> Result<()> + Send + 'static,
    ) -> Self {
        let (mut work, mut ready) = (Vec::new(), Vec::new());
        for builder in 0..BUILDERS {
            let (send_work, take_work) = sync_channel(PREFETCHED);
            let (send, receive) = sync_channel(PREFETCHED);
            let features = Arc::clone(features);
            std::thread::spawn(move || build(&features, purpose, builder, &take_work, &send));
            work.push(send_work);
            ready.push(receive);
        }
        std::thread::spawn(move || {
            let mut next = 0;
            let fed = feed(&mut |rows| {
                next += 1;
                // A closed channel means that the batches were dropped.
                work[(next - 1) % BUILDERS].send(Ok(rows)).is_ok()
            });
            if let Err(error) = fed {
                let _ = work[next % BUILDERS].send(Err(error));
            }
        });
        Self { ready, next: 0 }
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
        let batch = self.ready[self.next % BUILDERS].recv().ok();
        self.next += 1;
        batch
    }
}
