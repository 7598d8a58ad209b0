use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use mmdlrm_data::{
    Batches, DataFingerprint, DiskSplit, Error, Modality, Rated, RatedBags, Result, SplitPart,
    StreamedInteractions, StreamedSplit,
};

use crate::negatives::Negatives;
use crate::purpose::Purpose;
use crate::{Features, NegativeSampling, TrainingData, UserRows};

/// Ratings on disk with a split, and the [`Features`] of its training rows: of a
/// [`StreamedMovieLens`](mmdlrm_data::StreamedMovieLens) release, or of anybody's
/// [`StreamedInteractions`].
///
/// Gives the same batches as a [`Dataset`](crate::Dataset) of the same ratings with
/// [`Split::random`](mmdlrm_data::Split::random) or
/// [`Split::temporal`](mmdlrm_data::Split::temporal) and, where rows are validated on,
/// [`Split::with_validation`](mmdlrm_data::Split::with_validation), and holds none of them: each
/// epoch sends the training rows to a scratch file in random buckets, 16 bytes
/// a rating, and reads these back one by one. Memory is that of the users, the
/// movies and at most 200 MiB, whatever the number of ratings and of threads.
pub struct StreamedDataset {
    features: Arc<Features>,
    split: StreamedSplit,
    rows: DataFingerprint,
    negatives: Option<Arc<Negatives>>,
}

impl fmt::Debug for StreamedDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedDataset")
            .field("features", &self.features)
            .field("split", &self.split)
            .finish_non_exhaustive()
    }
}

impl StreamedDataset {
    /// Draws what is held out and fits the statistics on the training rows. Scratch
    /// files, which have no name, are made in the folder `scratch`.
    ///
    /// # Errors
    /// A share that leaves a side empty, or ratings that can no longer be read.
    pub fn new(
        interactions: impl Into<StreamedInteractions>,
        split: impl Into<DiskSplit>,
        modalities: Vec<Modality>,
        scratch: &Path,
    ) -> Result<Self> {
        let StreamedInteractions {
            items,
            ratings,
            users: known,
            ..
        } = interactions.into();
        let split = StreamedSplit::new(ratings, split, scratch)?;
        let users = split.ratings().users().clone();
        let features = Features::fit(users, &items, modalities, |take| {
            split.for_each_of(SplitPart::Train, |rated| {
                take(rated);
                Ok(())
            })
        })?;
        let target = split.ratings().target();
        Ok(Self {
            features: Arc::new(features.with_target(target).with_users(&known)?),
            rows: split.fingerprint()?,
            split,
            negatives: None,
        })
    }

    /// As [`Dataset::with_negatives`](crate::Dataset::with_negatives): 4 bytes a training row, in
    /// memory.
    ///
    /// # Errors
    /// The same; ratings that can no longer be read.
    pub fn with_negatives(mut self, sampling: NegativeSampling) -> Result<Self> {
        sampling.check(self.features.target())?;
        let counts = (self.features.users().len(), self.features.movies().len());
        let negatives = Negatives::new(sampling, counts, |take| {
            self.split.for_each_of(SplitPart::Train, |rated| {
                rated.iter().copied().for_each(&mut *take);
                Ok(())
            })
        })?;
        self.negatives = Some(Arc::new(negatives));
        Ok(self)
    }

    fn held_batches(&self, size: usize, part: SplitPart) -> Batches {
        let split = self.split.clone();
        Purpose::Held.batches(&self.features, split.rows(part), move |take| {
            split.in_order(part, size, &mut |rows| take(rows.into()))
        })
    }
}

impl TrainingData for StreamedDataset {
    fn features(&self) -> &Features {
        &self.features
    }

    fn training_rows(&self) -> usize {
        self.split.rows(SplitPart::Train)
    }

    fn validation_rows(&self) -> usize {
        self.split.rows(SplitPart::Validation)
    }

    fn test_rows(&self) -> usize {
        self.split.rows(SplitPart::Test)
    }

    fn rows_of_epoch(&self) -> usize {
        let rows = self.training_rows();
        self.negatives.as_ref().map_or(rows, |it| it.rows(rows))
    }

    fn fingerprint(&self) -> DataFingerprint {
        let ratings = self.split.ratings().learned().clone();
        let ratings: DataFingerprint = [ratings].into_iter().collect();
        let negatives = self.negatives.iter().map(|it| it.sampling.part()).collect();
        let split = self.rows.clone().with(negatives);
        ratings.with(self.features.fingerprint()).with(split)
    }

    fn training_batches_from(&self, size: usize, seed: u64, first: usize) -> Batches {
        let all = self.rows_of_epoch();
        let passed = first.saturating_mul(size.max(1)).min(all);
        let split = self.split.clone();
        let negatives = self.negatives.clone();
        let purpose = Purpose::Train { seed, first };
        purpose.batches(&self.features, all - passed, move |take| {
            let Some(negatives) = negatives else {
                return split.shuffled(SplitPart::Train, size, seed, first, &mut |rows| {
                    take(rows.into())
                });
            };
            let mut beside = negatives.beside(seed, passed, size.max(1));
            let part = SplitPart::Train;
            split.shuffled(part, INTERACTIONS, seed, 0, &mut |rows| {
                rows.into_iter().all(|row| beside.push(row, take))
            })?;
            beside.finish(take);
            Ok(())
        })
    }

    fn validation_batches(&self, size: usize) -> Batches {
        self.held_batches(size, SplitPart::Validation)
    }

    fn test_batches(&self, size: usize) -> Batches {
        self.held_batches(size, SplitPart::Test)
    }

    fn users(&self, take: &mut dyn FnMut(UserRows) -> ControlFlow<()>) -> Result<()> {
        let passed = self.split.for_each_user(|rows| hand_out(rows, take));
        match passed {
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::BrokenOff) | Ok(()) => Ok(()),
        }
    }
}

/// Interactions that are shuffled back at a time, to draw beside.
const INTERACTIONS: usize = 4096;

/// Why users are no longer handed out.
enum Stop {
    /// Nobody wants more.
    BrokenOff,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Hands out a user.
fn hand_out(
    rows: &[(SplitPart, Rated)],
    take: &mut dyn FnMut(UserRows) -> ControlFlow<()>,
) -> Result<(), Stop> {
    let bag = |wanted: SplitPart| {
        let rows = rows.iter().filter(|(part, _)| *part == wanted);
        let rows = rows.map(|&(_, rated)| Rated { user: 0, ..rated });
        RatedBags::of_users(1, rows)
    };
    let bags = [SplitPart::Train, SplitPart::Validation, SplitPart::Test].map(bag);
    let [trained, validated, held_out] = bags.each_ref().map(|bag| bag.row(0));
    let Some((_, Rated { user, .. })) = rows.first() else {
        return Ok(());
    };
    let rows = UserRows {
        user: *user,
        trained,
        validated,
        held_out,
    };
    match take(rows) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Stop::BrokenOff),
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::generate::{self, GeneratorConfig};
    use mmdlrm_data::{Batch, MovieLens, OpenOptions, RandomSplit, Split};

    use super::*;
    use crate::Dataset;

    #[test]
    fn streamed_batches_are_those_of_memory() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        let config = GeneratorConfig {
            contents: false,
            ..GeneratorConfig::default()
        };
        generate::write(&dir, &config, |_| {}).unwrap();
        let movielens = MovieLens::open(&dir).unwrap();
        let split = Split::random(movielens.ratings.len(), 0.2, 5).unwrap();
        let split = split.with_validation(0.1, &movielens.ratings).unwrap();
        let memory = Dataset::new(&movielens, split, Vec::new()).unwrap();
        let streamed = OpenOptions::default().open_streamed(&dir).unwrap();
        let split = RandomSplit {
            test_share: 0.2,
            validation_share: Some(0.1),
            seed: 5,
        };
        let streamed = StreamedDataset::new(streamed, split, Vec::new(), folder.path()).unwrap();
        assert_eq!(streamed.training_rows(), memory.training_rows());
        let all = |batches: Batches| -> Vec<Batch> { batches.map(Result::unwrap).collect() };
        assert_eq!(
            all(streamed.training_batches(1000, 9)),
            all(memory.training_batches(1000, 9))
        );
        let (later, whole) = (
            all(streamed.training_batches_from(1000, 9, 3)),
            all(memory.training_batches(1000, 9)),
        );
        assert_eq!(later, whole[3..]);
        assert_eq!(later, all(memory.training_batches_from(1000, 9, 3)));
        assert_eq!(
            all(streamed.validation_batches(999)),
            all(memory.validation_batches(999))
        );
        assert_eq!(
            all(streamed.test_batches(999)),
            all(memory.test_batches(999))
        );
        assert_eq!(users_of(&streamed), users_of(&memory));
    }

    fn users_of(data: &dyn TrainingData) -> Vec<String> {
        let mut users = Vec::new();
        let take = |rows: UserRows| {
            users.push(format!("{rows:?}"));
            Ok::<_, Error>(())
        };
        data.for_each_user(take).unwrap();
        users
    }
}
